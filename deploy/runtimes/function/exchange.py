"""One HTTP request and its answer: what an ASGI application's `receive` and `send` do on the wire.

`server.py` makes one `Exchange` per request and runs them in turn on their connection.
"""

from __future__ import annotations

import asyncio
import http
import importlib
import sys
from collections.abc import MutableMapping
from typing import Any

complaints = importlib.import_module(f"{__package__}.complaints")  # by what this folder is called in its process

Message = MutableMapping[str, Any]

BODY_AHEAD_BYTES = 64 * 1024  # of one request's body, read ahead of the function; then the client waits
REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}
BODILESS = (204, 304)
FAILED = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"
    b"date: %s\r\nconnection: close\r\n\r\n"
)
FORBIDDEN_IN_HEADER = (b"\r", b"\n", b"\0")


class Disconnected(OSError):
    """Raised by `send` once the client has gone (ASGI 2.4), so that an endless stream ends."""


class Exchange:
    """One request and its answer: the ASGI `receive` and `send` of one call of the application."""

    def __init__(self, connection: Any, scope: Any, keep: bool) -> None:
        self.connection = connection
        self.scope = scope
        self.expects_continue = False
        self._keep = keep
        self._body = bytearray()
        self._body_ended = False
        self._body_given = False
        self._arrived = asyncio.Event()
        self._gone = False
        self._head: bytes | None = None  # composed, not yet written: it leaves together with the first body bytes
        self._started = False
        self._ended = False
        self._chunked = False
        self._bodiless = False
        self._left: int | None = None  # bytes of the declared content-length still to come

    # from the connection

    def feed(self, body: bytes) -> None:
        if self._ended:
            return  # answered before it was read: the rest is of no interest
        self._body += body
        self._arrived.set()
        if len(self._body) > BODY_AHEAD_BYTES:
            self.connection.transport.pause_reading()

    def feed_end(self) -> None:
        self._body_ended = True
        self._arrived.set()

    def disconnect(self) -> None:
        self._gone = True
        self._arrived.set()

    # to the application

    async def run(self) -> None:
        try:
            await self.connection.server.app(self.scope, self.receive, self.send)
            if not self._ended and not self._gone:
                print("the function returned without an answer", file=sys.stderr, flush=True)
        except Exception as error:
            if not self._gone:
                print(f"Exception on {self.scope['method']} {self.scope['path']}", file=sys.stderr)
                complaints.complain(error)
        finally:
            if not self._ended:
                self._fail()
            self.connection.finished(self, self._keep)

    def _fail(self) -> None:
        """Nothing sent yet: 500. Something sent: the client must see that it is broken."""
        self._ended = True
        if self._gone:
            return
        self._keep = False
        if self._started and self._head is None:
            self.connection.abort()
            return
        body = b"" if self.scope["method"] == "HEAD" else b"Internal Server Error"
        head = (
            b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"
        )
        self._head = None
        self.connection.transport.write(head + b"date: %s\r\nconnection: close\r\n\r\n" % self._date() + body)

    async def receive(self) -> Message:
        if self.expects_continue and not self._started and not self._gone:
            self.expects_continue = False
            self.connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self._body or self._body_ended or self._gone) or (self._body_given and not self._done()):
            self._arrived.clear()
            await self._arrived.wait()
        if self._gone or self._body_given:
            return {"type": "http.disconnect"}
        body = bytes(self._body)
        self._body.clear()
        self._body_given = self._body_ended
        if not self._body_ended:
            self.connection.transport.resume_reading()
        return {"type": "http.request", "body": body, "more_body": not self._body_ended}

    def _done(self) -> bool:
        return self._gone or self._ended

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if self.connection.transport.is_closing():
            await asyncio.sleep(0)  # lets the loop say so: who only ever sends would keep it from that for ever
        if self._gone:
            raise Disconnected("the client has gone")
        if kind == "http.response.start" and not self._started:
            self._start(int(message["status"]), message.get("headers", ()))
        elif kind == "http.response.body" and self._started and not self._ended:
            self._write(message.get("body", b""), bool(message.get("more_body", False)))
            await self.connection.writable.wait()
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r}")

    def _start(self, status: int, headers: Any) -> None:
        lines = [b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, b""))]
        dated = False
        for given, value in headers:
            name = bytes(given).lower()
            if any(bad in name or bad in value for bad in FORBIDDEN_IN_HEADER):
                raise ValueError(f"header {name!r} holds a line break")
            if name == b"content-length":
                self._left = int(value)
            elif name == b"transfer-encoding":
                continue  # framing is the server's
            elif name == b"connection":
                self._keep = self._keep and value.lower() != b"close"
                continue
            dated = dated or name == b"date"
            lines.append(b"%s: %s\r\n" % (name, value))
        if not dated:
            lines.append(b"date: %s\r\n" % self._date())
        self._bodiless = self.scope["method"] == "HEAD" or status in BODILESS
        self._started = True
        self._head = b"".join(lines)
        self.connection.loop.call_soon(self._flush_head)

    def _flush_head(self) -> None:
        """Whoever sends a head and waits with the body (server-sent events) sees it leave."""
        if self._head is not None and not self._ended:
            self.connection.transport.write(self._framed_head(None))

    def _framed_head(self, whole_body: bytes | None) -> bytes:
        """The head with its framing: the body's length where it is known, else chunked, else until the end."""
        assert self._head is not None
        head, self._head = self._head, None
        if self._left is None and not self._bodiless:
            if whole_body is not None:
                self._left = len(whole_body)
                head += b"content-length: %d\r\n" % self._left
            elif self.scope["http_version"] == "1.1":
                self._chunked = True
                head += b"transfer-encoding: chunked\r\n"
            else:
                self._keep = False
        self._keep = self._keep and not self.connection.server.draining
        if not self._keep:
            head += b"connection: close\r\n"
        elif self.scope["http_version"] == "1.0":
            head += b"connection: keep-alive\r\n"
        return head + b"\r\n"

    def _write(self, body: bytes, more: bool) -> None:
        out = self._framed_head(None if more else body) if self._head is not None else b""
        if not self._bodiless:
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0 or (self._left and not more):
                    raise RuntimeError("the body is not as long as its content-length says")
                out += body
            elif self._chunked:
                if body:
                    out += b"%x\r\n%s\r\n" % (len(body), body)
                if not more:
                    out += b"0\r\n\r\n"
            else:
                out += body
        if out:
            self.connection.transport.write(out)
        if not more:
            self._ended = True
            self._arrived.set()

    def _date(self) -> bytes:
        return bytes(self.connection.server.date())
