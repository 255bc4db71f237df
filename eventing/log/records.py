"""The bytes of the log: one event as a payload, the payloads of one commit as a group.

A group is what one commit appended to one stream; it is one row of the file. Its layout, all little-endian:

    header    version u8 · count u32 · first offset u64 · time in ms u64 · CRC-32 of these u32
    frame     length u32 · CRC-32 u32 · payload       (count times)
    payload   0xCE 0x01 · flags u8 (1: has data) · length of attributes u32 · attributes as JSON · data

The CRC of a frame is seeded with the stream's number and the record's offset, so that a page that was read from the
wrong place is damage, not an event. A flipped bit costs the record it is in, and no other: frames are found again by
their first bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import orjson

from eventing.event import Event
from eventing.log.base import Damaged, Entry, Record

_VERSION = 1
_MAGIC = b"\xce\x01"
_HAS_DATA = 1
_PAYLOAD = struct.Struct("<2sBI")
_FRAME = struct.Struct("<II")
_HEADER = struct.Struct("<BIQQ")
_CHECKSUM = struct.Struct("<I")
_BODY = _HEADER.size + _CHECKSUM.size
_ODD = 0x9E3779B1  # any odd factor keeps the seeds of 2^32 neighboring offsets apart


@dataclass(frozen=True, slots=True)
class Group:
    """A row of the file without its data."""

    number: int
    first: int
    count: int
    time_ms: int
    bytes: int


def encode(event: Event) -> bytes:
    """The payload of an event."""
    attributes = orjson.dumps(event.attributes)
    if event.data is None:
        return _PAYLOAD.pack(_MAGIC, 0, len(attributes)) + attributes
    return b"".join((_PAYLOAD.pack(_MAGIC, _HAS_DATA, len(attributes)), attributes, event.data))


def decode(payload: bytes) -> Event:
    """The reverse of `encode`. ValueError where it is none."""
    if len(payload) < _PAYLOAD.size:
        raise ValueError("shorter than a record")
    magic, flags, length = _PAYLOAD.unpack_from(payload)
    end = _PAYLOAD.size + length
    if magic != _MAGIC or end > len(payload):
        raise ValueError("not a record of this version")
    return Event(orjson.loads(payload[_PAYLOAD.size : end]), payload[end:] if flags & _HAS_DATA else None)


def id_hash(id: str) -> bytes:
    """Four bytes by which `find` looks for an event's id among the groups."""
    return _CHECKSUM.pack(crc32(id.encode()))


def encode_group(stream: int, first: int, time_ms: int, payloads: Sequence[bytes]) -> bytes:
    header = _HEADER.pack(_VERSION, len(payloads), first, time_ms)
    parts = [header, _CHECKSUM.pack(crc32(header, stream))]
    offset = first
    for payload in payloads:
        parts.append(_FRAME.pack(len(payload), crc32(payload, _seed(stream, offset))))
        parts.append(payload)
        offset += 1
    return b"".join(parts)


def decode_group(stream: int, group: Group, data: bytes) -> list[Entry]:
    """What a group holds, offset by offset; the row's columns serve where the header is damaged."""
    first, count, time_ms = group.first, group.count, group.time_ms
    if len(data) >= _BODY and crc32(data[: _HEADER.size], stream) == _CHECKSUM.unpack_from(data, _HEADER.size)[0]:
        version, count, claimed, time_ms = _HEADER.unpack_from(data)
        if version != _VERSION:
            return [Damaged(first, count, f"a group of version {version}")]
        if claimed != first:
            return [Damaged(first, count, f"another group, of offset {claimed}, is in its place")]
    entries: list[Entry] = []
    position, offset, end = _BODY, first, first + count
    while offset < end:
        payload = _payload_at(data, position, _seed(stream, offset))
        if payload is None:
            position, found = _next_frame(data, position, stream, range(offset + 1, end))
            entries.append(Damaged(offset, found - offset, "the checksum does not match"))
            offset = found
            continue
        try:
            entries.append(Record(offset, time_ms, decode(payload)))
        except ValueError as error:
            entries.append(Damaged(offset, 1, str(error)))
        position += _FRAME.size + len(payload)
        offset += 1
    return entries


def _seed(stream: int, offset: int) -> int:
    return (stream ^ offset * _ODD) & 0xFFFFFFFF


def _payload_at(data: bytes, position: int, seed: int) -> bytes | None:
    start = position + _FRAME.size
    if start > len(data):
        return None
    length, checksum = _FRAME.unpack_from(data, position)
    payload = data[start : start + length]
    return payload if len(payload) == length and crc32(payload, seed) == checksum else None


def _next_frame(data: bytes, position: int, stream: int, offsets: range) -> tuple[int, int]:
    """Place and offset of the next whole frame of one of these offsets; behind everything where there is none."""
    magic = data.find(_MAGIC, position + _FRAME.size + 1) if offsets else -1
    while magic >= 0:
        start = magic - _FRAME.size
        for offset in offsets:
            if _payload_at(data, start, _seed(stream, offset)) is not None:
                return start, offset
        magic = data.find(_MAGIC, magic + 1)
    return len(data), offsets.stop
