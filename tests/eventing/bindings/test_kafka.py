"""Kafka's binding: tables, round trips, the SDK as a second opinion, and records that are no CloudEvents."""

from __future__ import annotations

import json
import struct

import pytest
from cloudevents.core.bindings import kafka as sdk
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from eventing.attributes import Invalid, fault_of
from eventing.bindings.kafka import (
    Headers,
    KeyType,
    Record,
    decode,
    encode_binary,
    encode_structured,
    event_of_record,
    is_event,
    key_text,
    partition_key,
)
from eventing.event import Event, text_of
from tests.support.events import FILLED, PLAIN, events, plain

HEADERS = [(f"ce_{name}", str(value).encode()) for name, value in PLAIN.items()]
STRUCTURED = ("content-type", b"application/cloudevents+json; charset=UTF-8")


def test_a_binary_record() -> None:
    extension = ("ce_ext", "ä%20".encode())
    headers = [*HEADERS, extension, ("Content-Type", b"application/avro"), ("other", b"\xff")]
    event = plain(b"\x00", ext="ä%20", datacontenttype="application/avro")  # nothing is percent-encoded here
    assert decode(headers, b"\x00") == event
    assert encode_binary(event) == (
        [*HEADERS, ("ce_ext", "ä%20".encode()), ("content-type", b"application/avro")],
        b"\x00",
    )


def test_no_data_is_no_value() -> None:
    assert encode_binary(plain()) == (HEADERS, None)
    assert decode(HEADERS, None) == plain()
    assert encode_structured(plain())[1] is not None
    assert decode(HEADERS, b"") == plain(b"")


def test_a_structured_record_is_read_from_its_value_alone() -> None:
    value = json.dumps({**PLAIN, "id": "inside", "data": [1]}).encode()
    assert decode([*HEADERS, STRUCTURED], value) == plain(b"[1]", id="inside")


@pytest.mark.parametrize(
    ("headers", "value", "attribute", "status"),
    [
        ([], b"{}", "specversion", 400),
        (HEADERS[1:], b"{}", "specversion", 400),
        ([*HEADERS, ("ce_id", b"2")], None, "id", 400),
        ([*HEADERS, ("ce_Ext", b"x")], None, "Ext", 400),
        ([*HEADERS, ("ce_x", b"\xff")], None, "x", 400),
        ([*HEADERS, ("ce_x", b"\x00")], None, "x", 400),
        ([*HEADERS, ("ce_time", b"noon")], None, "time", 400),
        ([STRUCTURED], None, "", 400),
        ([("content-type", b"application/cloudevents+avro")], b"", "", 415),
        ([("content-type", b"application/cloudevents-batch+json")], b"[]", "", 415),
    ],
)
def test_refused(headers: Headers, value: bytes | None, attribute: str, status: int) -> None:
    found = decode(headers, value)
    assert isinstance(found, Invalid)
    assert (found.attribute, found.status) == (attribute, status)


def test_an_absent_header_value_is_an_absent_attribute() -> None:
    assert decode([*HEADERS, ("ce_subject", None)], None) == plain()


def test_what_means_to_be_an_event() -> None:
    assert is_event(HEADERS)
    assert is_event([STRUCTURED])
    assert is_event([("CONTENT-TYPE", b"application/cloudevents+avro")])
    assert not is_event([("ce_id", b"1"), ("content-type", b"application/json")])


def test_the_key_is_the_partition_key_only_if_asked_and_never_becomes_an_attribute() -> None:
    event = plain(partitionkey="ä")
    assert partition_key(event) == "ä".encode()
    assert partition_key(plain(partitionkey=7)) == b"7"
    assert partition_key(plain()) is None
    assert decode(*encode_binary(event)) == event  # 10th defect of the SDK: it adds the record's key
    assert "partitionkey" not in plain().attributes


@given(events())
def test_a_binary_record_comes_back_as_text(event: Event) -> None:
    decoded = decode(*encode_binary(event))
    assert isinstance(decoded, Event)
    assert decoded.data == event.data
    decoded_attributes = dict(decoded.attributes)
    if "datacontenttype" not in event.attributes:
        assert decoded_attributes.pop("datacontenttype", "application/json") == "application/json"
    assert decoded_attributes == {name: text_of(value) for name, value in event.attributes.items()}


@given(events())
def test_a_structured_record_comes_back_as_it_was(event: Event) -> None:
    assert decode(*encode_structured(event)) == event


@given(events(values=FILLED))
def test_the_sdk_reads_what_is_sent(event: Event) -> None:
    event = Event({**event.attributes, "time": "2018-04-05T17:31:00Z"})
    for headers, value in (encode_binary(event), encode_structured(event)):
        message = sdk.KafkaMessage(headers=dict(headers), key=None, value=value or b"")
        read = sdk.from_kafka_event(message).get_attributes()
        assert {**read, "time": event.attributes["time"]} == event.attributes
    assert JSONFormat().get_content_type() == "application/cloudevents+json"


def record(**changes: object) -> Record:
    fields = {"topic": "orders", "partition": 3, "offset": 42, "timestamp_ms": 1_522_949_460_123}
    return Record(**{**fields, "key": None, "value": b"raw", "headers": [], **changes})  # type: ignore[arg-type]


SOURCE = "/apis/v1/namespaces/default/kafkasources/mine"


def test_a_record_that_is_no_event() -> None:
    event = event_of_record(
        record(key=b"k", headers=[("X-Trace.Id", b"a\x00b"), ("content-type", b"text/plain")]), SOURCE
    )
    assert event == Event(
        {
            "specversion": "1.0",
            "id": "partition:3/offset:42",
            "source": "/apis/v1/namespaces/default/kafkasources/mine#orders",
            "type": "dev.knative.kafka.event",
            "subject": "partition:3#42",
            "time": "2018-04-05T17:31:00.123Z",
            "key": "k",
            "partitionkey": "k",
            "kafkaheaderxtraceid": "a\ufffdb",
            "datacontenttype": "text/plain",
            "kafkaheadercontenttype": "text/plain",
        },
        b"raw",
    )


@pytest.mark.parametrize(
    ("key", "key_type", "text"),
    [
        (b"abc", KeyType.STRING, "abc"),
        (b"\xff", KeyType.STRING, "/w=="),
        (b"a\x00", KeyType.STRING, "YQA="),
        (b"", KeyType.STRING, ""),
        (struct.pack(">i", -5), KeyType.INT, "-5"),
        (struct.pack(">q", 2**40), KeyType.INT, str(2**40)),
        (b"abc", KeyType.INT, "YWJj"),
        (struct.pack(">d", 1.5), KeyType.FLOAT, "1.5"),
        (struct.pack(">f", 0.5), KeyType.FLOAT, "0.5"),
        (b"abc", KeyType.BYTES, "YWJj"),
    ],
)
def test_keys(key: bytes, key_type: KeyType, text: str) -> None:
    assert key_text(key, key_type) == text


@given(
    key=st.none() | st.binary(max_size=9),
    key_type=st.sampled_from(KeyType),
    timestamp_ms=st.none() | st.integers(-(2**63), 2**63 - 1),
    headers=st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9))),
)
def test_any_record_makes_a_valid_event(
    key: bytes | None, key_type: KeyType, timestamp_ms: int | None, headers: Headers
) -> None:
    made = event_of_record(record(key=key, timestamp_ms=timestamp_ms, headers=headers), SOURCE, key_type)
    assert fault_of(made.attributes) is None
