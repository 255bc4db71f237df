"""A client's connection: takes requests off it one at a time, strictly, and puts responses on it.

The gateway makes one per accepted socket. It reads a head, has the gateway make an `Exchange` of it, and feeds that;
while it runs, what the client sends is either more of the body or the next request, which stays unread (pipelining)
until the answer is out.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, cast

from activator.bodies import BadBody
from activator.departures import Departures
from activator.exchange import Downstream, Shared
from activator.farewell import Farewell
from activator.forwarding import Peer
from activator.heads import Malformed, RequestHead
from activator.limits import GatewayLimits
from activator.problem import Problem, malformed
from activator.requests import Requests
from activator.tunnel import Tunnel
from activator.upstream import WRITE_BUFFER_BYTES
from activator.wheel import NEVER, Due, Wheel

RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: close sends RST, which no client takes for the end of a response."""


class Conversation(Protocol):
    """One request and its response: with an instance (`Exchange`) or with a part of the platform (`SiteExchange`)."""

    begun: bool

    def start(self, content: bytes, done: bool, trailers: bytes) -> None:
        """The head is here, and the beginning of the body."""

    def body(self, content: bytes, done: bool, trailers: bytes) -> None:
        """More of the body."""

    def leave(self) -> None:
        """The client went away."""

    def client_writable(self, writable: bool) -> None:
        """Backpressure from the client."""

    def expire(self, now: float) -> None:
        """Its time may be up."""


class Asker(Downstream, Protocol):
    """`public`: only what is meant for the outside is served to it."""

    public: bool


class Front(Protocol):
    """What a connection needs of its gateway."""

    shared: Shared
    limits: GatewayLimits
    wheel: Wheel[Due]
    departures: Departures

    def open(self, client: Asker, request: RequestHead) -> Conversation | Problem:
        """Finds out where a request goes."""

    def opened(self, client: ClientConnection) -> Problem | None:
        """Counts the connection in. A problem where there are too many."""

    def closed(self, client: ClientConnection) -> None:
        """Counts it out."""


class ClientConnection(asyncio.Protocol):
    """`exchange.Downstream`. `public`: only what is meant for the outside is served here."""

    write: Callable[[bytes], None]  # the transport's own
    set_due: Callable[[float], None]  # the wheel's own

    def __init__(self, front: Front, public: bool) -> None:
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.peer = Peer("")
        self.public = public
        self.due = NEVER
        self.filed = NEVER
        self.exchange: Conversation | None = None
        self.requests = Requests()
        self._front = front
        self._request: RequestHead | None = None
        self._held = False
        self._descriptor = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.write = self.transport.write
        self.set_due = partial(self._front.wheel.arm, self)
        if (connection := transport.get_extra_info("socket")) is not None:
            self._descriptor = connection.fileno()
        name = transport.get_extra_info("peername")
        self.peer = Peer(name[0] if isinstance(name, tuple) else "127.0.0.1")
        self.set_due(self._front.shared.clock.monotonic() + self._front.limits.head_timeout_s)
        if (problem := self._front.opened(self)) is not None:
            self.transport.write(problem.response(bodiless=False, close=True))
            self._close(unread=True)

    def data_received(self, data: bytes) -> None:
        exchange, requests = self.exchange, self.requests
        if exchange is None:
            self._read_head(data)
        elif (body := requests.body) is not None:
            try:
                content = requests.read_body(body, data)
            except BadBody as error:
                exchange.leave()
                if exchange.begun:
                    self.abort()
                else:
                    self._refuse_last(Malformed(400, str(error)))
                return
            if requests.early:
                self.hold()
            if content or body.done:
                exchange.body(content, body.done, body.trailers)
        else:
            requests.early += data
            self.hold()

    def _read_head(self, data: bytes) -> None:
        requests = self.requests
        begun = bool(requests.early)
        request = requests.read_head(data)
        if isinstance(request, RequestHead):
            self._request = request
            exchange = self._front.open(self, request)
            if isinstance(exchange, Problem):
                self.refused(exchange)
                return
            self.exchange = exchange
            if requests.early:
                self.hold()
            exchange.start(requests.content, requests.body is None, requests.trailers)
        elif request is not None:
            self._refuse_last(request)
        elif not begun:
            self.set_due(self._front.shared.clock.monotonic() + self._front.limits.head_timeout_s)

    def read_next(self) -> None:
        """The request that came before its turn."""
        if self.exchange is None and not self.transport.is_closing():
            data, self.requests.early = self.requests.early, b""
            self.unhold()
            self.data_received(data)

    def eof_received(self) -> bool:
        self.departed()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.departed()

    def departed(self) -> None:
        """The client has closed its side: nobody will read an answer."""
        self._front.departures.unwatch(self._descriptor)
        self._descriptor = -1  # from here on the number may be another's
        self._front.wheel.remove(self)
        self._front.closed(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.leave()
        if not self.transport.is_closing():
            self.transport.close()

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.client_writable(False)

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.client_writable(True)

    def expire(self, now: float) -> None:
        """From the wheel."""
        if self.exchange is not None:
            self.exchange.expire(now)
        elif self.requests.early:
            self._refuse_last(Malformed(408, "The head of the request did not come in time."))
        else:
            self.transport.abort()

    def hold(self) -> None:
        if not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()
            self._front.departures.watch(self._descriptor, self)

    def unhold(self) -> None:
        if self._held and not self.transport.is_closing():
            self._held = False
            self._front.departures.unwatch(self._descriptor)
            self.transport.resume_reading()

    def switch(self, tunnel: Tunnel) -> None:
        early, self.requests.early = self.requests.early, b""
        self.unhold()
        tunnel.join(self.transport, early)

    def answered(self, keep: bool, now: float) -> None:
        self.exchange = None
        if keep:
            self.set_due(now + self._front.limits.idle_timeout_s)
            if self.requests.early:
                asyncio.get_running_loop().call_soon(self.read_next)
        else:
            self._close(unread=self.requests.body is not None or bool(self.requests.early))

    def refused(self, problem: Problem) -> None:
        request = self._request
        whole = self.requests.body is None
        keep = request is not None and request.keep_alive and whole and not self._front.shared.draining
        bodiless = request is not None and request.method == b"HEAD"
        self.transport.write(problem.response(bodiless=bodiless, close=not keep))
        self.answered(keep, self._front.shared.clock.monotonic())

    def abort(self) -> None:
        if (connection := self.transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()
        self.departed()

    def _refuse_last(self, fault: Malformed) -> None:
        """What follows cannot be trusted: answers and closes."""
        self.exchange = None
        self._front.shared.counters.malformed += 1
        self.transport.write(malformed(fault.status, fault.detail).response(bodiless=False, close=True))
        self._close(unread=True)

    def _close(self, unread: bool) -> None:
        """The last answer is out. `unread`: the client may still be sending."""
        self.requests = Requests()
        self._front.departures.unwatch(self._descriptor)
        if self.transport.get_protocol() is not self:
            self.transport.close()  # the end of a tunnel: this protocol will not hear of it
            self._front.wheel.remove(self)
            self._front.closed(self)
        elif not unread:
            self.set_due(self._front.shared.clock.monotonic() + self._front.limits.idle_timeout_s)
            self.transport.close()  # once the client has read all; or else at that time
        elif not self.transport.is_closing():
            self._front.wheel.remove(self)
            Farewell(self.transport, self._front.limits, lambda: self._front.closed(self))
