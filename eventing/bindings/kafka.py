"""CloudEvents as Kafka records and back (Kafka protocol binding 1.0.2), and records that are no CloudEvents as events.

Used by the Kafka broker, KafkaSource and KafkaSink. Knows no client library: a record is its headers, key and value.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeAlias

from eventing import json_format
from eventing.attributes import Invalid, fault_of, is_media_type, name_fault, without_bad_characters
from eventing.event import Event, Value, text_of

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]

PREFIX: Final = "ce_"
CONTENT_TYPE: Final = "content-type"
PARTITION_KEY: Final = "partitionkey"
SOURCE_TYPE: Final = "dev.knative.kafka.event"
_YEAR_10000_MS: Final = 253_402_300_800_000
_NOT_IN_NAMES = re.compile("[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class Record:
    """One record where it lies."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


class KeyType(StrEnum):
    """What the keys of a topic are (label `kafkasources.sources.knative.dev/key-type`)."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BYTES = "byte-array"


def is_event(headers: Headers) -> bool:
    """Whether a record means to be a CloudEvent, well-formed or not."""
    content_type = _content_type(headers)
    if content_type is not None and json_format.means_envelope(content_type):
        return True
    return any(name == "ce_specversion" for name, _ in headers)


def decode(headers: Headers, value: bytes | None) -> Event | Invalid:
    """The event of a record. Its key is not looked at: the binding forbids to make an attribute of it."""
    content_type = _content_type(headers)
    if content_type is not None and json_format.means_envelope(content_type):
        envelope = json_format.envelope_of(content_type.decode("latin-1"))
        if isinstance(envelope, Invalid):
            return envelope
        if envelope is json_format.Envelope.BATCH:
            return Invalid("A record holds a batch of events; Kafka's binding knows none.", status=415)
        return json_format.decode_event(value or b"")
    attributes: dict[str, Value] = {}
    for header, content in headers:
        if not header.startswith(PREFIX) or content is None:
            continue
        name = header[len(PREFIX) :]
        if (fault := name_fault(name)) is not None:
            return fault
        if name in attributes:
            return Invalid(f"{name} is there twice, as two {header} headers.", name)
        try:
            attributes[name] = content.decode()
        except UnicodeDecodeError:
            return Invalid(f"{header} is not UTF-8.", name)
    if content_type is not None:
        attributes["datacontenttype"] = content_type.decode("latin-1")
    return fault_of(attributes) or Event(attributes, value)


def encode_binary(event: Event) -> tuple[list[tuple[str, bytes]], bytes | None]:
    """Headers and value. No data is no value, which a compacted topic takes for a deletion."""
    headers = [
        (PREFIX + name, text_of(value).encode())
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    ]
    content_type = json_format.content_type_of(event)
    if content_type is not None:
        headers.append((CONTENT_TYPE, content_type.encode()))
    return headers, event.data


def encode_structured(event: Event) -> tuple[list[tuple[str, bytes]], bytes]:
    """Headers and value."""
    return [(CONTENT_TYPE, json_format.MEDIA_TYPE.encode())], json_format.encode_event(event)


def partition_key(event: Event) -> bytes | None:
    """The record's key for whoever asks for it: the event's `partitionkey`, which the event keeps."""
    key = event.attributes.get(PARTITION_KEY)
    return None if key is None else text_of(key).encode()


def event_of_record(record: Record, source: str, key_type: KeyType = KeyType.STRING) -> Event:
    """An event for a record that is none, as KafkaSource makes it; `source` is the path of the resource."""
    attributes: dict[str, Value] = {
        "specversion": "1.0",
        "id": f"partition:{record.partition}/offset:{record.offset}",
        "source": f"{source}#{record.topic}",
        "type": SOURCE_TYPE,
        "subject": f"partition:{record.partition}#{record.offset}",
    }
    if record.timestamp_ms is not None and 0 <= record.timestamp_ms < _YEAR_10000_MS:
        moment = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
        attributes["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if record.key is not None:
        attributes["key"] = attributes[PARTITION_KEY] = key_text(record.key, key_type)
    for header, content in record.headers:
        if content is None:
            continue
        if header.lower() == CONTENT_TYPE and is_media_type(content.decode("latin-1")):
            attributes["datacontenttype"] = content.decode("latin-1")
        name = "kafkaheader" + _NOT_IN_NAMES.sub("", header.lower())
        attributes[name] = without_bad_characters(content.decode("utf-8", "replace"))
    return Event(attributes, record.value)


def key_text(key: bytes, key_type: KeyType) -> str:
    """A key as an attribute: numbers in decimal, bytes (and what is not what it should be) in base64."""
    size = len(key)
    if key_type is KeyType.INT and size in (1, 2, 4, 8):
        return str(int.from_bytes(key, "big", signed=True))
    if key_type is KeyType.FLOAT and size in (4, 8):
        return repr(struct.unpack(">f" if size == 4 else ">d", key)[0])
    if key_type is KeyType.STRING:
        try:
            text = key.decode()
        except UnicodeDecodeError:
            pass
        else:
            if without_bad_characters(text) == text:
                return text
    return base64.b64encode(key).decode()


def _content_type(headers: Headers) -> bytes | None:
    return next((value for name, value in headers if name.lower() == CONTENT_TYPE), None)
