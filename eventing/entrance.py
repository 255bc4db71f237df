"""The one way into a broker, channel or sink, for events over HTTP, replies and sources alike.

In this order: duplicates, budget of hops, schemas, storage. Whoever calls `take` has its answer when the future is
done: everything is stored, or nothing is and the error says why. (Events that go to the dead letters instead count as
stored; they are, there.) No task, no log line and no copy for an event that asks for none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from core.clock import Clock
from core.errors import BadRequest, FieldError
from core.errors import Invalid as Unprocessable
from core.resources.eventing_options import SchemaMode
from eventing.attributes import Invalid
from eventing.duplicates import Window, key_of
from eventing.event import Event
from eventing.event_types import SeenTypes
from eventing.hops import INTERNAL, ONLY, STEP, accept
from eventing.intake import Intake, SetAside, Stored, Terms


@dataclass(slots=True)
class Counts:
    """Since the start, of one entrance."""

    duplicates: int = 0
    warned: int = 0  # data against its schema, taken all the same
    refused: int = 0
    set_aside: int = 0


class Entrance:
    """Stands in front of one intake. `set_aside` is where events go that a schema sends to the dead letters."""

    def __init__(self, intake: Intake, set_aside: SetAside, terms: Terms, clock: Clock) -> None:
        self.intake = intake
        self.terms = terms
        self.seen = SeenTypes()
        self.counts = Counts()
        self.warned: Callable[[], None] = lambda: None  # called when there is a warning where there was none
        self._warning = ""
        self._set_aside = set_aside
        self._clock = clock
        self._window: Window[Stored] | None = None
        self.change(terms)

    def change(self, terms: Terms) -> None:
        """The resource has changed. What the window knows stays known."""
        self.terms = terms
        if not terms.deduplicate_s:
            self._window = None
        elif self._window is None:
            self._window = Window(terms.deduplicate_s)
        else:
            self._window.age_s = terms.deduplicate_s

    def take_warning(self) -> str:
        """The first violation since the last call of a schema that only warns; empty where there was none."""
        warning, self._warning = self._warning, ""
        return warning

    def recall(self, stored: Iterable[tuple[Event, float]]) -> None:
        """Events stored before a restart with their ages in seconds, the oldest first: they are known to the window."""
        if self._window is not None:
            now = self._clock.monotonic()
            for event, age_s in stored:
                self._window.keep(key_of(event.identity), now - age_s)

    def take(self, events: Sequence[Event]) -> Stored:
        """Takes all of them or none. Raises what the intake raises, and BadRequest or Invalid (a schema refuses)."""
        return self._check(events) if self._window is None else self._once(self._window, events)

    def _once(self, window: Window[Stored], events: Sequence[Event]) -> Stored:
        """Takes what the window does not know; waits with the others for what is being stored just now."""
        now = self._clock.monotonic()
        new: dict[bytes, Event] = {}
        waits: dict[int, Stored] = {}
        for event in events:
            key = key_of(event.identity)
            if key in new or window.is_kept(key, now):
                self.counts.duplicates += 1
            elif (holder := window.holder(key)) is not None:
                self.counts.duplicates += 1
                waits[id(holder)] = holder
            else:
                new[key] = event
        if new:
            stored = self._check(list(new.values()))
            for key in new:
                window.hold(key, stored)
            stored.add_done_callback(partial(self._settle, window, list(new)))
            waits[id(stored)] = stored
        return _all(list(waits.values()))

    def _settle(self, window: Window[Stored], keys: Sequence[bytes], stored: Stored) -> None:
        failed = stored.cancelled() or stored.exception() is not None
        now = self._clock.monotonic()
        for key in keys:
            if failed:
                window.release(key)
            else:
                window.keep(key, now)

    def _check(self, events: Sequence[Event]) -> Stored:
        for event in events:
            if not INTERNAL.isdisjoint(event.attributes):
                events = [self._within_budget(event) for event in events]
                break
        aside: list[tuple[Event, str]] = []
        if self.terms.schemas and self.terms.schema_mode is not SchemaMode.IGNORE:
            events = self._as_schemas_say(events, aside)
        for event in events:
            self.seen.note(event)
        if not aside:
            return self.intake.append(events)
        self.counts.set_aside += len(aside)
        stored = [self.intake.append(events)] if events else []
        return _all(stored + [self._set_aside(event, reason) for event, reason in aside])

    def _within_budget(self, event: Event) -> Event:
        accepted = accept(event, self.terms.hops)
        if isinstance(accepted, Invalid):
            raise BadRequest(accepted.detail, causes=[FieldError(accepted.attribute, accepted.detail)])
        return accepted.with_attributes(**{STEP: None, ONLY: None})

    def _as_schemas_say(self, events: Sequence[Event], aside: list[tuple[Event, str]]) -> Sequence[Event]:
        fitting: list[Event] = []
        for position, event in enumerate(events):
            detail = self.terms.schemas.violation(event)
            if detail is None:
                fitting.append(event)
                continue
            sentence = f"Event {event.id!r} is not as the schema of {event.type!r} says: {detail}."
            if self.terms.schema_mode is SchemaMode.REFUSE:
                self.counts.refused += 1
                raise Unprocessable(sentence, causes=[FieldError(f"[{position}].data", detail)])
            if self.terms.schema_mode is SchemaMode.WARN:
                self.counts.warned += 1
                fitting.append(event)
                if not self._warning:
                    self._warning = sentence
                    self.warned()
            else:
                aside.append((event, sentence))
        return fitting


def _all(futures: Sequence[Stored]) -> Stored:
    """One future for several; done with the first error if there is one."""
    if len(futures) == 1:
        return futures[0]
    if not futures:
        done: Stored = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done
    return asyncio.gather(*futures)
