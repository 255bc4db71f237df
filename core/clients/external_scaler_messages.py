"""The messages of KEDA's external scalers, and their bytes (externalscaler.proto, protobuf's encoding). Pure.

Eight messages of strings, numbers and one map: declared here as what they are, so that no generated module and no
second library comes along with gRPC. `tests/core/clients/test_external_scaler_messages.py` compares them, byte for
byte, with what protoc makes of the interface.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, Final, TypeVar

SERVICE: Final = "externalscaler.ExternalScaler"


class Undecodable(ValueError):
    """Bytes that are no such message."""


class _Sort(Enum):
    STRING = 2
    STRINGS_BY_STRING = 2.1
    MESSAGE = 2.2
    MESSAGES = 2.3
    BOOL = 0
    INT64 = 0.1
    DOUBLE = 1

    @property
    def wire_type(self) -> int:
        return int(self.value)


_DEFAULTS: Final[Mapping[_Sort, Any]] = {
    _Sort.STRING: "",
    _Sort.BOOL: False,
    _Sort.INT64: 0,
    _Sort.DOUBLE: 0.0,
    _Sort.MESSAGES: (),
}


def _field(number: int, sort: _Sort, message: Callable[[], type[Any]] | None = None) -> Any:
    """A field of a message: absent is its default, as in proto3."""
    default: Any = {_Sort.STRING: "", _Sort.BOOL: False, _Sort.INT64: 0, _Sort.DOUBLE: 0.0, _Sort.MESSAGES: ()}.get(
        sort
    )
    declared = {"declared": (number, sort, message)}
    if sort is _Sort.STRINGS_BY_STRING:
        return field(default_factory=dict, metadata=declared)
    if sort is _Sort.MESSAGE and message is not None:
        return field(default_factory=lambda: message()(), metadata=declared)
    return field(default=default, metadata=declared)


@dataclass(frozen=True, slots=True)
class ScaledObjectRef:
    """Who asks. `metadata` is its trigger's, which may hold secrets of its container's environment."""

    name: str = _field(1, _Sort.STRING)
    namespace: str = _field(2, _Sort.STRING)
    metadata: Mapping[str, str] = _field(3, _Sort.STRINGS_BY_STRING)


@dataclass(frozen=True, slots=True)
class IsActiveResponse:
    result: bool = _field(1, _Sort.BOOL)


@dataclass(frozen=True, slots=True)
class MetricSpec:
    metric_name: str = _field(1, _Sort.STRING)
    target_size: int = _field(2, _Sort.INT64)
    target_size_float: float = _field(3, _Sort.DOUBLE)  # used where it is greater than 0

    @property
    def target(self) -> float:
        return self.target_size_float if self.target_size_float > 0 else float(self.target_size)


@dataclass(frozen=True, slots=True)
class GetMetricSpecResponse:
    metric_specs: Sequence[MetricSpec] = _field(1, _Sort.MESSAGES, lambda: MetricSpec)


@dataclass(frozen=True, slots=True)
class GetMetricsRequest:
    scaled_object_ref: ScaledObjectRef = _field(1, _Sort.MESSAGE, lambda: ScaledObjectRef)
    metric_name: str = _field(2, _Sort.STRING)


@dataclass(frozen=True, slots=True)
class MetricValue:
    metric_name: str = _field(1, _Sort.STRING)
    metric_value: int = _field(2, _Sort.INT64)
    metric_value_float: float = _field(3, _Sort.DOUBLE)  # used unless it is 0

    @property
    def value(self) -> float:
        return self.metric_value_float if self.metric_value_float != 0 else float(self.metric_value)


@dataclass(frozen=True, slots=True)
class GetMetricsResponse:
    metric_values: Sequence[MetricValue] = _field(1, _Sort.MESSAGES, lambda: MetricValue)


M = TypeVar("M")


def encode(message: Any) -> bytes:
    """A message's bytes; fields in the order of their numbers, defaults left out."""
    out = bytearray()
    for name, (number, sort, _) in _declared(type(message)).items():
        for piece in _pieces(sort, getattr(message, name)):
            out += _varint(number << 3 | sort.wire_type) + piece
    return bytes(out)


def decode(message: type[M], data: bytes) -> M:
    """Fields that it does not know are passed over. Undecodable."""
    by_number = {number: (name, sort, inner) for name, (number, sort, inner) in _declared(message).items()}
    values: dict[str, Any] = {}
    for number, wire_type, content in _read(memoryview(data)):
        name, sort, inner = by_number.get(number, ("", None, None))
        if sort is None or sort.wire_type != wire_type:
            continue
        match sort:
            case _Sort.STRINGS_BY_STRING:
                entry = decode(_Entry, content)
                values.setdefault(name, {})[entry.key] = entry.value
            case _Sort.MESSAGES if inner is not None:
                values.setdefault(name, []).append(decode(inner(), content))
            case _Sort.MESSAGE if inner is not None:
                values[name] = decode(inner(), content)
            case _:
                values[name] = _scalar(sort, content)
    return message(**values)


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str = _field(1, _Sort.STRING)
    value: str = _field(2, _Sort.STRING)


def _declared(message: type[Any]) -> dict[str, tuple[int, _Sort, Callable[[], type[Any]] | None]]:
    """Field name → its number, sort and, of messages, which."""
    return {each.name: each.metadata["declared"] for each in fields(message)}


def _pieces(sort: _Sort, value: Any) -> Iterator[bytes]:
    """What follows the tag, once per occurrence of the field."""
    match sort:
        case _Sort.STRING if value:
            yield _sized(value.encode())
        case _Sort.STRINGS_BY_STRING:
            for key, text in value.items():  # an entry says both, also where one is empty
                yield _sized(b"\x0a" + _sized(key.encode()) + b"\x12" + _sized(text.encode()))
        case _Sort.MESSAGE:
            yield _sized(encode(value))
        case _Sort.MESSAGES:
            yield from (_sized(encode(each)) for each in value)
        case _Sort.BOOL | _Sort.INT64 if value:
            yield _varint(int(value) & 0xFFFF_FFFF_FFFF_FFFF)
        case _Sort.DOUBLE if (packed := struct.pack("<d", value)) != bytes(8):
            yield packed


def _scalar(sort: _Sort, content: Any) -> Any:
    match sort:
        case _Sort.STRING:
            try:
                return str(content, "utf-8")
            except UnicodeDecodeError:
                raise Undecodable("a text is not UTF-8") from None
        case _Sort.BOOL:
            return content != 0
        case _Sort.INT64:
            return content - (1 << 64) if content >> 63 else content
        case _:
            return struct.unpack("<d", content)[0]


def _read(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """(field's number, wire type, content) of each field: a number, or bytes."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise Undecodable(f"no field has the number {number}")
        if wire_type == 0:
            content, at = _read_varint(data, at)
            yield number, wire_type, content
            continue
        size = {1: 8, 5: 4}.get(wire_type)
        if wire_type == 2:
            size, at = _read_varint(data, at)
        if size is None:
            raise Undecodable(f"no field has the wire type {wire_type}")
        if at + size > len(data):
            raise Undecodable("it ends in the middle of a field")
        yield number, wire_type, data[at : at + size]
        at += size


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Undecodable("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise Undecodable("a number is longer than ten bytes")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _sized(content: bytes) -> bytes:
    return _varint(len(content)) + content
