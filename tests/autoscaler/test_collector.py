"""From reports to averages: pokes, reports of any length, idleness, and what nobody knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.collector import Metrics
from autoscaler.kpa import KpaSpec
from autoscaler.spec import Metric, ScaleSpec
from core.stats import RequestStatistic, RevisionKey

KEY = RevisionKey("default", "r")
SPEC = ScaleSpec(kpa=KpaSpec(stable_window_s=10), panic_window_s=2)


def report(at: float, average: float, flying: int = 0, interval: float = 1.0, count: float = 0.0) -> RequestStatistic:
    return RequestStatistic(KEY, at, interval, average, count, flying)


def test_never_heard_of_is_silent() -> None:
    assert Metrics().averages(SPEC, running=False, now=100.0) == (0.0, 0.0)


def test_a_poke_stands_for_one_request() -> None:
    metrics = Metrics()
    metrics.record(RequestStatistic(KEY, 100.2, 0.0, 1.0, 1.0, 1, poke=True), SPEC)
    assert metrics.averages(SPEC, running=False, now=100.2) == (1.0, 1.0)
    metrics.record(report(101.0, 0.0), SPEC)
    assert metrics.averages(SPEC, running=False, now=101.0) == (0.5, 0.5)


def test_requests_per_second_count_arrivals() -> None:
    rps = replace(SPEC, metric=Metric.RPS)
    metrics = Metrics()
    metrics.record(report(100.0, 0.2, count=40), rps)
    assert metrics.averages(rps, running=True, now=100.0) == (40.0, 40.0)


def test_idle_instances_count_as_zeros_but_not_before_their_report_is_due() -> None:
    metrics = Metrics()
    metrics.record(report(100.0, 4.0), SPEC)
    assert metrics.averages(SPEC, running=True, now=101.5) == (4.0, 4.0), "the report of second 101 is on its way"
    assert metrics.averages(SPEC, running=True, now=103.5) == (pytest.approx(4 / 3, abs=1e-5), 0.0)


def test_without_instances_silence_shortens_the_window() -> None:
    metrics = Metrics()
    for at in range(100, 110):
        metrics.record(report(float(at), 4.0), SPEC)
    assert metrics.averages(SPEC, running=False, now=115.0) == (4.0, 0.0)
    assert metrics.averages(SPEC, running=False, now=119.0) == (0.0, 0.0)


def test_silence_after_requests_in_flight_is_unknown() -> None:
    metrics = Metrics()
    metrics.record(report(100.0, 4.0, flying=3), SPEC)
    assert metrics.averages(SPEC, running=True, now=109.0) == (4.0, 0.0)
    assert metrics.averages(SPEC, running=True, now=110.0) == (None, None)
    assert not metrics.forget_if_over(500.0)


def test_windows_are_let_go_when_silent() -> None:
    metrics = Metrics()
    metrics.record(report(100.0, 4.0), SPEC)
    assert not metrics.forget_if_over(105.0)
    assert metrics.forget_if_over(110.0)


def test_other_window_lengths_keep_what_is_known() -> None:
    metrics = Metrics()
    for at in range(100, 110):
        metrics.record(report(float(at), float(at), flying=1), SPEC)
    wider = ScaleSpec(kpa=KpaSpec(stable_window_s=60), panic_window_s=6)
    assert metrics.averages(wider, running=True, now=109.0)[0] == 104.5
    narrower = ScaleSpec(kpa=KpaSpec(stable_window_s=6), panic_window_s=1)
    assert metrics.averages(narrower, running=True, now=109.0)[0] == 106.5


def test_the_weighted_average_is_asked_for_by_annotation() -> None:
    metrics = Metrics()
    metrics.record(report(100.0, 0.0, flying=1), SPEC)
    metrics.record(report(101.0, 10.0, flying=1), SPEC)
    stable, _ = metrics.averages(replace(SPEC, weighted=True), running=True, now=101.0)
    assert stable == pytest.approx(10 * (1 - 0.0001 ** (1 / 10)))


@given(st.lists(st.tuples(st.floats(0.2, 1.9), st.integers(0, 50)), min_size=3, max_size=9))
def test_reports_of_any_length_add_up_to_the_exact_integral(steps: list[tuple[float, int]]) -> None:
    """A request-second is a request-second, however the reporter's timer wandered."""
    metrics, at, integral = Metrics(), 1000.0, 0.0
    wide = ScaleSpec(kpa=KpaSpec(stable_window_s=60), panic_window_s=6)
    for interval, concurrency in steps:
        at += interval
        integral += concurrency * interval
        metrics.record(report(at, concurrency, flying=1, interval=interval), wide)
    stable, _ = metrics.averages(wide, running=True, now=at)
    first = int(1000.0 + steps[0][0])
    assert stable == pytest.approx(integral / (int(at) - first + 1), abs=1e-5)
