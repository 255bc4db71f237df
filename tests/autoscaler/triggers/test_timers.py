"""autoscaler/triggers/timers.py: in order, not early, set again and cleared."""

from __future__ import annotations

import asyncio

from autoscaler.triggers.timers import GRAIN_S, Timers
from tests.support.virtual_time import START, VirtualClock, run


def test_each_rings_once_at_its_last_time_and_never_early() -> None:
    async def story() -> None:
        clock = VirtualClock()
        timers: Timers[str] = Timers(clock)
        rung: list[tuple[str, float]] = []

        def ring(key: str) -> None:
            rung.append((key, clock.monotonic() - START))
            if key == "again" and len(rung) < 6:
                timers.set("again", clock.monotonic() + 1.0)

        timers.set("late", START + 9.0)
        timers.set("cleared", START + 1.0)
        timers.set("again", START + 2.0)
        task = asyncio.get_running_loop().create_task(timers.run(ring))
        await asyncio.sleep(0.5)
        timers.set("late", START + 3.5)
        timers.set("early", START + 0.7)
        timers.clear("cleared")
        timers.set("past", START)
        await asyncio.sleep(20.0)
        task.cancel()
        due = {"early": 0.7, "late": 3.5, "past": 0.5}
        assert [key for key, _ in rung] == ["past", "early", "again", "again", "late", "again"]
        assert len(timers) == 0
        for key, at in rung:
            if key in due:
                assert due[key] <= at <= due[key] + 2 * GRAIN_S

    run(story())


def test_setting_a_key_often_keeps_no_more_than_it_needs() -> None:
    timers: Timers[int] = Timers(VirtualClock())
    for number in range(10_000):
        timers.set(number % 5, float(number))
    assert len(timers) == 5
    assert len(timers._heap) < 100
