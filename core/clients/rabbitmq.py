"""RabbitMQ: one connection on a thread of its own, behind an async face.

A `Session` lives as long as its connection; whoever wants another one afterwards uses a `Link`
(`core/clients/rabbitmq_link.py`). Its words are in `rabbitmq_terms`.

    loop of the platform   Session ── calls ──▶ ┐                 ┌ ◀── frames ── RabbitMQ
    thread of its own                           └ Wire, with pika ┘
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from core.clients import rabbitmq_reading as readings
from core.clients import rabbitmq_wire as wires
from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_reading import Reading
from core.clients.rabbitmq_terms import Content, Exchange, Queue, RabbitmqDown, RabbitmqRefused, Received, Thing
from core.clients.rabbitmq_wire import Mailbox, Wire
from core.errors import TooManyRequests

T = TypeVar("T")

UNCONFIRMED_MAX: Final = 20_000
UNCONFIRMED_BYTES_MAX: Final = 64 * 1024 * 1024


class Session:
    """Made without effect; `open` connects. All methods are called on the loop that called `open`."""

    def __init__(self, access: Access, name: str) -> None:
        self.access = access
        self.blocked = ""  # why RabbitMQ takes no messages for now; empty while it does
        self._name = name
        self._reason = ""
        self._over = asyncio.Event()
        self._wire: Wire | None = None
        self._opened: asyncio.Future[None] | None = None
        self._asked: set[concurrent.futures.Future[Any]] = set()
        self._unconfirmed: set[asyncio.Future[None]] = set()
        self._unconfirmed_bytes = 0
        self._uncounted: set[asyncio.Future[int]] = set()

    async def open(self) -> None:
        """RabbitmqDown, RabbitmqRefused."""
        loop = asyncio.get_running_loop()
        self._opened = loop.create_future()
        self._wire = Wire(self.access, self._name, self, Mailbox(loop))
        threading.Thread(target=self._wire.run, name=f"rabbitmq:{self._name}", daemon=True).start()
        try:
            await self._opened
        except asyncio.CancelledError:
            self._wire.stop()
            raise

    async def close(self) -> None:
        """Sends what was handed over, closes, and waits for the thread. What was not acknowledged comes again."""
        if self._wire is not None and not self._over.is_set():
            self._wire.stop()
            await self._over.wait()

    @property
    def alive(self) -> bool:
        return self._wire is not None and not self._over.is_set()

    async def ended(self) -> str:
        """Why, once it has."""
        await self._over.wait()
        return self._reason

    # -- what there is -------------------------------------------------------------------------------------------------

    async def declare(self, *things: Thing) -> None:
        """Makes what is not there yet, in this order. RabbitmqDown, RabbitmqRefused."""
        await self._ask(lambda wire: wires.declare(wire, things))

    async def delete(self, *things: Exchange | Queue) -> None:
        """With all that is in them; gone already is as good. RabbitmqDown, RabbitmqRefused."""
        await self._ask(lambda wire: wires.delete(wire, things))

    async def depth(self, queue: str) -> int:
        """Messages that no consumer has. RabbitmqDown, RabbitmqRefused (NOT_FOUND).

        Like `publish` it crosses to the thread along with others: hundreds may be asked at once.
        """
        wire = self._require()
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._uncounted.add(done)
        wire.calls.put(partial(wire.probe.ask, queue, partial(wire.tell, self.counted, done)))
        return await done

    # -- messages ------------------------------------------------------------------------------------------------------

    def publish(self, exchange: str, key: str, content: Content) -> asyncio.Future[None]:
        """Done once RabbitMQ has confirmed it: on the disks of a majority, in every queue that it was for.

        RabbitmqDown: perhaps it was stored, perhaps not. RabbitmqRefused: it was not, or not everywhere.
        Raises TooManyRequests, at once, where more waits than may; RabbitmqDown where nothing can be stored now.
        """
        wire = self._require()
        if self.blocked:
            raise RabbitmqDown(f"RabbitMQ takes no messages: {self.blocked}", retry_after_s=5)
        if len(self._unconfirmed) >= UNCONFIRMED_MAX or self._unconfirmed_bytes >= UNCONFIRMED_BYTES_MAX:
            raise TooManyRequests("more events wait for RabbitMQ than may", retry_after_s=1)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unconfirmed.add(done)
        self._unconfirmed_bytes += len(content.body)
        wire.calls.put(partial(wire.publish, exchange, key, content, done))
        return done

    async def consume(self, queue: str, prefetch: int, heard: Heard) -> Consumer:
        """`heard` is called for each message, at most `prefetch` of them unacknowledged. RabbitmqDown, RabbitmqRefused.

        A consumer that RabbitMQ ends, because the queue was deleted, ends the session.
        """
        consumer = Consumer(self, self._require(), heard)
        try:
            await self._ask(lambda wire: readings.consume(wire, consumer.reading, queue, prefetch, consumer.hear))
        except BaseException:
            consumer.drop()  # it may be reading already, and would keep what it gets from all others
            raise
        return consumer

    async def leave(self, reading: Reading) -> None:
        """A consumer's."""
        await self._ask(lambda _: readings.leave(reading))

    # -- for the wire, on the loop -------------------------------------------------------------------------------------

    def opened(self, error: Exception | None) -> None:
        assert self._opened is not None
        _settle(self._opened, error)

    def confirmed(self, done: asyncio.Future[None], size: int, error: Exception | None) -> None:
        self._unconfirmed.discard(done)
        self._unconfirmed_bytes -= size
        _settle(done, error)

    def counted(self, done: asyncio.Future[int], found: int | Exception) -> None:
        self._uncounted.discard(done)
        if isinstance(found, Exception):
            _settle(done, found)
        elif not done.done():
            done.set_result(found)

    def block(self, reason: str) -> None:
        self.blocked = reason

    def over(self, reason: str) -> None:
        """The thread has ended: whoever still waits waits for nothing."""
        self._reason = reason
        self._over.set()
        lost = RabbitmqDown(_lost(reason), retry_after_s=1)
        self.opened(lost)
        waiting: list[asyncio.Future[Any]] = [*self._unconfirmed, *self._uncounted]
        for done in waiting:
            _settle(done, lost)
        for asked in self._asked:
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                asked.set_exception(lost)

    def _require(self) -> Wire:
        if self._wire is None or self._over.is_set():
            raise RabbitmqDown(_lost(self._reason), retry_after_s=1)
        return self._wire

    async def _ask(self, question: Callable[[Wire], Coroutine[Any, Any, T]]) -> T:
        wire = self._require()
        asked = wire.ask(question(wire))
        self._asked.add(asked)
        try:
            return await asyncio.wrap_future(asked)
        finally:
            self._asked.discard(asked)


class Consumer:
    """A queue being read."""

    def __init__(self, session: Session, wire: Wire, heard: Heard) -> None:
        self._session = session
        self._wire = wire
        self._heard: Heard | None = heard
        self.reading = Reading()

    @property
    def alive(self) -> bool:
        return self._session.alive

    def hear(self, received: Received) -> None:
        """From the wire."""
        if self._heard is not None:
            self._heard(self, received)

    def ack(self, tag: int) -> None:
        """Where the session has ended it does nothing: the message comes again."""
        if self._session.alive:
            self._wire.calls.put(partial(self.reading.ack, tag))

    def drop(self) -> None:
        """Hears nothing more; what was not acknowledged goes back into the queue, soon."""
        self._heard = None
        self._wire.calls.put(self.reading.drop)

    async def cancel(self) -> None:
        """Hears nothing more; what was not acknowledged is back in the queue."""
        self._heard = None
        with contextlib.suppress(RabbitmqDown, RabbitmqRefused):
            await self._session.leave(self.reading)


Heard: TypeAlias = Callable[[Consumer, Received], None]


def _settle(done: asyncio.Future[Any], error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _lost(reason: str) -> str:
    return f"the connection to RabbitMQ was lost: {reason}"
