"""A connection to an instance: sends requests, reads responses, one exchange at a time, and is used again.

An `Exchange` owns it while its request runs. The response is checked as strictly as a request is; whatever an instance
sends that nobody asked for closes the connection, so that no client is ever given another's answer.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from activator.bodies import BadBody, Body, ChunkedBody, EndlessBody, LengthBody
from activator.forwarding import has_no_body
from activator.heads import HEAD_BYTES_MAX, Malformed, ResponseHead, parse_response
from activator.instances import Instance
from activator.problem import Problem, bad_gateway

WRITE_BUFFER_BYTES: Final = 256 * 1024
"""Above this the other side is not read until it has drained."""


class Reader(Protocol):
    """Who gets the response: an exchange."""

    @property
    def method(self) -> bytes: ...

    def interim(self, head: ResponseHead) -> None:
        """A 1xx before the response."""

    def respond(self, head: ResponseHead, content: bytes, done: bool) -> None:
        """The head, and as much of the content as came with it."""

    def content(self, content: bytes, done: bool, trailers: bytes) -> None:
        """More of it; `done` with the last."""

    def switched(self, head: ResponseHead, data: bytes) -> None:
        """101: from now on bytes are bytes; the transport gets another protocol."""

    def refuse(self, problem: Problem) -> None:
        """The instance broke the protocol; the connection is closed."""

    def lost(self, answered: bool) -> None:
        """The connection ended before the response did; `answered` once any byte of it had come."""

    def upstream_writable(self, writable: bool) -> None:
        """Backpressure."""


class Upstream(asyncio.Protocol):
    """One connection. `fresh` until it has served a request; `reusable` once a response has ended cleanly."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.reader: Reader | None = None
        self.fresh = True
        self.reusable = False
        self.idle_since = 0.0
        self.closed = False
        self._answered = False  # any byte of this response
        self._body: Body | None = None  # None until the head is known
        self._partial = b""
        self._keep_alive = False
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def begin(self, reader: Reader, data: bytes) -> None:
        """Sends a request's head, and as much of its body as there is."""
        self.reader = reader
        self.reusable = False
        self._answered = False
        self._body = None
        self.transport.write(data)

    def end(self, now: float) -> None:
        """The exchange is over: kept where the response ended cleanly, closed where not."""
        self.reader = None
        self.fresh = False
        if self.reusable and not self.closed:
            self.instance.put(self, now)
        else:
            self.close()

    def close(self) -> None:
        self.reader = None
        if not self.closed:
            self.closed = True
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        reader = self.reader
        if reader is None:
            self.instance.drop(self)
            self.close()
        elif self._body is not None:
            self._read_body(reader, self._body, data)
        else:
            self._answered = True
            self._read_head(reader, self._partial + data if self._partial else data)

    def _read_head(self, reader: Reader, data: bytes) -> None:
        self._partial = b""
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4 or end > HEAD_BYTES_MAX:
                if len(data) > HEAD_BYTES_MAX:
                    self._break(f"its head is longer than {HEAD_BYTES_MAX} bytes.")
                self._partial = data
                return
            head = parse_response(data[:end] if end != len(data) else data)
            if isinstance(head, Malformed):
                self._break(head.detail)
                return
            if head.status >= 200:
                break
            data = data[end:]
            if head.status == 101:
                reader.switched(head, data)
                return
            reader.interim(head)
            if not data:
                return
        length = 0 if has_no_body(reader.method, head.status) else head.length
        if length is not None and length == len(data) - end:
            self.reusable = head.keep_alive
            reader.respond(head, data[end:], True)
            return
        self._keep_alive = head.keep_alive
        self._body = LengthBody(length) if length is not None else ChunkedBody() if head.chunked else EndlessBody()
        self._read_first(reader, self._body, head, data[end:])

    def _read_first(self, reader: Reader, body: Body, head: ResponseHead, data: bytes) -> None:
        try:
            content = body.feed(data) if data else b""
        except BadBody as error:
            self._break(str(error))
            return
        if body.done:
            self.reusable = self._keep_alive and not body.rest
        if body.done and body.trailers:
            reader.respond(head, content, False)
            reader.content(b"", True, body.trailers)
        else:
            reader.respond(head, content, body.done)

    def _read_body(self, reader: Reader, body: Body, data: bytes) -> None:
        try:
            content = body.feed(data)
        except BadBody as error:
            self._break(str(error))
            return
        if body.done:
            self.reusable = self._keep_alive and not body.rest
        if content or body.done:
            reader.content(content, body.done, body.trailers)

    def _break(self, detail: str) -> None:
        reader = self.reader
        self.close()
        if reader is not None:
            reader.refuse(bad_gateway(detail))

    def eof_received(self) -> bool:
        self._ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        reader = self.reader
        if reader is None:
            self.instance.drop(self)
        elif isinstance(self._body, EndlessBody) and self._ended and exc is None:
            reader.content(b"", True, b"")
        else:
            self.reader = None
            reader.lost(self._answered)

    def pause_writing(self) -> None:
        if self.reader is not None:
            self.reader.upstream_writable(False)

    def resume_writing(self) -> None:
        if self.reader is not None:
            self.reader.upstream_writable(True)
