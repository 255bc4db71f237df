"""All timers of the platform on one clock: makes each tick when it is due, and wakes its sink a little before.

A source sets its timer; `ticks` says what is due. A tick counts as made when `fire` has returned, which is when it is
on disk; one that cannot be stored is tried again until it can. Wall time decides, so a clock that is set is noticed
within seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from core.clock import Clock
from core.errors import ApiError, TemporaryError
from core.resources.meta import ObjectKey
from core.resources.schedules import Schedule
from core.tasks import Started
from eventing.ticks import JUMP_S, plan_ticks

log = structlog.get_logger()

LOOK_S: Final = 5.0
"""How late a tick may be after somebody has set the clock."""
RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Timer:
    """`fire` is given the moment of the tick, `wake` is called `lead_s` before."""

    schedule: Schedule
    fire: Callable[[float], Awaitable[None]]
    wake: Callable[[], None]
    lead_s: float


@dataclass(slots=True, eq=False)
class _Armed:
    timer: Timer
    last: float
    next: float | None = None
    turn: int = 0  # entries of the heap with another number are void
    firing: bool = False


class Ticker:
    """One per sort of source; the roof runs it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._armed: dict[ObjectKey, _Armed] = {}
        self._heap: list[tuple[float, int, ObjectKey]] = []
        self._turns = itertools.count(1)
        self._changed = asyncio.Event()
        self._seen = 0.0

    def set(self, key: ObjectKey, timer: Timer, since: float) -> None:
        """From now on, ticks after `since`; a timer whose schedule stays goes on where it is."""
        armed = self._armed.get(key)
        if armed is not None and armed.timer.schedule == timer.schedule:
            armed.timer = timer
            return
        self._armed[key] = armed = _Armed(timer, since)
        self._plan(key, armed)

    def remove(self, key: ObjectKey) -> None:
        self._armed.pop(key, None)

    def has(self, key: ObjectKey, schedule: Schedule) -> bool:
        """Whether it runs by that schedule."""
        return key in self._armed and self._armed[key].timer.schedule == schedule

    async def run(self, started: Started) -> None:
        """Until canceled."""
        async with asyncio.TaskGroup() as group:
            started()
            while True:
                self._changed.clear()
                now = self._clock.wall()
                if now < self._seen - JUMP_S:
                    self._go_back()
                self._seen = now
                while self._heap and self._heap[0][0] <= now:
                    _, turn, key = heapq.heappop(self._heap)
                    armed = self._armed.get(key)
                    if armed is not None and armed.turn == turn and not armed.firing:
                        self._act(group, key, armed, now)
                await self._rest()

    def _act(self, group: asyncio.TaskGroup, key: ObjectKey, armed: _Armed, now: float) -> None:
        if armed.next is not None and armed.next > now:
            armed.timer.wake()
            self._push(key, armed, armed.next)
        else:
            armed.firing = True
            group.create_task(self._fire(key, armed), name=f"tick:{key}")

    async def _fire(self, key: ObjectKey, armed: _Armed) -> None:
        ticks = plan_ticks(armed.timer.schedule, armed.last, self._clock.wall())
        for moment in ticks.due:
            while self._armed.get(key) is armed:
                try:
                    await armed.timer.fire(moment)
                except (ApiError, TemporaryError) as error:
                    log.warning("a tick waits to be stored", source=str(key), reason=str(error))
                    await self._clock.sleep(RETRY_S)
                else:
                    break
        armed.last, armed.firing = ticks.last, False
        if self._armed.get(key) is armed:
            self._plan(key, armed)

    def _plan(self, key: ObjectKey, armed: _Armed) -> None:
        """What is overdue comes at once; what is to come is announced."""
        now = self._clock.wall()
        ticks = plan_ticks(armed.timer.schedule, armed.last, now)
        armed.next = ticks.due[0] if ticks.due else ticks.next
        armed.last = armed.last if ticks.due else ticks.last  # which the clock may have left behind
        if armed.next is not None:
            self._push(key, armed, now if ticks.due else max(now, armed.next - armed.timer.lead_s))
        self._changed.set()

    def _push(self, key: ObjectKey, armed: _Armed, at: float) -> None:
        armed.turn = next(self._turns)
        heapq.heappush(self._heap, (at, armed.turn, key))

    def _go_back(self) -> None:
        """The clock has been set back: every entry stands for a moment that is far away now."""
        self._heap.clear()
        for key, armed in self._armed.items():
            if not armed.firing:
                self._plan(key, armed)

    async def _rest(self) -> None:
        """Until the next entry, but never long."""
        wait_s = LOOK_S if not self._heap else min(LOOK_S, max(0.0, self._heap[0][0] - self._clock.wall()))
        async with asyncio.TaskGroup() as group:
            tasks = (group.create_task(self._changed.wait()), group.create_task(self._clock.sleep(wait_s)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
