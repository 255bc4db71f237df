"""The JSON format: what is read from which document, what is refused in which words, and back again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.attributes import Invalid
from eventing.event import Event, Value
from eventing.json_format import FAULTS_MAX, decode_batch, decode_event, encode_batch, encode_event
from tests.support.events import PLAIN, events, plain

LIMIT = 64 * 1024


def document(extra: str = "") -> bytes:
    members = json.dumps(PLAIN)[1:-1]
    return f"{{{members}{', ' + extra if extra else ''}}}".encode()


def decoded(extra: str) -> Event:
    event = decode_event(document(extra))
    assert isinstance(event, Event), event
    return event


@pytest.mark.parametrize(
    ("extra", "data"),
    [
        ("", None),
        ('"data": null', b"null"),
        ('"data": {"b" : 1.10,"a":[ 1e400, 123456789012345678901234567890 ]}', None),
        ('"data": "a text"', b'"a text"'),
        ('"data": "\\u00e4\\ud83d\\ude00"', b'"\\u00e4\\ud83d\\ude00"'),
        ('"data": 0', b"0"),
        ('"data": false', b"false"),
        ('"datacontenttype": "application/vnd.x+json", "data": {"a": 1}', b'{"a": 1}'),
        ('"data": "{\\"a\\":1}", "datacontenttype": "text/plain"', b'{"a":1}'),
        ('"datacontenttype": "application/xml", "data": "<x a=\\"\\u00e4\\"/>"', '<x a="ä"/>'.encode()),
        ('"datacontenttype": null, "data": "x"', b'"x"'),
        ('"data_base64": "AAEC/w=="', b"\x00\x01\x02\xff"),
        ('"data_base64": ""', b""),
        ('"data_base64": null', None),
        ('"data_base64": null, "data": 1', b"1"),
        ('"datacontenttype": "application/json", "data_base64": "e30="', b"{}"),
    ],
)
def test_data(extra: str, data: bytes | None) -> None:
    if data is None and '"data":' in extra:
        data = extra.partition(": ")[2].encode()  # byte for byte as it was sent
    assert decoded(extra).data == data


@pytest.mark.parametrize(
    ("extra", "attributes"),
    [
        ('"subject": null, "time": null, "ext": null', {}),
        (
            '"ext": true, "other": false, "n": -5, "big": 2147483647',
            {"ext": True, "other": False, "n": -5, "big": 2**31 - 1},
        ),
        ('"ext": "\\u00e4 \\"q\\" \\\\ \\/"', {"ext": 'ä "q" \\ /'}),
        ('"ext": ""', {"ext": ""}),
        ('"\\u0065xt": "escaped name"', {"ext": "escaped name"}),
        ('"time": "2018-04-05t17:31:00.10+00:00"', {"time": "2018-04-05t17:31:00.10+00:00"}),
    ],
)
def test_attributes(extra: str, attributes: dict[str, Value]) -> None:
    assert decoded(extra).attributes == {**PLAIN, **attributes}


@pytest.mark.parametrize(
    ("body", "attribute", "words"),
    [
        (b"", "", "object is expected at character 0, the end is found"),
        (b"[]", "", "'[' is found"),
        (b'"x"', "", "object is expected"),
        (b"\xff{}", "", "not UTF-8: byte 0"),
        ("\ufeff{}".encode(), "", "object is expected"),
        (document()[:-1], "", "is expected at character"),
        (document() + b" x", "", "'x' follows the event"),
        (document('"a": 1,'), "", "member's name is expected"),
        (document('"a" 1'), "", "':' is expected"),
        (document('"a": 1 "b": 2'), "", "',' or '}' is expected"),
        (document('"a": nul'), "", "JSON value is expected"),
        (document('"data": {"a":NaN}'), "", "NaN is not JSON"),
        (document('"data": [1,]'), "", "JSON value is expected"),
        (document('"data": ' + "[" * 200_000), "", "nested too deep"),
        (document('"a": "line\nbreak"'), "", "control character"),
        (document('"id": "2"'), "id", "'id' is there twice"),
        (document('"data": 1, "data": 2'), "data", "'data' is there twice"),
        (document('"\\u0069d": "2"'), "id", "'id' is there twice"),
        (document('"data": null, "data_base64": "AA=="'), "data_base64", "both"),
        (document('"data_base64": "A"'), "data_base64", "not a string in base64"),
        (document('"data_base64": "A A="'), "data_base64", "not a string in base64"),
        (document('"data_base64": 5'), "data_base64", "not a string in base64"),
        (document('"datacontenttype": "text/plain", "data": {}'), "data", "data is not a string though"),
        (document('"datacontenttype": "text/plain", "data": "\\ud800"'), "data", "unpaired surrogate"),
        (document('"ext": {}'), "ext", "ext is an object"),
        (document('"ext": []'), "ext", "ext is an array"),
        (document('"ext": 1.0'), "ext", "ext is 1.0; a number without fraction"),
        (document('"ext": 1e3'), "ext", "without fraction and exponent"),
        (document('"ext": 2147483648'), "ext", "-2147483648 to 2147483647"),
        (document('"ext": ' + "9" * 10_000), "ext", "-2147483648 to 2147483647"),
        (document('"Ext": "x"'), "Ext", "cannot name an attribute"),
        (document('"my_ext": "x"'), "my_ext", "cannot name an attribute"),
        (document('"": "x"'), "", "has no name"),
        (document('"ext": "\\ud800"'), "ext", "U+D800"),
        (b'{"specversion":"1.0","id":"1","source":"/s"}', "type", "type is missing"),
        (b'{"specversion":"1.0","id":1,"source":"/s","type":"t"}', "id", "id is 1; it has to be a string"),
        (b'{"specversion":1.0,"id":"1","source":"/s","type":"t"}', "specversion", "1.0"),
        (b'{"specversion":null,"id":"1","source":"/s","type":"t"}', "specversion", "missing"),
    ],
    ids=lambda value: value[:60] if isinstance(value, bytes) else None,
)
def test_refused(body: bytes, attribute: str, words: str) -> None:
    fault = decode_event(body)
    assert isinstance(fault, Invalid)
    assert (fault.status, fault.attribute) == (400, attribute)
    assert words in fault.detail
    assert len(fault.detail) < 250


@pytest.mark.parametrize(
    ("event", "document"),
    [
        (plain(), {}),
        (plain(b"null"), {"data": None}),
        (
            plain(b'{"a":1}', datacontenttype="application/json"),
            {"datacontenttype": "application/json", "data": {"a": 1}},
        ),
        (
            plain(b"{", datacontenttype="application/json"),
            {"datacontenttype": "application/json", "data_base64": "ew=="},
        ),
        (plain(b"text", datacontenttype="text/plain"), {"datacontenttype": "text/plain", "data": "text"}),
        (plain(b"\xff", datacontenttype="text/plain"), {"datacontenttype": "text/plain", "data_base64": "/w=="}),
        (plain(b"<x/>", datacontenttype="image/svg+xml"), {"datacontenttype": "image/svg+xml", "data": "<x/>"}),
        (plain(b"ab", datacontenttype="image/png"), {"datacontenttype": "image/png", "data_base64": "YWI="}),
        (plain(b"\xff"), {"data_base64": "/w=="}),
        (plain(b"", datacontenttype="text/plain"), {"datacontenttype": "text/plain", "data": ""}),
        (plain(n=5, yes=True), {"n": 5, "yes": True}),
    ],
)
def test_encoded(event: Event, document: dict[str, Any]) -> None:
    assert json.loads(encode_event(event)) == {**PLAIN, **document}


@given(events())
def test_a_structured_event_comes_back_as_it_was(event: Event) -> None:
    assert decode_event(encode_event(event)) == event


@given(st.lists(events(), max_size=4))
def test_a_batch_comes_back_as_it_was(batch: list[Event]) -> None:
    assert decode_batch(encode_batch(batch), LIMIT) == batch


@given(events())
def test_other_parsers_read_the_same_attributes(event: Event) -> None:
    document = json.loads(encode_event(event))
    assert {name: value for name, value in document.items() if name not in ("data", "data_base64")} == event.attributes


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_json_document_is_an_event_or_a_sentence(value: Any) -> None:
    body = json.dumps(value).encode()
    assert isinstance(decode_event(body), Invalid)
    batch = decode_batch(body, LIMIT)
    assert batch == [] or isinstance(batch, Invalid)


@given(st.binary(max_size=200), st.integers(0, 150))
def test_any_bytes_are_an_event_or_a_sentence(noise: bytes, at: int) -> None:
    body = document('"data": {"a": [1, "x"]}')
    assert isinstance(decode_event(body[:at] + noise + body[at:]), Event | Invalid)
    assert isinstance(decode_batch(b"[" + body[:at] + noise + body[at:] + b"]", LIMIT), list | Invalid)


def test_an_empty_batch_is_a_batch() -> None:
    assert decode_batch(b" [ ] ", LIMIT) == []
    assert encode_batch([]) == b"[]"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (document(), "A batch is a JSON array; '{' is found"),
        (b"[", "value is expected"),
        (b"[] []", "follows the batch"),
        (b"[" + document() + b",]", "value is expected"),
        (b"[" + document() + b" " + document() + b"]", "',' or ']'"),
    ],
)
def test_what_is_no_batch(body: bytes, words: str) -> None:
    fault = decode_batch(body, LIMIT)
    assert isinstance(fault, Invalid)
    assert fault.position is None
    assert words in fault.detail


def test_every_bad_event_of_a_batch_is_named() -> None:
    big = document(f'"data": "{"x" * LIMIT}"')
    body = b"[" + b",".join([document(), b"{}", document('"time": "noon"'), b"7", big]) + b"]"
    fault = decode_batch(body, LIMIT)
    assert isinstance(fault, Invalid)
    found = [(one.position, one.attribute, one.status) for one in (fault, *fault.also)]
    assert found == [(1, "specversion", 400), (2, "time", 400), (3, "", 400), (4, "", 413)]
    assert fault.detail.startswith("Event 1 of the batch, counted from 0: specversion is missing")


def test_the_faults_of_a_batch_are_bounded() -> None:
    fault = decode_batch(b"[" + b",".join([b"{}"] * 1000) + b"]", LIMIT)
    assert isinstance(fault, Invalid)
    assert len(fault.also) == FAULTS_MAX - 1


def test_older_events_stay_as_they_are() -> None:
    plain = b'{"specversion":"0.3","id":"1","source":"/s","type":"t","schemaurl":"/a","data":{"a":1}}'
    encoded = plain.replace(b'"data":{"a":1}', b'"datacontentencoding":"base64","data":"AAEC"')
    for body, data in ((plain, b'{"a":1}'), (encoded, b"AAEC")):
        event = decode_event(body)
        assert isinstance(event, Event)
        assert event.data == data
        assert encode_event(event) == body
    binary = Event({"specversion": "0.3", "id": "1", "source": "/s", "type": "t", "datacontenttype": "a/b"}, b"\xff")
    assert b'"datacontentencoding":"base64","data":"/w=="' in encode_event(binary)
