"""A RabbitMQ at work, for tests of what counts it: messages put into queues, taken and held."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence

from core.clients.rabbitmq import Consumer, Session
from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_terms import Content, Queue, Received
from tests.support.rabbitmq import Rabbitmq


class Work:
    """Publishes, and holds messages as consumers do that have not finished with them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.held: list[tuple[Consumer, Received]] = []

    async def declare(self, *names: str, type: str = "classic") -> None:
        await self.session.declare(*(Queue(name, type) for name in names))

    async def put(self, queue: str, messages: int, size: int = 1) -> None:
        await self.put_all(queue, ["x" * size] * messages)

    async def put_all(self, queue: str, bodies: Sequence[str]) -> None:
        await asyncio.gather(*(self.session.publish("", queue, Content(body.encode())) for body in bodies))

    async def keep_putting(self, queue: str, per_second: float) -> None:
        """Until cancelled."""
        while True:
            await self.put(queue, max(1, round(per_second / 20)))
            await asyncio.sleep(0.05)

    async def take(self, queue: str, messages: int) -> Consumer:
        """Holds so many of them."""
        wanted = len(self.held) + messages
        consumer = await self.session.consume(queue, messages, lambda *each: self.held.append(each))
        await until(lambda: len(self.held) >= wanted)
        return consumer

    async def keep_taking(self, queue: str, per_second: float) -> None:
        """Until cancelled: takes so many at a time as it finishes in a twentieth of a second."""
        consumer = await self.session.consume(
            queue, max(1, round(per_second / 20)), lambda *each: self.held.append(each)
        )
        try:
            while True:
                self.finish()
                await asyncio.sleep(0.05)
        finally:
            await consumer.cancel()

    def finish(self) -> None:
        """With all that is held."""
        for consumer, received in self.held:
            consumer.ack(received.tag)
        self.held.clear()


@contextlib.asynccontextmanager
async def working(rabbitmq: Rabbitmq, vhost: str, queues: Sequence[str] = ()) -> AsyncIterator[Work]:
    session = Session(Access("127.0.0.1", rabbitmq.port, vhost), "test")
    await session.open()
    try:
        work = Work(session)
        await work.declare(*queues)
        yield work
    finally:
        await session.close()


async def until(check: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it has not come to pass"
        await asyncio.sleep(0.01)
