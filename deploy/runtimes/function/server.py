"""Serves one ASGI application over HTTP/1.1: the last thing loaded before the function answers.

Written for the first request: no dependency but the `httptools` parser, nothing done before it is needed. The host
(`host.py`) makes a `Server` and runs it; WebSocket connections are handed to `websocket.py`. It stands behind the
gateway, which has already refused malformed requests, but it keeps the protocol's promises by itself: an answer that
cannot be completed is aborted, never ended as if it were whole, and what a function raises stays in its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import importlib
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

import httptools

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BACKLOG = 2048
HEAD_BYTES_MAX = 64 * 1024
PIPELINED_MAX = 8  # requests read ahead on one connection; then it is not read any further
EXCHANGE = importlib.import_module(f"{__package__}.exchange")  # beside this file, whatever the folder is called here
LINGER_S = 2.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds


class StartupFailed(Exception):
    """The application said so (`lifespan.startup.failed`)."""


class Lifespan:
    """The ASGI lifespan protocol; an application that does not speak it is left alone."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Returns when the application is ready to serve. StartupFailed."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.get_running_loop().create_task(self._run(scope))
        answer = await self._ask("lifespan.startup")
        if answer == "lifespan.startup.failed":
            raise StartupFailed

    async def shutdown(self) -> None:
        if self._task is not None and not self._task.done():
            await self._ask("lifespan.shutdown")

    async def _ask(self, question: str) -> str:
        self._inbox.put_nowait({"type": question})
        message = await self._outbox.get()
        if message.get("message"):
            print(message["message"], file=sys.stderr, flush=True)
        return str(message["type"])

    async def _run(self, scope: Scope) -> None:
        try:
            await self._app(scope, self._inbox.get, self._outbox.put)
        except Exception as error:
            scope["error"] = error  # not spoken here: an ordinary application that knows only "http"
        finally:
            self._outbox.put_nowait({"type": "lifespan.ended"})


class Server:
    """One application, one listening socket, any number of connections."""

    def __init__(self, app: App, upgrade: Callable[..., asyncio.Protocol] | None = None) -> None:
        self.app = app
        self.upgrade = (
            upgrade  # makes the protocol of a WebSocket connection; None where the function has no use for it
        )
        self.lifespan = Lifespan(app)
        self.connections: set[Any] = set()
        self.draining = False
        self.stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._date = (0, b"")

    async def serve(self, listener: socket.socket, ready: Callable[[], object]) -> None:
        """Runs until SIGTERM or SIGINT; then answers what it has begun, lets the application shut down and returns."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        await self.lifespan.startup()
        server = await loop.create_server(lambda: Connection(self), sock=listener, backlog=BACKLOG)
        ready()
        await self.stopping.wait()
        self.draining = True
        server.close()
        for connection in list(self.connections):
            connection.drain()
        while self.connections:
            self._idle.clear()
            await self._idle.wait()
        await self.lifespan.shutdown()

    def lost(self, connection: Any) -> None:
        self.connections.discard(connection)
        self._idle.set()

    def date(self) -> bytes:
        now = int(time.time())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]


class Connection(asyncio.Protocol):
    """One client connection: parses requests, runs them one after the other."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.writable = asyncio.Event()
        self.writable.set()
        self.closed = False
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Any] = deque()
        self._current: Any = None
        self._reading: Any = None  # the one whose body arrives now
        self._task: asyncio.Task[None] | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.peer = transport.get_extra_info("peername")
        self.local = transport.get_extra_info("sockname")
        self.server.connections.add(self)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.writable.set()
        for exchange in (*self._waiting, self._current):
            if exchange is not None:
                exchange.disconnect()
        self.server.lost(self)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.refuse(400)
        else:
            if self._reading is None and self._head_bytes > HEAD_BYTES_MAX:
                self.refuse(431)

    # the parser's side

    def _begin_head(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_continue = False
        self._upgrading = False
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        elif name == b"upgrade" and value.lower() == b"websocket":
            self._upgrading = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        exchange = EXCHANGE.Exchange(self, self._scope(), self._parser.should_keep_alive())
        exchange.expects_continue = self._expects_continue
        self._reading = exchange
        if self._upgrading and self.server.upgrade is not None:
            return
        if self._current is None:
            self._run(exchange)
        else:
            self._waiting.append(exchange)
            if len(self._waiting) >= PIPELINED_MAX:
                self.transport.pause_reading()

    def on_body(self, body: bytes) -> None:
        if self._reading is not None:
            self._reading.feed(body)

    def on_message_complete(self) -> None:
        if self._reading is not None:
            self._reading.feed_end()
        self._reading = None
        if not self._upgrading:
            self._begin_head()

    def _scope(self) -> Scope:
        url = httptools.parse_url(self._url)
        raw_path = url.path or b"/"
        path = raw_path.decode("ascii", "replace")
        scheme, client = "http", self.peer
        for name, value in self._headers:
            # The gateway is the only one in front, and writes these itself.
            if name == b"x-forwarded-proto" and value in (b"http", b"https"):
                scheme = value.decode()
            elif name == b"x-forwarded-for":
                client = (value.rsplit(b",", 1)[-1].strip().decode("latin-1"), 0)
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": self._parser.get_http_version(),
            "method": self._parser.get_method().decode("ascii"),
            "scheme": scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": url.query or b"",
            "root_path": "",
            "headers": self._headers,
            "client": client[:2] if client else None,
            "server": self.local[:2] if self.local else None,
            "state": self.server.lifespan.state.copy(),
        }

    # running

    def _run(self, exchange: Any) -> None:
        self._current = exchange
        self._task = self.loop.create_task(exchange.run())

    def finished(self, exchange: Any, keep: bool) -> None:
        """The exchange has written its answer."""
        self._current = None
        self._task = None
        if self.closed:
            return
        if not keep or self.server.draining:
            self._hang_up()
            return
        self.transport.resume_reading()
        if self._waiting:
            self._run(self._waiting.popleft())

    def abort(self) -> None:
        """A reset, never an orderly end: to an HTTP/1.0 client that would look like the end of the body."""
        with contextlib.suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()

    def _hang_up(self) -> None:
        """A client that is still sending its body would lose the answer to a reset: it gets time to read it."""
        if self._reading is None:
            self.transport.close()
        else:
            self.transport.write_eof()
            self.transport.resume_reading()
            self.loop.call_later(LINGER_S, self.transport.close)

    def drain(self) -> None:
        """Idle connections close now, the others after the answer they are at."""
        if self._current is None:
            self.transport.close()

    def refuse(self, status: int) -> None:
        """The bytes make no request: answers by itself and hangs up."""
        if self._current is None and not self.transport.is_closing():
            reason = http.HTTPStatus(status).phrase.encode()
            head = b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(head % (status, reason))
        self.transport.close()

    def _upgrade(self, rest: bytes) -> None:
        """A WebSocket handshake where the application may want one; else an ordinary request."""
        if not self._upgrading or self.server.upgrade is None or self._current is not None:
            self._parser = httptools.HttpRequestParser(self)
            self._begin_head()
            if rest:
                self.data_received(rest)
            return
        protocol = self.server.upgrade(self.server, self._scope())
        self.server.connections.discard(self)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if rest:
            protocol.data_received(rest)
