"""The broker class `Kafka`: a topic per Broker, keyed by `partitionkey`, and a consumer group per Trigger.

Events are answered for when all replicas in sync have them. The topic is laid out as Knative's own Kafka broker has it
(names, CloudEvents in binary mode), so that either can take over from the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from core.clients.kafka_admin import Admin
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Outgoing, Received, Spot
from core.clock import Clock
from core.errors import TemporaryError
from core.resources.meta import Json
from core.tasks import Started
from eventing.attributes import Invalid
from eventing.bindings.kafka import decode, encode_binary, partition_key
from eventing.brokers.base import Interest
from eventing.controllers.world import World
from eventing.event import Event
from eventing.hops import ONLY
from eventing.kafka.configuration import find_layout
from eventing.kafka.feed import KafkaFeed, Wants
from eventing.kafka.layout import WHERE, Group, Layout, group_of, number_of
from eventing.kafka.partitions import Refused
from eventing.log.base import Start
from eventing.log.dead_letters import DeadLetters

RETRY_S: Final = 1.0


class KafkaBroker:
    """`base.Broker`. `member` names this platform among those that may share the cluster."""

    def __init__(self, name: str, layout: Layout, letters: DeadLetters, clock: Clock, member: str) -> None:
        self.name = name
        self.trouble = f"Kafka at {', '.join(layout.access.servers)} has not answered yet"
        self._layout = layout
        self._letters = letters
        self._clock = clock
        self._member = member
        self._admin = Admin(layout.access, f"{member}/{name}")
        self._producer = Producer(layout.access, layout.topic, f"{member}/{name}")

    async def run(self, started: Started) -> None:
        """Takes events once its topic is there, whenever Kafka answers."""
        started()
        try:
            while self.trouble:
                try:
                    await self._prepare()
                except Exception as error:  # refused, away, or a defect: said, and tried again
                    self.trouble = str(error)
                    await self._clock.sleep(RETRY_S)
                else:
                    self._producer.start()
                    self.trouble = ""
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(self._close())

    async def _prepare(self) -> None:
        layout = self._layout
        if layout.own_topic:
            await self._admin.create_topic(layout.topic, layout.partitions, layout.replication, layout.configuration)
        else:
            await self._admin.require_topic(layout.topic)

    async def _close(self) -> None:
        await self._producer.close()
        await self._admin.close()

    def append(self, events: Sequence[Event]) -> asyncio.Future[int]:
        """TooLarge, too. What is in several partitions may be stored in part when it fails."""
        if self.trouble:
            raise TemporaryError(self.trouble)
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def settle(sent: asyncio.Future[Spot]) -> None:
            if stored.done():
                return
            if (error := sent.exception()) is not None:
                stored.set_exception(error)
            else:
                stored.set_result(number_of(*sent.result()))

        self._producer.send([record_of(event) for event in events]).add_done_callback(settle)
        return stored

    async def reserve(self, name: str, start: Start) -> None:
        if self.trouble:
            raise TemporaryError(self.trouble, RETRY_S)
        where = WHERE[start.origin]
        await self._admin.begin(group_of(name), [self._layout.topic], where, start.value)

    async def subscribe(self, interest: Interest) -> KafkaFeed:
        name = interest.name

        def passes(event: Event) -> bool:
            only = event.attributes.get(ONLY)
            return interest.filter.matches(event) if only is None else only == name

        await self.reserve(name, interest.start)  # also tells whether the topic is there
        group = Group(self._layout.access, group_of(name), (self._layout.topic,), f"{self._member}/{name}")
        await self._admin.evict(group.name, group.member)
        return KafkaFeed(group, Wants(name, self.name, read, passes), self._letters, self._clock)

    async def unsubscribe(self, name: str, *, keep_position: bool = False) -> None:
        if not keep_position:
            await self._admin.evict(group_of(name), f"{self._member}/{name}")
            await self._admin.delete_group(group_of(name))

    async def erase(self) -> None:
        if self._layout.own_topic:
            await self._admin.delete_topic(self._layout.topic)


async def make_broker(world: World, stream: str, broker: Json) -> KafkaBroker:
    """PermanentError, TemporaryError: what `spec.config` says, or that it is not there."""
    layout = await find_layout(world, broker)
    return KafkaBroker(stream, layout, world.log.dead_letters, world.clock, world.platform)


def record_of(event: Event) -> Outgoing:
    headers, value = encode_binary(event)
    return Outgoing(partition_key(event), value, headers)


def read(record: Received) -> Event | Refused:
    event = decode(record.headers, record.value)
    if isinstance(event, Invalid):
        return Refused(f"the record {record.topic}/{record.partition}/{record.offset} is no event: {event.detail}")
    return event
