"""How many requests a revision has: the time integral of those in flight, waiting ones included.

The gateway counts each request in and out; once a second the reporter asks for a `RequestStatistic`. The arithmetic is
Knative's (pkg/network/stats.go, pkg/activator/handler/concurrency_reporter.go), integrated exactly, never sampled.
"""

from __future__ import annotations

from core.stats import RequestStatistic, RevisionKey


class Meter:
    """One revision. All times are monotonic seconds and never go back."""

    __slots__ = ("_arrivals", "_changed_at", "_integral", "_poked", "_since", "in_flight")

    def __init__(self, now: float) -> None:
        self.in_flight = 0
        self._integral = 0.0
        self._changed_at = now
        self._since = now
        self._arrivals = 0
        self._poked = False

    def arrive(self, now: float) -> None:
        self._integral += self.in_flight * (now - self._changed_at)
        self._changed_at = now
        self.in_flight += 1
        self._arrivals += 1

    def leave(self, now: float) -> None:
        self._integral += self.in_flight * (now - self._changed_at)
        self._changed_at = now
        self.in_flight -= 1

    @property
    def quiet(self) -> bool:
        """Nothing has happened since the last report, and nothing is going on."""
        return not self.in_flight and not self._arrivals and not self._integral

    def report(self, revision: RevisionKey, now: float) -> RequestStatistic:
        """What happened since the last report. What a poke has told already is not told twice."""
        interval = now - self._since
        integral = self._integral + self.in_flight * (now - self._changed_at)
        average = integral / interval if interval > 0 else float(self.in_flight)
        count = float(self._arrivals)
        if self._poked:
            average, count = max(0.0, average - 1.0), max(0.0, count - 1.0)
        self._integral, self._arrivals, self._poked = 0.0, 0, False
        self._changed_at = self._since = now
        return RequestStatistic(revision, now, interval, average, count, self.in_flight)

    def poke(self, revision: RevisionKey, now: float) -> RequestStatistic | None:
        """The report that cannot wait: a request met a revision with nothing to serve it. Once per interval."""
        if self._poked:
            return None
        self._poked = True
        return RequestStatistic(revision, now, 0.0, 1.0, 1.0, self.in_flight, poke=True)
