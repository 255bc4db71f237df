"""CloudEvents over HTTP: binary, structured and batched messages in and out (HTTP protocol binding 1.0.2).

The ingress decodes requests with it, the dispatcher encodes deliveries and decodes replies. Strict on receipt: what is
missing is not filled in, what is malformed is refused with a sentence. Works on header fields and a body; whether they
are a request's or a response's it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from core.inside import Fields
from eventing import json_format
from eventing.attributes import KNOWN, Invalid, fault_of, name_fault, shown
from eventing.event import Event, Value, text_of

EVENT_BYTES_CARRIED: Final = 64 * 1024
"""Every intermediary has to carry an event of this size (CloudEvents 1.0.2, section 5)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The sizes of bodies that are taken: of one event, in whichever mode, and of a batch as a whole."""

    event_bytes: int = 1024 * 1024
    batch_bytes: int = 8 * 1024 * 1024

    def __post_init__(self) -> None:
        if not EVENT_BYTES_CARRIED <= self.event_bytes <= self.batch_bytes:
            raise ValueError(f"{EVENT_BYTES_CARRIED} <= event_bytes <= batch_bytes does not hold for {self}")


DEFAULT_LIMITS: Final = Limits()

_ATTRIBUTES: Final = {b"ce-" + name.encode(): name for name in KNOWN if name != "datacontenttype"}
_HEADERS: Final = {name: header for header, name in _ATTRIBUTES.items()}

_UNSAFE = re.compile(r"[^!#$&-~]")
_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def decode(
    fields: Sequence[tuple[bytes, bytes]], body: bytes, limits: Limits = DEFAULT_LIMITS
) -> list[Event] | Invalid:
    """The events of a message: one, or those of a batch in their order (none in an empty one)."""
    content_type: bytes | None = None
    for name, value in fields:
        if name == b"content-type":
            if content_type is not None:
                return Invalid("Content-Type is there twice.", "datacontenttype")
            content_type = value
    if content_type is not None and json_format.means_envelope(content_type):
        return _decode_format(content_type, body, limits)
    if len(body) > limits.event_bytes:
        return _too_large(len(body), limits.event_bytes)
    event = _decode_binary(fields, content_type, body)
    return [event] if isinstance(event, Event) else event


def is_event(fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a message means to be one or more CloudEvents, well-formed or not."""
    return any(
        json_format.means_envelope(value) if name == b"content-type" else name == b"ce-specversion"
        for name, value in fields
    )


def encode_binary(event: Event) -> tuple[Fields, bytes]:
    """Attributes as header fields, data as the body."""
    fields: list[tuple[bytes, bytes]] = []
    for name, value in event.attributes.items():
        if name == "datacontenttype":
            continue
        text = value if isinstance(value, str) else text_of(value)
        if _UNSAFE.search(text):
            text = quote(text, safe=_SAFE)
        fields.append((_HEADERS.get(name) or b"ce-" + name.encode(), text.encode()))
    content_type = json_format.content_type_of(event)
    if content_type is not None:
        fields.append((b"content-type", content_type.encode()))
    return tuple(fields), event.data or b""


def encode_structured(event: Event) -> tuple[Fields, bytes]:
    """One event, whole, as the body."""
    return ((b"content-type", json_format.MEDIA_TYPE.encode()),), json_format.encode_event(event)


def encode_batch(events: Sequence[Event]) -> tuple[Fields, bytes]:
    """Any number of events as the body. Only for a receiver that has asked for batches."""
    return ((b"content-type", json_format.BATCH_MEDIA_TYPE.encode()),), json_format.encode_batch(events)


def _decode_format(content_type: bytes, body: bytes, limits: Limits) -> list[Event] | Invalid:
    envelope = json_format.envelope_of(content_type.decode("latin-1"))
    if isinstance(envelope, Invalid):
        return envelope
    if envelope is json_format.Envelope.BATCH:
        if len(body) > limits.batch_bytes:
            return _too_large(len(body), limits.batch_bytes)
        return json_format.decode_batch(body, limits.event_bytes)
    if len(body) > limits.event_bytes:
        return _too_large(len(body), limits.event_bytes)
    event = json_format.decode_event(body)
    return [event] if isinstance(event, Event) else event


def _too_large(found: int, allowed: int) -> Invalid:
    return Invalid(f"The body has {found} bytes; {allowed} are allowed.", status=413)


def _decode_binary(fields: Sequence[tuple[bytes, bytes]], content_type: bytes | None, body: bytes) -> Event | Invalid:
    attributes: dict[str, Value] = {}
    for name, value in fields:
        if name[:3] != b"ce-":
            continue
        attribute = _ATTRIBUTES.get(name) or _extension(name)
        if not isinstance(attribute, str):
            return attribute
        if attribute in attributes:
            return Invalid(f"{attribute} is there twice, as two {name.decode()} headers.", attribute)
        try:
            if b"%" in value or value[:1] == b'"':
                value = _unescaped(value)
            attributes[attribute] = value.decode()
        except UnicodeDecodeError:
            return Invalid(f"{name.decode()} is not UTF-8 after percent-decoding: {shown(value)}.", attribute)
        except ValueError as error:
            return Invalid(f"{name.decode()} is malformed: {error}.", attribute)
    if content_type is not None:
        attributes["datacontenttype"] = content_type.decode("latin-1")
    if (fault := fault_of(attributes)) is not None:
        return _no_event_at_all(attributes, content_type) or fault
    return Event(attributes, body or None)


def _no_event_at_all(attributes: dict[str, Value], content_type: bytes | None) -> Invalid | None:
    """What to say where nothing of a CloudEvent is there, which is more use than the first missing attribute."""
    if any(name != "datacontenttype" for name in attributes):
        return None
    found = "is missing" if content_type is None else f"is {shown(content_type.decode('latin-1'))}"
    return Invalid(
        f"This is no CloudEvent: there is no ce- header, so specversion is missing, and Content-Type {found}, not "
        f"{json_format.MEDIA_TYPE}.",
        "specversion",
    )


@lru_cache(maxsize=1024)
def _extension(header: bytes) -> str | Invalid:
    """The name of an extension by its header."""
    name = header[3:].decode("latin-1")
    if name == "datacontenttype":
        return Invalid("ce-datacontenttype is not allowed: in binary mode Content-Type says it.", name)
    return name_fault(name) or name


def _unescaped(value: bytes) -> bytes:
    """Without the quotes of older senders and with percent-encoded bytes as themselves, one round. ValueError."""
    if value[:1] == b'"':
        match = _QUOTED.fullmatch(value)
        if match is None:
            raise ValueError("it begins with a double quote and is not one quoted string")
        value = _ESCAPED.sub(rb"\1", match[1])
    if (bad := _BAD_PERCENT.search(value)) is not None:
        raise ValueError(
            f"'%' at {bad.start()} is not followed by two hexadecimal digits; a percent sign itself is %25"
        )
    return unquote_to_bytes(value)
