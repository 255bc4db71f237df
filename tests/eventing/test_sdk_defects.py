"""What the CloudEvents SDK for Python (2.2.0) does otherwise than the specification, done right here. One test each."""

from __future__ import annotations

import json

import pytest

from eventing.attributes import Invalid
from eventing.codec import decode, encode_batch, encode_binary, encode_structured
from eventing.event import Event
from tests.support.events import PLAIN, plain

HEAD = tuple((f"ce-{name}".encode(), str(value).encode()) for name, value in PLAIN.items())
STRUCTURED = (b"content-type", b"application/cloudevents+json")


def structured(**members: object) -> list[Event] | Invalid:
    return decode([STRUCTURED], json.dumps({**PLAIN, **members}).encode())


def test_1_invalid_utf_8_in_a_percent_encoded_header_is_refused() -> None:
    assert isinstance(decode([*HEAD, (b"ce-ext", b"%ff")], b""), Invalid)


def test_2_double_quoted_header_values_are_unescaped() -> None:
    assert decode([*HEAD, (b"ce-ext", b'"a \\"b\\""')], b"") == [plain(ext='a "b"')]


@pytest.mark.parametrize("name", ["id", "specversion"])
def test_3_what_is_missing_is_not_invented(name: str) -> None:
    assert isinstance(decode([field for field in HEAD if field[0] != b"ce-" + name.encode()], b""), Invalid)
    assert isinstance(structured(**{name: None}), Invalid)
    assert decode(HEAD, b"") == [plain()]  # and there is no time


@pytest.mark.parametrize("name", ["subject", "time", "ext"])
def test_4_a_null_attribute_is_an_absent_one(name: str) -> None:
    assert structured(**{name: None}) == [plain()]


def test_5_batches_are_read() -> None:
    assert decode(*encode_batch([plain(), plain(id="2")])) == [plain(), plain(id="2")]


def test_6_a_structured_message_with_ce_headers_is_structured() -> None:
    fields, body = encode_structured(plain(b"{}", id="in the body"))
    assert decode([*HEAD, *fields], body) == [plain(b"{}", id="in the body")]


def test_7_null_data_is_not_the_absence_of_data() -> None:
    assert structured(data=None) == [plain(b"null")]
    assert structured() == [plain(None)]
    assert json.loads(encode_structured(plain(b"null"))[1])["data"] is None
    assert "data" not in json.loads(encode_structured(plain())[1])


def test_8_a_boolean_leaves_in_lower_case() -> None:
    assert (b"ce-yes", b"true") in encode_binary(plain(yes=True))[0]


def test_9_bytes_stay_bytes() -> None:
    fields = [*HEAD, (b"content-type", b"application/octet-stream")]
    assert decode(fields, b"text") == [plain(b"text", datacontenttype="application/octet-stream")]


def test_11_nobody_elses_dictionary_is_changed() -> None:
    attributes = dict(PLAIN)
    event = Event(attributes)
    event.with_attributes(added="x", type=None)
    encode_binary(event)
    encode_structured(event)
    assert attributes == PLAIN
