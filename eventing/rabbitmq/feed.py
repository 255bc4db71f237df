"""One subscription's events out of a queue of RabbitMQ, as a `Feed` for the dispatcher.

The connection hands messages over on the loop; here they are decoded, asked whether they are wanted, and wait until
they are taken. A message is acknowledged when it was delivered or is a dead letter, and not before: whatever happens
until then, RabbitMQ has it and sends it again. Where messages have names of ours (`Wants.named`), one that comes again
after a lost connection, while it is still in hand or when its acknowledgement got lost, is known and not delivered
twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import structlog

from core.clients.rabbitmq import Consumer
from core.clients.rabbitmq_link import Link
from core.clients.rabbitmq_terms import Content, RabbitmqDown, RabbitmqRefused, Received
from core.clock import Clock
from core.errors import StoreFull
from core.tasks import Started
from eventing.brokers.base import Delivery
from eventing.event import Event
from eventing.log.base import Attempt, DeadLetter
from eventing.log.cursors import Cursor
from eventing.log.dead_letters import DeadLetters

log = structlog.get_logger()

RETRY_S: Final = 1.0
SURVEY_S: Final = 5.0
"""How often RabbitMQ is asked what waits; between two times it is counted."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that cannot be delivered as what it means to be: a dead letter, with what there is of it."""

    reason: str
    event: Event | None = None


Read: TypeAlias = Callable[[Content], Event | Refused]


@dataclass(frozen=True, slots=True)
class Wants:
    """`subscription` and `stream` as dead letters name them. `prefetch`: messages that may be here, taken or not.

    `named`: each message has an id that no other has, since it was published here.
    """

    subscription: str
    stream: str
    queue: str
    prefetch: int
    read: Read
    passes: Callable[[Event], bool]
    named: bool = False


@dataclass(slots=True)
class Ledger:
    """What is known of a queue's messages by name; it outlives its feeds and their connections.

    Failed attempts are in the event log, under a number made from the name: `cursor` has no other use here.
    """

    keep: int
    waiting: int = 0  # in the queue and in hand
    moves: int = 0  # how often that was changed: what was asked before is then out of date
    settled: OrderedDict[str, None] = field(default_factory=OrderedDict)
    cursor: Cursor | None = None

    def attempts(self, id: str | None) -> list[Attempt]:
        return [] if id is None or self.cursor is None else list(self.cursor.attempts(number_of(id)))

    def fail(self, id: str | None, attempt: Attempt) -> None:
        if id is not None and self.cursor is not None:
            self.cursor.fail(number_of(id), attempt)

    def count(self, change: int) -> None:
        self.waiting += change
        self.moves += 1

    def settle(self, id: str | None) -> None:
        """RabbitMQ may hear of it or not. It has no more unacknowledged than it may send: so many are remembered."""
        self.count(-1)
        if id is None:
            return
        if self.cursor is not None and self.cursor.failing:
            self.cursor.forget(number_of(id))
        self.settled[id] = None
        if len(self.settled) > self.keep:
            self.settled.popitem(last=False)


@dataclass(slots=True, eq=False)
class _Held:
    """A message in hand. It changes its consumer and tag when it comes again."""

    id: str | None
    consumer: Consumer
    tag: int
    event: Event | None = None
    attempts: list[Attempt] = field(default_factory=list)


class QueueFeed:
    """`base.Feed`."""

    def __init__(self, link: Link, wants: Wants, ledger: Ledger, letters: DeadLetters, clock: Clock) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._link = link
        self._wants = wants
        self._ledger = ledger
        self._letters = letters
        self._clock = clock
        self._pending: deque[_Held] = deque()
        self._in_hand: dict[str, _Held] = {}
        self._held = 0
        self._refused: asyncio.Queue[tuple[_Held, Refused]] = asyncio.Queue()

    @property
    def backlog(self) -> int:
        """The queue's depth and what is in hand: counted, and put right every few seconds."""
        return max(self._ledger.waiting, self._held)

    async def run(self, started: Started) -> None:
        """Consumes on one connection after the other."""
        started()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bury_refused())
            group.create_task(self._survey())
            while True:
                session = await self._link.up()
                try:
                    consumer = await session.consume(self._wants.queue, self._wants.prefetch, self._heard)
                except (RabbitmqDown, RabbitmqRefused) as error:
                    log.warning("RabbitMQ cannot be read", subscription=self._wants.subscription, reason=str(error))
                    await self._clock.sleep(RETRY_S)
                    continue
                try:
                    await session.ended()
                finally:
                    await consumer.cancel()
                self._lost()
                await self._link.up(after=session)

    # -- for the dispatcher --------------------------------------------------------------------------------------------

    def take(self, count: int) -> Sequence[Delivery]:
        taken: list[Delivery] = []
        while self._pending and len(taken) < count:
            held = self._pending.popleft()
            assert held.event is not None
            taken.append(Delivery(held.event, held, None, tuple(held.attempts)))
        return taken

    def failed(self, delivery: Delivery, attempt: Attempt) -> None:
        held = _held(delivery)
        held.attempts.append(attempt)
        self._ledger.fail(held.id, attempt)

    def ack(self, delivery: Delivery) -> None:
        self._over(_held(delivery))

    async def bury(self, delivery: Delivery, letter: Event, reason: str) -> int:
        held = _held(delivery)
        number = await self._keep(held, letter, reason)
        self._over(held)
        return number

    # -- for the consumer ----------------------------------------------------------------------------------------------

    def _heard(self, consumer: Consumer, received: Received) -> None:
        content, ledger = received.content, self._ledger
        id = content.message_id if self._wants.named else None
        if id is not None and (known := self._in_hand.get(id)) is not None:
            known.consumer, known.tag = consumer, received.tag
            return
        if id is not None and id in ledger.settled:
            consumer.ack(received.tag)
            return
        held = _Held(id, consumer, received.tag, attempts=ledger.attempts(id))
        event = self._wants.read(content)
        self._held += 1
        ledger.moves += 1
        if id is not None:
            self._in_hand[id] = held
        if isinstance(event, Refused):
            self._refused.put_nowait((held, event))
        elif self._wants.passes(event):
            held.event = event
            self._pending.append(held)
            self.changed()
        else:
            self._over(held)

    def _lost(self) -> None:
        """What has no name comes again as if it were new; what waits here would be delivered twice."""
        kept = deque(held for held in self._pending if held.id is not None)
        self._held -= len(self._pending) - len(kept)
        self._pending = kept

    # ------------------------------------------------------------------------------------------------------------------

    def _over(self, held: _Held) -> None:
        held.consumer.ack(held.tag)
        self._held -= 1
        if held.id is not None:
            self._in_hand.pop(held.id, None)
        self._ledger.settle(held.id)
        self.changed()

    async def _keep(self, held: _Held, event: Event | None, reason: str) -> int:
        wants = self._wants
        attempts = tuple(held.attempts)
        return await self._letters.keep(
            DeadLetter(0, wants.subscription, wants.stream, None, 0, reason, attempts, event)
        )

    async def _bury_refused(self) -> None:
        while True:
            held, refused = await self._refused.get()
            while True:
                try:
                    await self._keep(held, refused.event, refused.reason)
                except StoreFull:
                    await self._clock.sleep(RETRY_S)
                else:
                    break
            self._over(held)

    async def _survey(self) -> None:
        """Others may purge the queue, or publish into it."""
        while True:
            if (session := self._link.session) is not None:
                moves = self._ledger.moves
                with contextlib.suppress(RabbitmqDown, RabbitmqRefused):
                    depth = await session.depth(self._wants.queue)
                    if moves == self._ledger.moves:
                        self._ledger.waiting = depth + self._held
            await self._clock.sleep(SURVEY_S)


def number_of(id: str) -> int:
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest()) >> 1


def _held(delivery: Delivery) -> _Held:
    assert isinstance(delivery.place, _Held)
    return delivery.place
