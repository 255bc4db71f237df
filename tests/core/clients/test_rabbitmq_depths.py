"""Depths of a real RabbitMQ's queues, over one connection."""

from __future__ import annotations

import asyncio

import pytest

from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_depths import AGAIN_S, Depths
from core.clients.rabbitmq_terms import NOT_FOUND, RabbitmqDown, RabbitmqRefused
from core.clock import SystemClock
from tests.support.clock import FakeClock
from tests.support.queues import working
from tests.support.rabbitmq import Rabbitmq, free_ports


def test_one_connection_answers_all_who_ask_at_once(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def run() -> None:
        names = [f"q{number}" for number in range(30)]
        async with working(rabbitmq, vhost, names) as work:
            for number, name in enumerate(names):
                await work.put(name, number)
            depths = Depths(Access("127.0.0.1", rabbitmq.port, vhost), "test", SystemClock())
            assert await asyncio.gather(*map(depths.depth, names)) == list(range(30))
            with pytest.raises(RabbitmqRefused, match=f"queue none does not exist in virtual host {vhost}") as refused:
                await depths.depth("none")
            assert refused.value.code == NOT_FOUND
            mixed = await asyncio.gather(*map(depths.depth, ["q7", "none", "q8"]), return_exceptions=True)
            assert (mixed[0], mixed[2]) == (7, 8)
            assert isinstance(mixed[1], RabbitmqRefused)
            assert depths.opened == 1
            await depths.close()

    asyncio.run(run())


def test_a_question_that_is_given_up_spoils_no_other(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def run() -> None:
        async with working(rabbitmq, vhost, ["a", "b"]) as work:
            await work.put("a", 3)
            depths = Depths(Access("127.0.0.1", rabbitmq.port, vhost), "test", SystemClock())
            for _ in range(20):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await depths.depth("a")
                assert await depths.depth("b") == 0
            assert depths.opened == 1
            await depths.close()

    asyncio.run(run())


def test_it_comes_back_after_rabbitmq_does(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def run() -> None:
        async with working(rabbitmq, vhost, ["q"]) as work:
            await work.put("q", 2)
        depths = Depths(Access("127.0.0.1", rabbitmq.port, vhost), "test", SystemClock())
        assert await depths.depth("q") == 2
        await asyncio.to_thread(rabbitmq.kill)
        with pytest.raises(RabbitmqDown):
            await depths.depth("q")
        await asyncio.to_thread(rabbitmq.start)
        await asyncio.sleep(AGAIN_S)
        assert await depths.depth("q") == 2
        assert depths.opened == 2
        await depths.close()

    asyncio.run(run())


def test_many_who_ask_where_nobody_answers_are_one_attempt_a_second() -> None:
    async def run() -> None:
        clock = FakeClock()
        (port,) = free_ports(1)
        attempts = 0

        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal attempts
            attempts += 1
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", port):
            depths = Depths(Access("127.0.0.1", port), "test", clock)
            for expected in (1, 2):
                found = await asyncio.gather(*(depths.depth(f"q{n}") for n in range(50)), return_exceptions=True)
                assert all(isinstance(each, RabbitmqDown) for each in found)
                assert attempts == expected
                await clock.advance(AGAIN_S)
            await depths.close()

    asyncio.run(run())
