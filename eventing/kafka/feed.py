"""One subscription's events out of Kafka topics: a member of a consumer group as a `Feed` for the dispatcher.

The consumer reads ahead on its thread and hands records over on the loop; here they are decoded, matched once, and wait
per partition until they are taken. An offset is committed when everything below it was delivered or is a dead letter.
When partitions go and come back (a rebalance, a server that was away) and nobody else has moved the group meanwhile, it
goes on as if nothing had been.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import structlog

from core.clients.kafka_access import Access
from core.clients.kafka_consumer import Consumer
from core.clients.kafka_terms import Committed, Partition, Received
from core.clock import Clock
from core.errors import StoreFull
from core.tasks import Started
from eventing.brokers.base import Delivery
from eventing.event import Event
from eventing.kafka.progress import Progress
from eventing.log.base import Attempt, DeadLetter
from eventing.log.dead_letters import DeadLetters
from eventing.log.positions import AHEAD_MAX

log = structlog.get_logger()

PENDING_MAX: Final = 1_000
"""Events in memory that the dispatcher has not taken yet; above it the consumer pauses."""
COMMIT_S: Final = 0.2
"""How much of what was acknowledged a crash may repeat."""
RETRY_S: Final = 1.0
PARTITION_BITS: Final = 48


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that cannot be delivered as what it means to be: a dead letter, with what there is of it."""

    reason: str
    event: Event | None = None


Read: TypeAlias = Callable[[Received], Event | Refused]
"""A record as an event."""


@dataclass(frozen=True, slots=True)
class Group:
    """Whose progress it is, in what. `member` names this consumer among those of its group."""

    access: Access
    name: str
    topics: tuple[str, ...]
    member: str


@dataclass(frozen=True, slots=True)
class Wants:
    """`subscription` and `stream` as dead letters name them. `by_partition`: each partition is a lane of its own."""

    subscription: str
    stream: str
    read: Read
    passes: Callable[[Event], bool]
    by_partition: bool = False


@dataclass(slots=True, eq=False)
class _Owned:
    """A partition of this consumer. `confirmed` and `tried`: its last commits, known and not known to hold."""

    partition: Partition
    progress: Progress
    confirmed: int
    tried: int
    end: int
    pending: deque[tuple[int, Event]] = field(default_factory=deque)
    out: int = 0
    held: bool = True
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    owned: _Owned
    first: int
    offset: int


class KafkaFeed:
    """`base.Feed`, and the consumer's `Reader`."""

    def __init__(self, group: Group, wants: Wants, letters: DeadLetters, clock: Clock) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.trouble: Exception | None = None
        """What keeps it from reading, if anything does."""
        self._wants = wants
        self._letters = letters
        self._clock = clock
        self._owned: dict[Partition, _Owned] = {}
        self._consumer = Consumer(group.access, group.name, group.topics, group.member, self)
        self._waiting = 0
        self._paused = False
        self._refused: asyncio.Queue[tuple[_Place, Refused]] = asyncio.Queue()

    async def run(self, started: Started) -> None:
        """Reads and commits."""
        self._consumer.start()
        started()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._bury_refused())
                while True:
                    await self._clock.sleep(COMMIT_S)
                    self._commit()
        finally:
            await asyncio.shield(self._consumer.close(self._to_commit()))

    @property
    def backlog(self) -> int:
        """What Kafka's partitions had at their ends when last looked at, a few seconds ago, or later."""
        return sum(
            each.out + len(each.pending) + max(0, each.end - each.progress.next) for each in self._owned.values()
        )

    # -- for the dispatcher --------------------------------------------------------------------------------------------

    def take(self, count: int) -> Sequence[Delivery]:
        taken: list[Delivery] = []
        for owned in self._owned.values():
            reach = owned.progress.low + AHEAD_MAX
            while owned.pending and len(taken) < count and owned.pending[0][0] < reach:
                taken.append(self._delivery(owned, *owned.pending.popleft()))
        self._waiting -= len(taken)
        if self._paused and self._waiting <= PENDING_MAX // 2:
            self._paused = False
            self._consumer.pause(False)
        return taken

    def failed(self, delivery: Delivery, attempt: Attempt) -> None:
        place = _place(delivery)
        place.owned.progress.fail(place.offset, attempt)
        place.owned.dirty = True

    def ack(self, delivery: Delivery) -> None:
        self._over(_place(delivery))

    async def bury(self, delivery: Delivery, letter: Event, reason: str) -> int:
        place = _place(delivery)
        number = await self._keep(place, letter, reason)
        self._over(place)
        return number

    # -- for the consumer ----------------------------------------------------------------------------------------------

    def assigned(self, found: Mapping[Partition, Committed]) -> None:
        for partition, committed in found.items():
            owned = self._owned.get(partition)
            if owned is not None and committed.offset in (owned.confirmed, owned.tried):
                owned.held = True  # nobody else has been there
                owned.confirmed = committed.offset
            else:
                self._let_go(owned)
                offset = committed.offset
                progress = Progress(offset, committed.note)
                self._owned[partition] = _Owned(partition, progress, offset, offset, offset)
        self.trouble = None
        self._consumer.read({partition: self._owned[partition].progress.next for partition in found})

    def revoked(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            owned = self._owned.get(partition)
            self._let_go(owned)
            if owned is not None:
                owned.held = False

    def arrived(self, records: Sequence[Received]) -> None:
        read, passes = self._wants.read, self._wants.passes
        for record in records:
            owned = self._owned.get((record.topic, record.partition))
            if owned is None or not owned.held or not owned.progress.see(record.offset):
                continue
            event = read(record)
            if isinstance(event, Refused):
                first, _ = owned.progress.give(record.offset)
                owned.out += 1
                self._refused.put_nowait((_Place(owned, first, record.offset), event))
            elif passes(event):
                owned.pending.append((record.offset, event))
                self._waiting += 1
        if self._waiting > PENDING_MAX and not self._paused:
            self._paused = True
            self._consumer.pause(True)
        self.changed()

    def ended(self, ends: Mapping[Partition, int]) -> None:
        self.trouble = None
        for partition, end in ends.items():
            if (owned := self._owned.get(partition)) is not None:
                owned.end = max(owned.end, end)

    def troubled(self, error: Exception) -> None:
        if self.trouble is None or str(error) != str(self.trouble):
            log.warning("Kafka cannot be read", subscription=self._wants.subscription, reason=str(error))
        self.trouble = error

    # ------------------------------------------------------------------------------------------------------------------

    def _delivery(self, owned: _Owned, offset: int, event: Event) -> Delivery:
        first, _ = owned.progress.give(offset)
        owned.out += 1
        topic, number = owned.partition
        attempts = tuple(owned.progress.failures.get(offset, ()))
        lane = f"{topic}/{number}" if self._wants.by_partition else None
        return Delivery(event, _Place(owned, first, offset), number_of(number, offset), attempts, lane)

    def _over(self, place: _Place) -> None:
        owned = place.owned
        owned.progress.ack(place.first, place.offset + 1)
        owned.out -= 1
        owned.dirty = True
        self.changed()

    async def _keep(self, place: _Place, event: Event | None, reason: str) -> int:
        offset = number_of(place.owned.partition[1], place.offset)
        attempts = tuple(place.owned.progress.failures.get(place.offset, ()))
        wants = self._wants
        letter = DeadLetter(0, wants.subscription, wants.stream, offset, 0, reason, attempts, event)
        return await self._letters.keep(letter)

    async def _bury_refused(self) -> None:
        while True:
            place, refused = await self._refused.get()
            while True:
                try:
                    await self._keep(place, refused.event, refused.reason)
                except StoreFull:
                    await self._clock.sleep(RETRY_S)
                else:
                    break
            self._over(place)

    def _let_go(self, owned: _Owned | None) -> None:
        """What waits is read again by whoever has the partition next."""
        if owned is not None and owned.pending:
            owned.progress.back(owned.pending[0][0])
            self._waiting -= len(owned.pending)
            owned.pending.clear()

    def _commit(self) -> None:
        for owned in self._owned.values():
            if not owned.out and not owned.pending and owned.progress.low < owned.progress.next:
                # Nothing of what lies there was wanted.
                first, end = owned.progress.give(owned.progress.next - 1)
                owned.progress.ack(first, end)
                owned.dirty = True
        if positions := self._to_commit():
            for partition, to in positions.items():
                self._owned[partition].tried = to.offset
                self._owned[partition].dirty = False
            self._consumer.commit(positions, lambda kept: self._committed(positions, kept))

    def _to_commit(self) -> dict[Partition, Committed]:
        return {
            each.partition: Committed(each.progress.low, each.progress.note())
            for each in self._owned.values()
            if each.held and each.dirty
        }

    def _committed(self, positions: Mapping[Partition, Committed], kept: bool) -> None:
        for partition, to in positions.items():
            if (owned := self._owned.get(partition)) is not None:
                if kept:
                    owned.confirmed = to.offset
                else:
                    owned.dirty = True


def number_of(partition: int, offset: int) -> int:
    """One number for a record of a topic; in the first partition its offset."""
    return (partition << PARTITION_BITS) + offset


def _place(delivery: Delivery) -> _Place:
    assert isinstance(delivery.place, _Place)
    return delivery.place
