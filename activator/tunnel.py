"""Two connections after `101 Switching Protocols`: bytes are bytes, both ways, with backpressure and half-close.

Takes the place of the HTTP protocols on both transports. The exchange stays in flight, under its deadlines, for as long
as the tunnel lives.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from activator.upstream import Upstream
from core.clock import Clock


class End(asyncio.Protocol):
    """One side: what it receives goes out at the other."""

    def __init__(self, transport: asyncio.Transport, tunnel: Tunnel) -> None:
        self.transport = transport
        self.other: End = cast(End, None)
        self.ended = False  # it sends no more
        self._tunnel = tunnel

    def data_received(self, data: bytes) -> None:
        self._tunnel.moved()
        if not self.other.transport.is_closing():
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.other.ended or self.other.transport.is_closing():
            self._tunnel.close()
        else:
            self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.close()

    def pause_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()


class Owner(Protocol):
    """The exchange: in flight until `end`, under deadlines that look at `last_write`."""

    last_write: float

    def end(self, now: float) -> None: ...


class Client(Protocol):
    """The client's connection."""

    def answered(self, keep: bool, now: float) -> None: ...


class Tunnel:
    """Made by the exchange, joined by the client's connection."""

    def __init__(self, owner: Owner, client: Client, upstream: Upstream, clock: Clock) -> None:
        self._owner = owner
        self._client = client
        self._upstream = upstream
        self._clock = clock
        self._ends: tuple[End, ...] = ()

    def join(self, client: asyncio.Transport, early: bytes) -> None:
        """From now on the two transports feed each other. `early`: what the client had sent before."""
        upstream = self._upstream.transport
        first, second = End(client, self), End(upstream, self)
        first.other, second.other = second, first
        self._ends = (first, second)
        if early:
            upstream.write(early)
        for end in self._ends:
            end.transport.set_protocol(end)
            end.transport.resume_reading()

    def moved(self) -> None:
        self._owner.last_write = self._clock.monotonic()

    def close(self) -> None:
        """What was written is flushed on both sides."""
        ends, self._ends = self._ends, ()
        for end in ends:
            end.transport.close()
        if ends:
            self._upstream.closed = True
            now = self._clock.monotonic()
            self._owner.end(now)
            self._client.answered(keep=False, now=now)
