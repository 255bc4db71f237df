"""Connections that come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.clients.rabbitmq import Session
from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_link import Link
from core.clients.rabbitmq_terms import Content, Queue, RabbitmqDown, Received
from core.clock import SystemClock
from core.errors import PermanentError
from core.tasks import start_service
from tests.support.rabbitmq import Rabbitmq


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not check():
            await asyncio.sleep(0.01)


async def declare(session: Session) -> None:
    await session.declare(Queue("q"))


def with_link(
    find: Callable[[], Awaitable[Access]],
    use: Callable[[Link], Awaitable[None]],
    prepare: Callable[[Session], Awaitable[None]] = declare,
) -> None:
    async def run() -> None:
        link = Link("test", find, prepare, SystemClock())
        async with asyncio.TaskGroup() as group:
            task = await start_service(group, link.run, "link")
            async with asyncio.timeout(60):
                await use(link)
            task.cancel()

    asyncio.run(run())


def test_a_link_survives_the_death_of_its_rabbitmq(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def find() -> Access:
        return Access("127.0.0.1", rabbitmq.port, vhost)

    async def use(link: Link) -> None:
        first = link.require()
        await first.publish("", "q", Content(b"before"))
        await asyncio.to_thread(rabbitmq.kill)
        await until(lambda: link.session is None)
        with pytest.raises(RabbitmqDown):
            link.require()
        assert link.trouble
        await asyncio.to_thread(rabbitmq.start)
        second = await link.up(after=first)
        heard: list[Received] = []
        await second.consume("q", 1, lambda _, received: heard.append(received))
        await until(lambda: bool(heard))
        assert link.trouble == ""

    with_link(find, use)


def test_what_was_under_way_when_it_died_fails_or_was_stored(rabbitmq: Rabbitmq, vhost: str) -> None:
    """Never a confirmation for what is not there afterwards."""

    async def find() -> Access:
        return Access("127.0.0.1", rabbitmq.port, vhost)

    async def use(link: Link) -> None:
        session = link.require()
        sent = [session.publish("", "q", Content(str(n).encode())) for n in range(3000)]
        await sent[500]
        await asyncio.to_thread(rabbitmq.kill)
        results = await asyncio.gather(*sent, return_exceptions=True)
        confirmed = {str(n).encode() for n, result in enumerate(results) if result is None}
        assert all(result is None or isinstance(result, RabbitmqDown) for result in results)
        await asyncio.to_thread(rabbitmq.start)
        heard: set[bytes] = set()
        await (await link.up(after=session)).consume("q", 5000, lambda _, received: heard.add(received.content.body))
        await until(lambda: confirmed <= heard)

    with_link(find, use)


def test_it_asks_where_rabbitmq_is_before_each_connection(rabbitmq: Rabbitmq, vhost: str) -> None:
    asked = 0

    async def find() -> Access:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise PermanentError("Secret default/rabbit does not exist")
        return Access("127.0.0.1", rabbitmq.port, vhost, password="wrong" if asked == 2 else "guest")

    async def use(link: Link) -> None:
        assert (await link.up()).alive
        assert asked == 3

    with_link(find, use)


def test_it_has_started_after_a_moment_though_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.rabbitmq_link.PATIENCE_S", 0.2)

    async def find() -> Access:
        return Access("127.0.0.1", 1)

    async def use(link: Link) -> None:
        assert not link.proven
        with pytest.raises(RabbitmqDown, match=r"127\.0\.0\.1:1, virtual host / does not answer"):
            link.require()

    with_link(find, use)
