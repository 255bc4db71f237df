"""A queue that others publish into, as a stream with one subscription: what a RabbitmqSource reads.

Its events were accepted elsewhere, so nothing is appended here; the common dispatcher delivers them, and RabbitMQ keeps
each until that has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from core.clients.rabbitmq import Session
from core.clients.rabbitmq_link import Find, Link
from core.clients.rabbitmq_terms import Binding, Content, Exchange, Queue
from core.clock import Clock
from core.errors import TemporaryError
from core.tasks import Started
from eventing.attributes import Invalid
from eventing.bindings.amqp import Message, decode, event_of_message, is_event
from eventing.brokers.base import Interest
from eventing.event import Event, Value
from eventing.log.base import Start
from eventing.log.dead_letters import DeadLetters
from eventing.rabbitmq.feed import Ledger, QueueFeed, Refused, Wants

EXCHANGE_READY, QUEUE_READY, BINDING_READY = "ExchangeReady", "QueueReady", "BindingReady"
STAGES = (EXCHANGE_READY, QUEUE_READY, BINDING_READY)


@dataclass(frozen=True, slots=True)
class Intended:
    """What a RabbitmqSource says of its queue. `exchange` is empty where that does not concern it."""

    queue: str
    exchange: str = ""
    queue_type: str = "quorum"
    parallelism: int = 1
    predeclared: bool = False


class QueueInflow:
    """`base.Broker`. `missing` is the first of STAGES that has not been reached; `source` the path of the resource.

    A message's attributes are its publisher's, with `overrides` on top. As many are here at a time as are delivered at
    a time: others may read the same queue.
    """

    def __init__(
        self, name: str, source: str, intended: Intended, find: Find, parts: tuple[DeadLetters, Clock]
    ) -> None:
        self.name = name
        self.overrides: Mapping[str, Value | None] = {}
        self.missing: str | None = QUEUE_READY if intended.predeclared else EXCHANGE_READY
        self._source = source
        self._intended = intended
        self._letters, self._clock = parts
        self._link = Link(name, find, self._prepare, self._clock)

    @property
    def trouble(self) -> str:
        """Why nothing is read now; empty while it is."""
        return self._link.trouble

    def follow(self, changed: Callable[[], None]) -> None:
        """It is connected, or is not any more."""
        self._link.changed = changed

    async def run(self, started: Started) -> None:
        await self._link.run(started)

    def append(self, events: Sequence[Event]) -> asyncio.Future[int]:
        raise TemporaryError(f"{self.name} takes no events")

    async def reserve(self, name: str, start: Start) -> None:
        """What others publish waits in the queue anyway."""

    async def subscribe(self, interest: Interest) -> QueueFeed:
        intended = self._intended
        wants = Wants(
            interest.name, self.name, intended.queue, intended.parallelism, self._read, interest.filter.matches
        )
        return QueueFeed(self._link, wants, Ledger(0), self._letters, self._clock)

    async def unsubscribe(self, name: str, *, keep_position: bool = False) -> None:
        """The queue is not this subscription's own."""

    async def erase(self) -> None:
        """Queue and exchange go with the source that declared them, as in Knative."""
        intended, access = self._intended, self._link.access
        if intended.predeclared or access is None or not self._link.proven:
            return
        session = Session(access, f"{self.name} erasing")
        await session.open()
        try:
            await session.delete(Queue(intended.queue), Exchange(intended.exchange))
        finally:
            await session.close()

    async def _prepare(self, session: Session) -> None:
        intended = self._intended
        if intended.predeclared:
            self.missing = QUEUE_READY
            await session.depth(intended.queue)
        else:
            self.missing = EXCHANGE_READY
            await session.declare(Exchange(intended.exchange, "headers"))
            self.missing = QUEUE_READY
            await session.declare(Queue(intended.queue, intended.queue_type))
            self.missing = BINDING_READY
            await session.declare(Binding(intended.exchange, intended.queue, "", {"x-match": "all"}))
        self.missing = None

    def _read(self, content: Content) -> Event | Refused:
        message = Message(content.body, content.content_type, content.headers, content.message_id, content.timestamp)
        event = decode(message) if is_event(message) else self._made(message)
        if isinstance(event, Invalid):
            return Refused(f"the message is a CloudEvent and is not well-formed: {event.detail}", self._made(message))
        return event.with_attributes(**self.overrides) if self.overrides else event

    def _made(self, message: Message) -> Event:
        return event_of_message(message, self._source, self._intended.queue, str(uuid4()))
