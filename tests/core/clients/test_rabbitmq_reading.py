"""Whoever loses interest in a queue may say so at any moment; what is read is tested through `Session`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from core.clients.rabbitmq_reading import Reading, leave


@dataclass
class Channel:
    """pika's, as far as a reading is concerned."""

    is_open: bool = True
    acked: list[int] = field(default_factory=list)
    told: list[Callable[[object, object], None]] = field(default_factory=list)

    def basic_ack(self, tag: int) -> None:
        self.acked.append(tag)

    def add_on_close_callback(self, callback: Callable[[object, object], None]) -> None:
        self.told.append(callback)

    def close(self) -> None:
        self.is_open = False
        for callback in self.told:
            callback(self, None)


def test_one_that_is_dropped_closes_its_channel_and_acknowledges_nothing_more() -> None:
    channel = Channel()
    reading = Reading(channel)
    reading.ack(1)
    reading.drop()
    reading.ack(2)
    reading.drop()
    assert (channel.acked, channel.is_open, reading.unwanted) == ([1], False, True)


def test_one_without_a_channel_remembers_that_it_is_unwanted() -> None:
    reading = Reading()
    reading.drop()
    assert reading.unwanted


def test_who_leaves_is_back_when_the_channel_is_closed() -> None:
    async def run() -> None:
        channel = Channel()
        async with asyncio.timeout(5):
            await leave(Reading(channel))
            await leave(Reading(channel))
        assert not channel.is_open

    asyncio.run(run())
