from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eventing.log.base import EARLIEST, Attempt, Fate
from eventing.log.positions import AHEAD_MAX, TooFarAhead
from tests.support.event_log import STREAM, TRIGGER, event, events, opened

FAILED = Attempt(1, 1000, 503, "busy")
AGAIN = Attempt(2, 2000, None, "connection refused")


def test_acknowledgements_in_any_order_survive_a_restart(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(20))
            cursor.ack(0)
            cursor.ack(5, 10)
            cursor.ack(12)
            assert cursor.backlog == 13
        async with opened(tmp_path / "events.db") as log:
            again = log.cursor(TRIGGER)
            assert again is not None
            assert (again.position.low, again.position.ranges, again.backlog) == (1, [(5, 10), (12, 13)], 13)

    asyncio.run(body())


def test_failed_attempts_survive_a_restart_until_the_event_is_acknowledged(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(5))
            cursor.fail(1, FAILED)
            cursor.fail(1, AGAIN)
            cursor.fail(2, FAILED)
            await log.flush()
            cursor.ack(2)
            cursor.fail(3, FAILED)
            cursor.ack(3)  # never written
            cursor.fail(0, Attempt(1, 0, 500, "x" * 5000))
            cursor.ack(4)
            cursor.fail(4, FAILED)  # late news of what is acknowledged
            assert cursor.attempts(1) == [FAILED, AGAIN]
        async with opened(tmp_path / "events.db") as log:
            again = log.cursor(TRIGGER)
            assert again is not None
            assert again.failing == {0: [Attempt(1, 0, 500, "x" * 1024)], 1: [FAILED, AGAIN]}
            again.ack(0, 2)
        async with opened(tmp_path / "events.db") as log:
            last = log.cursor(TRIGGER)
            assert last is not None
            assert last.failing == {}

    asyncio.run(body())


def test_a_dead_letter_is_kept_with_its_history_and_acknowledged(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(3))
            cursor.fail(1, FAILED)
            await log.flush()
            cursor.fail(1, AGAIN)
            waiting = cursor.dead_letter(1, event(1), "the policy allows two attempts")
            assert not cursor.position.is_acked(1), "not before it is synced"
            assert await waiting == 1
            assert cursor.position.ranges == [(1, 2)]
            assert cursor.attempts(1) == ()
        async with opened(tmp_path / "events.db") as log:
            again = log.cursor(TRIGGER)
            assert again is not None
            assert again.failing == {}
            assert again.position.ranges == [(1, 2)]
            (letter,) = await log.dead_letters.list(TRIGGER)
            assert (letter.number, letter.offset, letter.event, letter.fate) == (1, 1, event(1), Fate.WAITING)
            assert letter.attempts == (FAILED, AGAIN)
            assert await log.dead_letters.of_event(STREAM, 1) == [letter]

    asyncio.run(body())


def test_one_dead_letter_may_stand_for_a_range(tmp_path: Path) -> None:
    """Records that are damaged, a million of them perhaps."""

    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(9))
            for offset in (2, 5, 6):
                cursor.fail(offset, FAILED)
            await log.flush()
            assert await cursor.dead_letter(3, None, "damaged", 6) == 1
            assert cursor.position.ranges == [(3, 6)]
            assert list(cursor.failing) == [2, 6]
        async with opened(tmp_path / "events.db") as log:
            again = log.cursor(TRIGGER)
            assert again is not None
            assert (again.position.ranges, list(again.failing)) == ([(3, 6)], [2, 6])

    asyncio.run(body())


def test_what_cannot_be_acknowledged(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(3))
            with pytest.raises(ValueError, match="ends before offset 3"):
                cursor.ack(3)
            with pytest.raises(TooFarAhead):
                cursor.dead_letter(1, None, "", AHEAD_MAX + 1)
            assert cursor.backlog == 3

    asyncio.run(body())
