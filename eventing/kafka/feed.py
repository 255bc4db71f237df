"""One subscription's events out of Kafka topics: a member of a consumer group as a `Feed` for the dispatcher.

The consumer reads ahead on its thread and hands records over on the loop; here they are decoded, matched once, and wait
per partition until they are taken. An offset is committed when everything below it was delivered or is a dead letter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

import structlog

from core.clients.kafka_consumer import Consumer
from core.clients.kafka_terms import Committed, Partition, Received
from core.clock import Clock
from core.errors import StoreFull, TemporaryError
from core.tasks import Started
from eventing.brokers.base import Delivery
from eventing.event import Event
from eventing.kafka.layout import Group
from eventing.kafka.partitions import Partitions, Place, Refused
from eventing.log.base import Attempt, DeadLetter
from eventing.log.dead_letters import DeadLetters
from eventing.log.positions import AHEAD_MAX

log = structlog.get_logger()

PENDING_MAX: Final = 1_000
"""Events in memory that the dispatcher has not taken yet; above it the consumer pauses."""
COMMIT_S: Final = 0.2
"""How much of what was acknowledged a crash may repeat."""
RETRY_S: Final = 1.0


Read: TypeAlias = Callable[[Received], Event | Refused]
"""A record as an event."""


@dataclass(frozen=True, slots=True)
class Wants:
    """`subscription` and `stream` as dead letters name them. `by_partition`: each partition is a lane of its own."""

    subscription: str
    stream: str
    read: Read
    passes: Callable[[Event], bool]
    by_partition: bool = False


@dataclass(frozen=True, slots=True)
class _Injected:
    """An event that never was in Kafka; `ended` is told of its end."""

    ended: asyncio.Future[int]
    attempts: list[Attempt] = field(default_factory=list)


class KafkaFeed:
    """`base.Feed`, and the consumer's `Reader`. `trouble_changed` is called when `trouble` has."""

    def __init__(self, group: Group, wants: Wants, letters: DeadLetters, clock: Clock) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.trouble: Exception | None = None
        """What keeps it from reading, if anything does."""
        self._wants = wants
        self._letters = letters
        self._clock = clock
        self._partitions = Partitions()
        self._consumer = Consumer(group.access, group.name, group.topics, group.member, self)
        self._paused = False
        self.trouble_changed: Callable[[], None] = lambda: None
        self._injected: deque[tuple[Event, _Injected]] = deque()
        self._injecting: set[asyncio.Future[int]] = set()
        self._refused: asyncio.Queue[tuple[Place, Refused]] = asyncio.Queue()

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
            for each in self._injecting:
                each.set_exception(TemporaryError(f"{self._wants.subscription} has stopped before it was delivered"))
            await asyncio.shield(self._consumer.close(self._partitions.to_commit()))

    @property
    def backlog(self) -> int:
        """What Kafka's partitions had at their ends when last looked at, a few seconds ago, or later."""
        return self._partitions.backlog

    # -- for the dispatcher --------------------------------------------------------------------------------------------

    def take(self, count: int) -> Sequence[Delivery]:
        taken = self._take_injected(count)
        for owned in self._partitions.all:
            reach = owned.progress.low + AHEAD_MAX
            while owned.pending and len(taken) < count and owned.pending[0][0] < reach:
                offset, event = owned.pending.popleft()
                place = Place(owned, owned.progress.give(offset), offset)
                owned.out += 1
                if isinstance(event, Refused):
                    self._refused.put_nowait((place, event))
                else:
                    taken.append(self._delivery(place, event))
        if self._paused and self._partitions.waiting <= PENDING_MAX // 2:
            self._paused = False
            self._consumer.pause(False)
        return taken

    def inject(self, events: Sequence[Event]) -> asyncio.Future[int]:
        """Delivers events past Kafka; done when all of them have been delivered or are dead letters."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()
        each: list[asyncio.Future[int]] = [loop.create_future() for _ in events]

        def settle(together: asyncio.Future[list[int]]) -> None:
            if ended.done():
                return
            if (error := together.exception()) is not None:
                ended.set_exception(error)
            else:
                ended.set_result(0)

        asyncio.gather(*each).add_done_callback(settle)
        self._injecting.update(each)
        self._injected += [(event, _Injected(future)) for event, future in zip(events, each, strict=True)]
        self.changed()
        return ended

    def failed(self, delivery: Delivery, attempt: Attempt) -> None:
        if isinstance(delivery.place, _Injected):
            delivery.place.attempts.append(attempt)
            return
        _place(delivery).failed(attempt)

    def ack(self, delivery: Delivery) -> None:
        self._over(delivery)

    async def bury(self, delivery: Delivery, letter: Event, reason: str) -> int:
        if isinstance(delivery.place, _Injected):
            number = await self._keep(None, tuple(delivery.place.attempts), letter, reason)
        else:
            place = _place(delivery)
            number = await self._keep(place.number, place.attempts, letter, reason)
        self._over(delivery)
        return number

    # -- for the consumer ----------------------------------------------------------------------------------------------

    def assigned(self, found: Mapping[Partition, Committed]) -> None:
        self._well()
        self._consumer.read(self._partitions.assign(found))

    def revoked(self, partitions: Collection[Partition]) -> None:
        self._partitions.revoke(partitions)

    def arrived(self, records: Sequence[Received]) -> None:
        read, passes = self._wants.read, self._wants.passes
        for record in records:
            owned = self._partitions.held((record.topic, record.partition))
            if owned is None or not owned.progress.see(record.offset):
                continue
            event = read(record)
            if isinstance(event, Refused) or passes(event):
                owned.pending.append((record.offset, event))
        if not self._paused and self._partitions.waiting > PENDING_MAX:
            self._paused = True
            self._consumer.pause(True)
        self.changed()

    def ended(self, ends: Mapping[Partition, int]) -> None:
        self._well()
        self._partitions.end(ends)

    def troubled(self, error: Exception) -> None:
        if self.trouble is None or str(error) != str(self.trouble):
            log.warning("Kafka cannot be read", subscription=self._wants.subscription, reason=str(error))
            self.trouble = error
            self.trouble_changed()

    # ------------------------------------------------------------------------------------------------------------------

    def _delivery(self, place: Place, event: Event) -> Delivery:
        topic, number = place.owned.partition
        lane = f"{topic}/{number}" if self._wants.by_partition else None
        return Delivery(event, place, place.number, place.attempts, lane)

    def _take_injected(self, count: int) -> list[Delivery]:
        taken: list[Delivery] = []
        while self._injected and len(taken) < count:
            event, place = self._injected.popleft()
            taken.append(Delivery(event, place, None, lane="" if self._wants.by_partition else None))
        return taken

    def _over(self, delivery: Delivery) -> None:
        if isinstance(delivery.place, _Injected):
            self._injecting.discard(delivery.place.ended)
            delivery.place.ended.set_result(0)
        else:
            _place(delivery).over()
        self.changed()

    async def _keep(self, offset: int | None, attempts: Sequence[Attempt], event: Event | None, reason: str) -> int:
        wants = self._wants
        letter = DeadLetter(0, wants.subscription, wants.stream, offset, 0, reason, attempts, event)
        return await self._letters.keep(letter)

    async def _bury_refused(self) -> None:
        while True:
            place, refused = await self._refused.get()
            while True:
                try:
                    await self._keep(place.number, (), refused.event, refused.reason)
                except StoreFull:
                    await self._clock.sleep(RETRY_S)
                else:
                    break
            place.over()
            self.changed()

    def _well(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            self.trouble_changed()

    def _commit(self) -> None:
        if positions := self._partitions.to_commit():
            self._consumer.commit(positions, partial(self._partitions.committed, positions))


def _place(delivery: Delivery) -> Place:
    assert isinstance(delivery.place, Place)
    return delivery.place
