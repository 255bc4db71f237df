"""What happens to events right now: told to whoever listens (`pilotlight events tail`), and the last of it remembered.

The log knows what was accepted, what failed and what is dead; that an event was delivered, when and with which answer,
is only here, and only for a while; so is when one that failed is tried again. Nothing is made for a stream that nobody
listens to but one small record per delivery.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.clock import Clock
from eventing.brokers.base import Delivery
from eventing.delivery import Answered, Done, NoAnswer, Outcome, Step
from eventing.event import Event
from eventing.log.base import Attempt

REMEMBERED_MAX: Final = 10_000
"""Deliveries, over all subscriptions."""
LISTENER_MAX: Final = 10_000
"""Happenings that one listener may be behind; what comes then is counted and not kept."""


class What(StrEnum):
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    RETRYING = "retrying"
    DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class Happening:
    """`about` is a stream for an accepted event and a subscription for all others; `text` says the rest."""

    time: float
    what: What
    about: str
    offset: int | None
    event: Event
    code: int | None
    text: str


class Listener:
    """Bounded: whoever reads too slowly is told how much was left out."""

    def __init__(self) -> None:
        self.missed = 0
        self._queue: asyncio.Queue[Happening] = asyncio.Queue(LISTENER_MAX)

    def hear(self, happening: Happening) -> None:
        try:
            self._queue.put_nowait(happening)
        except asyncio.QueueFull:
            self.missed += 1

    async def __aiter__(self) -> AsyncIterator[Happening]:
        while True:
            yield await self._queue.get()


class Chronicle:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: list[Listener] = []
        self._delivered: OrderedDict[tuple[str, int], tuple[float, int]] = OrderedDict()
        self._due: OrderedDict[tuple[str, int], float] = OrderedDict()

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    @contextmanager
    def listen(self) -> Iterator[Listener]:
        """Everything from now on."""
        listener = Listener()
        self._listeners.append(listener)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)

    def accepted(self, stream: str, offset: int | None, event: Event, wanted_by: Iterable[str]) -> None:
        """Ask `heard` first: this is for listeners alone."""
        names = ", ".join(wanted_by)
        self._tell(What.ACCEPTED, stream, offset, event, None, f"for {names}" if names else "no subscription wants it")

    def ended(self, subscription: str, delivery: Delivery, step: Step, outcome: Outcome) -> None:
        code = None if isinstance(outcome, NoAnswer) else outcome.status
        if self._due and delivery.offset is not None:
            self._due.pop((subscription, delivery.offset), None)
        if isinstance(step, Done):
            if delivery.offset is not None and isinstance(outcome, Answered):
                self._delivered[subscription, delivery.offset] = (self._clock.wall(), outcome.status)
                if len(self._delivered) > REMEMBERED_MAX:
                    self._delivered.popitem(last=False)
            if self._listeners:
                self._tell(What.DELIVERED, subscription, delivery.offset, delivery.event, code, "")
        elif self._listeners and not isinstance(step, Done):
            self._tell(What.DEAD_LETTER, subscription, delivery.offset, delivery.event, code, step.reason)

    def retried(self, subscription: str, delivery: Delivery, attempt: Attempt, wait_s: float) -> None:
        if delivery.offset is not None:
            self._due[subscription, delivery.offset] = self._clock.wall() + wait_s
            if len(self._due) > REMEMBERED_MAX:
                self._due.popitem(last=False)
        if self._listeners:
            text = f"attempt {attempt.number}: {attempt.reason}; the next in {wait_s:.3g} s"
            self._tell(What.RETRYING, subscription, delivery.offset, delivery.event, attempt.code, text)

    def delivered(self, subscription: str, offset: int) -> tuple[float, int] | None:
        """When, and with which status; None where that is forgotten."""
        return self._delivered.get((subscription, offset))

    def due(self, subscription: str, offset: int) -> float | None:
        """When it is tried again; None where no try is waited for, or that is forgotten."""
        return self._due.get((subscription, offset))

    def _tell(self, what: What, about: str, offset: int | None, event: Event, code: int | None, text: str) -> None:
        happening = Happening(self._clock.wall(), what, about, offset, event, code, text)
        for listener in self._listeners:
            listener.hear(happening)
