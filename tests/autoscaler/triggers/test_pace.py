"""autoscaler/triggers/pace.py: never seldomer than asked for, never twice as often in the long run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.triggers.pace import (
    BREATH_MAX,
    CALM,
    CREDIT_MAX,
    FASTEST_S,
    RESTED,
    Pace,
    after_reading,
    breathless_s,
    due_at,
    next_pace,
)


def gaps(changes: list[bool], polling_s: float, took_s: float = 0.001) -> list[float]:
    pace, seen = CALM, []
    for changed in changes:
        pace = next_pace(pace, polling_s, took_s, changed=changed)
        seen.append(pace.gap_s)
    return seen


def test_a_change_quickens_and_calm_slows() -> None:
    assert gaps([False, True, *[False] * 8], 10.0) == [10.0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]


def test_a_slow_source_rests() -> None:
    assert gaps([True], 30.0, took_s=1.0) == [9.0]
    assert gaps([True], 30.0, took_s=10.0) == [30.0]


def test_an_interval_as_short_as_the_fastest_stays() -> None:
    assert gaps([True, False, True], 0.2) == [0.2, 0.2, 0.2]


@given(st.lists(st.booleans(), min_size=1, max_size=400), st.floats(0.2, 120.0), st.floats(0.0, 5.0))
def test_bounds(changes: list[bool], polling_s: float, took_s: float) -> None:
    seen = gaps(changes, polling_s, took_s)
    assert all(min(FASTEST_S, polling_s) <= gap <= polling_s for gap in seen)
    assert len(seen) <= 2.0 * sum(seen) / polling_s + CREDIT_MAX + 1e-6


def test_full_intervals_fall_on_their_multiples() -> None:
    assert due_at(1003.2, Pace(5.0), 5.0) == 1005.0
    assert due_at(1005.0, Pace(5.0), 5.0) == 1010.0
    assert due_at(1003.2, Pace(0.4), 5.0) == 1003.6


def test_phases_spread_them() -> None:
    assert sorted(due_at(1000.0, Pace(4.0), 4.0, number) for number in range(8)) == [1000.5 + n / 2 for n in range(8)]
    assert {due_at(1000.1, Pace(0.9), 0.9, number) for number in range(8)} == {due_at(1000.1, Pace(0.9), 0.9)}


def test_a_long_interval_is_not_cut_short_for_a_phase() -> None:
    at, number = 1003.0, 3
    for _ in range(30):
        due = due_at(at, Pace(75.0), 75.0, number)
        assert 70.0 <= due - at <= 75.0
        at = due
    assert (at - 75.0 * 3 / 8) % 75.0 == 0.0


@given(st.floats(0.0, 1e7), st.floats(0.2, 300.0), st.integers(0, 2**32))
def test_the_next_reading_is_always_ahead(now: float, polling_s: float, number: int) -> None:
    assert now < due_at(now, Pace(polling_s), polling_s, number) <= now + polling_s * 1.01


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=100), st.floats(0.0, 1e7))
def test_pushes_have_two_readings_at_once_and_five_a_second(pushes: list[float], began: float) -> None:
    now, breath, read = began, RESTED, 0
    for pause_s in pushes:
        now += pause_s
        now += breathless_s(breath, now)
        breath, read = after_reading(breath, now), read + 1
    assert read <= BREATH_MAX + (now - began) / FASTEST_S + 1e-6
