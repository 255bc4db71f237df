"""Questions about queues, with channels that are played; `test_rabbitmq_depths` has real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from core.clients import rabbitmq_probe
from core.clients.rabbitmq_probe import CHANNELS_MAX, Probe
from core.clients.rabbitmq_terms import RabbitmqDown


class Channel:
    def __init__(self) -> None:
        self.is_open = False
        self.asked: list[tuple[str, Callable[[Any], None]]] = []
        self.closed_by_us = False

    def add_on_close_callback(self, call: Callable[[Any, BaseException], None]) -> None:
        self.on_close = call

    def queue_declare(self, queue: str, passive: bool, callback: Callable[[Any], None]) -> None:
        assert passive
        self.asked.append((queue, callback))

    def close(self) -> None:
        self.closed_by_us = True

    def answer(self, count: int) -> None:
        _, callback = self.asked[-1]
        callback(SimpleNamespace(method=SimpleNamespace(message_count=count)))

    def refuse(self, words: str) -> None:
        self.is_open = False
        self.on_close(self, Exception(words))


class Connection:
    def __init__(self) -> None:
        self.channels: list[Channel] = []
        self.opening: list[tuple[Channel, Callable[[Any], None]]] = []
        self.down = False
        self.probe = Probe(self.open_raw_channel, self.translated)
        self.given: dict[str, list[int | Exception]] = {}

    def open_raw_channel(self, opened: Callable[[Any], None]) -> Any:
        if self.down:
            raise RabbitmqDown("it is closing")
        channel = Channel()
        self.channels.append(channel)
        self.opening.append((channel, opened))
        return channel

    def translated(self, error: BaseException) -> Exception:
        return RabbitmqDown(f"translated {error}")

    def open_all(self) -> None:
        while self.opening:
            channel, opened = self.opening.pop(0)
            channel.is_open = True
            opened(channel)

    def ask(self, *queues: str) -> None:
        for queue in queues:
            self.probe.ask(queue, self.given.setdefault(queue, []).append)

    def busy(self) -> list[str]:
        return [channel.asked[-1][0] for channel in self.channels if channel.is_open and channel.asked]


def run(body: Callable[[Connection], Any]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await body(Connection())

    asyncio.run(bounded())


def test_one_after_the_other_is_one_channel() -> None:
    async def body(connection: Connection) -> None:
        for number in range(5):
            connection.ask(f"q{number}")
            connection.open_all()
            connection.channels[0].answer(number)
            assert connection.given[f"q{number}"] == [number]
        assert len(connection.channels) == 1

    run(body)


def test_many_at_once_are_so_many_channels_and_no_more() -> None:
    async def body(connection: Connection) -> None:
        connection.ask(*(f"q{number}" for number in range(3 * CHANNELS_MAX)))
        assert len(connection.channels) == CHANNELS_MAX
        connection.open_all()
        for _ in range(3):
            for number, channel in enumerate(connection.channels):
                channel.answer(number)
        assert len(connection.channels) == CHANNELS_MAX
        assert all(len(found) == 1 for found in connection.given.values())

    run(body)


def test_a_refusal_costs_its_channel_alone() -> None:
    async def body(connection: Connection) -> None:
        connection.ask("a", "b")
        connection.open_all()
        connection.channels[0].refuse("no queue")
        connection.channels[1].answer(1)
        assert [str(each) for each in connection.given["a"]] == ["translated no queue"]
        assert connection.given["b"] == [1]
        connection.ask("c", "d")
        connection.open_all()
        assert sorted(connection.busy()) == ["c", "d"]

    run(body)


def test_those_that_do_not_answer_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq_probe, "ANSWER_S", 0.05)

    async def body(connection: Connection) -> None:
        hanging = [f"hangs{number}" for number in range(CHANNELS_MAX)]
        connection.ask(*hanging, "fine")
        connection.open_all()
        assert sorted(connection.busy()) == sorted(hanging)
        await asyncio.sleep(0.2)
        assert all(isinstance(connection.given[queue][0], RabbitmqDown) for queue in hanging)
        assert all(channel.closed_by_us for channel in connection.channels[:CHANNELS_MAX])
        connection.open_all()
        connection.channels[-1].answer(7)
        assert connection.given["fine"] == [7]
        late = connection.channels[0]
        late.answer(3)  # to a question that nobody has any more
        late.refuse("closed by us")
        assert len(connection.given["hangs0"]) == 1
        connection.ask("later")
        assert connection.busy()[-1] == "later"

    run(body)


def test_a_connection_on_its_way_down() -> None:
    async def body(connection: Connection) -> None:
        connection.down = True
        connection.ask("a")
        assert [str(each) for each in connection.given["a"]] == ["it is closing"]

    run(body)
