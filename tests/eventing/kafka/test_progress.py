"""How far a subscription has come in a partition, and what of it a commit's note brings into the next life."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.kafka.progress import NOTE_BYTES_MAX, Progress
from eventing.log.base import Attempt


def test_what_was_seen_is_not_new_again() -> None:
    progress = Progress(5)
    assert [progress.see(offset) for offset in (4, 5, 5, 7, 6)] == [False, True, False, True, False]
    assert progress.next == 8


def test_a_delivery_answers_for_what_nobody_wanted_before_it() -> None:
    progress = Progress(0)
    for offset in range(10):
        progress.see(offset)
    first, second = progress.give(3), progress.give(7)
    assert (first, second) == ((0, 4), (4, 8))
    progress.ack(*second)
    assert progress.low == 0
    progress.ack(*first)
    assert progress.low == 8


def test_what_is_let_go_is_read_again() -> None:
    progress = Progress(0)
    for offset in range(5):
        progress.see(offset)
    progress.ack(*progress.give(1))
    progress.back(2)
    assert progress.next == 2
    assert progress.see(2)
    progress.back(9)
    assert progress.next == 3


def test_failures_go_with_their_acknowledgement() -> None:
    progress = Progress(10)
    progress.see(10)
    progress.see(11)
    progress.fail(10, Attempt(1, 5, 503, "x"))
    progress.fail(11, Attempt(1, 6, None, "y"))
    progress.ack(*progress.give(10))
    assert list(progress.failures) == [11]


def test_a_next_life_knows_what_was_acknowledged_and_what_had_failed() -> None:
    progress = Progress(100)
    for offset in range(100, 110):
        progress.see(offset)
    for offset in (103, 104, 107):
        progress.ack(offset, offset + 1)
    progress.fail(101, Attempt(1, 1000, 503, "the subscriber answered 503"))
    progress.fail(101, Attempt(2, 2000, None, "connection refused"))
    again = Progress(progress.low, progress.note())
    assert again.position.ranges == [(103, 105), (107, 108)]
    assert [each.number for each in again.failures[101]] == [1, 2]
    assert [(each.time_ms, each.code) for each in again.failures[101]] == [(1000, 503), (2000, None)]
    assert again.failures[101][0].reason == "the subscriber answered 503 (in an earlier life of the platform)"
    assert [offset for offset in range(100, 110) if again.see(offset)] == [100, 101, 102, 105, 106, 108, 109]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text of others",
        "[]",
        "7",
        '{"acked": 7}',
        '{"acked": [[3, 1], ["a"], [1]]}',
        '{"failed": [["a"], [-1], 5]}',
    ],
)
def test_notes_of_others_say_nothing(note: str) -> None:
    progress = Progress(3, note)
    assert (progress.low, progress.position.ranges, progress.failures) == (3, [], {})


def test_a_note_has_bounds_and_keeps_what_comes_first() -> None:
    progress = Progress(0)
    for offset in range(1, 4000, 2):
        progress.ack(offset, offset + 1)
        progress.fail(offset + 1, Attempt(1, 1_700_000_000_000, 500, "x" * 1000))
    note = progress.note()
    assert len(note) <= NOTE_BYTES_MAX
    again = Progress(0, note)
    assert again.position.is_acked(1)
    assert 2 in again.failures
    assert len(again.position.ranges) >= 50


@given(st.integers(0, 2**62), st.sets(st.integers(0, 300)))
def test_nothing_is_acknowledged_that_was_not(start: int, acked: set[int]) -> None:
    progress = Progress(start)
    for offset in range(300):
        progress.see(start + offset)
    for offset in acked:
        progress.ack(start + offset, start + offset + 1)
    again = Progress(progress.low, progress.note())
    for offset in range(301):
        assert again.position.is_acked(start + offset) == (offset in acked)
