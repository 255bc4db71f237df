"""CloudEvents over HTTP: tables of the binding's rules, round trips of any event, and the SDK as a second opinion."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from cloudevents.core.bindings import http as sdk
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from eventing.attributes import Invalid
from eventing.codec import (
    DEFAULT_LIMITS,
    EVENT_BYTES_CARRIED,
    Limits,
    decode,
    encode_batch,
    encode_binary,
    encode_structured,
    is_event,
)
from eventing.event import Event, text_of
from tests.support.events import FILLED, PLAIN, events, plain

HEAD = tuple((f"ce-{name}".encode(), str(value).encode()) for name, value in PLAIN.items())
STRUCTURED = (b"content-type", b"application/cloudevents+json")
BATCH = (b"content-type", b"application/cloudevents-batch+json; charset=UTF-8")


def one(*fields: tuple[bytes, bytes], body: bytes = b"") -> Event:
    """The event of a binary message with these fields besides the required ones."""
    decoded = decode((*HEAD, *fields), body)
    assert isinstance(decoded, list), decoded
    (event,) = decoded
    return event


def fault(*fields: tuple[bytes, bytes], body: bytes = b"") -> Invalid:
    decoded = decode(fields, body)
    assert isinstance(decoded, Invalid), decoded
    return decoded


def texts(event: Event) -> Event:
    """As a binary mode shows it: every attribute a text, no data and empty data the same."""
    attributes = {name: text_of(value) for name, value in event.attributes.items()}
    return Event(dict(attributes), event.data or None)


# --- binary ---


def test_a_binary_message() -> None:
    event = one(
        (b"host", b"x"), (b"ce-time", b"2018-04-05T17:31:00Z"), (b"content-type", b"text/plain"), body=b"\x00hello"
    )
    assert event == plain(b"\x00hello", time="2018-04-05T17:31:00Z", datacontenttype="text/plain")


def test_a_message_without_a_body_has_no_data() -> None:
    assert one().data is None
    assert encode_binary(plain()) == (HEAD, b"")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        (b"%e2%82%ac", "€"),
        (b"%41%42C", "ABC"),
        (b"100%25", "100%"),
        (b"%2525", "%25"),
        (b'"a b"', "a b"),
        (b'"say \\"hi\\" \\\\ \\x"', 'say "hi" \\ x'),
        (b'"%20"', " "),
        (b'""', ""),
        (b"%22quoted%22", '"quoted"'),
        (b'a"b', 'a"b'),
        (b"a b", "a b"),
        (b"", ""),
        ("roh: ä".encode(), "roh: ä"),
        (b"true", "true"),
        (b"a+b", "a+b"),
    ],
)
def test_header_values_received(value: bytes, text: str) -> None:
    assert one((b"ce-ext", value)).attributes["ext"] == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Euro € 😀", b"Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ('a "b" 100%', b"a%20%22b%22%20100%25"),
        ("!#$&'()*+,-./:;<=>?@[\\]^_`{|}~", b"!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ("", b""),
        (True, b"true"),
        (False, b"false"),
        (-7, b"-7"),
    ],
)
def test_header_values_sent(text: str | int | bool, value: bytes) -> None:
    fields, _ = encode_binary(plain(ext=text))
    assert (b"ce-ext", value) in fields


@given(FILLED)
def test_a_header_value_is_encoded_as_the_standard_library_would(text: str) -> None:
    fields, _ = encode_binary(plain(ext=text))
    safe = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
    assert dict(fields)[b"ce-ext"] == quote(text, safe=safe).encode()


@pytest.mark.parametrize(
    ("fields", "attribute", "words"),
    [
        ([(b"ce-ext", b"%C0%A0")], "ext", "not UTF-8 after percent-decoding"),
        ([(b"ce-ext", b"%ff")], "ext", "not UTF-8"),
        ([(b"ce-ext", b"%ED%A0%80")], "ext", "not UTF-8"),
        ([(b"ce-ext", b"\xff")], "ext", "not UTF-8"),
        ([(b"ce-ext", b"100%")], "ext", "'%' at 3 is not followed by two hexadecimal digits"),
        ([(b"ce-ext", b"%zz")], "ext", "'%' at 0"),
        ([(b"ce-ext", b'"open')], "ext", "not one quoted string"),
        ([(b"ce-ext", b'"a" b')], "ext", "not one quoted string"),
        ([(b"ce-ext", b"%00")], "ext", "U+0000"),
        ([(b"ce-ext", b"%C2%85")], "ext", "U+0085"),
        ([(b"ce-", b"x")], "", "has no name"),
        ([(b"ce-my-ext", b"x")], "my-ext", "cannot name an attribute"),
        ([(b"ce-my_ext", b"x")], "my_ext", "cannot name an attribute"),
        ([(b"ce-data", b"x")], "data", "goes into the body"),
        ([(b"ce-datacontenttype", b"text/plain")], "datacontenttype", "Content-Type says it"),
        ([(b"ce-id", b"2")], "id", "id is there twice"),
        ([(b"content-type", b"a/b"), (b"content-type", b"a/b")], "datacontenttype", "there twice"),
        ([(b"content-type", b"json")], "datacontenttype", "a media type is allowed"),
        ([(b"ce-time", b"now")], "time", "time is 'now'; a timestamp of RFC 3339"),
        ([(b"ce-subject", b"")], "subject", "subject is empty"),
    ],
)
def test_binary_messages_refused(fields: list[tuple[bytes, bytes]], attribute: str, words: str) -> None:
    found = fault(*HEAD, *fields)
    assert (found.status, found.attribute) == (400, attribute)
    assert words in found.detail


@pytest.mark.parametrize("missing", list(PLAIN))
def test_nothing_is_invented(missing: str) -> None:
    found = fault(*(field for field in HEAD if field[0] != f"ce-{missing}".encode()))
    assert (found.status, found.attribute) == (400, missing)
    assert f"{missing} is missing" in found.detail


def test_the_time_is_not_invented_either() -> None:
    assert "time" not in one().attributes


def test_a_request_that_is_no_event_at_all_is_told_so() -> None:
    assert "there is no ce- header" in fault((b"content-type", b"application/json"), body=b"{}").detail
    assert "Content-Type is missing" in fault(body=b"{}").detail


# --- structured and batched ---


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+json",
        b"Application/CloudEvents+JSON; charset=UTF-8",
        b'application/cloudevents+json;charset="utf-8"',
        b"application/cloudevents+json; charset=us-ascii",
    ],
)
def test_a_structured_message(content_type: bytes) -> None:
    body = json.dumps({**PLAIN, "data": {"a": 1}}).encode()
    assert decode([(b"content-type", content_type)], body) == [plain(b'{"a": 1}')]


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+xml",
        b"application/cloudevents+avro; charset=utf-8",
        b"application/cloudevents",
        b"application/cloudevents-batch",
        b"application/cloudevents-batch+xml",
        b"application/cloudeventsjson",
        b"application/cloudevents+json; charset=utf-16",
    ],
)
def test_event_formats_that_are_not_understood(content_type: bytes) -> None:
    found = fault(*HEAD, (b"content-type", content_type), body=b"{}")
    assert found.status == 415


def test_batches() -> None:
    batch = [plain(b"{}", id="a"), plain(id="b", n=5)]
    fields, body = encode_batch(batch)
    assert decode(fields, body) == batch
    assert decode([BATCH], b"[]") == []
    assert fault(BATCH, body=b"[{}]").position == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (HEAD, True),
        ((STRUCTURED,), True),
        ((BATCH,), True),
        (((b"content-type", b"application/cloudevents+xml"),), True),
        (((b"content-type", b"application/json"),), False),
        (((b"ce-id", b"1"),), False),
        ((), False),
    ],
)
def test_what_means_to_be_an_event(fields: tuple[tuple[bytes, bytes], ...], expected: bool) -> None:
    assert is_event(fields) is expected


# --- sizes ---


@pytest.mark.parametrize("event", [plain(b"x" * EVENT_BYTES_CARRIED), plain(b"\xff" * EVENT_BYTES_CARRIED)])
def test_64_kibibytes_are_always_carried(event: Event) -> None:
    limits = Limits(event_bytes=EVENT_BYTES_CARRIED)
    assert decode(*encode_binary(event), limits) == [
        event.with_attributes(datacontenttype="application/json")
    ] or decode(*encode_binary(event), limits) == [event]


def test_above_the_limit() -> None:
    limit = DEFAULT_LIMITS.event_bytes
    assert limit == 1024 * 1024
    assert one(body=b"x" * limit).data == b"x" * limit
    too_large = fault(*HEAD, body=b"x" * (limit + 1))
    assert (too_large.status, too_large.detail) == (413, f"The body has {limit + 1} bytes; {limit} are allowed.")
    assert fault(STRUCTURED, body=b" " * (limit + 1)).status == 413
    assert fault(BATCH, body=b" " * (DEFAULT_LIMITS.batch_bytes + 1)).status == 413
    inside = fault(BATCH, body=b"[" + encode_structured(plain(b"\xff" * limit))[1] + b"]")
    assert (inside.status, inside.position) == (413, 0)


@pytest.mark.parametrize(("event_bytes", "batch_bytes"), [(65_535, 10**6), (10**6, 10**6 - 1)])
def test_limits_that_no_intermediary_may_have(event_bytes: int, batch_bytes: int) -> None:
    with pytest.raises(ValueError, match="event_bytes"):
        Limits(event_bytes, batch_bytes)


# --- round trips ---


def with_said_type(event: Event) -> Event:
    """A JSON event that left its type to the format has it said in binary mode."""
    if event.data and "datacontenttype" not in event.attributes and decode(*encode_binary(event)) != [texts(event)]:
        return event.with_attributes(datacontenttype="application/json")
    return event


@given(events())
def test_binary_and_back(event: Event) -> None:
    decoded = decode(*encode_binary(event))
    assert decoded == [texts(with_said_type(event))]


@given(events(values=FILLED))
def test_binary_to_structured_to_batch_to_binary(event: Event) -> None:
    (binary,) = decode(*encode_binary(event))  # type: ignore[misc]
    (structured,) = decode(*encode_structured(binary))  # type: ignore[misc]
    (batched,) = decode(*encode_batch([structured]))  # type: ignore[misc]
    (again,) = decode(*encode_binary(batched))  # type: ignore[misc]
    assert binary == structured == batched == again


@given(events(values=FILLED))
def test_the_sdk_reads_what_is_sent(event: Event) -> None:
    event = Event({**event.attributes, "time": "2018-04-05T17:31:00Z"})  # it knows no leap seconds, and parses data
    for fields, body in (encode_binary(event), encode_structured(event)):
        message = sdk.HTTPMessage({name.decode(): value.decode() for name, value in fields}, body)
        read = sdk.from_http(message, JSONFormat()).get_attributes()
        assert {**read, "time": event.attributes["time"]} == event.attributes


@given(FILLED, st.sampled_from([None, b"\x00\xff"]))
def test_what_the_sdk_sends_is_read(text: str, data: bytes | None) -> None:
    sent = CloudEvent({**PLAIN, "time": datetime(2018, 4, 5, tzinfo=UTC), "ext": text, "datacontenttype": "a/b"}, data)
    expected = plain(data, time="2018-04-05T00:00:00Z", ext=text, datacontenttype="a/b")
    for message in (sdk.to_binary_event(sent), sdk.to_structured_event(sent)):
        fields = [(name.encode(), value.encode()) for name, value in message.headers.items()]
        assert decode(fields, message.body) == [expected]


@given(st.lists(st.tuples(st.sampled_from([b"ce-id", b"ce-x", b"content-type", b"ce-%"]), st.binary(max_size=8))))
def test_any_fields_are_an_event_or_a_sentence(fields: list[tuple[bytes, bytes]]) -> None:
    assert isinstance(decode([*HEAD[:1], *HEAD[2:], *fields], b"{"), list | Invalid)
