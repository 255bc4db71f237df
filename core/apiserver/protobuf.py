"""Kubernetes' protobuf bodies as JSON: what kubectl's typed commands and many Go programs send for built-in kinds.

`bodies` calls it. Answers are JSON in any case, because such clients accept that too; their request bodies they do not
convert. The field numbers are facts of k8s.io/api, kept in `protobuf_fields.json` (`scripts/protobuf_fields.go` made
it). Wire format: protobuf.dev/programming-guides/encoding; envelope: `k8s\\0`, then a runtime.Unknown.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from core.errors import BadRequest, UnsupportedMediaType
from core.resources.meta import Json

MAGIC = b"k8s\x00"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
DEPTH_MAX = 64  # messages within messages; a Deployment has ten

Field: TypeAlias = tuple[int, int | bytes]


def read_protobuf(body: bytes) -> Json:
    """The object in an envelope. BadRequest for what is none, UnsupportedMediaType for a kind that is not known."""
    if not body.startswith(MAGIC):
        raise BadRequest("the protobuf body does not begin with the bytes `k8s` and 0")
    try:
        envelope = dict(wire_fields(body[len(MAGIC) :]))
        type_meta = dict(wire_fields(_bytes(envelope.get(1, b""))))
        api_version, kind = _text(type_meta.get(1, b"")), _text(type_meta.get(2, b""))
        message = _table()["kinds"].get("DeleteOptions" if kind == "DeleteOptions" else f"{api_version}/{kind}")
        if message is None:
            raise UnsupportedMediaType(f"protobuf is not accepted for {kind} of {api_version}: send application/json")
        return {"apiVersion": api_version, "kind": kind, **_message(message, _bytes(envelope.get(2, b"")), 0)}
    except (ValueError, IndexError, OverflowError) as error:
        raise BadRequest(f"couldn't parse the body as protobuf: {error}") from error


@cache
def _table() -> Any:
    return orjson.loads(Path(__file__).with_name("protobuf_fields.json").read_bytes())


def _message(name: str, data: bytes, depth: int) -> Json:
    if depth > DEPTH_MAX:
        raise ValueError("too many messages within messages")
    known = _table()["messages"][name]
    obj: Json = {}
    for number, raw in wire_fields(data):
        declared = known.get(str(number))
        if declared is None:
            continue  # from a newer client
        key, kind, *omitempty = declared
        if kind.startswith("[]"):
            obj.setdefault(key, []).append(_value(kind[2:], raw, depth))
        elif kind.startswith("map:"):
            pair = dict(wire_fields(_bytes(raw)))
            obj.setdefault(key, {})[_text(pair.get(1, b""))] = _value(kind[4:], pair.get(2, b""), depth)
        else:
            value = _value(kind, raw, depth)
            if not key:
                obj.update(value)
            elif value is not None and (value or not omitempty):
                obj[key] = value
    return obj


def _value(kind: str, raw: int | bytes, depth: int) -> Any:
    match kind:
        case "string":
            return _text(raw)
        case "int":
            return _int(raw)
        case "bool":
            return _int(raw) != 0
        case "bytes":
            return base64.b64encode(_bytes(raw)).decode()
        case "Quantity":
            return _text(dict(wire_fields(_bytes(raw))).get(1, b""))
        case "Time" | "MicroTime":
            return _time(dict(wire_fields(_bytes(raw))), kind == "MicroTime")
        case "IntOrString":
            parts = dict(wire_fields(_bytes(raw)))
            return _text(parts.get(3, b"")) if _int(parts.get(1, 0)) else _int(parts.get(2, 0))
        case "FieldsV1" | "RawExtension":
            inner = _bytes(dict(wire_fields(_bytes(raw))).get(1, b""))
            return orjson.loads(inner) if inner else None
        case _:
            return _message(kind, _bytes(raw), depth + 1)


def _time(parts: dict[int, int | bytes], micro: bool) -> str | None:
    seconds, nanos = _int(parts.get(1, 0)), _int(parts.get(2, 0))
    if not parts or seconds < 0:
        return None  # Go's zero time
    at = datetime.fromtimestamp(seconds, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{nanos // 1000:06d}Z" if micro else "Z")


def wire_fields(data: bytes) -> Iterator[Field]:
    """Field numbers with their raw values, in the order of the wire."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: int | bytes
        if wire == VARINT:
            value, at = _varint(data, at)
        elif wire == BYTES:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {wire} is not known")
        if at > end:
            raise ValueError("the body ends within a field")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number has more than 64 bits")


def _int(raw: int | bytes) -> int:
    if isinstance(raw, bytes):
        raise ValueError("a number was expected")
    return raw - (1 << 64) if raw >> 63 else raw


def _bytes(raw: int | bytes) -> bytes:
    if isinstance(raw, int):
        raise ValueError("bytes were expected")
    return raw


def _text(raw: int | bytes) -> str:
    return _bytes(raw).decode()
