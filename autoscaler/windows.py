"""Averages over the last minute and the last seconds, in one-second buckets.

Step one of a decision: `collector` records what the data path reports, `loop` asks for the averages. The rules are
those of knative.dev/serving/pkg/autoscaler/aggregation/bucketing.go: several reporters add into one bucket; a hole
between two reports counts as zeros; silence at the end is left out of the average instead, until the whole window is
silent. Values are kept as whole billionths, so that a running total never drifts.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

BUCKET_S: Final = 1.0
_UNITS: Final = 1_000_000_000
_DIGITS: Final = 6  # upstream rounds averages to this
_MIN_SMOOTHING: Final = 0.2
_TAIL_WEIGHT: Final = 0.0001  # what the oldest bucket still counts, in the weighted average


def panic_window_s(stable_window_s: float, percentage: float) -> float:
    """Whole seconds, half away from zero, at least one bucket (knative.dev MakeMetric)."""
    return max(BUCKET_S, math.floor(stable_window_s * percentage / 100.0 + 0.5))


class Window:
    """A ring of buckets. Times are monotonic seconds."""

    __slots__ = ("_buckets", "_first", "_last", "_total")

    def __init__(self, length_s: float) -> None:
        self._buckets = array("q", bytes(8 * max(1, math.ceil(length_s / BUCKET_S))))
        self._total = 0
        self._first: int | None = None  # second of the first write since the window was last empty
        self._last = 0  # second of the latest write

    @property
    def length_s(self) -> float:
        return len(self._buckets) * BUCKET_S

    def record(self, at: float, value: float) -> None:
        """Adds to the bucket of `at`; a report older than the window is dropped."""
        second = math.floor(at / BUCKET_S)
        size = len(self._buckets)
        if self._first is None or second - self._last >= size:
            self._clear()
            self._first = self._last = second
        elif second > self._last:
            for gap in range(self._last + 1, second + 1):
                self._total -= self._buckets[gap % size]
                self._buckets[gap % size] = 0
            self._last = second
        elif second <= self._last - size:
            return
        elif second < self._first:
            self._first = second
        units = round(value * _UNITS)
        self._buckets[second % size] += units
        self._total += units

    def idle_until(self, at: float) -> None:
        """Nothing came since the last report: the seconds after it, up to that of `at`, are zeros."""
        if self._first is None or math.floor(at / BUCKET_S) > self._last:
            self.record(at, 0.0)

    def average(self, now: float) -> float | None:
        """The linear average; None when the whole window was silent: nobody knows."""
        second = math.floor(now / BUCKET_S)
        size = len(self._buckets)
        if self._first is None or second - self._last >= size:
            return None
        total, silent = self._total, max(0, second - self._last)
        for gap in range(self._last + 1, second + 1):
            total -= self._buckets[gap % size]
        buckets = min(self._last - self._first + 1, size - silent)
        return round(total / _UNITS / buckets, _DIGITS)

    def weighted_average(self, now: float) -> float | None:
        """Newer buckets count more (`metric-aggregation-algorithm: weighted-exponential`)."""
        second = math.floor(now / BUCKET_S)
        size = len(self._buckets)
        if self._first is None or second - self._last >= size:
            return None
        smoothing = max(_MIN_SMOOTHING, 1.0 - _TAIL_WEIGHT ** (1.0 / size))
        silent = max(0, second - self._last)
        weight = smoothing * (1.0 - smoothing) ** silent
        result = 0.0
        for age in range(size - silent):
            result += self._buckets[(self._last - age) % size] * weight
            weight *= 1.0 - smoothing
        return result / _UNITS

    def resized(self, length_s: float) -> Window:
        """A window of another length with as much of this one's history as fits."""
        other = Window(length_s)
        size = len(self._buckets)
        if self._first is None:
            return other
        for second in range(max(self._first, self._last - size + 1), self._last + 1):
            other.record(second * BUCKET_S, self._buckets[second % size] / _UNITS)
        return other

    def _clear(self) -> None:
        if self._total:
            self._buckets = array("q", bytes(8 * len(self._buckets)))
            self._total = 0
