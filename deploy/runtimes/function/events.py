"""CloudEvents over HTTP for a function's `handle(event)`: binary and structured in, binary out.

A required attribute is never invented on receipt. The event that a function gets is of the class that its signature
names (SDK 1 or 2, whichever its environment has); where it names none, the small `CloudEvent` below, which answers to
the spelling of either SDK.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

REQUIRED = ("id", "source", "type")
SPECVERSIONS = ("1.0", "0.3")
# HTTP binding 3.1.3.2: every printable ASCII character but these three stands for itself.
HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in ' "%')


class NotAnEvent(ValueError):
    """What came is no CloudEvent; `status` is the answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class CloudEvent:
    """An event as `event["type"]`, `event.type` or `event.get_type()`, and `event.data` or `event.get_data()`."""

    def __init__(self, attributes: Mapping[str, Any], data: Any = None) -> None:
        self.attributes = dict(attributes)
        self.data = data

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]

    def __contains__(self, name: str) -> bool:
        return name in self.attributes

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "attributes":
            raise AttributeError(name)
        if name.startswith("get_"):
            return lambda: self.attributes.get(name[4:])
        try:
            return self.attributes[name]
        except KeyError:
            raise AttributeError(f"the event has no attribute {name!r}") from None

    def __repr__(self) -> str:
        return f"CloudEvent({self.attributes!r}, {self.data!r})"

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def keys(self) -> Any:
        return self.attributes.keys()

    def get_attributes(self) -> dict[str, Any]:
        return self.attributes

    def get_extension(self, name: str) -> Any:
        return self.attributes.get(name)

    def get_data(self) -> Any:
        return self.data


def decode(headers: Mapping[str, str], body: bytes) -> tuple[dict[str, Any], Any]:
    """Attributes and data of one request; header names in lower case. NotAnEvent."""
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/cloudevents-batch+json":
        raise NotAnEvent("batches of events are not accepted: send one event per request", 415)
    if media_type == "application/cloudevents+json":
        attributes, data = _decode_structured(body)
    elif media_type.startswith("application/cloudevents"):
        raise NotAnEvent(f"{media_type} is not accepted: use application/cloudevents+json", 415)
    else:
        attributes, data = _decode_binary(headers, content_type, body)
    if attributes.get("specversion") not in SPECVERSIONS:
        raise NotAnEvent(f"not a CloudEvent: specversion is {attributes.get('specversion')!r}, expected '1.0'")
    for name in REQUIRED:
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise NotAnEvent(f"not a CloudEvent: the attribute {name!r} is missing or empty")
    return attributes, data


def _decode_structured(body: bytes) -> tuple[dict[str, Any], Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise NotAnEvent(f"the event is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise NotAnEvent(f"the event is a JSON {type(document).__name__}, expected an object")
    data = document.pop("data", None)
    encoded = document.pop("data_base64", None)
    if encoded is not None:
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise NotAnEvent("data_base64 is not base64") from None
    return {name: value for name, value in document.items() if value is not None}, data


def _decode_binary(headers: Mapping[str, str], content_type: str, body: bytes) -> tuple[dict[str, Any], Any]:
    attributes: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith("ce-"):
            try:
                attributes[name[3:]] = unquote(value, errors="strict")
            except UnicodeDecodeError:
                raise NotAnEvent(f"the header {name} is not percent-encoded UTF-8") from None
    if content_type:
        attributes["datacontenttype"] = content_type
    return attributes, _decode_data(content_type, body)


def _decode_data(content_type: str, body: bytes) -> Any:
    if not body:
        return None
    media_type = content_type.partition(";")[0].strip().lower()
    if is_json(media_type):
        try:
            return json.loads(body)
        except ValueError as error:
            raise NotAnEvent(f"the data is not valid JSON: {error}") from None
    if media_type.startswith("text/"):
        return body.decode("utf-8", "replace")
    return body


def is_json(media_type: str) -> bool:
    return media_type in ("", "application/json", "text/json") or media_type.endswith("+json")


def maker(annotation: Any) -> Callable[[dict[str, Any], Any], Any]:
    """How to make the event that a parameter with this annotation expects."""
    if not isinstance(annotation, type) or annotation.__name__ != "CloudEvent":
        return CloudEvent
    if not annotation.__module__.startswith("cloudevents.core"):
        return annotation  # SDK 1: (attributes, data), all strings

    def make(attributes: dict[str, Any], data: Any) -> Any:
        time = attributes.get("time")
        if time is not None:
            try:
                attributes["time"] = datetime.fromisoformat(time)
            except (TypeError, ValueError):
                raise NotAnEvent(f"not a CloudEvent: time is {time!r}, expected RFC 3339") from None
        event = annotation(attributes, data)
        if time is None:
            event.get_attributes().pop("time", None)  # SDK 2 has written the time of receipt into it
        return event

    return make


def parts(value: Any) -> tuple[dict[str, Any], Any] | None:
    """Attributes and data where `value` is an event (of either SDK, ours, or a dictionary in the JSON format)."""
    if isinstance(value, dict):
        if "specversion" not in value or "type" not in value or "source" not in value:
            return None
        attributes = {name: item for name, item in value.items() if name not in ("data", "data_base64")}
        if "data_base64" in value:
            return attributes, base64.b64decode(value["data_base64"])
        return attributes, value.get("data")
    if not (isinstance(value, CloudEvent) or type(value).__module__.startswith("cloudevents.")):
        return None
    data = value.get_data() if hasattr(value, "get_data") else value.data
    attributes = value.get_attributes() if hasattr(value, "get_attributes") else value._attributes
    return dict(attributes), data


def encode(attributes: Mapping[str, Any], data: Any) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of an event in binary mode."""
    headers = [
        (f"ce-{name}".encode(), quote(_text(value), safe=HEADER_SAFE).encode())
        for name, value in attributes.items()
        if value is not None and name != "datacontenttype"
    ]
    content_type = attributes.get("datacontenttype")
    if isinstance(data, bytes | bytearray):
        body, usual = bytes(data), "application/octet-stream"
    elif isinstance(data, str):
        json_text = content_type is not None and is_json(content_type.partition(";")[0].strip().lower())
        body, usual = (json.dumps(data) if json_text else data).encode(), "text/plain; charset=utf-8"
    elif data is None:
        body, usual = b"", ""
    else:
        body, usual = json.dumps(data).encode(), "application/json"
    if content_type or usual:
        headers.append((b"content-type", (content_type or usual).encode()))
    return headers, body


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
