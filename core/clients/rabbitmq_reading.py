"""A queue being read, on the thread of a connection: messages are told as they come, and acknowledged by their tags.

Called by `core/clients/rabbitmq`. Whatever ends a reading behind our back ends the connection (see `rabbitmq_wire`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.clients.rabbitmq_pika import content_of, pika_module, sentence
from core.clients.rabbitmq_terms import Received
from core.clients.rabbitmq_wire import Wire, give


@dataclass(slots=True, eq=False)
class Reading:
    """A queue being read, or about to be. Made elsewhere, so that whoever loses interest can say so at any moment."""

    channel: Any = None
    unwanted: bool = False

    def drop(self) -> None:
        """What was not acknowledged goes back into the queue."""
        self.unwanted = True
        if self.channel is not None and self.channel.is_open:
            self.channel.close()

    def ack(self, tag: int) -> None:
        if self.channel.is_open:
            self.channel.basic_ack(tag)


async def consume(wire: Wire, reading: Reading, queue: str, prefetch: int, heard: Callable[[Received], None]) -> None:
    channel = await wire.open_channel()
    raw = reading.channel = channel.raw
    if reading.unwanted:
        raw.close()
        return

    def on_message(_: Any, method: Any, properties: Any, body: bytes) -> None:
        wire.tell(heard, Received(content_of(properties, body), method.delivery_tag))

    def on_close(_: Any, error: BaseException) -> None:
        if not isinstance(error, pika_module("exceptions").ChannelClosedByClient):
            wire.lose(sentence(error))

    await channel.ask(raw.basic_qos, prefetch_count=prefetch)
    raw.add_on_cancel_callback(lambda _: wire.lose(f"queue {queue} was deleted"))
    await channel.ask(raw.basic_consume, queue=queue, on_message_callback=on_message)
    raw.add_on_close_callback(on_close)


async def leave(reading: Reading) -> None:
    """Like `drop`, and back when RabbitMQ knows."""
    channel = reading.channel
    if channel is not None and channel.is_open:
        closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        channel.add_on_close_callback(lambda *_: give(closed, None))
        reading.drop()
        await closed
