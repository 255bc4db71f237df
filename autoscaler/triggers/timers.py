"""Many things by the time at which each is due, with one sleeper for all of them. Used by `poller` and `loop`."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from core.clock import Alarm, Clock

GRAIN_S: Final = 0.02
"""What is due within so long is due together: a thousand timers wake the platform fifty times a second at most."""

_SLACK: Final = 64
_NOW_S: Final = 1e-6  # what is due within so long is due: sleeps end by clocks of their own

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """Each key at most once; set again, it has its new time only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []  # with entries that are out of date
        self._order = itertools.count()
        self._runs = False
        self._alarm: Alarm | None = None
        self._alarm_at = 0.0
        self._rung = asyncio.Event()

    def __len__(self) -> int:
        return len(self._at)

    def at(self, key: K) -> float | None:
        """When it is due."""
        return self._at.get(key)

    def set(self, key: K, at: float) -> None:
        """Due at a monotonic moment, and never earlier."""
        if self._at.get(key) == at:
            return
        self._at[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
        if len(self._heap) > 2 * len(self._at) + _SLACK:
            self._heap = [entry for entry in self._heap if self._at.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
        self._arm()

    def clear(self, key: K) -> None:
        self._at.pop(key, None)

    async def run(self, ring: Callable[[K], None]) -> None:
        """Calls `ring` with each key that is due, until cancelled."""
        self._runs = True
        try:
            while True:
                for key in self._take(self._clock.monotonic()):
                    ring(key)
                self._arm()
                await self._rung.wait()
                self._rung.clear()
        finally:
            self._runs = False
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None

    def _take(self, now: float) -> list[K]:
        keys = []
        while self._heap and self._heap[0][0] <= now + _NOW_S:
            at, _, key = heapq.heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                keys.append(key)
        return keys

    def _arm(self) -> None:
        """Sees to it that somebody sleeps until the first of them, and not longer."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if not self._runs or not self._heap:
            return
        first = self._heap[0][0]
        at = max(first, (first // GRAIN_S + 1.0) * GRAIN_S)
        if self._alarm is not None and self._alarm_at <= at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._clock.later(at - self._clock.monotonic(), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._rung.set()
