"""deploy/runtimes/function/events.py and shapes.py: reading and writing CloudEvents, plain answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.v1.event import CloudEvent as SdkEvent
from hypothesis import given
from hypothesis import strategies as st

from deploy.runtimes.function import events, shapes

ATTRIBUTES = {"specversion": "1.0", "id": "1", "type": "t", "source": "/s"}
BINARY = {f"ce-{name}": value for name, value in ATTRIBUTES.items()}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}


def structured(**changes: Any) -> bytes:
    return json.dumps({**ATTRIBUTES, **changes}).encode()


@pytest.mark.parametrize(
    ("label", "headers", "body", "data"),
    [
        ("binary json", {**BINARY, "content-type": "application/json"}, b'{"a": 1}', {"a": 1}),
        ("binary, json by suffix", {**BINARY, "content-type": "application/x+json; a=b"}, b"[1]", [1]),
        ("binary text", {**BINARY, "content-type": "text/plain"}, b"hi", "hi"),
        ("binary bytes", {**BINARY, "content-type": "application/octet-stream"}, b"\xff", b"\xff"),
        ("binary, nothing", BINARY, b"", None),
        ("structured", STRUCTURED, structured(data=[1]), [1]),
        ("structured, base64", STRUCTURED, structured(data_base64="/w=="), b"\xff"),
        ("structured wins over ce- headers", {**STRUCTURED, "ce-id": "other"}, structured(data="x"), "x"),
    ],
)
def test_decode(label: str, headers: dict[str, str], body: bytes, data: Any) -> None:
    attributes, found = events.decode(headers, body)
    assert {name: attributes[name] for name in ATTRIBUTES} == ATTRIBUTES
    assert found == data


@pytest.mark.parametrize(
    ("label", "headers", "body", "status", "said"),
    [
        ("nothing", {}, b"", 400, "specversion is None"),
        ("no id", {k: v for k, v in BINARY.items() if k != "ce-id"}, b"", 400, "'id' is missing"),
        ("an empty source", {**BINARY, "ce-source": ""}, b"", 400, "'source' is missing or empty"),
        ("a number for an id", STRUCTURED, structured(id=5), 400, "'id'"),
        ("a version to come", {**BINARY, "ce-specversion": "2.0"}, b"", 400, "specversion is '2.0'"),
        ("no json", STRUCTURED, b"{", 400, "not valid JSON"),
        ("a list", STRUCTURED, b"[]", 400, "JSON list"),
        ("bad data", {**BINARY, "content-type": "application/json"}, b"{", 400, "data is not valid JSON"),
        ("bad base64", STRUCTURED, structured(data_base64="%"), 400, "not base64"),
        ("bad percent-encoding", {**BINARY, "ce-subject": "%FF"}, b"", 400, "percent-encoded"),
        ("a batch", {"content-type": "application/cloudevents-batch+json"}, b"[]", 415, "batches"),
        ("another format", {"content-type": "application/cloudevents+avro"}, b"", 415, "cloudevents+avro"),
    ],
)
def test_what_is_no_event(label: str, headers: dict[str, str], body: bytes, status: int, said: str) -> None:
    with pytest.raises(events.NotAnEvent, match=r".") as refused:
        events.decode(headers, body)
    assert (refused.value.status, said in str(refused.value)) == (status, True), refused.value


def test_our_event_answers_to_either_spelling() -> None:
    event = events.CloudEvent({**ATTRIBUTES, "myext": "e"}, {"a": 1})
    assert event["type"] == event.type == event.get_type() == event.get("type") == "t"
    assert event.data == event.get_data() == {"a": 1}
    assert event.get_extension("myext") == "e"
    assert event.get_subject() is None
    assert "id" in event
    assert "subject" not in event
    with pytest.raises(AttributeError, match="subject"):
        _ = event.subject


def test_the_sdks_event_is_made_where_the_signature_asks_for_it_and_invents_no_time() -> None:
    make = events.maker(SdkEvent)
    timed = make({**ATTRIBUTES, "time": "2026-01-02T03:04:05Z"}, None)
    assert timed.get_time() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert make(dict(ATTRIBUTES), None).get_time() is None
    with pytest.raises(events.NotAnEvent, match="time"):
        make({**ATTRIBUTES, "time": "soon"}, None)


@given(st.text(min_size=1), st.dictionaries(st.text(), st.integers()))
def test_what_is_written_is_read_again(text: str, data: dict[str, int]) -> None:
    text = text.encode("utf-8", "ignore").decode() or "x"
    pairs, body = events.encode({**ATTRIBUTES, "subject": text}, data)
    attributes, found = events.decode({name.decode(): value.decode("ascii") for name, value in pairs}, body)
    assert attributes["subject"] == text
    assert found == data


@pytest.mark.parametrize(
    ("value", "event"),
    [
        ({"a": 1}, False),
        ("text", False),
        (None, False),
        ({**ATTRIBUTES, "data": 1}, True),
        (SdkEvent({"type": "t", "source": "/s"}), True),
        (events.CloudEvent(ATTRIBUTES), True),
    ],
)
def test_what_counts_as_an_event_in_an_answer(value: Any, event: bool) -> None:
    assert (events.parts(value) is not None) == event


@pytest.mark.parametrize(
    ("value", "body", "kind"),
    [
        ("ä", "ä".encode(), b"text/plain; charset=utf-8"),
        (b"x", b"x", b"application/octet-stream"),
        ({"ä": [1]}, '{"ä":[1]}'.encode(), b"application/json"),
        (True, b"true", b"application/json"),
        (0, b"0", b"application/json"),
    ],
)
def test_plain_answers(value: Any, body: bytes, kind: bytes) -> None:
    found, header = shapes.encode(value)
    assert (found, header and header[1]) == (body, kind)
