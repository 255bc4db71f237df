"""Timers on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.errors import StoreFull
from core.resources.meta import ObjectKey
from core.resources.schedules import parse_schedule
from eventing.ticker import LOOK_S, RETRY_S, Ticker, Timer
from tests.support.clock import FakeClock, settle

KEY = ObjectKey("default", "ping")
START = 1_700_000_040.0  # a whole minute


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock(START)
        self.ticker = Ticker(self.clock)
        self.made: list[float] = []
        self.woken: list[float] = []
        self.full = False

    async def fire(self, moment: float) -> None:
        if self.full:
            raise StoreFull("no space")
        self.made.append(moment - START)

    def set(self, schedule: str = "* * * * *", lead_s: float = 1.0, since: float = START) -> None:
        timer = Timer(parse_schedule(schedule), self.fire, lambda: self.woken.append(self.clock.wall() - START), lead_s)
        self.ticker.set(KEY, timer, since)


def run(test: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        bench = Bench()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            task = group.create_task(bench.ticker.run(lambda: None))
            await settle()
            await test(bench)
            task.cancel()

    asyncio.run(main())


def test_ticks_come_on_time_and_their_sink_is_woken_before() -> None:
    async def test(bench: Bench) -> None:
        bench.set()
        await bench.clock.advance(58.9)
        assert (bench.made, bench.woken) == ([], [])
        await bench.clock.advance(0.2)
        assert bench.woken == [59.0]
        await bench.clock.advance(61)
        assert (bench.made, bench.woken) == ([60, 120], [59.0, 119.0])

    run(test)


def test_without_a_lead_nobody_is_woken() -> None:
    async def test(bench: Bench) -> None:
        bench.set("*/2 * * * * *", lead_s=0)
        await bench.clock.advance(5)
        assert (bench.made, bench.woken) == ([2, 4], [])

    run(test)


def test_a_clock_that_goes_forward_is_noticed_and_one_tick_is_made() -> None:
    async def test(bench: Bench) -> None:
        bench.set("0 * * * *")
        await bench.clock.advance(1)
        bench.clock.jump_wall(5 * 3600)
        await bench.clock.advance(LOOK_S)
        assert len(bench.made) == 1
        assert 4 * 3600 < bench.made[0] <= 5 * 3600 + LOOK_S

    run(test)


def test_a_clock_that_goes_back_far_is_followed_and_a_little_makes_nothing_twice() -> None:
    async def test(bench: Bench) -> None:
        bench.set()
        await bench.clock.advance(61)
        assert bench.made == [60]
        bench.clock.jump_wall(-20)
        await bench.clock.advance(30)
        assert bench.made == [60]
        bench.clock.jump_wall(-3600)
        await bench.clock.advance(65)
        assert bench.made[1:] == [bench.made[1]]
        assert -3600 < bench.made[1] < -3400

    run(test)


def test_what_cannot_be_stored_is_tried_again_and_not_lost() -> None:
    async def test(bench: Bench) -> None:
        bench.full = True
        bench.set("*/10 * * * * *")
        await bench.clock.advance(25)
        assert bench.made == []
        bench.full = False
        await bench.clock.advance(RETRY_S + 0.1)
        assert bench.made == [10, 20]

    run(test)


def test_another_schedule_begins_anew_the_same_goes_on_and_one_that_is_removed_ends() -> None:
    async def test(bench: Bench) -> None:
        bench.set()
        await bench.clock.advance(61)
        bench.set(since=START - 600)
        await bench.clock.advance(60)
        assert bench.made == [60, 120]
        bench.set("*/30 * * * * *", since=bench.clock.wall())
        await bench.clock.advance(30)
        assert bench.made == [60, 120, 150]
        bench.ticker.remove(KEY)
        await bench.clock.advance(300)
        assert bench.made == [60, 120, 150]

    run(test)


def test_what_was_missed_is_made_up_for_at_once() -> None:
    async def test(bench: Bench) -> None:
        bench.set(since=START - 90)
        await settle()
        assert bench.made == [0]
        bench.ticker.remove(KEY)
        bench.made.clear()
        bench.set("* * * * * *", since=START - 2.5)
        await settle()
        assert bench.made == [-2, -1, 0]

    run(test)
