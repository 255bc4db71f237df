"""The two clocks keep their promises."""

from __future__ import annotations

import asyncio

from core.clock import SystemClock
from tests.support.clock import FakeClock, settle


def test_monotonic_never_goes_back_and_wall_is_unix_time() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)
    assert clock.wall() > 1_700_000_000


def test_the_fake_clock_wakes_sleepers_in_order_each_at_its_own_time() -> None:
    async def scenario() -> None:
        clock = FakeClock(monotonic=0.0)
        woken: list[tuple[str, float]] = []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append((name, clock.monotonic()))

        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("late", 5))
            group.create_task(sleeper("early", 2))
            await settle()
            await clock.advance(4)
            assert woken == [("early", 2.0)]
            await clock.advance(4)
        assert woken == [("early", 2.0), ("late", 5.0)]

    asyncio.run(scenario())


def test_a_jump_of_the_wall_clock_leaves_durations_alone() -> None:
    clock = FakeClock(wall=100.0, monotonic=10.0)
    clock.jump_wall(-50)
    assert (clock.wall(), clock.monotonic()) == (50.0, 10.0)
