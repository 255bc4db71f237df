"""What the data path reports, as the two averages that a decision asks for.

`loop` subscribes `Metrics` of each revision to the `StatisticBus` and asks for averages at each decision. Silence is
read with care: after "nothing in flight" it means that nothing came, and running instances idle, so zeros are recorded
for them as upstream's queue-proxies would report; after anything else nobody knows, and unknown is never zero.
"""

from __future__ import annotations

from typing import Final

from autoscaler.spec import Metric, ScaleSpec
from autoscaler.windows import BUCKET_S, Window
from core.stats import RequestStatistic

_POKE_S: Final = 1.0
"""A poke stands for one request during one second: that is what upstream's activator reports with it."""


class Metrics:
    """One revision's windows. Made when the first report comes, let go when they hold nothing any more."""

    __slots__ = ("_in_flight", "_panic", "_stable")

    def __init__(self) -> None:
        self._stable: Window | None = None
        self._panic: Window | None = None
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """What the latest report said."""
        return self._in_flight

    def record(self, statistic: RequestStatistic, spec: ScaleSpec) -> None:
        """Concurrency is kept as request-seconds per second, so reports of any length add up to the exact integral."""
        self._in_flight = statistic.in_flight
        if spec.metric is Metric.RPS:
            value = statistic.request_count
        else:
            value = statistic.average_concurrency * (_POKE_S if statistic.poke else statistic.interval_s)
        for window in self._windows(spec):
            window.record(statistic.at, value)

    def averages(self, spec: ScaleSpec, running: bool, now: float) -> tuple[float | None, float | None]:
        """(stable, panic); None where nobody knows. `running`: there are instances, whose idleness counts."""
        if self._in_flight == 0 and running:
            # Up to the last whole second: the report about this one is still on its way.
            for window in self._windows(spec):
                window.idle_until(now - BUCKET_S)
        if self._stable is None or self._panic is None:
            return 0.0, 0.0  # never heard of, so nothing is in flight
        self._fit(spec)
        mean = Window.weighted_average if spec.weighted else Window.average
        stable, panic = mean(self._stable, now), mean(self._panic, now)
        if stable is None:
            return (None, None) if self._in_flight else (0.0, 0.0)
        return stable, panic or 0.0  # a silent panic window alone is no panic

    def forget_if_over(self, now: float) -> bool:
        """Lets the windows go once they are silent and nothing is in flight; True when they are gone."""
        if self._in_flight or (self._stable is not None and self._stable.average(now) is not None):
            return False
        self._stable = self._panic = None
        return True

    def _windows(self, spec: ScaleSpec) -> tuple[Window, Window]:
        if self._stable is None or self._panic is None:
            self._stable, self._panic = Window(spec.stable_window_s), Window(spec.panic_window_s)
        return self._stable, self._panic

    def _fit(self, spec: ScaleSpec) -> None:
        """After an edit of the window lengths, what is known is kept."""
        if self._stable is not None and self._stable.length_s != spec.stable_window_s:
            self._stable = self._stable.resized(spec.stable_window_s)
        if self._panic is not None and self._panic.length_s != spec.panic_window_s:
            self._panic = self._panic.resized(spec.panic_window_s)
