"""The broker class `Pilotlight`: a stream of the event log, matched once for all of its subscriptions.

Each committed event goes through one `Matcher` and from memory into the feeds of those that want it; nothing is done
for the others. A feed that cannot keep up lets go of the stream's end, and later reads from the log where it was,
matching by itself, until it has caught up. So memory is bounded by what may wait per feed, and a new trigger that
starts at the earliest event, one that was down for a day and one that is slow are the same case.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from core.clock import Clock
from core.errors import StoreFull
from core.tasks import Started
from eventing.brokers.base import Delivery, Interest
from eventing.chronicle import Chronicle
from eventing.event import Event
from eventing.filters.clauses import Filter
from eventing.hops import ONLY
from eventing.log.base import Attempt, Damaged, Entry, Record, Start
from eventing.log.cursors import Cursor
from eventing.log.log import EventLog
from eventing.log.positions import AHEAD_MAX, TooFarAhead
from eventing.matching import Matcher

PENDING_MAX: Final = 1_000
"""Events in memory that one subscription has not taken yet."""
READ_MAX: Final = 256
SWEEP_S: Final = 5.0
"""How often what no subscription wanted is acknowledged: work to do again after a crash, and nothing else."""
RETRY_S: Final = 1.0
"""When a full disk is tried again."""


class LogFeed:
    """`base.Feed` of one subscription."""

    def __init__(self, log: EventLog, cursor: Cursor, wanted: Filter, tail: Callable[[], int], clock: Clock) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._log = log
        self._cursor = cursor
        self._filter = wanted
        self._tail = tail
        self._clock = clock
        self._pending: deque[Record] = deque()
        self._out = 0
        self._next = self._since = cursor.position.low
        self._caught_up = False
        self._behind = asyncio.Event()
        self._behind.set()

    @property
    def backlog(self) -> int:
        return len(self._pending) + self._out + (0 if self._caught_up else max(0, self._tail() - self._next))

    async def run(self, started: Started) -> None:
        """Reads what it is behind with."""
        started()
        while True:
            await self._behind.wait()
            self._behind.clear()
            while not self._caught_up and len(self._pending) < PENDING_MAX:
                if self._next >= self._tail():
                    self._caught_up = True  # from here on it is offered
                    break
                for entry in await self._read():
                    await self._look_at(entry)

    def offer(self, record: Record) -> None:
        """A new event that its filter lets through."""
        if not self._caught_up:
            return
        if len(self._pending) >= PENDING_MAX:
            self._caught_up = False
            self._next = record.offset
            return
        self._pending.append(record)
        self.changed()

    def take(self, count: int) -> Sequence[Delivery]:
        taken: list[Delivery] = []
        pending = self._pending
        if pending and pending[0].offset >= self._cursor.position.low + AHEAD_MAX:
            self._pass(pending[0].offset)
        reach = self._cursor.position.low + AHEAD_MAX
        while pending and len(taken) < count and pending[0].offset < reach:
            offset, _, event = pending.popleft()
            # Whatever lies between two deliveries was not wanted: the second one's acknowledgement is for that, too.
            taken.append(Delivery(event, (self._since, offset + 1), offset, self._cursor.attempts(offset)))
            self._since = offset + 1
        self._out += len(taken)
        if not self._caught_up and len(pending) <= PENDING_MAX // 2:
            self._behind.set()
        return taken

    def failed(self, delivery: Delivery, attempt: Attempt) -> None:
        assert delivery.offset is not None
        self._cursor.fail(delivery.offset, attempt)

    def ack(self, delivery: Delivery) -> None:
        first, end = _place(delivery)
        self._cursor.ack(first, end)
        self._over()

    async def bury(self, delivery: Delivery, letter: Event, reason: str) -> int:
        assert delivery.offset is not None
        number = await self._cursor.dead_letter(delivery.offset, letter, reason)
        self._cursor.ack(*_place(delivery))
        self._over()
        return number

    def sweep(self) -> None:
        """Acknowledges what was not wanted, where nothing else will."""
        if self._caught_up and not self._pending:
            self._pass(self._tail())

    def _pass(self, end: int) -> None:
        """Nothing that waits lies before `end`: what does was not wanted, unless it is under way."""
        if not self._out and self._cursor.position.low < end:
            self._since = end
            self._cursor.ack(self._cursor.position.low, end)

    def _over(self) -> None:
        self._out -= 1
        self.changed()

    async def _read(self) -> Sequence[Entry]:
        fresh = self._log.fresh(self._cursor.stream, self._next, READ_MAX)
        return fresh if fresh else await self._log.read(self._cursor.stream, self._next, READ_MAX)

    async def _look_at(self, entry: Entry) -> None:
        if isinstance(entry, Damaged):
            await self._report(entry)
        elif not self._cursor.position.is_acked(entry.offset) and self._wants(entry.event):
            self._pending.append(entry)
            self.changed()
        self._next = entry.after

    def _wants(self, event: Event) -> bool:
        only = event.attributes.get(ONLY)
        return self._filter.matches(event) if only is None else only == self._cursor.subscription

    async def _report(self, damaged: Damaged) -> None:
        """Nobody can say whether it would have been wanted, so whoever reads the dead letters is told."""
        first = self._cursor.position.next_unacked(damaged.offset)
        reason = f"{damaged.reason} (offsets {first} to {damaged.after - 1})"
        while first < damaged.after:
            try:
                await self._cursor.dead_letter(first, None, reason, damaged.after)
                return
            except StoreFull:
                await self._clock.sleep(RETRY_S)
            except TooFarAhead:
                if not self._pending:
                    self._pass(first)
                await self._clock.sleep(RETRY_S)


class EmbeddedBroker:
    """`base.Broker` over one stream of the event log."""

    trouble = ""

    def __init__(self, name: str, log: EventLog, clock: Clock, chronicle: Chronicle) -> None:
        self.name = name
        self._chronicle = chronicle
        self._log = log
        self._clock = clock
        self._matcher = Matcher[str]()
        self._feeds: dict[str, LogFeed] = {}
        self._tail = log.stream(name).tail
        self._deaf = log.listen(name, self._committed)

    async def run(self, started: Started) -> None:
        """Keeps positions from falling behind events that nobody wants."""
        started()
        try:
            while True:
                await self._clock.sleep(SWEEP_S)
                for feed in self._feeds.values():
                    feed.sweep()
        finally:
            self._deaf()

    def append(self, events: Sequence[Event]) -> asyncio.Future[int]:
        return self._log.append_nowait(self.name, events)

    async def reserve(self, name: str, start: Start) -> None:
        await self._log.subscribe(name, self.name, start)

    async def subscribe(self, interest: Interest) -> LogFeed:
        cursor = await self._log.subscribe(interest.name, self.name, interest.start)
        feed = LogFeed(self._log, cursor, interest.filter, lambda: self._tail, self._clock)
        if self._feeds.pop(interest.name, None) is not None:
            self._matcher.remove(interest.name)
        self._feeds[interest.name] = feed
        self._matcher.add(interest.name, interest.filter)
        return feed

    async def unsubscribe(self, name: str, *, keep_position: bool = False) -> None:
        if self._feeds.pop(name, None) is not None:
            self._matcher.remove(name)
        await self._log.unsubscribe(name, keep_position)

    async def erase(self) -> None:
        await self._log.drop_stream(self.name)

    def _committed(self, records: Sequence[Record]) -> None:
        feeds, match = self._feeds, self._matcher.match
        for record in records:
            self._tail = record.offset + 1
            event = record.event
            only = event.attributes.get(ONLY)
            names = match(event) if only is None else [only] if only in feeds else []
            for name in names:
                feeds[name].offer(record)
            if self._chronicle.heard:
                self._chronicle.accepted(self.name, record.offset, event, names)


def _place(delivery: Delivery) -> tuple[int, int]:
    assert isinstance(delivery.place, tuple)
    return delivery.place
