"""The broker class `RabbitMQBroker`: an exchange per Broker, a quorum queue per Trigger, publisher confirms before 202.

Events are matched here, once, before they are published. The exchange is a direct one, each queue is bound by its own
name, and a message names the queues that it is for: one as its routing key, the others in the header `BCC`, by which
RabbitMQ routes and which it takes away (sender-selected distribution). So one message leaves the platform however many
Triggers want it, none for an event that nobody wants, and a queue holds what its Trigger wants and nothing else.
Knative leaves the matching to a headers exchange, which can compare for equality alone: its Triggers have no other
filters.

The filter is asked once more when a message comes out of its queue: the Trigger may have been edited since, and what
came before it was known, after a restart or while its subscriber did not exist, is in its queue unmatched.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final
from uuid import uuid4

from core.clients.rabbitmq import Session
from core.clients.rabbitmq_link import Find, Link
from core.clients.rabbitmq_terms import Binding, Content, Exchange, Queue
from core.clock import Clock
from core.errors import PermanentError
from core.tasks import Started, run_together
from eventing.attributes import Invalid
from eventing.bindings.amqp import Message, decode, encode_binary
from eventing.brokers.base import Interest
from eventing.chronicle import Chronicle
from eventing.event import Event
from eventing.filters.clauses import Filter, everything
from eventing.hops import ONLY
from eventing.log.base import NOW, Origin, Start
from eventing.log.log import EventLog
from eventing.matching import Matcher
from eventing.rabbitmq.feed import Ledger, QueueFeed, Refused, Wants

PREFETCH: Final = 1_000
"""Messages of one Trigger that are here: as many as a dispatcher holds. Not its parallelism, which the dispatcher sees
to: an event that waits for its next try is unacknowledged, and must keep none of the others from being delivered."""
NAME_BYTES_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class Ground:
    """What a broker stands on. `find` says where its RabbitMQ is."""

    find: Find
    log: EventLog
    clock: Clock
    chronicle: Chronicle
    queue_type: str = "quorum"


class RabbitmqBroker:
    """`base.Broker`. Two connections: RabbitMQ stops those that publish while it is short of memory or disk, and what
    was delivered must still be acknowledged then, or it would stay short."""

    def __init__(self, name: str, ground: Ground) -> None:
        self.name = name
        self._ground = ground
        self._exchange = exchange_of(name)
        self._matcher = Matcher[str]()
        self._queues: dict[str, str] = {}  # by subscription
        self._ledgers: dict[str, Ledger] = {}
        self._life, self._numbers = uuid4().hex[:16], count(1)
        self._publishing = Link(f"{name} out", ground.find, self._prepare, ground.clock)
        self._consuming = Link(f"{name} in", ground.find, self._prepare, ground.clock)
        for subscription in ground.log.subscriptions.of(name):
            self._enter(subscription, everything())  # until it says what it wants

    @property
    def trouble(self) -> str:
        """Why it has not taken any event yet; empty once it could."""
        return "" if self._publishing.proven else self._publishing.trouble

    async def run(self, started: Started) -> None:
        await run_together([("out", self._publishing.run), ("in", self._consuming.run)], started)

    def append(self, events: Sequence[Event]) -> asyncio.Future[int]:
        """A batch of which RabbitMQ has confirmed only a part fails, and is stored in part."""
        session = self._publishing.require()
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waits = 1

        def confirmed(names: Sequence[str], done: asyncio.Future[None]) -> None:
            nonlocal waits
            waits -= 1
            error = done.exception()
            if error is None:
                for name in names:
                    if (ledger := self._ledgers.get(name)) is not None:
                        ledger.count(1)
            if stored.done():
                return
            if error is not None:
                stored.set_exception(error)
            elif not waits:
                stored.set_result(0)

        for event in events:
            names = self._wanted_by(event)
            if self._ground.chronicle.heard:
                self._ground.chronicle.accepted(self.name, None, event, names)
            if names:
                waits += 1
                self._publish(session, event, names).add_done_callback(partial(confirmed, names))
        waits -= 1
        if not waits:
            stored.set_result(0)  # nobody wants any of them
        return stored

    async def reserve(self, name: str, start: Start) -> None:
        await self._open(name, start, everything())

    async def subscribe(self, interest: Interest) -> QueueFeed:
        name, wanted, ground = interest.name, interest.filter, self._ground

        def passes(event: Event) -> bool:
            only = event.attributes.get(ONLY)
            return wanted.matches(event) if only is None else only == name

        await self._open(name, interest.start, wanted)
        wants = Wants(name, self.name, self._queues[name], PREFETCH, read, passes, named=True)
        return QueueFeed(self._consuming, wants, self._ledgers[name], ground.log.dead_letters, ground.clock)

    async def unsubscribe(self, name: str, *, keep_position: bool = False) -> None:
        """With `keep_position` its queue stays, and goes on to get what it wants."""
        if name not in self._queues:
            return
        if keep_position:
            await self._ground.log.unsubscribe(name, keep_position=True)
            return
        await self._publishing.require().delete(Queue(self._queues[name]))
        await self._ground.log.unsubscribe(name)
        self._matcher.remove(name)
        del self._queues[name], self._ledgers[name]

    async def erase(self) -> None:
        if not self._publishing.proven or self._publishing.access is None:
            return  # it was never there
        session = Session(self._publishing.access, f"{self.name} erasing")
        await session.open()
        try:
            await session.delete(*(Queue(queue) for queue in self._queues.values()), Exchange(self._exchange))
        finally:
            await session.close()

    # ------------------------------------------------------------------------------------------------------------------

    async def _prepare(self, session: Session) -> None:
        await session.declare(Exchange(self._exchange), *self._things(*self._queues.values()))

    def _things(self, *queues: str) -> list[Queue | Binding]:
        made = [Queue(queue, self._ground.queue_type) for queue in queues]
        return [*made, *(Binding(self._exchange, queue, queue) for queue in queues)]

    async def _open(self, name: str, start: Start, wanted: Filter) -> None:
        """Its queue is there when it returns, and gets what is wanted from then on."""
        if name not in self._queues:
            if start.origin is not Origin.NOW:
                raise PermanentError(
                    f"pilotlight.dev/start is {start.origin}; only now is allowed with class RabbitMQBroker: "
                    "a queue holds nothing from before it was made",
                    "StartNotPossible",
                )
            await self._publishing.require().declare(*self._things(queue_of(self.name, name)))
        # The log keeps who is to get events in the next life, from its first moment, and what has failed so far.
        cursor = await self._ground.log.subscribe(name, self.name, NOW)
        self._enter(name, wanted)
        self._ledgers[name].cursor = cursor

    def _enter(self, name: str, wanted: Filter) -> None:
        if name in self._queues:
            self._matcher.remove(name)
        else:
            self._queues[name] = queue_of(self.name, name)
            self._ledgers[name] = Ledger(PREFETCH)
        self._matcher.add(name, wanted)

    def _wanted_by(self, event: Event) -> Sequence[str]:
        only = event.attributes.get(ONLY)
        if only is None:
            return self._matcher.match(event)
        return [str(only)] if only in self._queues else []

    def _publish(self, session: Session, event: Event, names: Sequence[str]) -> asyncio.Future[None]:
        message = encode_binary(event)
        first, *others = [self._queues[name] for name in names]
        headers = {**message.headers, "BCC": others} if others else message.headers
        id = f"{self._life}-{next(self._numbers)}"
        return session.publish(self._exchange, first, Content(message.body, message.content_type, headers, id))


def read(content: Content) -> Event | Refused:
    """Also of what others have put into the queue."""
    event = decode(Message(content.body, content.content_type, content.headers))
    return Refused(f"the message is no event: {event.detail}") if isinstance(event, Invalid) else event


def exchange_of(stream: str) -> str:
    """`pilotlight:NAMESPACE:BROKER`: no name of Kubernetes has a colon."""
    return _bounded("pilotlight:" + ":".join(stream.split("/")[1:]))


def queue_of(stream: str, subscription: str) -> str:
    """`pilotlight:NAMESPACE:BROKER:NAMESPACE:TRIGGER`."""
    return _bounded(":".join(("pilotlight", *stream.split("/")[1:], *subscription.split("/")[1:])))


def _bounded(name: str) -> str:
    if len(name) <= NAME_BYTES_MAX:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: NAME_BYTES_MAX - 17]}:{digest}"
