"""A topic that events are written to from outside: what a KafkaSink takes in (`eventing.intake.Intake`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from core.clients.kafka_access import Access
from core.clients.kafka_admin import Admin
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Outgoing
from core.clock import Clock
from core.errors import TemporaryError
from core.tasks import Started
from eventing.bindings.kafka import encode_binary, encode_structured, partition_key
from eventing.event import Event
from eventing.hops import stripped
from eventing.intake import Stored

RETRY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """`partitions` and `replication` where the topic is made; None where it has to be there."""

    access: Access
    topic: str
    partitions: int | None = None
    replication: int | None = None
    structured: bool = False


class TopicOutflow:
    """`trouble`: why it takes nothing yet; `changed` is called when that is over, or another."""

    def __init__(self, target: Target, client_id: str, clock: Clock, changed: Callable[[], None]) -> None:
        self.trouble = f"Kafka at {', '.join(target.access.servers)} has not answered yet"
        self._target = target
        self._clock = clock
        self._changed = changed
        self._admin = Admin(target.access, client_id)
        self._producer = Producer(target.access, target.topic, client_id)

    async def run(self, started: Started) -> None:
        """Takes events once its topic is there, whenever Kafka answers."""
        started()
        try:
            while self.trouble:
                try:
                    await self._prepare()
                except Exception as error:  # refused, away, or a defect: said, and tried again
                    self._say(str(error))
                    await self._clock.sleep(RETRY_S)
                else:
                    self._producer.start()
                    self._say("")
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(self._close())

    def append(self, events: Sequence[Event]) -> Stored:
        if self.trouble:
            raise TemporaryError(self.trouble)
        return self._producer.send([self._record(stripped(event)) for event in events])

    def _record(self, event: Event) -> Outgoing:
        headers, value = encode_structured(event) if self._target.structured else encode_binary(event)
        return Outgoing(partition_key(event), value, headers)

    async def _prepare(self) -> None:
        target = self._target
        if target.partitions is None or target.replication is None:
            await self._admin.require_topic(target.topic)
        else:
            await self._admin.create_topic(target.topic, target.partitions, target.replication)

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._changed()

    async def _close(self) -> None:
        await self._producer.close()
        await self._admin.close()
