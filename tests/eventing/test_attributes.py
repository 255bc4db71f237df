"""The rules of context attributes: a table of what is taken, and of what is refused in which words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.attributes import Invalid, fault_of, is_timestamp, is_uri, is_uri_reference, name_fault
from eventing.event import Value

GOOD: dict[str, Value] = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"time": "2018-04-05T17:31:00Z"},
        {"subject": "größe 世界 😀"},
        {"dataschema": "https://example.com/s.json", "datacontenttype": "application/json; charset=utf-8"},
        {"datacontenttype": 'multipart/mixed; boundary="a b"'},
        {"ext": ""},
        {"ext": True, "n": -(2**31)},
        {"averylongextensionnamethatislongerthantwenty": "x"},
        {"id": " "},
    ],
)
def test_taken(extra: dict[str, Value]) -> None:
    assert fault_of({**GOOD, **extra}) is None


@pytest.mark.parametrize(
    ("extra", "attribute", "words"),
    [
        ({"id": None}, "id", "id is missing"),
        ({"id": ""}, "id", "id is empty"),
        ({"id": 5}, "id", "id is 5; it has to be a string"),
        ({"source": None}, "source", "source is missing"),
        ({"type": ""}, "type", "type is empty"),
        ({"specversion": None}, "specversion", "specversion is missing; '1.0' and '0.3' are taken"),
        ({"specversion": "0.2"}, "specversion", "specversion is '0.2'; '1.0'"),
        ({"specversion": "1.1"}, "specversion", "'1.1'"),
        ({"specversion": "1"}, "specversion", "'1'"),
        ({"source": "a b"}, "source", "source is 'a b'; a URI-reference (RFC 3986) is allowed"),
        ({"source": "http://["}, "source", "URI-reference"),
        ({"time": "yesterday"}, "time", "time is 'yesterday'; a timestamp of RFC 3339 is allowed"),
        ({"time": ""}, "time", "time is ''"),
        ({"time": True}, "time", "time is True"),
        ({"subject": ""}, "subject", "subject is empty"),
        ({"subject": 5}, "subject", "it has to be a string"),
        ({"dataschema": "/relative"}, "dataschema", "a URI with its scheme"),
        ({"dataschema": ""}, "dataschema", "dataschema is ''"),
        ({"datacontenttype": "json"}, "datacontenttype", "a media type is allowed"),
        ({"datacontenttype": ""}, "datacontenttype", "a media type is allowed"),
        ({"type": "a\x00b"}, "type", "type has U+0000 at character 1"),
        ({"ext": "tab\t"}, "ext", "U+0009 at character 3"),
        ({"ext": "\x85"}, "ext", "U+0085"),
        ({"ext": "\ud800"}, "ext", "U+D800"),
        ({"ext": "\ufdd0"}, "ext", "U+FDD0"),
        ({"ext": "\U0010ffff"}, "ext", "U+10FFFF"),
        ({"id": "x" * 200 + "\n"}, "id", "U+000A at character 200"),
    ],
)
def test_refused(extra: dict[str, Value | None], attribute: str, words: str) -> None:
    attributes = {name: value for name, value in {**GOOD, **extra}.items() if value is not None}
    fault = fault_of(attributes)
    assert isinstance(fault, Invalid)
    assert (fault.attribute, fault.status) == (attribute, 400)
    assert words in fault.detail
    assert len(fault.detail) < 250


@pytest.mark.parametrize("name", ["a", "0", "comexampleext1", "knativebrokerttl", "x" * 300])
def test_names_that_are_taken(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", "A", "my-ext", "my_ext", "ünïcode", "a b", "data", "٣"])
def test_names_that_are_refused(name: str) -> None:
    assert name_fault(name) is not None


@pytest.mark.parametrize(
    "text",
    [
        "2018-04-05T17:31:00Z",
        "2018-04-05t17:31:00z",
        "2018-04-05T17:31:00.123456789012+05:30",
        "2020-02-29T00:00:00-23:59",
        "1990-12-31T23:59:60Z",
        "0000-02-29T00:00:00Z",
        "9999-12-31T23:59:59.9Z",
    ],
)
def test_timestamps(text: str) -> None:
    assert is_timestamp(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2018-04-05",
        "2018-04-05T17:31:00",
        "2018-04-05 17:31:00Z",
        "2018-04-05T17:31Z",
        "2018-4-5T17:31:00Z",
        "2018-13-01T00:00:00Z",
        "2019-02-29T00:00:00Z",
        "2018-04-31T00:00:00Z",
        "2018-04-05T24:00:00Z",
        "2018-04-05T17:60:00Z",
        "2018-04-05T17:31:61Z",
        "2018-04-05T17:31:00.Z",
        "2018-04-05T17:31:00+5:30",
        "2018-04-05T17:31:00Z\n",
        "٢٠١٨-04-05T17:31:00Z",
    ],
)
def test_what_is_no_timestamp(text: str) -> None:
    assert not is_timestamp(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_moment_that_python_spells_is_a_timestamp(moment: datetime) -> None:
    assert is_timestamp(moment.isoformat())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "#f",
        "?q=a/b?c",
        "cloudevents/spec",
        "./a:b",
        "https://github.com/cloudevents?x=1#y",
        "http://user:pw@[::1]:8080/a%20b",
        "http://[v1.a:b]/",
        "mailto:cncf-wg-serverless@lists.cncf.io",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "1-555-123-4567",
        "//host/path",
        "file:///x",
        "http://host:",
    ],
)
def test_uri_references(text: str) -> None:
    assert is_uri_reference(text)


@pytest.mark.parametrize(
    "text", ["a b", "é", "1:2", "a%2", "a%zz", "x#a#b", "http://[::1", "http://h:p/", "a\\b", "<x>", "a|b", "a\n", "^"]
)
def test_what_is_no_uri_reference(text: str) -> None:
    assert not is_uri_reference(text)


def test_a_uri_has_a_scheme() -> None:
    assert is_uri("urn:x")
    assert not is_uri("x")
    assert not is_uri("//x")


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ["a" * 500_000 + " ", "%41" * 200_000 + "%", "http://" + "a:" * 200_000 + "\\"])
def test_long_nonsense_is_refused_in_linear_time(text: str) -> None:
    assert not is_uri_reference(text)
