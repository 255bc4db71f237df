"""The JSON event format and its batch: the bodies of structured and batched messages, whatever carries them.

Reads only the outermost object itself and takes each member as the slice of text that it is: data passes through byte
for byte (numbers of any size, the order and spelling of its members), which a parse and a new rendering would not do.
Used by the HTTP codec and by the Kafka and AMQP bindings; knows nothing of headers.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from json.scanner import make_scanner
from typing import Any, Final, NoReturn, TypeAlias

import orjson

from eventing.attributes import INTEGER_GREATEST, INTEGER_LEAST, KNOWN, SHOWN_MAX, Invalid, fault_of, name_fault, shown
from eventing.event import Event, Value, is_json

MEDIA_TYPE: Final = "application/cloudevents+json"
BATCH_MEDIA_TYPE: Final = "application/cloudevents-batch+json"
FAULTS_MAX: Final = 20
"""Of one batch are told."""

_PREFIX: Final = "application/cloudevents"
_CHARSET = re.compile(r'charset\s*=\s*"?([^\s";]*)')
_CHARSETS: Final = ("utf-8", "us-ascii")

_SPACE = re.compile(r"[ \t\n\r]*")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DIGITS_MAX: Final = 11  # a sign and ten digits: what a 32-bit integer can have

# A member whose value is a string without escapes, with what follows it: nearly all of an event.
_PLAIN_MEMBER = re.compile(r'[ \t\n\r]*+"([a-z0-9_]++)"[ \t\n\r]*+:[ \t\n\r]*+("[^"\\\x00-\x1f]*+")[ \t\n\r]*+([,}])')

_Members: TypeAlias = dict[str, str]  # name → value, as the JSON text that it is


class Envelope(StrEnum):
    """What the body of a message is whose media type says CloudEvents."""

    EVENT = "event"
    BATCH = "batch"


def means_envelope(content_type: str | bytes) -> bool:
    """Whether the media type is one of CloudEvents' own, so that the attributes are in the body."""
    start = content_type[: len(_PREFIX)].lower()
    return start == _PREFIX or start == _PREFIX.encode()


def envelope_of(content_type: str) -> Envelope | Invalid:
    """Which envelope such a media type names, if it is one of this format, in UTF-8."""
    media_type, _, parameters = content_type.lower().partition(";")
    media_type = media_type.strip()
    charset = _CHARSET.search(parameters)
    if charset is not None and charset[1] not in _CHARSETS:
        return Invalid(f"Content-Type has charset {shown(charset[1])}; JSON is UTF-8.", status=415)
    if media_type == MEDIA_TYPE:
        return Envelope.EVENT
    if media_type == BATCH_MEDIA_TYPE:
        return Envelope.BATCH
    return Invalid(
        f"Content-Type is {shown(media_type)}; {MEDIA_TYPE} and {BATCH_MEDIA_TYPE} are the event formats understood. "
        "With any other media type the attributes go into headers.",
        status=415,
    )


class _Fault(Exception):
    """Ends the reading of one event, or of the document."""

    def __init__(self, detail: str, attribute: str = "") -> None:
        super().__init__(detail)
        self.invalid = Invalid(detail, attribute)


def decode_event(body: bytes) -> Event | Invalid:
    """The event of a structured message."""
    try:
        text = _text_of(body)
        members, end = _members(text, _skip(text, 0))
        _ended(text, end, "the event")
        return _event(members)
    except _Fault as fault:
        return fault.invalid


def decode_batch(body: bytes, event_bytes_max: int) -> list[Event] | Invalid:
    """All events of a batch, in order, or what is wrong with those that are not."""
    events: list[Event] = []
    faults: list[Invalid] = []
    try:
        text = _text_of(body)
        for position, (start, end) in enumerate(_elements(text)):
            found = _element(text, start, end, event_bytes_max)
            if isinstance(found, Event):
                events.append(found)
            elif len(faults) < FAULTS_MAX:
                detail = f"Event {position} of the batch, counted from 0: {found.detail}"
                faults.append(Invalid(detail, found.attribute, found.status, position))
    except _Fault as fault:
        return fault.invalid
    return replace(faults[0], also=tuple(faults[1:])) if faults else events


def encode_event(event: Event) -> bytes:
    """The body of a structured message."""
    return orjson.dumps(_document(event))


def encode_batch(events: Sequence[Event]) -> bytes:
    """The body of a batched message."""
    return orjson.dumps([_document(event) for event in events])


def content_type_of(event: Event) -> str | None:
    """What a binary message says of the data: JSON that says nothing of itself, as this format allows, is named."""
    content_type = event.attributes.get("datacontenttype")
    if content_type is not None:
        return str(content_type)
    return "application/json" if event.data is not None and parses_as_json(event.data) else None


def parses_as_json(data: bytes) -> bool:
    """Whether the bytes are one JSON text, in UTF-8."""
    try:
        orjson.loads(data)
    except ValueError:
        return False
    return True


def _document(event: Event) -> dict[str, Any]:
    """With data in its most readable member: JSON as itself, text as a string, everything else in base64."""
    document: dict[str, Any] = dict(event.attributes)
    data = event.data
    if data is None:
        return document
    if _is_older_base64(document):
        document["data"] = data.decode("ascii", "replace")
        return document
    content_type = str(document.get("datacontenttype", "application/json"))
    if is_json(content_type):
        if parses_as_json(data):
            document["data"] = orjson.Fragment(data)
            return document
    elif _is_text(content_type):
        try:
            document["data"] = data.decode()
        except UnicodeDecodeError:
            pass
        else:
            return document
    encoded = base64.b64encode(data).decode()
    if document["specversion"] == "0.3":
        return {**document, "datacontentencoding": "base64", "data": encoded}
    document["data_base64"] = encoded
    return document


def _is_text(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.startswith("text/") or media_type.endswith(("/xml", "+xml"))


def _event(members: _Members) -> Event:
    attributes: dict[str, Value] = {}
    for name, raw in members.items():
        if name == "data" or name == "data_base64":
            continue
        if name not in KNOWN and (fault := name_fault(name)) is not None:
            raise _Fault(fault.detail, fault.attribute)
        if raw[0] == '"':
            attributes[name] = _string_of(raw)
        elif raw != "null":
            attributes[name] = _number_or_truth(name, raw)
    if (fault := fault_of(attributes)) is not None:
        raise _Fault(fault.detail, fault.attribute)
    if _is_older_base64(attributes) and members.get("data", "")[:1] == '"':
        return Event(attributes, _utf8(_string_of(members["data"])))
    return Event(attributes, _data(members, attributes.get("datacontenttype")))


def _is_older_base64(attributes: Mapping[str, Value]) -> bool:
    """In CloudEvents 0.3 an attribute says that data is text in base64, which is carried as that text in every mode."""
    return attributes["specversion"] == "0.3" and attributes.get("datacontentencoding") == "base64"


def _number_or_truth(name: str, raw: str) -> int | bool:
    if raw == "true" or raw == "false":
        return raw == "true"
    if raw[0] in "{[":
        kind = "an object" if raw[0] == "{" else "an array"
        raise _Fault(f"{name} is {kind}; strings, integers, true, false and null are allowed.", name)
    if not _INTEGER.fullmatch(raw):
        raise _Fault(f"{name} is {raw[:SHOWN_MAX]}; a number without fraction and exponent is allowed.", name)
    if len(raw) > _DIGITS_MAX or not INTEGER_LEAST <= int(raw) <= INTEGER_GREATEST:
        raise _Fault(f"{name} is {raw[:SHOWN_MAX]}; {INTEGER_LEAST} to {INTEGER_GREATEST} is allowed.", name)
    return int(raw)


def _data(members: _Members, content_type: Value | None) -> bytes | None:
    raw, encoded = members.get("data"), members.get("data_base64", "null")
    if encoded != "null":
        if raw is not None:
            raise _Fault("data and data_base64 are both there; one of them is allowed.", "data_base64")
        return _base64(encoded)
    if raw is None:
        return None
    if content_type is None or is_json(str(content_type)):
        return _utf8(raw)
    if raw[0] != '"':
        raise _Fault(
            f"data is not a string though datacontenttype is {shown(content_type)}; JSON stands there for JSON media "
            "types only. Give the data as a string, or in data_base64.",
            "data",
        )
    return _utf8(_string_of(raw))


def _base64(raw: str) -> bytes:
    if raw[0] == '"':
        try:
            return base64.b64decode(_string_of(raw), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise _Fault("data_base64 is not a string in base64 (RFC 4648, with padding).", "data_base64")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _Fault("data has an unpaired surrogate, which UTF-8 cannot carry.", "data") from None


# --- JSON, one level deep ---


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Numbers inside data are skipped over, not converted: `str` returns what it gets.
_scan = make_scanner(  # typeshed takes the scanner's context for a scanner
    json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)  # type: ignore[arg-type]
)


def _text_of(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise _Fault(f"The body is not UTF-8: byte {error.start} begins no character.") from None


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _members(text: str, position: int) -> tuple[_Members, int]:
    """The members of the object that begins here, and where it ends."""
    if text[position : position + 1] != "{":
        raise _Fault(f"A JSON object is expected at character {position}, {_found(text, position)} is found.")
    members: _Members = {}
    position = _skip(text, position + 1)
    if text[position : position + 1] == "}":
        return members, position + 1
    while True:
        match = _PLAIN_MEMBER.match(text, position)
        if match is not None:
            name, raw, after = match.groups()
            position = match.end()
        else:
            name, raw, after, position = _member(text, position)
        if name in members:
            raise _Fault(f"{shown(name)} is there twice.", name)
        members[name] = raw
        if after == "}":
            return members, position


def _member(text: str, position: int) -> tuple[str, str, str, int]:
    """One member of whatever sort: its name, its value as it is written, what follows it, and where that ends."""
    position = _skip(text, position)
    if text[position : position + 1] != '"':
        raise _Fault(f"A member's name is expected at character {position}, {_found(text, position)} is found.")
    name, position = _string(text, position)
    position = _skip(text, position)
    if text[position : position + 1] != ":":
        raise _Fault(f"':' is expected at character {position}, {_found(text, position)} is found.")
    start = _skip(text, position + 1)
    end = _end_of_value(text, start)
    position = _skip(text, end)
    after = text[position : position + 1]
    if after not in (",", "}"):
        raise _Fault(f"',' or '}}' is expected at character {position}, {_found(text, position)} is found.")
    return name, text[start:end], after, position + 1


def _elements(text: str) -> list[tuple[int, int]]:
    position = _skip(text, 0)
    if text[position : position + 1] != "[":
        raise _Fault(f"A batch is a JSON array; {_found(text, position)} is found at character {position}.")
    spans: list[tuple[int, int]] = []
    position = _skip(text, position + 1)
    if text[position : position + 1] == "]":
        _ended(text, position + 1, "the batch")
        return spans
    while True:
        end = _end_of_value(text, position)
        spans.append((position, end))
        position = _skip(text, end)
        after = text[position : position + 1]
        if after == "]":
            _ended(text, position + 1, "the batch")
            return spans
        if after != ",":
            raise _Fault(f"',' or ']' is expected at character {position}, {_found(text, position)} is found.")
        position = _skip(text, position + 1)


def _element(text: str, start: int, end: int, event_bytes_max: int) -> Event | Invalid:
    size = end - start if text.isascii() else len(text[start:end].encode("utf-8", "replace"))
    if size > event_bytes_max:
        return Invalid(f"it has {size} bytes; {event_bytes_max} are allowed.", "", 413)
    try:
        return _event(_members(text, start)[0])
    except _Fault as fault:
        return fault.invalid


def _end_of_value(text: str, start: int) -> int:
    try:
        end: int = _scan(text, start)[1]
    except StopIteration as stop:
        place = stop.value
        raise _Fault(f"A JSON value is expected at character {place}, {_found(text, place)} is found.") from None
    except json.JSONDecodeError as error:
        raise _Fault(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    except ValueError as error:
        raise _Fault(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise _Fault("The body is nested too deep.") from None
    return end


def _string(text: str, start: int) -> tuple[str, int]:
    try:
        string, end = _scan(text, start)
    except json.JSONDecodeError as error:
        raise _Fault(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    return str(string), end


def _string_of(raw: str) -> str:
    return str(_scan(raw, 0)[0]) if "\\" in raw else raw[1:-1]


def _ended(text: str, position: int, what: str) -> None:
    position = _skip(text, position)
    if position < len(text):
        raise _Fault(f"{_found(text, position)} follows {what} at character {position}.")


def _found(text: str, position: int) -> str:
    return shown(text[position]) if position < len(text) else "the end"
