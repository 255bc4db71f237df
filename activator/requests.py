"""Requests off a byte stream, one after the other: what of the next head or body is already here, and what is early.

Belongs to one client's connection, which feeds it and acts on what it finds. No sockets: bytes in, heads and content
out.
"""

from __future__ import annotations

from activator.bodies import BadBody, Body, ChunkedBody, LengthBody
from activator.heads import HEAD_BYTES_MAX, Malformed, RequestHead, check_unfinished, parse_request


class Requests:
    """`body` is what reads the rest of the current request; None once that is whole."""

    __slots__ = ("body", "content", "early", "trailers")

    def __init__(self) -> None:
        self.body: Body | None = None
        self.content = b""  # of the body, as much as came with the head
        self.trailers = b""  # once the body is whole
        self.early = b""  # a part of a head, or what came before its turn

    def read_head(self, data: bytes) -> RequestHead | Malformed | None:
        """None where the head is not all here yet."""
        early = self.early
        if early:
            data = early + data
        if data[:2] == b"\r\n" and len(early) < 2:
            data = data[2:]  # an empty line before the request line is forgiven (RFC 9112, 2.2)
        end = data.find(b"\r\n\r\n", max(0, len(early) - 3)) + 4
        if end < 4 or end > HEAD_BYTES_MAX:
            self.early = data
            return check_unfinished(data)
        self.early = self.content = self.trailers = b""
        whole = end == len(data)
        request = parse_request(data if whole else data[:end])
        if isinstance(request, Malformed):
            return request
        if request.chunked or request.content_length:
            self.body = ChunkedBody() if request.chunked else LengthBody(request.content_length)
            try:
                self.content = self.read_body(self.body, data[end:]) if not whole else b""
            except BadBody as error:
                return Malformed(400, str(error))
        elif not whole:
            self.early = data[end:]
        return request

    def read_body(self, body: Body, data: bytes) -> bytes:
        """More content. BadBody."""
        content = body.feed(data)
        if body.done:
            self.body = None
            self.early = body.rest
            self.trailers = body.trailers
        return content
