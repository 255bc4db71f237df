"""CloudEvents as messages of RabbitMQ and back (AMQP protocol binding 1.0.3), and messages that are none as events.

Used by the RabbitMQ broker and RabbitmqSource. Knows no client library: a message is its content type, headers, body.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from eventing import json_format
from eventing.attributes import (
    INTEGER_GREATEST,
    INTEGER_LEAST,
    Invalid,
    fault_of,
    is_media_type,
    name_fault,
    shown,
    without_bad_characters,
)
from eventing.event import Event, Value

PREFIX: Final = "cloudEvents_"
PREFIXES: Final = (PREFIX, "cloudEvents:")
"""The first is what is sent: the binding prefers it. Both are understood."""
SOURCE_TYPE: Final = "dev.knative.rabbitmq.event"
SHORT_BYTES_MAX: Final = 255
"""Of a header's name and of the content type, in AMQP 0.9.1."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is published or consumed. Header values are whatever AMQP's types come as in Python."""

    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)
    message_id: str | None = None
    timestamp: datetime | None = None


def is_event(message: Message) -> bool:
    """Whether a message means to be a CloudEvent, well-formed or not."""
    if message.content_type is not None and json_format.means_envelope(message.content_type):
        return True
    return any(f"{prefix}specversion" in message.headers for prefix in PREFIXES)


def decode(message: Message) -> Event | Invalid:
    """The event of a message."""
    if message.content_type is not None and json_format.means_envelope(message.content_type):
        envelope = json_format.envelope_of(message.content_type)
        if isinstance(envelope, Invalid):
            return envelope
        if envelope is json_format.Envelope.BATCH:
            return Invalid("A message holds a batch of events; AMQP's binding knows none.", status=415)
        return json_format.decode_event(message.body)
    attributes: dict[str, Value] = {}
    for header, found in message.headers.items():
        if not header.startswith(PREFIXES) or found is None:
            continue
        name = header[len(PREFIX) :]
        if (fault := name_fault(name)) is not None:
            return fault
        if name in attributes:
            return Invalid(f"{name} is there twice, with both prefixes.", name)
        value = _value(name, found)
        if isinstance(value, Invalid):
            return value
        attributes[name] = value
    if message.content_type is not None:
        attributes["datacontenttype"] = message.content_type
    return fault_of(attributes) or Event(attributes, message.body or None)


def encode_binary(event: Event) -> Message:
    """The message of an event; a structured one where AMQP has no room for a name or the content type."""
    content_type = json_format.content_type_of(event)
    headers = {PREFIX + name: value for name, value in event.attributes.items() if name != "datacontenttype"}
    if any(len(text.encode()) > SHORT_BYTES_MAX for text in (*headers, content_type or "")):
        return encode_structured(event)
    return Message(event.data or b"", content_type, headers)


def encode_structured(event: Event) -> Message:
    """The message of an event, all of it in the body."""
    return Message(json_format.encode_event(event), json_format.MEDIA_TYPE)


def event_of_message(message: Message, source: str, queue: str, new_id: str) -> Event:
    """An event for a message that is none, as RabbitmqSource makes it.

    `source` is the resource's path, without the queue; `new_id` serves where the message has no id of its own, and is
    then another one when the message comes again.
    """
    own = message.message_id
    id = own if own and without_bad_characters(own) == own else new_id
    attributes: dict[str, Value] = {
        "specversion": "1.0",
        "id": id,
        "source": f"{source}#{quote(queue, safe='')}",
        "type": SOURCE_TYPE,
        "subject": id,
    }
    if message.timestamp is not None:
        attributes["time"] = _timestamp(message.timestamp)
    if message.content_type is not None and is_media_type(message.content_type):
        attributes["datacontenttype"] = message.content_type
    return Event(attributes, message.body or None)


def _value(name: str, found: object) -> Value | Invalid:
    """An attribute's value from AMQP's own type of it, or from its text."""
    if isinstance(found, str | bool):
        return found
    if isinstance(found, int):
        if INTEGER_LEAST <= found <= INTEGER_GREATEST:
            return found
        return Invalid(f"{name} is {found}; {INTEGER_LEAST} to {INTEGER_GREATEST} is allowed.", name)
    if isinstance(found, bytes):
        return base64.b64encode(found).decode()
    if isinstance(found, datetime):
        return _timestamp(found)
    return Invalid(f"{name} is {shown(found)}; text, integers, booleans, bytes and timestamps are allowed.", name)


def _timestamp(moment: datetime) -> str:
    """AMQP's timestamps are in UTC; a client may hand them over without saying so."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
