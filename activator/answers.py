"""A response on its way back: head and content framed for the client. One per response; knows no sockets."""

from __future__ import annotations

from activator.bodies import chunk, last_chunk
from activator.forwarding import CHUNKED, CLOSE, NONE, response_framing, response_head
from activator.heads import RequestHead, ResponseHead


class Answer:
    """`keep` where the client may send another request after it."""

    __slots__ = ("_framing", "keep")

    def __init__(self, head: ResponseHead, request: RequestHead, keep: bool) -> None:
        self._framing = response_framing(head, request)
        self.keep = keep and request.keep_alive and self._framing is not CLOSE

    def head(self, head: ResponseHead, request: RequestHead, more: bytes) -> bytes:
        """`more` are lines of the gateway's own."""
        if not self.keep:
            more += b"Connection: close\r\n"
        elif request.minor == 0:
            more += b"Connection: keep-alive\r\n"
        return response_head(head, self._framing, more)

    def content(self, content: bytes, done: bool, trailers: bytes = b"") -> bytes:
        if self._framing is CHUNKED:
            data = chunk(content) if content else b""
            return data + last_chunk(trailers) if done else data
        return b"" if self._framing is NONE else content
