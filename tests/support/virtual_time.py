"""An event loop whose time is what its timers say: nothing waits, everything that was to happen happens in its order.

Where `FakeClock` stands still until a test moves it, here the whole loop lives in the other time: `asyncio.sleep`,
timeouts and `call_later` too. An hour of retries takes no longer than the retries themselves, and plays the same again.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from core.clock import Alarm

START = 1_000.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its selector is asked what is ready; when nothing is, the next timer's time has come."""

    def __init__(self) -> None:
        self._time = START
        selector = _Selector()
        selector.passed = self._pass
        super().__init__(selector)
        numbers = itertools.count()
        self.set_task_factory(lambda loop, coro, **more: _Task(next(numbers), coro, loop=loop, **more))

    def time(self) -> float:
        return self._time

    def _pass(self, seconds: float) -> None:
        self._time += seconds


class _Task(asyncio.Task[Any]):
    """Sets of tasks have the order that these were made in, wherever they lie in memory."""

    def __init__(self, number: int, *values: Any, **named: Any) -> None:
        self._number = number
        super().__init__(*values, **named)

    def __hash__(self) -> int:
        return self._number


class _Selector(selectors.SelectSelector):
    def passed(self, seconds: float) -> None:
        """Time goes on so far."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen again: every task waits for another")
        if not ready and timeout:
            self.passed(timeout)
        return ready


class VirtualClock:
    """`core.clock.Clock` of the running `VirtualLoop`; wall time runs along until `jump_wall` sets it apart."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._wall_is_ahead = wall - START

    def wall(self) -> float:
        return self.monotonic() + self._wall_is_ahead

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def later(self, seconds: float, call: Callable[[], object]) -> Alarm:
        return asyncio.get_running_loop().call_later(seconds, call)

    def jump_wall(self, seconds: float) -> None:
        """What an operator's `date -s` or a leap of NTP does: wall time only."""
        self._wall_is_ahead += seconds


def run(main: Coroutine[Any, Any, None]) -> None:
    """In that time, from `START` on."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)
