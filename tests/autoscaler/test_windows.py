"""Windows: reference section 2.3 as tables, and equality with an implementation that only adds up lists."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.windows import Window, panic_window_s

Reports = list[tuple[float, float]]

AVERAGES: list[tuple[str, int, Reports, float, float | None]] = [
    ("nothing yet: nobody knows", 60, [], 10.0, None),
    ("early life averages over what there is", 60, [(10.0, 4.0)], 10.5, 4.0),
    ("two seconds of life", 60, [(10.0, 4.0), (11.0, 2.0)], 11.9, 3.0),
    ("reporters add into one bucket", 60, [(10.0, 4.0), (10.9, 2.0)], 10.9, 6.0),
    ("a hole inside counts as zeros", 60, [(10.0, 4.0), (13.0, 4.0)], 13.0, 2.0),
    ("trap: silence shortens a full window, it adds no zeros", 4, [(t, 8.0) for t in range(10, 14)], 15.0, 8.0),
    ("silence does not shorten a young window below its life", 60, [(10.0, 6.0)], 20.0, 6.0),
    ("one second before all is forgotten", 4, [(t, 8.0) for t in range(10, 14)], 16.0, 8.0),
    ("trap: only a whole silent window is no data", 4, [(t, 8.0) for t in range(10, 14)], 17.0, None),
    ("a full window forgets its oldest bucket", 3, [(t, float(t)) for t in range(10, 14)], 13.0, 12.0),
    ("after a silent window life begins anew", 3, [(10.0, 9.0), (20.0, 3.0)], 20.0, 3.0),
    ("a late report still counts", 3, [(12.0, 3.0), (11.0, 3.0)], 12.0, 3.0),
    ("a report older than the window is dropped", 3, [(12.0, 3.0), (9.0, 30.0)], 12.0, 3.0),
    ("recorded zeros are zeros", 60, [(10.0, 4.0), (11.0, 0.0)], 11.0, 2.0),
    ("rounded to six digits", 60, [(10.0, 1.0), (11.0, 0.0), (12.0, 0.0)], 12.0, 0.333333),
]


@pytest.mark.parametrize(("_label", "length", "reports", "now", "average"), AVERAGES, ids=[row[0] for row in AVERAGES])
def test_average(_label: str, length: int, reports: Reports, now: float, average: float | None) -> None:
    window = Window(length)
    for at, value in reports:
        window.record(at, value)
    assert window.average(now) == average


@pytest.mark.parametrize(
    ("stable", "percentage", "seconds"),
    [(60, 10, 6), (6, 10, 1), (6, 1, 1), (25, 10, 3), (15, 10, 2), (3600, 100, 3600)],
    ids=["default", "0.6 → 1", "at least one", "2.5 away from zero", "1.5 → 2", "all of it"],
)
def test_panic_window(stable: float, percentage: float, seconds: float) -> None:
    assert panic_window_s(stable, percentage) == seconds


class ListWindow:
    """The same rules, written as plainly as they are told."""

    def __init__(self, size: int) -> None:
        self.size, self.values = size, dict[int, float]()
        self.first: int | None = None
        self.last = 0

    def record(self, at: float, value: float) -> None:
        second = math.floor(at)
        if self.first is None or second - self.last >= self.size:
            self.values, self.first, self.last = {}, second, second
        if second <= self.last - self.size:
            return
        self.first, self.last = min(self.first, second), max(self.last, second)
        self.values[second] = self.values.get(second, 0.0) + value

    def average(self, now: float) -> float | None:
        second = max(math.floor(now), self.last)
        if self.first is None or second - self.last >= self.size:
            return None
        total = sum(value for at, value in self.values.items() if at > second - self.size)
        return total / min(self.last - self.first + 1, self.size - (second - self.last))

    def weighted(self, now: float) -> float | None:
        second = max(math.floor(now), self.last)
        if self.first is None or second - self.last >= self.size:
            return None
        c = max(0.2, 1 - 0.0001 ** (1 / self.size))
        return sum(self.values.get(second - age, 0.0) * c * (1 - c) ** age for age in range(self.size))


steps = st.lists(st.tuples(st.integers(-5, 12), st.integers(0, 500)), max_size=60)


@given(st.integers(1, 12), steps, st.integers(0, 15))
def test_equals_the_plain_implementation(size: int, moves: list[tuple[int, int]], later: int) -> None:
    window, plain = Window(size), ListWindow(size)
    at = 1000.0
    for step, value in moves:
        at = max(0.0, at + step)
        window.record(at, value / 7)
        plain.record(at, value / 7)
        for now in (at, at + later):
            ours, theirs = window.average(now), plain.average(now)
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None and now >= plain.last:
                assert ours == pytest.approx(theirs, abs=1e-5)
            weighted, plainly = window.weighted_average(now), plain.weighted(now)
            assert (weighted is None) == (plainly is None)
            if weighted is not None and plainly is not None:
                assert weighted == pytest.approx(plainly, abs=1e-6)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_a_running_total_never_drifts(values: list[float]) -> None:
    window = Window(5)
    for at, value in enumerate(values):
        window.record(at, value)
    for at in range(len(values), len(values) + 5):
        window.record(at, 0.0)
    assert window.average(len(values) + 4) == 0.0


def test_a_resized_window_keeps_what_fits() -> None:
    window = Window(6)
    for at in range(10, 16):
        window.record(at, float(at))
    assert window.resized(2).average(15) == 14.5
    assert window.resized(60).average(15) == 12.5
    assert Window(6).resized(60).average(15) is None
