"""A clock that stands still until a test moves it, and wakes every sleeper it passes, in order."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from core.clock import Alarm


class _Alarm:
    def __init__(self, future: asyncio.Future[None]) -> None:
        self._future = future

    def cancel(self) -> None:
        self._future.cancel()


class FakeClock:
    """`core.clock.Clock` for tests. `wall` runs along with `monotonic` until `jump_wall` sets them apart."""

    def __init__(self, wall: float = 1_700_000_000.0, monotonic: float = 1_000.0) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), future))
        await future

    def later(self, seconds: float, call: Callable[[], object]) -> Alarm:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + max(seconds, 0.0), next(self._order), future))
        future.add_done_callback(lambda done: None if done.cancelled() else call())
        return _Alarm(future)

    async def advance(self, seconds: float) -> None:
        """Moves time on; everything that slept for less runs, each at its own time, until the loop has settled."""
        end = self._monotonic + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._move_to(max(due, self._monotonic))
            if not future.done():
                future.set_result(None)
            await settle()
        self._move_to(end)
        await settle()

    def jump_wall(self, seconds: float) -> None:
        """What an operator's `date -s` or a leap of NTP does: wall time only."""
        self._wall += seconds

    def _move_to(self, monotonic: float) -> None:
        self._wall += monotonic - self._monotonic
        self._monotonic = monotonic


async def settle(turns: int = 50) -> None:
    """Lets every task that can run, run."""
    for _ in range(turns):
        await asyncio.sleep(0)
