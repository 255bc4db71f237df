"""A request's body on its way through: framed for the instance, and kept as long as it may have to be sent again.

Belongs to one exchange. While the request waits it is what was read before reading stopped; a body that outgrows
`REPEATED_BYTES_MAX` is let go as soon as it has been sent.
"""

from __future__ import annotations

from typing import Final

from activator.bodies import chunk, last_chunk

REPEATED_BYTES_MAX: Final = 64 * 1024


class Payload:
    """`done` once the client has sent all of it; `kept` while all of it so far could be sent again."""

    __slots__ = ("_chunked", "_pieces", "_trailers", "done", "held_bytes", "kept")

    def __init__(self, content: bytes, done: bool, chunked: bool, trailers: bytes = b"") -> None:
        self.done = done
        self.kept = True
        self.held_bytes = len(content)
        self._pieces = [content] if content else []
        self._chunked = chunked
        self._trailers = trailers

    def all(self) -> bytes:
        """Everything so far, to go out behind the head."""
        if not self._pieces and not self._chunked:
            return b""
        pieces = [chunk(piece) for piece in self._pieces] if self._chunked else list(self._pieces)
        if self.done and self._chunked:
            pieces.append(last_chunk(self._trailers))
        if self.held_bytes > REPEATED_BYTES_MAX:
            self._let_go()
        return b"".join(pieces)

    def add(self, content: bytes, done: bool, trailers: bytes, sending: bool) -> bytes:
        """More of it. Returns what to send now, where it is being sent (`all` has been called)."""
        self.done = done
        self._trailers = trailers
        if self.kept:
            self._pieces.append(content)
            self.held_bytes += len(content)
        if not sending:
            return b""
        if self.held_bytes > REPEATED_BYTES_MAX:
            self._let_go()
        if not self._chunked:
            return content
        return (chunk(content) if content else b"") + (last_chunk(trailers) if done else b"")

    def _let_go(self) -> None:
        self.kept = False
        self._pieces = []


NO_PAYLOAD: Final = Payload(b"", done=True, chunked=False)
"""Of all requests without a body: nothing is ever added to one that is done."""
