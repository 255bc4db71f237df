"""Topics that others write, as a stream with one subscription: what a KafkaSource reads.

Its events were accepted elsewhere, so nothing is stored here. What is appended is a dead letter on its way again: it
goes past Kafka to the same sink, and counts as stored when that has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from core.clients.kafka_admin import Admin
from core.clients.kafka_terms import Received
from core.clock import Clock
from core.errors import TemporaryError
from core.tasks import Started
from eventing.attributes import Invalid
from eventing.bindings.kafka import KeyType, Record, decode, event_of_record, is_event
from eventing.brokers.base import Interest
from eventing.event import Event, Value
from eventing.kafka.feed import KafkaFeed, Wants
from eventing.kafka.layout import WHERE, Group
from eventing.kafka.partitions import Refused
from eventing.log.base import Start
from eventing.log.dead_letters import DeadLetters

RETRY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Intended:
    """What a KafkaSource says of its topics. `source` is its path, `overrides` go on top of every event's attributes.

    `by_partition`: each partition keeps its order.
    """

    group: Group
    source: str
    start: Start
    key_type: KeyType = KeyType.STRING
    by_partition: bool = True
    overrides: Mapping[str, Value | None] = field(default_factory=dict)


class TopicInflow:
    """`base.Broker`. `begun`: its group has offsets in Kafka. `changed` is called when there is something to tell."""

    def __init__(
        self, name: str, intended: Intended, letters: DeadLetters, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self.name = name
        self.begun = False
        self._intended = intended
        self._letters = letters
        self._clock = clock
        self._changed = changed
        self._said = "Kafka has not answered yet"
        self._feed: KafkaFeed | None = None
        self._admin = Admin(intended.group.access, intended.group.member)

    @property
    def trouble(self) -> str:
        """Why nothing is read now; empty while it is."""
        if not self.begun or self._feed is None or self._feed.trouble is None:
            return self._said
        return str(self._feed.trouble)

    async def run(self, started: Started) -> None:
        """Sees to it that the group begins where it should, whenever Kafka answers."""
        started()
        group, start = self._intended.group, self._intended.start
        try:
            while not self.begun:
                try:
                    await self._admin.begin(group.name, group.topics, WHERE[start.origin], start.value)
                except Exception as error:  # refused, away, or a defect: said, and tried again
                    self._said = str(error)
                    self._changed()
                    await self._clock.sleep(RETRY_S)
                else:
                    self.begun, self._said = True, ""
                    self._changed()
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(self._admin.close())

    def append(self, events: Sequence[Event]) -> asyncio.Future[int]:
        if self._feed is None:
            raise TemporaryError(f"{self.name} delivers nothing now")
        return self._feed.inject(events)

    async def reserve(self, name: str, start: Start) -> None:
        """What others write waits in the topics anyway."""

    async def subscribe(self, interest: Interest) -> KafkaFeed:
        group = self._intended.group
        await self._admin.evict(group.name, group.member)
        wants = Wants(interest.name, self.name, self._read, interest.filter.matches, self._intended.by_partition)
        self._feed = KafkaFeed(group, wants, self._letters, self._clock)
        self._feed.trouble_changed = self._changed
        return self._feed

    async def unsubscribe(self, name: str, *, keep_position: bool = False) -> None:
        """The group stays: a source that is made again goes on where it was, until Kafka forgets it."""
        self._feed = None

    async def erase(self) -> None:
        """There is nothing of its own."""

    def _read(self, record: Received) -> Event | Refused:
        event = decode(record.headers, record.value) if is_event(record.headers) else self._made(record)
        if isinstance(event, Invalid):
            place = f"{record.topic}/{record.partition}/{record.offset}"
            said = f"the record {place} is a CloudEvent and is not well-formed: {event.detail}"
            return Refused(said, self._made(record))
        overrides = self._intended.overrides
        return event.with_attributes(**overrides) if overrides else event

    def _made(self, record: Received) -> Event:
        return event_of_record(Record(*record), self._intended.source, self._intended.key_type)
