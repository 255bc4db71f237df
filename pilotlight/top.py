"""The rows of `pilotlight top`: each revision's last statistic beside what its PodAutoscaler says."""

from __future__ import annotations

from collections.abc import Callable

from core.clock import Clock
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.meta import Json
from core.stats import RequestStatistic, RevisionKey, StatisticBus
from core.store.base import Store

FORGET_S = 10.0  # a statistic older than this says nothing about now
KEPT_MAX = 10_000  # revisions whose statistic is remembered: those that were busy last

Waiting = Callable[[RevisionKey], int]


class Top:
    """Listens to the bus from its construction on."""

    def __init__(self, store: Store, bus: StatisticBus, clock: Clock, waiting: Waiting) -> None:
        self._store = store
        self._clock = clock
        self._waiting = waiting
        self._last: dict[RevisionKey, RequestStatistic] = {}
        bus.subscribe(self._note)

    async def rows(self) -> list[Json]:
        """One per revision: the busiest first, then by name."""
        listing = await self._store.list(POD_AUTOSCALER)
        rows = [self._row(autoscaler) for autoscaler in listing.items]
        return sorted(rows, key=lambda row: (-row["inFlight"], row["namespace"], row["revision"]))

    def _row(self, autoscaler: Json) -> Json:
        metadata, status = autoscaler["metadata"], autoscaler.get("status") or {}
        key = RevisionKey(metadata["namespace"], metadata["name"])
        last = self._last.get(key)
        if last is not None and self._clock.monotonic() - last.at > FORGET_S:
            last = None
        ready, desired = status.get("actualScale") or 0, max(0, status.get("desiredScale") or 0)
        return {
            "namespace": key.namespace,
            "revision": key.name,
            "ready": ready,
            "desired": desired,
            "inFlight": last.in_flight if last else 0,
            "waiting": self._waiting(key),
            "requestsPerSecond": last.request_count / last.interval_s if last and last.interval_s else 0.0,
            "state": state_of(ready, desired),
        }

    def _note(self, statistic: RequestStatistic) -> None:
        if statistic.poke:
            return
        self._last.pop(statistic.revision, None)
        self._last[statistic.revision] = statistic
        if len(self._last) > KEPT_MAX:
            del self._last[next(iter(self._last))]


def state_of(ready: int, desired: int) -> str:
    """One word for a person."""
    if desired > ready:
        return "waking" if ready == 0 else "growing"
    if desired < ready:
        return "shrinking"
    return "asleep" if ready == 0 else "awake"
