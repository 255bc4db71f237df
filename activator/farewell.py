"""The end of a client's connection whose last request was not read to its end.

A plain close would make the kernel answer the unread rest with RST, and that can wipe out a response which the client
has not read yet. So: our side is shut, what still comes is thrown away for a bounded time, then the socket is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from activator.limits import GatewayLimits


class Farewell(asyncio.Protocol):
    """Takes the place of the connection's protocol. `over` is called once it is closed."""

    def __init__(self, transport: asyncio.Transport, limits: GatewayLimits, over: Callable[[], None]) -> None:
        self._transport = transport
        self._left = limits.linger_bytes_max
        self._over = over
        transport.set_protocol(self)
        transport.write_eof()
        transport.resume_reading()
        self._timer = asyncio.get_running_loop().call_later(limits.linger_s, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._over()
