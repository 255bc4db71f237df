"""The value that travels: identity, copies, text of values."""

from __future__ import annotations

import pytest

from eventing.event import Event, Value, is_json, text_of


def event(**extra: Value) -> Event:
    return Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", **extra}, b"{}")


def test_the_identity_is_source_and_id() -> None:
    assert event().identity == ("/s", "1")
    assert event(subject="x").identity == event().identity


def test_a_copy_leaves_the_original_alone() -> None:
    first = event(subject="x", hops=3)
    second = first.with_attributes(subject=None, hops=2, added=True)
    assert first == event(subject="x", hops=3)
    assert second.attributes == {**event().attributes, "hops": 2, "added": True}
    assert second.data is first.data


def test_events_are_equal_by_value_and_not_hashable() -> None:
    assert event() == event()
    assert event() != event(a="b")
    with pytest.raises(TypeError):
        hash(event())


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (0, "0"), (1, "1"), (-7, "-7"), ("True", "True"), ("", "")]
)
def test_the_text_of_a_value(value: Value, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("content_type", "json"),
    [
        ("application/json", True),
        ("text/json; charset=utf-8", True),
        ("Application/Vnd.Order+JSON", True),
        ("application/jsonl", False),
        ("application/json-seq", False),
        ("text/plain; a=application/json", False),
        ("", False),
    ],
)
def test_what_is_json(content_type: str, json: bool) -> None:
    assert is_json(content_type) is json
