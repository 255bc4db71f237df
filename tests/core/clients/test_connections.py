from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.clients.connections import Connections


class Server:
    """Connections are numbers; those in `broken` fail."""

    def __init__(self) -> None:
        self.made = 0
        self.open_now: set[int] = set()
        self.broken: set[int] = set()

    async def open(self) -> int:
        await asyncio.sleep(0)
        self.made += 1
        self.open_now.add(self.made)
        return self.made

    async def close(self, connection: int) -> None:
        self.open_now.remove(connection)
        raise ConnectionError("it was closed already")

    def usable(self, connection: int) -> bool:
        return connection not in self.broken

    async def answer(self, connection: int) -> int:
        await asyncio.sleep(0)
        if connection in self.broken:
            raise ConnectionError("broken pipe")
        return connection


def play(story: Callable[[Server, Connections[int]], Awaitable[None]]) -> None:
    async def played() -> None:
        server = Server()
        connections = Connections(server, 2)
        await story(server, connections)
        await connections.close()
        assert not server.open_now

    asyncio.run(played())


def test_questions_share_a_few() -> None:
    async def story(server: Server, connections: Connections[int]) -> None:
        assert await connections.ask(server.answer) == 1
        assert await connections.ask(server.answer) == 1
        await asyncio.gather(*(connections.ask(server.answer) for _ in range(20)))
        assert server.made == 2

    play(story)


def test_one_that_broke_while_it_was_idle_is_made_anew() -> None:
    async def story(server: Server, connections: Connections[int]) -> None:
        await asyncio.gather(connections.ask(server.answer), connections.ask(server.answer))
        server.broken |= {1, 2}
        assert await connections.ask(server.answer) == 3
        assert server.open_now == {3}

    play(story)


def test_one_that_broke_at_once_is_told() -> None:
    async def story(server: Server, connections: Connections[int]) -> None:
        server.broken.add(1)
        with pytest.raises(ConnectionError, match="broken pipe"):
            await connections.ask(server.answer)
        assert not server.open_now
        assert await connections.ask(server.answer) == 2

    play(story)


def test_a_refusal_costs_no_connection() -> None:
    async def refuse(_: int) -> None:
        raise ValueError("syntax error")

    async def story(server: Server, connections: Connections[int]) -> None:
        for _ in range(3):
            with pytest.raises(ValueError, match="syntax error"):
                await connections.ask(refuse)
        assert server.made == 1

    play(story)


def test_one_that_was_given_up_is_closed() -> None:
    async def hang(_: int) -> None:
        await asyncio.Event().wait()

    async def story(server: Server, connections: Connections[int]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await connections.ask(hang)
        assert not server.open_now

    play(story)


def test_what_comes_back_after_the_end_is_closed() -> None:
    async def story(server: Server, connections: Connections[int]) -> None:
        async def close_and_answer(connection: int) -> int:
            await connections.close()
            return connection

        assert await connections.ask(close_and_answer) == 1
        assert not server.open_now

    play(story)
