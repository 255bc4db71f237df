"""Takes the body of an HTTP/1.1 message apart, strictly, whatever the pieces it arrives in (RFC 9112, 6 and 7).

Both sides of an exchange feed a `Body` with what the socket gave and pass on what it returns. Nothing is kept but
half a chunk line or an unfinished trailer section, both bounded. Knows no sockets and no heads.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from activator.heads import FIELDS, without

CHUNK_LINE_BYTES_MAX: Final = 256
"""Size and extensions of one chunk; extensions are read over and dropped."""
EXTENSION_BYTES_MAX: Final = 16 * 1024
"""All extensions of one body (compare CVE-2023-39326): more is an attack, nobody uses them."""
TRAILER_BYTES_MAX: Final = 8 * 1024

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:;[\t\x20-\x7e\x80-\xff]*)?)")
_TRAILERS = re.compile(rb"(" + FIELDS + rb")\r\n")
# A trailer may not change how the message is framed, routed or understood (RFC 9110, 6.5.1).
_NOT_TRAILERS: Final = frozenset(
    (b"transfer-encoding", b"content-length", b"host", b"connection", b"keep-alive", b"te", b"trailer", b"upgrade",
     b"content-encoding", b"content-type", b"content-range", b"authorization", b"proxy-authorization", b"cookie",
     b"set-cookie", b"expect", b"range", b"cache-control", b"knative-serving-revision", b"knative-serving-namespace",
     b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto")
)  # fmt: skip


class BadBody(Exception):
    """The framing is broken: nothing after it can be trusted."""


class Body(Protocol):
    """`feed` returns the content in `data`. Once `done`, `rest` holds what came after the end."""

    done: bool
    rest: bytes
    trailers: bytes

    def feed(self, data: bytes) -> bytes: ...


class LengthBody:
    """So many bytes."""

    __slots__ = ("done", "left", "rest", "trailers")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        size = len(data)
        if size < self.left:
            self.left -= size
            return data
        content, self.rest = (data, b"") if size == self.left else (data[: self.left], data[self.left :])
        self.left = 0
        self.done = True
        return content


class EndlessBody:
    """Everything until the connection ends (HTTP/1.0 responses)."""

    __slots__ = ("done", "rest", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        return data


class ChunkedBody:
    """The chunked transfer coding."""

    __slots__ = ("_buffer", "_extensions", "_left", "_state", "done", "rest", "trailers")

    LINE, CONTENT, CRLF, TRAILERS = range(4)

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.trailers = b""  # field lines that may travel on
        self._state = self.LINE
        self._left = 0
        self._extensions = 0
        self._buffer = b""  # what could not be decided yet

    def feed(self, data: bytes) -> bytes:
        """BadBody."""
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        content: list[bytes] = []
        at, size = 0, len(data)
        while at < size and not self.done:
            if self._state == self.CONTENT:
                piece = data[at : at + self._left]
                content.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = self.CRLF
                continue
            step = self._line(data, at) if self._state == self.LINE else self._after(data, at)
            if step < 0:
                self._buffer = data[at:]
                break
            at = step
        if self.done:
            self.rest = data[at:]
        return content[0] if len(content) == 1 else b"".join(content)

    def _line(self, data: bytes, at: int) -> int:
        """Past the line that opens a chunk, or -1 where it is not all there."""
        end = data.find(b"\r\n", at, at + CHUNK_LINE_BYTES_MAX + 2)
        if end < 0:
            partial = data[at:]
            if len(partial) > CHUNK_LINE_BYTES_MAX + 1 or b"\n" in partial or b"\r" in partial[:-1]:
                raise BadBody("A chunk does not begin with its size on a line of its own.")
            return -1
        match = _CHUNK_LINE.fullmatch(data, at, end)
        if match is None:
            raise BadBody("A chunk does not begin with its size as a plain hexadecimal number.")
        self._extensions += len(match[2])
        if self._extensions > EXTENSION_BYTES_MAX:
            raise BadBody("The chunk extensions of this body take too many bytes.")
        self._left = int(match[1], 16)
        self._state = self.CONTENT if self._left else self.TRAILERS
        return end + 2

    def _after(self, data: bytes, at: int) -> int:
        """Past the line end behind a chunk, or past the trailers; -1 where it is not all there."""
        if self._state == self.CRLF:
            if data[at : at + 2] == b"\r\n":
                self._state = self.LINE
                return at + 2
            if data[at:] == b"\r":
                return -1
            raise BadBody("A chunk is longer than its size says.")
        end = at + 2 if data.startswith(b"\r\n", at) else data.find(b"\r\n\r\n", at) + 4
        if end < 4 and end != at + 2:
            if len(data) - at > TRAILER_BYTES_MAX:
                raise BadBody("The trailers take too many bytes.")
            return -1
        match = _TRAILERS.fullmatch(data, at, end)
        if match is None or end - at > TRAILER_BYTES_MAX:
            raise BadBody("The trailers are not fields.")
        self.trailers = without(match[1], _NOT_TRAILERS) if match[1] else b""
        self.done = True
        return end


def chunk(content: bytes) -> bytes:
    """One chunk; `content` is not empty."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def last_chunk(trailers: bytes) -> bytes:
    return b"0\r\n%b\r\n" % trailers
