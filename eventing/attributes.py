"""The rules of context attributes, the same for every wire format: names, types, and the syntax of each value.

Codecs and bindings call `fault_of` on what they have read, before an `Event` is made of it. What it finds wrong is told
as a sentence with the attribute, what was found and what is allowed. Nothing is filled in: an event without `id`,
`specversion` or `type` is not an event, and one without `time` stays without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from eventing.event import Value

REQUIRED: Final = ("specversion", "id", "source", "type")
KNOWN: Final = frozenset((*REQUIRED, "datacontenttype", "dataschema", "subject", "time"))
"""What CloudEvents itself defines; every other attribute is an extension."""
SPECVERSIONS: Final = ("1.0", "0.3")
"""What is taken, and passed on as it is: Knative's brokers take both, and none makes the one of the other."""
INTEGER_LEAST: Final = -(2**31)
INTEGER_GREATEST: Final = 2**31 - 1
SHOWN_MAX: Final = 80
"""Characters of a bad value that its sentence repeats."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why something is not an event that is taken: a sentence, and the HTTP status that goes with it.

    In a batch `position` says which event, counted from 0, and `also` what is wrong with others of it.
    """

    detail: str
    attribute: str = ""
    status: int = 400
    position: int | None = None
    also: tuple[Invalid, ...] = ()


_NAME = re.compile(r"[a-z0-9]+")
# Control characters, surrogates and noncharacters are not text (CloudEvents 1.0.2, section 2.3).
_NOT_TEXT = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
_PCHAR: Final = r"[A-Za-z0-9\-._~!$&'()*+,;=:@]"
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.\-]*+:"
_AFTER_SCHEME: Final = (
    r"(?://(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*+@)?"  # user
    r"(?:\[[0-9A-Fa-f:.]++\]|\[v[0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++\]"  # address
    r"|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+)(?::[0-9]*+)?(?=[/?#]|\Z)|(?!//))"  # or name, and port
    rf"(?:{_PCHAR}|/|%[0-9A-Fa-f]{{2}})*+"  # path
    rf"(?:\?(?:{_PCHAR}|[/?]|%[0-9A-Fa-f]{{2}})*+)?(?:#(?:{_PCHAR}|[/?]|%[0-9A-Fa-f]{{2}})*+)?"
)
_URI = re.compile(_SCHEME + _AFTER_SCHEME)
_URI_REFERENCE = re.compile(rf"(?:{_SCHEME}|(?![^/?#]*:)){_AFTER_SCHEME}")
_TIMESTAMP = re.compile(
    r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~\-]++"
_MEDIA_TYPE = re.compile(
    rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*(?:{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*+"))?)*[ \t]*', re.DOTALL
)


def fault_of(attributes: Mapping[str, Value]) -> Invalid | None:
    """What is wrong with a whole set of attributes, the first thing only; None where it is an event's."""
    for name in REQUIRED:
        value = attributes.get(name)
        if not value or not isinstance(value, str):
            return _required(name, value)
    if attributes["specversion"] not in SPECVERSIONS:
        return Invalid(f"specversion is {shown(attributes['specversion'])}; '1.0' and '0.3' are taken.", "specversion")
    for name, value in attributes.items():
        if name in _CHECKS:
            if (fault := _CHECKS[name](name, value)) is not None:
                return fault
        elif isinstance(value, str) and not value.isprintable() and (fault := _text_fault(name, value)) is not None:
            return fault
    return None


def name_fault(name: str) -> Invalid | None:
    """What is wrong with an attribute's name."""
    if not _NAME.fullmatch(name):
        found = f"{shown(name)} cannot name an attribute" if name else "an attribute has no name"
        return Invalid(f"{found}: lower-case letters a-z and digits 0-9 are allowed, at least one.", name[:SHOWN_MAX])
    if name == "data":
        return Invalid("data cannot name an attribute: it is the event's data, which goes into the body.", name)
    return None


def is_uri_reference(text: str) -> bool:
    """By RFC 3986, section 4.1. The empty one is a reference, too."""
    return _URI_REFERENCE.fullmatch(text) is not None


def is_uri(text: str) -> bool:
    """With a scheme (RFC 3986, section 3)."""
    return _URI.fullmatch(text) is not None


def is_timestamp(text: str) -> bool:
    """By RFC 3339: a date that the calendar has, a time with an offset."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return False
    year, month, day = match.groups()
    if day < "29":
        return True
    try:
        date(int(year) or 4, int(month), int(day))  # Python has no year 0, which is a leap year as 4 is
    except ValueError:
        return False
    return True


def is_media_type(text: str) -> bool:
    """By RFC 2046, parameters included."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def without_bad_characters(text: str) -> str:
    """A text that an attribute may have: what is not allowed in one is U+FFFD."""
    return text if text.isprintable() else _NOT_TEXT.sub("\ufffd", text)


def shown(value: object) -> str:
    """A value as a sentence repeats it: quoted, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}… ({len(text)} characters)"


def _required(name: str, value: Value | None) -> Invalid:
    allowed = "'1.0' and '0.3' are taken" if name == "specversion" else "every event has one, not empty"
    if value is None:
        return Invalid(f"{name} is missing; {allowed}.", name)
    if value == "":
        return Invalid(f"{name} is empty; {allowed}.", name)
    return Invalid(f"{name} is {shown(value)}; it has to be a string.", name)


def _text_fault(name: str, value: Value) -> Invalid | None:
    if not isinstance(value, str):
        return Invalid(f"{name} is {shown(value)}; it has to be a string.", name)
    if not value.isprintable() and (match := _NOT_TEXT.search(value)) is not None:
        return Invalid(
            f"{name} has U+{ord(match[0]):04X} at character {match.start()}; control characters, surrogates and "
            "noncharacters are not allowed.",
            name,
        )
    return None


def _filled_text_fault(name: str, value: Value) -> Invalid | None:
    return (
        Invalid(f"{name} is empty; leave it out, or give it a value.", name)
        if value == ""
        else _text_fault(name, value)
    )


def _source_fault(name: str, value: Value) -> Invalid | None:
    if isinstance(value, str) and _URI_REFERENCE.fullmatch(value):
        return None
    return Invalid(f"{name} is {shown(value)}; a URI-reference (RFC 3986) is allowed, such as '/orders/eu'.", name)


def _schema_fault(name: str, value: Value) -> Invalid | None:
    if isinstance(value, str) and _URI.fullmatch(value):
        return None
    return Invalid(f"{name} is {shown(value)}; a URI with its scheme (RFC 3986) is allowed.", name)


def _time_fault(name: str, value: Value) -> Invalid | None:
    if isinstance(value, str) and is_timestamp(value):
        return None
    return Invalid(
        f"{name} is {shown(value)}; a timestamp of RFC 3339 is allowed, such as '2018-04-05T17:31:00Z'.", name
    )


def _content_type_fault(name: str, value: Value) -> Invalid | None:
    if isinstance(value, str) and (value == "application/json" or _MEDIA_TYPE.fullmatch(value)):
        return None
    return Invalid(f"{name} is {shown(value)}; a media type is allowed, such as 'application/json'.", name)


_CHECKS: Final = {
    "id": _text_fault,
    "type": _text_fault,
    "source": _source_fault,
    "subject": _filled_text_fault,
    "time": _time_fault,
    "dataschema": _schema_fault,
    "datacontenttype": _content_type_fault,
}
