"""Why an event was delivered to a subscription, or was not (yet): one verdict for each that could have had it.

The console asks `Why.of`; `judge` decides from what the log and the chronicle know, and does nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from eventing.chronicle import Chronicle
from eventing.dataplane import DataPlane
from eventing.event import Event
from eventing.filters.clauses import Filter
from eventing.hops import ONLY
from eventing.log.base import Attempt, DeadLetter, Record
from eventing.log.log import EventLog


class State(StrEnum):
    DELIVERED = "delivered"
    DONE = "done"  # acknowledged; how is no longer remembered
    EARLIER = "earlier"  # it was there before the subscription
    FILTERED = "filtered"
    OTHERS = "for another"
    RETRYING = "retrying"
    WAITING = "waiting"
    HELD = "held"
    DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one record and one subscription. `wanted` is None while the subscription is held back."""

    subscription: str
    record: Record
    wanted: Filter | None
    began: float | None  # wall time; None where nobody knows
    acked: bool = False
    ahead: int = 0  # events before it that are not done with
    attempts: Sequence[Attempt] = ()
    due: float | None = None
    delivered: tuple[float, int] | None = None
    letter: DeadLetter | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` says it in a sentence; `time` is when it was delivered or buried, or when it is tried again."""

    subscription: str
    state: State
    text: str
    time: float | None = None
    code: int | None = None
    attempts: Sequence[Attempt] = ()
    letter: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One record of the event, and what each subscription of its stream made of it."""

    stream: str
    record: Record
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class Answer:
    """`letters`: dead letters of records that are not in the log (any more), or never were."""

    findings: Sequence[Finding]
    letters: Sequence[DeadLetter]


Began: TypeAlias = Callable[[str], Awaitable[float | None]]
"""When a subscription was made, as wall time."""


def judge(known: Known, now: float) -> Verdict:
    """The first that holds."""
    name, event = known.subscription, known.record.event
    only = event.attributes.get(ONLY)
    if known.letter is not None:
        return _buried(name, known.letter)
    if only is not None and only != name:
        return Verdict(name, State.OTHERS, f"it was redriven, for {only} alone")
    if only is None and known.wanted is not None and not known.wanted.matches(event):
        return Verdict(name, State.FILTERED, known.wanted.explain(event))
    if known.delivered is not None:
        time, code = known.delivered
        return Verdict(name, State.DELIVERED, f"the subscriber answered {code}", time, code)
    if known.acked:
        if known.began is not None and known.record.time_ms / 1000 < known.began:
            return Verdict(name, State.EARLIER, "it came before this subscription began; a replay would send it")
        return Verdict(name, State.DONE, "it was delivered, or this subscription began after it: no longer remembered")
    if known.attempts:
        return _retrying(known, now)
    if known.wanted is None:
        return Verdict(name, State.HELD, "it waits until the subscription is ready")
    return Verdict(name, State.WAITING, f"behind {known.ahead} others" if known.ahead else "it is next, or under way")


def _buried(name: str, letter: DeadLetter) -> Verdict:
    code = letter.attempts[-1].code if letter.attempts else None
    text = f"number {letter.number}, {letter.fate}: {letter.reason}"
    return Verdict(name, State.DEAD_LETTER, text, letter.time_ms / 1000, code, letter.attempts, letter.number)


def _retrying(known: Known, now: float) -> Verdict:
    last = known.attempts[-1]
    due = known.due if known.due is not None and known.due > now else None
    following = f"the next in {due - now:.3g} s" if due is not None else "the next is under way or held back"
    text = f"attempt {last.number}: {last.reason}; {following}"
    return Verdict(known.subscription, State.RETRYING, text, due, last.code, known.attempts)


class Why:
    """Looks up what is known. Only streams of the log can be searched; of others there are dead letters."""

    def __init__(self, plane: DataPlane, log: EventLog, chronicle: Chronicle, began: Began) -> None:
        self._plane = plane
        self._log = log
        self._chronicle = chronicle
        self._began = began

    async def of(self, id: str, now: float) -> Answer:
        """Every record whose event has this id, the newest of each stream first."""
        findings = [
            await self._finding(stream.name, record, now)
            for stream in self._log.streams()
            for record in await self._log.find(stream.name, id)
        ]
        told = {verdict.letter for finding in findings for verdict in finding.verdicts}
        letters = [letter for letter in await self._log.dead_letters.find(id) if letter.number not in told]
        return Answer(findings, letters)

    async def _finding(self, stream: str, record: Record, now: float) -> Finding:
        letters = {each.subscription: each for each in await self._log.dead_letters.of_event(stream, record.offset)}
        here = sorted(name for name, its in self._plane.streams_of.items() if its == stream)
        names = dict.fromkeys([*here, *letters])
        return Finding(
            stream, record, [judge(await self._known(name, record, letters.get(name)), now) for name in names]
        )

    async def _known(self, name: str, record: Record, letter: DeadLetter | None) -> Known:
        running, cursor, offset = self._plane.running.get(name), self._log.cursor(name), record.offset
        position = cursor.position if cursor is not None else None
        return Known(
            name,
            record,
            running.subscription.interest.filter if running is not None else None,
            await self._began(name),
            acked=position is not None and position.is_acked(offset),
            ahead=0 if position is None else max(offset - position.low - position.acked_below(offset), 0),
            attempts=() if cursor is None else cursor.attempts(offset),
            due=self._chronicle.due(name, offset),
            delivered=self._chronicle.delivered(name, offset),
            letter=letter,
        )


def public(event: Event) -> dict[str, str | int | bool]:
    """An event's attributes as people see them: without what the platform notes in them."""
    return {name: value for name, value in event.attributes.items() if not name.startswith("pilotlight")}
