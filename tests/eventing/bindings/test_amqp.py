"""AMQP's binding: both prefixes, AMQP's types, round trips, the SDK as a second opinion, and other messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from cloudevents.core.bindings import amqp as sdk
from hypothesis import given
from hypothesis import strategies as st

from eventing.attributes import Invalid, fault_of
from eventing.bindings.amqp import Message, decode, encode_binary, encode_structured, event_of_message, is_event
from eventing.event import Event, Value
from tests.support.events import FILLED, PLAIN, events, plain

HEADERS: dict[str, object] = {f"cloudEvents_{name}": value for name, value in PLAIN.items()}
STRUCTURED = "application/cloudevents+json; charset=UTF-8"


def headers(**extra: object) -> dict[str, object]:
    return HEADERS | {f"cloudEvents_{name}": value for name, value in extra.items()}


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
def test_both_prefixes_are_read(prefix: str) -> None:
    found = {f"{prefix}{name}": value for name, value in PLAIN.items()} | {"x-other": b"\xff"}
    assert decode(Message(b"\x00", "a/b", found)) == plain(b"\x00", datacontenttype="a/b")


def test_a_binary_message() -> None:
    event = plain(b"\x00", datacontenttype="a/b", n=5, yes=True, text="ä 100%")
    assert encode_binary(event) == Message(b"\x00", "a/b", headers(n=5, yes=True, text="ä 100%"))
    assert encode_binary(plain()) == Message(b"", None, HEADERS)
    assert decode(Message(b"", None, HEADERS)) == plain()


@pytest.mark.parametrize(
    ("found", "value"),
    [
        ("text", "text"),
        (True, True),
        (-5, -5),
        (b"\x00\xff", "AP8="),
        (datetime(2018, 4, 5, 17, 31), "2018-04-05T17:31:00Z"),
        (datetime(2018, 4, 5, 17, 31, tzinfo=timezone(timedelta(hours=2))), "2018-04-05T15:31:00Z"),
        (None, None),
    ],
)
def test_types(found: object, value: Value | None) -> None:
    assert decode(Message(b"", None, headers(ext=found))) == plain().with_attributes(ext=value)


def test_the_time_may_be_a_timestamp_of_amqp() -> None:
    message = Message(b"", None, headers(time=datetime(2018, 4, 5, 17, 31, tzinfo=UTC)))
    assert decode(message) == plain(time="2018-04-05T17:31:00Z")


def test_a_structured_message_is_read_from_its_body_alone() -> None:
    body = json.dumps({**PLAIN, "id": "inside"}).encode()
    assert decode(Message(body, STRUCTURED, HEADERS)) == plain(id="inside")


@pytest.mark.parametrize(
    ("message", "attribute", "status"),
    [
        (Message(), "specversion", 400),
        (Message(b"", None, headers(id="")), "id", 400),
        (Message(b"", None, headers(id=5)), "id", 400),
        (Message(b"", None, headers(n=2**31)), "n", 400),
        (Message(b"", None, headers(d=Decimal(1))), "d", 400),
        (Message(b"", None, headers(d={})), "d", 400),
        (Message(b"", None, headers(Ext="x")), "Ext", 400),
        (Message(b"", None, headers() | {"cloudEvents:id": "1"}), "id", 400),
        (Message(b"", "json", headers()), "datacontenttype", 400),
        (Message(b"", "application/cloudevents+avro", headers()), "", 415),
        (Message(b"[]", "application/cloudevents-batch+json"), "", 415),
        (Message(b"{", STRUCTURED), "", 400),
    ],
)
def test_refused(message: Message, attribute: str, status: int) -> None:
    found = decode(message)
    assert isinstance(found, Invalid)
    assert (found.attribute, found.status) == (attribute, status)


def test_what_means_to_be_an_event() -> None:
    assert is_event(Message(b"", None, {"cloudEvents:specversion": "0.3"}))
    assert is_event(Message(b"", None, HEADERS))
    assert is_event(Message(b"", "application/cloudevents+avro"))
    assert not is_event(Message(b"{}", "application/json", {"cloudEvents_id": "1"}))


@given(events())
def test_either_mode_comes_back_as_it_was(event: Event) -> None:
    said = event
    if event.data and "datacontenttype" not in event.attributes and encode_binary(event).content_type:
        said = event.with_attributes(datacontenttype="application/json")
    assert decode(encode_binary(event)) == Event(said.attributes, said.data or None)
    assert decode(encode_structured(event)) == event


@pytest.mark.parametrize("event", [plain(**{"x" * 250: "y"}), plain(datacontenttype="a/b; c=" + "x" * 250)])
def test_what_amqp_has_no_room_for_goes_into_the_body(event: Event) -> None:
    message = encode_binary(event)
    assert message.content_type == "application/cloudevents+json"
    assert decode(message) == event


@given(events(values=FILLED))
def test_the_sdk_reads_what_is_sent(event: Event) -> None:
    event = Event({**event.attributes, "time": "2018-04-05T17:31:00Z"})
    for sent in (encode_binary(event), encode_structured(event)):
        properties = {} if sent.content_type is None else {"content-type": sent.content_type}
        read = sdk.from_amqp_event(sdk.AMQPMessage(properties, dict(sent.headers), sent.body)).get_attributes()
        assert {**read, "time": event.attributes["time"]} == event.attributes


SOURCE = "/apis/v1/namespaces/default/rabbitmqsources/mine"


def test_a_message_that_is_no_event() -> None:
    moment = datetime(2018, 4, 5, 17, 31, tzinfo=UTC)
    message = Message(b"raw", "text/plain", {"a": 1}, "message-1", moment)
    assert event_of_message(message, SOURCE, "my queue/1", "uuid") == Event(
        {
            "specversion": "1.0",
            "id": "message-1",
            "source": "/apis/v1/namespaces/default/rabbitmqsources/mine#my%20queue%2F1",
            "type": "dev.knative.rabbitmq.event",
            "subject": "message-1",
            "time": "2018-04-05T17:31:00Z",
            "datacontenttype": "text/plain",
        },
        b"raw",
    )


@given(st.none() | st.text(max_size=5), st.none() | st.text(max_size=5), st.text(max_size=5))
def test_any_message_makes_a_valid_event(message_id: str | None, content_type: str | None, queue: str) -> None:
    message = Message(b"", content_type, {}, message_id)
    made = event_of_message(message, SOURCE, queue.encode("utf-8", "replace").decode(), "uuid")
    assert fault_of(made.attributes) is None
