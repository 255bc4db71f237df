from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.event import Event
from eventing.log.base import Damaged, Entry, Record
from eventing.log.records import Group, decode, decode_group, encode, encode_group, id_hash
from tests.support.event_log import event

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = TEXT | st.integers(-(2**31), 2**31 - 1) | st.booleans()
EVENTS = st.builds(
    lambda extra, id, data: Event({"specversion": "1.0", "source": "/s", "type": "t"} | extra | {"id": id}, data),
    st.dictionaries(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), VALUES, max_size=5),
    TEXT.filter(bool),
    st.none() | st.binary(max_size=200),
)
STREAM, FIRST, TIME_MS = 7, 1 << 33, 1_700_000_000_123


def group_of(events: list[Event]) -> tuple[Group, bytes]:
    data = encode_group(STREAM, FIRST, TIME_MS, [encode(event) for event in events])
    return Group(1, FIRST, len(events), TIME_MS, len(data)), data


@given(EVENTS)
def test_an_event_comes_back_as_it_was_written(written: Event) -> None:
    assert decode(encode(written)) == written


@given(st.lists(EVENTS, min_size=1, max_size=8))
def test_a_group_comes_back_with_offsets_and_time(events: list[Event]) -> None:
    group, data = group_of(events)
    assert decode_group(STREAM, group, data) == [
        Record(FIRST + number, TIME_MS, written) for number, written in enumerate(events)
    ]


def covered(entries: list[Entry]) -> list[int]:
    return [offset for entry in entries for offset in range(entry.offset, entry.after)]


@given(st.lists(EVENTS, min_size=1, max_size=6), st.data())
def test_a_flipped_bit_costs_the_record_that_it_is_in_and_no_other(events: list[Event], draw: st.DataObject) -> None:
    group, data = group_of(events)
    whole = decode_group(STREAM, group, data)
    bit = draw.draw(st.integers(0, len(data) * 8 - 1))
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    entries = decode_group(STREAM, group, bytes(flipped))
    assert covered(entries) == covered(whole), "every offset is there, as a record or as damage"
    assert [entry for entry in entries if isinstance(entry, Record)] == [
        entry for entry in whole if not any(isinstance(d, Damaged) and d.offset == entry.offset for d in entries)
    ]
    assert sum(entry.count for entry in entries if isinstance(entry, Damaged)) == (bit // 8 >= 25), "header: 25 bytes"


@given(st.lists(EVENTS, min_size=1, max_size=6), st.data())
def test_torn_data_yields_no_event_that_was_not_written(events: list[Event], draw: st.DataObject) -> None:
    group, data = group_of(events)
    cut = draw.draw(st.integers(0, len(data)))
    torn = data[:cut] + draw.draw(st.binary(max_size=40))
    entries = decode_group(STREAM, group, torn)
    assert covered(entries) == list(range(FIRST, FIRST + len(events)))
    assert all(events[e.offset - FIRST] == e.event for e in entries if isinstance(e, Record))


@pytest.mark.parametrize(("stream", "first"), [(STREAM + 1, FIRST), (STREAM, FIRST + 1), (STREAM, FIRST - 1)])
def test_a_group_read_from_the_wrong_place_is_damage(stream: int, first: int) -> None:
    _, data = group_of([event(1), event(2)])
    entries = decode_group(stream, Group(1, first, 2, TIME_MS, len(data)), data)
    assert covered(entries) == [first, first + 1]
    assert all(isinstance(entry, Damaged) for entry in entries)


@pytest.mark.parametrize("payload", [b"", b"\xce\x01\x00", b"\xce\x02" + b"\0" * 9, b"\xce\x01\x00\xff\xff\xff\xff{}"])
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="record"):
        decode(payload)


def test_the_format_on_disk_does_not_change_by_accident() -> None:
    payload = encode(Event({"id": "1"}, b"x"))
    assert payload.hex() == "ce01010a0000007b226964223a2231227d78"
    assert encode_group(1, 2, 3, [payload]).hex() == (
        "0101000000020000000000000003000000000000004ddc4c2d" + "12000000d44876f7" + payload.hex()
    )
    assert id_hash("e1").hex() == "278d8d08"
