from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from eventing.log.base import EARLIEST, NOW, Origin, Retention, Start
from tests.support.clock import FakeClock
from tests.support.event_log import STREAM, TRIGGER, events, opened, read_all, told


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        pytest.param(NOW, 20, id="now"),
        pytest.param(EARLIEST, 5, id="earliest that is kept"),
        pytest.param(Start(Origin.TIME, 1_700_000_000 + 150), 10, id="the first at that time or later"),
        pytest.param(Start(Origin.TIME, 1_700_000_000 + 200), 10, id="at exactly that time"),
        pytest.param(Start(Origin.TIME, 0), 5, id="before all"),
        pytest.param(Start(Origin.TIME, 2_000_000_000), 20, id="in the future"),
        pytest.param(Start(Origin.OFFSET, 7), 7, id="an offset"),
        pytest.param(Start(Origin.OFFSET, 1), 5, id="an offset that is gone"),
        pytest.param(Start(Origin.OFFSET, 99), 20, id="an offset that is not yet"),
    ],
)
def test_where_a_new_subscription_begins(start: Start, expected: int, tmp_path: Path) -> None:
    async def body() -> None:
        clock = FakeClock()
        async with opened(tmp_path / "events.db", clock) as log:
            log.retain(STREAM, Retention(age_s=None, bytes_max=1))
            await log.append_nowait(STREAM, events(5))
            await log.prune()
            for turn in range(3):
                await clock.advance(100)
                await log.append_nowait(STREAM, events(5, 5 + turn * 5))
            cursor = await log.subscribe(TRIGGER, STREAM, start)
            assert cursor.position.low == expected
            assert await log.subscribe(TRIGGER, STREAM, NOW) is cursor, "it is where it was"

    asyncio.run(body())


def test_a_position_may_outlive_its_subscription(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(10))
            cursor.ack(0, 4)
            cursor.ack(6)
            await log.unsubscribe(TRIGGER, keep_position=True)
            assert log.cursor(TRIGGER) is None
        async with opened(tmp_path / "events.db") as log:
            assert log.cursor(TRIGGER) is None
            again = await log.subscribe(TRIGGER, STREAM, NOW)
            assert (again.position.low, again.position.ranges, again.missed) == (4, [(6, 7)], 0)
            await log.unsubscribe(TRIGGER)
            fresh = await log.subscribe(TRIGGER, STREAM, NOW)
            assert fresh.position.low == 10

    asyncio.run(body())


def test_a_released_position_does_not_hold_retention_and_counts_what_it_missed(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            log.retain(STREAM, Retention(age_s=None, bytes_max=1))
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(10))
            cursor.ack(2, 5)
            await log.unsubscribe(TRIGGER, keep_position=True)
            await log.prune()
            assert log.stream(STREAM).head == 10
            again = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            assert (again.position.low, again.position.ranges, again.missed) == (10, [], 7)

    asyncio.run(body())


def test_a_subscription_that_moves_to_another_stream_begins_anew(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            await log.append_nowait(STREAM, events(10))
            first = await log.subscribe(TRIGGER, STREAM, NOW)
            moved = await log.subscribe(TRIGGER, "broker/default/other", EARLIEST)
            assert moved is not first
            assert (moved.stream, moved.position.low) == ("broker/default/other", 0)
        async with opened(tmp_path / "events.db") as log:
            again = log.cursor(TRIGGER)
            assert again is not None
            assert again.stream == "broker/default/other"

    asyncio.run(body())


def test_an_offset_that_was_acknowledged_is_never_given_to_another_event(tmp_path: Path) -> None:
    """As a disk that lied about a sync may leave it: the position is there, the events are not."""

    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(5))
            await log.append_nowait(STREAM, events(5, 5))
            cursor.ack(0, 2)
            cursor.ack(7)
        with sqlite3.connect(tmp_path / "events.db") as connection:
            connection.execute("delete from groups where first >= 5")
        connection.close()
        async with opened(tmp_path / "events.db") as log:
            assert await log.append_nowait(STREAM, events(1, 10)) == 8
            assert told(await read_all(log)) == [*(f"{n}:e{n}" for n in range(5)), "5-7!", "8:e10"]

    asyncio.run(body())


def test_a_damaged_position_goes_back_to_the_oldest_event(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(5))
            cursor.ack(0, 4)
        with sqlite3.connect(tmp_path / "events.db") as connection:
            connection.execute("update subscriptions set position = x'ff00000000000000'")
        connection.close()
        async with opened(tmp_path / "events.db") as log:
            again = log.cursor(TRIGGER)
            assert again is not None
            assert again.backlog == 5, "delivered twice is better than never"

    asyncio.run(body())
