"""Lag of consumer groups: tables of partitions, and the defects that upstream has and no table there finds."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clients.kafka_positions import GroupPositions, Position
from scalers.kafka_lag import Lag, LagRules, OffsetReset, Standing, Stood, measure, unbegun

LATEST = LagRules()
EARLIEST = LagRules(OffsetReset.EARLIEST)
IGNORING = LagRules(OffsetReset.EARLIEST, invalid_is_zero=True)
STUCK = LagRules(persistent_after_s=60.0)


def found(*positions: Position, missing: Mapping[str, str] | None = None) -> GroupPositions:
    return GroupPositions({("orders", n): each for n, each in enumerate(positions)}, missing or {}, begun=True)


def lag(rules: LagRules, *positions: Position, stood: Stood | None = None, now: float = 0.0) -> Lag:
    return measure(found(*positions), rules, stood or {}, now)[0]


@pytest.mark.parametrize(
    ("rules", "position", "expected", "whole"),
    [
        pytest.param(LATEST, Position(70, 100), 30, True, id="end less committed"),
        pytest.param(LATEST, Position(100, 100), 0, True, id="all consumed"),
        pytest.param(LATEST, Position(0, 0), 0, True, id="empty"),
        pytest.param(LATEST, Position(10, 100, start=90), 10, True, id="retention has deleted most of it"),
        pytest.param(LATEST, Position(10, 100, start=100), 0, True, id="retention has deleted all of it"),
        pytest.param(
            LATEST, Position(None, 100, start=0), 1, True, id="never committed, latest: a consumer shall begin"
        ),
        pytest.param(LATEST, Position(None, 0, start=0), 1, True, id="the same in an empty partition"),
        pytest.param(EARLIEST, Position(None, 100, start=0), 100, True, id="never committed, earliest: all of it"),
        pytest.param(EARLIEST, Position(None, 100, start=90), 10, True, id="from where it starts, not from 0"),
        pytest.param(EARLIEST, Position(None, 0, start=0), 0, True, id="never committed, earliest, empty"),
        pytest.param(IGNORING, Position(None, 100, start=0), 0, True, id="never committed, and that is to be 0"),
        pytest.param(LATEST, Position(100, 5, start=0), 1, False, id="truncated, latest: a consumer shall begin anew"),
        pytest.param(EARLIEST, Position(100, 5, start=0), 5, False, id="truncated, earliest: all of it again"),
        pytest.param(EARLIEST, Position(100, 0, start=0), 0, False, id="made anew and empty: no proof of emptiness"),
        pytest.param(IGNORING, Position(100, 5, start=0), 0, True, id="truncated, and that is to be 0"),
        pytest.param(LATEST, Position(98, 100, markers_only=True), 0, True, id="marks of transactions are no messages"),
    ],
)
def test_one_partition(rules: LagRules, position: Position, expected: int, whole: bool) -> None:
    measured = lag(rules, position)
    assert (measured.counted, measured.all, measured.whole) == (expected, expected, whole)
    assert measured.lagging == (expected > 0)
    assert (measured.partitions, measured.known) == (1, 1)


def test_a_truncated_partition_takes_nothing_off_the_lag_of_others() -> None:
    """Upstream: 5 - 100 there hides 90 messages here, and switches activity off."""
    measured = lag(LATEST, Position(10, 100), Position(100, 5, start=0))
    assert measured.counted == 91
    assert not measured.whole
    assert "orders/1 ends at 5, and 100 is committed" in measured.note


@pytest.mark.parametrize(
    ("rules", "position"),
    [
        pytest.param(LATEST, Position(70, None, problem="LeaderNotAvailable"), id="its end is not known"),
        pytest.param(LATEST, Position(None, None), id="nothing is known"),
        pytest.param(EARLIEST, Position(None, 100), id="earliest, and its start is not known"),
    ],
)
def test_what_is_not_known_is_not_zero(rules: LagRules, position: Position) -> None:
    measured = lag(rules, position, Position(70, 100))
    assert (measured.counted, measured.whole, measured.known, measured.partitions) == (30, False, 1, 2)
    assert (measured.produced, measured.consumed) == (None, None)
    assert "orders/0 is not known" in measured.note
    assert lag(rules, position).known == 0


def test_a_missing_topic_makes_the_whole_a_lower_bound() -> None:
    measured, _ = measure(found(Position(0, 7), missing={"gone": "UnknownTopicOrPartition"}), LATEST, {}, 0.0)
    assert (measured.counted, measured.whole, measured.produced) == (7, False, None)
    assert measured.note == "topic gone is not known: UnknownTopicOrPartition"


def test_only_partitions_that_are_named_count() -> None:
    rules = LagRules(only=frozenset({1, 2}))
    measured = lag(rules, Position(0, 1000), Position(0, 7), Position(0, 0), Position(None, None))
    assert (measured.counted, measured.partitions, measured.lagging, measured.whole) == (7, 2, 1, True)


def test_what_was_produced_and_consumed() -> None:
    measured = lag(LATEST, Position(70, 100), Position(10, 50, start=20), Position(None, 9))
    assert (measured.produced, measured.consumed) == (159, 70 + 20 + 9)


def test_partitions_that_wait_for_a_first_consumer_are_told_of_together() -> None:
    measured = lag(LATEST, *[Position(None, 9)] * 5, Position(7, 9))
    assert (measured.counted, measured.note) == (
        7,
        "nothing committed in orders/0, orders/1, orders/2, and 2 more: each partition counts as 1, so that a consumer "
        "begins",
    )
    assert "nothing committed" not in lag(LATEST, Position(100, 5, start=0)).note, "it is told of as truncated"


# What lies still


def test_lag_is_persistent_by_time_and_not_by_the_number_of_questions() -> None:
    """Upstream compares calls: two in the same second make a lag of a minute ago "persistent"."""
    stood: Stood = {}
    counts = []
    for now in (0.0, 0.1, 0.2, 30.0, 59.9, 60.0, 90.0):
        measured, stood = measure(found(Position(10, 25)), STUCK, stood, now)
        counts.append((measured.counted, measured.all))
    assert counts == [(15, 15)] * 5 + [(0, 15)] * 2
    assert measured.note == "15 in orders/0 left out: nothing committed for 90 s"
    measured, stood = measure(found(Position(11, 25)), STUCK, stood, 91.0)
    assert (measured.counted, measured.note) == (14, "")


def test_a_group_that_commits_every_thirty_seconds_is_not_stuck() -> None:
    stood: Stood = {}
    for now in range(0, 600, 5):
        measured, stood = measure(found(Position(now // 30, 1000)), STUCK, stood, float(now))
        assert measured.counted == measured.all


def test_partitions_that_nothing_was_ever_committed_in_are_stuck_as_well() -> None:
    stood: Stood = {}
    rules = LagRules(OffsetReset.EARLIEST, persistent_after_s=60.0)
    first, stood = measure(found(Position(None, 9, start=0)), rules, stood, 0.0)
    later, stood = measure(found(Position(None, 9, start=0)), rules, stood, 61.0)
    assert [(each.counted, each.all, each.lagging) for each in (first, later)] == [(9, 9, 1), (0, 9, 0)]


def test_how_long_it_stood_outlives_a_partition_that_could_not_be_read() -> None:
    _, stood = measure(found(Position(10, 25)), STUCK, {}, 0.0)
    _, stood = measure(found(Position(10, None)), STUCK, stood, 30.0)
    assert stood == {("orders", 0): Standing(10, 0.0)}
    measured, _ = measure(found(Position(10, 25)), STUCK, stood, 61.0)
    assert (measured.counted, measured.all) == (0, 15)


def test_standing_without_lag_is_no_trouble() -> None:
    _, stood = measure(found(Position(25, 25)), STUCK, {}, 0.0)
    assert stood == {}
    measured, _ = measure(found(Position(25, 40)), STUCK, stood, 1000.0)
    assert measured.counted == 15


def test_a_group_that_has_begun_nowhere() -> None:
    assert (unbegun(LATEST).counted, unbegun(LATEST).all) == (1, 1)
    assert (unbegun(IGNORING).counted, unbegun(IGNORING).all) == (0, 0)


def test_a_hundred_notes_are_told_in_three() -> None:
    measured = lag(LATEST, *[Position(None, None)] * 100)
    assert measured.note.endswith("; and 97 more")
    assert measured.known == 0


offsets = st.none() | st.integers(0, 50)
positions = st.builds(Position, offsets, offsets, offsets)


@given(st.lists(positions, max_size=6), st.sampled_from([LATEST, EARLIEST, IGNORING, STUCK]))
def test_no_part_takes_anything_off_another(parts: list[Position], rules: LagRules) -> None:
    whole = lag(rules, *parts)
    each = [lag(rules, part) for part in parts]
    assert whole.counted == sum(part.counted for part in each)
    assert whole.all == sum(part.all for part in each) >= whole.counted >= 0
    assert whole.known == sum(part.known for part in each)
    assert whole.whole == all(part.whole for part in each)
    if whole.produced is not None:
        assert whole.consumed is not None
        assert 0 <= whole.consumed <= whole.produced


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_it_grows_with_what_is_written(committed: int, end: int, more: int) -> None:
    before, after = (
        lag(LATEST, Position(committed, to, 0)).counted for to in (committed + end, committed + end + more)
    )
    assert after == before + more
