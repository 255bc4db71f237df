"""The integral of requests in flight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.concurrency import Meter
from core.stats import RevisionKey

KEY = RevisionKey("default", "hello-1")


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), max_size=20))
def test_the_average_is_the_sum_of_all_times_over_the_interval(spans: list[tuple[float, float]]) -> None:
    """Each request is (arrival, duration) from time 100; the interval ends when the last has left, or after 10 s."""
    events = sorted(
        [(100 + start, 1) for start, _ in spans] + [(100 + start + length, -1) for start, length in spans],
        key=lambda event: (event[0], -event[1]),
    )
    meter = Meter(100.0)
    for at, change in events:
        meter.arrive(at) if change > 0 else meter.leave(at)
    statistic = meter.report(KEY, 110.0)
    assert statistic.average_concurrency == pytest.approx(sum(length for _, length in spans) / 10)
    assert (statistic.request_count, statistic.in_flight, statistic.interval_s) == (len(spans), 0, 10.0)
    assert meter.quiet


def test_a_request_over_two_intervals_counts_in_both() -> None:
    meter = Meter(0.0)
    meter.arrive(0.5)
    first = meter.report(KEY, 1.0)
    meter.leave(1.25)
    second = meter.report(KEY, 2.0)
    assert (first.average_concurrency, first.request_count, first.in_flight) == (0.5, 1.0, 1)
    assert (second.average_concurrency, second.request_count, second.in_flight) == (0.25, 0.0, 0)


def test_a_poke_leaves_once_and_is_not_told_twice() -> None:
    meter = Meter(0.0)
    meter.arrive(0.0)
    poke = meter.poke(KEY, 0.0)
    assert poke is not None
    assert (poke.poke, poke.average_concurrency, poke.request_count, poke.in_flight) == (True, 1.0, 1.0, 1)
    meter.arrive(0.0)
    assert meter.poke(KEY, 0.0) is None
    report = meter.report(KEY, 1.0)
    assert (report.average_concurrency, report.request_count, report.in_flight) == (1.0, 1.0, 2)
    assert meter.poke(KEY, 1.0) is not None


def test_what_a_poke_told_is_never_taken_off_below_zero() -> None:
    meter = Meter(0.0)
    meter.arrive(0.0)
    meter.poke(KEY, 0.0)
    meter.leave(0.1)
    assert meter.report(KEY, 1.0).average_concurrency == 0.0
