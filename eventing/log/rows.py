"""The rows of streams and subscriptions with their checksums: a flipped bit in a name or an offset would lose more than
an event, so here it is not only found but undone.

CRC-32 tells any two rows apart that differ in one bit, so trying every bit finds the one that flipped.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, TypeAlias
from zlib import crc32

from eventing.log.positions import Position

_STREAM = struct.Struct("<qqq")
_SUBSCRIPTION = struct.Struct("<qqI")

Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StreamRow:
    """`head` is the oldest offset kept; no offset below `tail` may be given again, whatever of the groups is left."""

    number: int
    name: str
    head: int
    tail: int


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """`position` is None where it was damaged and could not be repaired."""

    number: int
    name: str
    stream: int
    held: bool
    position: Position | None


def stream_values(row: StreamRow) -> tuple[int, str, int, int, int]:
    """A stream's columns."""
    return row.number, row.name, row.head, row.tail, crc32(_pack_stream(row))


def subscription_values(number: int, name: str, stream: int, position: Position) -> tuple[bytes, int]:
    """A subscription's columns `position` and `checksum`."""
    data = position.encode()
    return data, crc32(_pack_subscription(number, stream, name.encode(), data))


def whole_stream(number: int, name: Any, head: Any, tail: Any, checksum: Any) -> StreamRow:
    """The row as it was written; where that cannot be told any more, a stream `lost/NUMBER` of all that there is."""
    try:
        text = name.encode() if isinstance(name, str) else name
        data = _undone(_STREAM.pack(number, head, tail) + text, checksum)
        if data is not None:
            number, head, tail = _STREAM.unpack_from(data)
            return StreamRow(number, data[_STREAM.size :].decode(), head, tail)
    except (TypeError, ValueError, struct.error):
        pass  # not even of the right types
    return StreamRow(number, f"lost/{number}", 0, 0)


def whole_subscription(
    number: int, name: bytes, stream: int, held: int, position: Any, checksum: Any
) -> SubscriptionRow:
    """The row as it was written, or one without a position."""
    try:
        data = _undone(_pack_subscription(number, stream, name, position), checksum)
        if data is not None:
            number, stream, length = _SUBSCRIPTION.unpack_from(data)
            end = _SUBSCRIPTION.size + length
            text = data[_SUBSCRIPTION.size : end].decode()
            return SubscriptionRow(number, text, stream, bool(held), Position.decode(data[end:]))
    except (TypeError, ValueError, struct.error):
        pass
    return SubscriptionRow(number, name.decode(errors="replace"), stream, bool(held), None)


def _pack_stream(row: StreamRow) -> bytes:
    return _STREAM.pack(row.number, row.head, row.tail) + row.name.encode()


def _pack_subscription(number: int, stream: int, name: bytes, position: bytes) -> bytes:
    return b"".join((_SUBSCRIPTION.pack(number, stream, len(name)), name, position))


_REPAIRED_BYTES = 1024  # what is longer is tried no further than that: each bit costs a checksum over all of it


def _undone(data: bytes, checksum: int) -> bytes | None:
    """The data, if need be with the bit turned back that makes it whole."""
    if crc32(data) == checksum:
        return data
    tried = bytearray(data)
    for bit in range(min(len(data), _REPAIRED_BYTES) * 8):
        tried[bit // 8] ^= 1 << bit % 8
        if crc32(tried) == checksum:
            return bytes(tried)
        tried[bit // 8] ^= 1 << bit % 8
    return None
