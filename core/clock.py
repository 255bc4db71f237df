"""Time as a thing that is passed in: wall time for records, monotonic time for every duration.

Decisions get `now` as a number; loops get a `Clock`. Tests pass a clock that jumps (`tests/support/clock.py`).
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What a loop may ask of time. All values are in seconds."""

    def wall(self) -> float:
        """Seconds since the Unix epoch; may jump, so it is for records that people read, never for durations."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Returns after that many monotonic seconds."""


class SystemClock:
    """The machine's own time. The functions themselves, not methods around them: the data path asks often."""

    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
