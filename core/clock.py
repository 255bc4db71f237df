"""Time as a thing that is passed in: wall time for records, monotonic time for every duration.

Decisions get `now` as a number; loops get a `Clock`. Tests pass a clock that jumps (`tests/support/clock.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Alarm(Protocol):
    """What was asked for later."""

    def cancel(self) -> None:
        """It will not come."""


class Clock(Protocol):
    """What a loop may ask of time. All values are in seconds."""

    def wall(self) -> float:
        """Seconds since the Unix epoch; may jump, so it is for records that people read, never for durations."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Returns after that many monotonic seconds."""

    def later(self, seconds: float, call: Callable[[], object]) -> Alarm:
        """Calls that after so many monotonic seconds; costs a tenth of a task that sleeps."""


class SystemClock:
    """The machine's own time. The functions themselves, not methods around them: the data path asks often."""

    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def later(self, seconds: float, call: Callable[[], object]) -> Alarm:
        return asyncio.get_running_loop().call_later(seconds, call)
