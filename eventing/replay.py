"""Replay: what a stream still has of its past, once more to one subscriber, beside all that goes on.

A run reads from its start to the tail as it was when it began, through the same filter, dispatcher and policy as the
subscription itself, with a position of its own; the subscription's is not touched. What fails for good is told and not
buried: the log still has it. A run belongs to whoever asked for it, and ends with them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from core.errors import BadRequest, NotFound
from core.tasks import Started
from eventing.brokers.base import Delivery, Interest
from eventing.brokers.embedded import EmbeddedBroker
from eventing.dataplane import DataPlane
from eventing.dispatcher import Dispatcher, Parts
from eventing.event import Event
from eventing.filters.clauses import Filter, every
from eventing.hops import ONLY
from eventing.log.base import NOW, Attempt, Damaged, Entry, Origin, Record, Start
from eventing.log.log import EventLog
from eventing.subscriptions import Drop, Subscription

READ_MAX: Final = 256
PENDING_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Wish:
    """`narrower` must pass too; `sink` gets the events instead of the subscriber, and its replies go nowhere."""

    subscription: str
    start: Start
    narrower: Filter | None = None
    sink: str | None = None


@dataclass(slots=True)
class Counts:
    """`next` is where another run would go on: everything below it is over."""

    next: int
    matched: int = 0
    delivered: int = 0
    failed: int = 0
    lost: int = 0  # records that were damaged


@dataclass(frozen=True, slots=True)
class Failure:
    offset: int
    event: Event
    reason: str


Tell: TypeAlias = Callable[[Failure], None]


class ReplayFeed:
    """`brokers.base.Feed` of a part of a stream that has an end. `over` is set when the last delivery is."""

    def __init__(self, log: EventLog, stream: str, span: tuple[int, int], wanted: Filter, tell: Tell) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.over = asyncio.Event()
        self.first, self.end = span
        self.counts = Counts(self.first)
        self._log = log
        self._stream = stream
        self._filter = wanted
        self._tell = tell
        self._read_to = self.first
        self._pending: deque[Record] = deque()
        self._out: set[int] = set()
        self._room = asyncio.Event()

    @property
    def backlog(self) -> int:
        return self.end - self._read_to + len(self._pending) + len(self._out)

    async def run(self, started: Started) -> None:
        started()
        async for record in self.records():
            self._pending.append(record)
            self.changed()
            while len(self._pending) >= PENDING_MAX:
                self._room.clear()
                await self._room.wait()
        self._look()
        await asyncio.Event().wait()

    async def records(self) -> AsyncIterator[Record]:
        """Those that pass, in order; what was redriven for one subscription is not among them, its original is."""
        while self._read_to < self.end:
            entries = await self._log.read(self._stream, self._read_to, READ_MAX)
            if not entries:
                self._read_to = self.end
            for entry in entries:
                if entry.offset >= self.end:
                    self._read_to = self.end
                    break
                self._read_to = min(entry.after, self.end)
                if (record := self._fitting(entry)) is not None:
                    self.counts.matched += 1
                    yield record

    def take(self, count: int) -> Sequence[Delivery]:
        taken: list[Delivery] = []
        while self._pending and len(taken) < count:
            offset, _, event = self._pending.popleft()
            self._out.add(offset)
            taken.append(Delivery(event, None, offset))
        if taken:
            self._room.set()
        return taken

    def failed(self, delivery: Delivery, attempt: Attempt) -> None:
        """Told by the chronicle alone: there is no next life of a replay."""

    def ack(self, delivery: Delivery) -> None:
        self.counts.delivered += 1
        self._is_over(delivery)

    async def bury(self, delivery: Delivery, letter: Event, reason: str) -> int:
        self.counts.failed += 1
        assert delivery.offset is not None
        self._tell(Failure(delivery.offset, delivery.event, reason))
        self._is_over(delivery)
        return 0

    def _fitting(self, entry: Entry) -> Record | None:
        if isinstance(entry, Damaged):
            self.counts.lost += min(entry.after, self.end) - entry.offset
            return None
        return entry if ONLY not in entry.event.attributes and self._filter.matches(entry.event) else None

    def _is_over(self, delivery: Delivery) -> None:
        assert delivery.offset is not None
        self._out.discard(delivery.offset)
        self._look()
        self.changed()

    def _look(self) -> None:
        """Where it stands, and whether it is at its end."""
        waiting = (self._pending[0].offset,) if self._pending else ()
        self.counts.next = min([*self._out, *waiting], default=self._read_to)
        if self._read_to >= self.end and not waiting and not self._out:
            self.over.set()


@dataclass(frozen=True, slots=True)
class Replay:
    """One run, ready to go."""

    name: str
    feed: ReplayFeed
    _dispatcher: Dispatcher

    async def run(self) -> None:
        """Until everything is over, or the subscriber is gone for good; canceled where nobody wants it any more."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._dispatcher.run(lambda: None), name=self.name)
            over = group.create_task(self.feed.over.wait(), name=f"{self.name}:over")
            await asyncio.wait((running, over), return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            self._dispatcher.stop()


class Replays:
    """`parts` are those of the dispatchers of the platform."""

    def __init__(self, plane: DataPlane, log: EventLog, parts: Parts) -> None:
        self._plane = plane
        self._log = log
        self._parts = replace(parts, buried=lambda subscription, number: None)
        self._number = 0

    async def plan(self, wish: Wish, tell: Tell) -> Replay:
        """NotFound; BadRequest where this cannot be replayed."""
        running = self._plane.running.get(wish.subscription)
        if running is None:
            if (stream := self._plane.streams_of.get(wish.subscription)) is None:
                raise NotFound(f"there is no {wish.subscription}")
            raise BadRequest(f"{wish.subscription} of {stream} is held back: see why with `kubectl describe`")
        if not isinstance(self._plane.stream(running.stream), EmbeddedBroker):
            raise BadRequest(f"{running.stream} keeps its events in a broker of its own: only the log can be replayed")
        kept, start = self._log.stream(running.stream), wish.start
        first = kept.head
        if start.origin is Origin.TIME:
            first = await self._log.offset_at(running.stream, start.value)
        elif start.origin is Origin.OFFSET:
            first = min(max(int(start.value), kept.head), kept.tail)
        own = running.subscription
        wanted = own.interest.filter if wish.narrower is None else every([own.interest.filter, wish.narrower])
        self._number += 1
        name = f"replay/{wish.subscription.partition('/')[2]}/{self._number}"
        feed = ReplayFeed(self._log, running.stream, (first, kept.tail), wanted, tell)
        plan = _plan(own, Interest(name, wanted, "", NOW), wish.sink)
        return Replay(name, feed, Dispatcher(self._parts, plan, feed, lambda subscription: feed.over.set()))


def _plan(own: Subscription, interest: Interest, sink: str | None) -> Subscription:
    if sink is None:
        return replace(own, interest=interest, dead_letter_sink=None)
    return replace(own, interest=interest, dead_letter_sink=None, subscriber=sink, reply=Drop())
