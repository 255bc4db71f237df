"""Requests of revisions, as the data path tells them: in flight, and how many came, over the last minutes.

One meter hears the bus for all triggers that ask. What is silent for longer than the longest window is forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from core.clock import Clock
from core.stats import RequestStatistic, RevisionKey, StatisticBus

KEPT_S: Final = 600.0
"""The longest window."""
SILENCE_S: Final = 3.0
"""The data path speaks once a second about whatever is busy; after this long nobody knows."""

Heard = Callable[[RequestStatistic], None]


class Requests:
    """One revision's."""

    __slots__ = ("_reports", "in_flight", "last_at")

    def __init__(self) -> None:
        self._reports: deque[tuple[float, float, float]] = deque()  # end, request-seconds, requests
        self.in_flight = 0
        self.last_at = 0.0

    def note(self, report: RequestStatistic) -> None:
        integral = 0.0 if report.poke else report.average_concurrency * report.interval_s
        self._reports.append((report.at, integral, report.request_count))
        self.in_flight, self.last_at = report.in_flight, report.at
        while self._reports[0][0] <= report.at - KEPT_S:
            self._reports.popleft()

    def since(self, moment: float) -> tuple[float, float]:
        """(request-seconds, requests) of all that was reported after it."""
        chosen = [report for report in self._reports if report[0] > moment]
        return sum(integral for _, integral, _ in chosen), sum(count for _, _, count in chosen)

    def is_known(self, now: float) -> bool:
        """Silence with nothing in flight means that nothing came."""
        return self.in_flight == 0 or now - self.last_at <= SILENCE_S


class RequestMeter:
    """Hears from its construction on."""

    def __init__(self, bus: StatisticBus, clock: Clock) -> None:
        self._bus, self._clock = bus, clock
        self.began = clock.monotonic()
        self._by_revision: dict[RevisionKey, Requests] = {}
        self._listeners: dict[str, list[Heard]] = {}
        bus.subscribe(self._note)

    async def close(self) -> None:
        self._bus.unsubscribe(self._note)

    def of(self, revision: RevisionKey) -> Requests | None:
        """None: nothing was heard of it for long."""
        return self._by_revision.get(revision)

    def listen(self, namespace: str, heard: Heard) -> Callable[[], None]:
        """Hears of each revision there with requests in flight after none, and of each poke. Returns what ends it."""
        listeners = self._listeners.setdefault(namespace, [])
        listeners.append(heard)
        return lambda: listeners.remove(heard)

    def _note(self, report: RequestStatistic) -> None:
        requests = self._by_revision.pop(report.revision, None) or Requests()
        self._by_revision[report.revision] = requests  # those heard of last are at the end
        wakes = report.poke or (report.in_flight > 0 and requests.in_flight == 0)
        requests.note(report)
        if wakes:
            for heard in self._listeners.get(report.revision.namespace, ()):
                heard(report)
        first = next(iter(self._by_revision))
        if self._by_revision[first].last_at < report.at - KEPT_S:
            del self._by_revision[first]
