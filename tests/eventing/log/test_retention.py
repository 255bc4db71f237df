"""The decision, and eventing/log/upkeep.py which carries it out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eventing.log.base import EARLIEST, Retention
from eventing.log.records import Group
from eventing.log.retention import Prune, plan_prune
from tests.support.clock import FakeClock
from tests.support.event_log import STREAM, TRIGGER, events, opened, read_all, told

HOUR_MS = 3_600_000
# Four groups of ten records and 100 bytes, an hour apart; it is four o'clock.
GROUPS = [Group(n, n * 10, 10, n * HOUR_MS, 100) for n in range(4)]


@pytest.mark.parametrize(
    ("retention", "floor", "expected"),
    [
        pytest.param(Retention(None, None), 40, None, id="nothing bounds it"),
        pytest.param(Retention(2.5 * 3600, None), 40, Prune(20, 200), id="what is older than two and a half hours"),
        pytest.param(Retention(None, 250), 40, Prune(20, 200), id="until it fits"),
        pytest.param(Retention(2.5 * 3600, 100), 40, Prune(30, 300), id="the stricter bound counts"),
        pytest.param(Retention(0, 0), 40, Prune(40, 400), id="everything"),
        pytest.param(Retention(0, 0), 19, Prune(10, 100), id="no group that is not acknowledged to its end"),
        pytest.param(Retention(0, 0), 9, None, id="nothing is acknowledged"),
    ],
)
def test_what_goes(retention: Retention, floor: int, expected: Prune | None) -> None:
    assert plan_prune(GROUPS, retention, floor, 400, 4 * HOUR_MS) == expected


def test_a_clock_that_went_back_keeps_more() -> None:
    assert plan_prune(GROUPS, Retention(3600, None), 40, 400, 0) is None


def test_retention_waits_for_the_slowest_subscription(tmp_path: Path) -> None:
    async def body() -> None:
        clock = FakeClock()
        async with opened(tmp_path / "events.db", clock) as log:
            log.retain(STREAM, Retention(age_s=60, bytes_max=None))
            slow = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            for turn in range(5):
                await log.append_nowait(STREAM, events(10, turn * 10))
            slow.ack(0, 25)
            started = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                upkeep = group.create_task(log.run(started.set))
                await started.wait()
                await clock.advance(50)
                assert log.stream(STREAM).head == 0, "too young"
                await clock.advance(21)
                while log.stream(STREAM).head < 20:
                    await asyncio.sleep(0.001)
                upkeep.cancel()
            info = log.stream(STREAM)
            assert (info.head, info.tail) == (20, 50)
            assert told(await read_all(log)) == [f"{n}:e{n}" for n in range(20, 50)], "reads begin at the head"
            await log.unsubscribe(TRIGGER)
        async with opened(tmp_path / "events.db") as log:
            assert log.stream(STREAM) == info
            assert told(await read_all(log))[0] == "20:e20"
            assert await log.find(STREAM, "e19") == []

    asyncio.run(body())


def test_a_stream_is_dropped_with_its_subscriptions(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(10))
            await cursor.dead_letter(3, None, "no")
            await log.append_nowait("broker/default/other", events(2))
            await log.drop_stream(STREAM)
            assert log.cursor(TRIGGER) is None
        async with opened(tmp_path / "events.db") as log:
            assert [info.name for info in log.streams()] == ["broker/default/other"]
            assert log.cursor(TRIGGER) is None
            assert len(await log.dead_letters.list()) == 1
            assert await log.append_nowait(STREAM, events(1)) == 0

    asyncio.run(body())
