"""Which events `emit` makes of what was typed."""

from __future__ import annotations

import pytest

from pilotlight.cli.emit import Mode, Wanted, make_events
from pilotlight.cli.session import UsageProblem

WANTED = Wanted("com.example.order", "/shop", "17", subject="s", extensions={"partitionkey": "k"})


def test_one_event_with_all_that_was_said() -> None:
    (event,) = make_events(WANTED, b'{"items": 1}', Mode.BINARY)
    assert event.attributes == {
        "specversion": "1.0",
        "id": "17",
        "source": "/shop",
        "type": "com.example.order",
        "partitionkey": "k",
        "subject": "s",
        "datacontenttype": "application/json",
    }
    assert event.data == b'{"items": 1}'


@pytest.mark.parametrize(
    ("data", "given", "content_type"),
    [
        (b"[1]", None, "application/json"),
        (b"plain", None, "text/plain; charset=utf-8"),
        (b"<a/>", "application/xml", "application/xml"),
        (None, "application/xml", None),
    ],
)
def test_what_data_is(data: bytes | None, given: str | None, content_type: str | None) -> None:
    (event,) = make_events(Wanted("t", content_type=given), data, Mode.STRUCTURED)
    assert event.attributes.get("datacontenttype") == content_type
    assert event.data == data


def test_ids_are_made_up_and_differ() -> None:
    first, second = (make_events(Wanted("t"), None, Mode.BINARY)[0].id for _ in range(2))
    assert first != second


def test_a_batch_is_an_event_for_each_item() -> None:
    events = make_events(WANTED, b'[1, {"a": "b"}]', Mode.BATCH)
    assert [(event.id, event.data) for event in events] == [("17-1", b"1"), ("17-2", b'{"a":"b"}')]
    assert make_events(WANTED, b"[]", Mode.BATCH) == []


@pytest.mark.parametrize("data", [None, b"{}", b"[1"])
def test_a_batch_of_what_is_no_list(data: bytes | None) -> None:
    with pytest.raises(UsageProblem, match="--format batch takes a JSON list"):
        make_events(WANTED, data, Mode.BATCH)
