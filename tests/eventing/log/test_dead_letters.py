from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from eventing.log.base import Attempt, DeadLetter, Fate
from tests.support.event_log import event, opened


def letter(number: int, subscription: str = "trigger/default/t") -> DeadLetter:
    tried = (Attempt(1, 5, None, "no answer"),)
    return DeadLetter(0, subscription, "broker/default/kafka", None, 0, "retries are used up", tried, event(number))


def test_dead_letters_of_any_broker_are_listed_marked_and_dropped(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            letters = log.dead_letters
            kept = [letters.keep(letter(number)) for number in range(4)]
            kept.append(letters.keep(letter(9, "trigger/default/other")))
            assert await asyncio.gather(*kept) == [1, 2, 3, 4, 5]
            assert [one.number for one in await letters.list()] == [1, 2, 3, 4, 5]
            assert [one.number for one in await letters.list("trigger/default/t", after=1, count_max=2)] == [2, 3]
            first = await letters.get(1)
            assert first is not None
            assert (first.event, first.attempts, first.offset) == (event(0), letter(0).attempts, None)
            assert first.time_ms == 1_700_000_000_000
            await letters.mark([1, 2], Fate.SENT)
            assert await letters.count("trigger/default/t") == 2
            await letters.drop([5])
            assert await letters.get(5) is None
        async with opened(tmp_path / "events.db") as log:
            assert [one.fate for one in await log.dead_letters.list()] == [Fate.SENT] * 2 + [Fate.WAITING] * 2
            assert await log.dead_letters.keep(letter(5)) == 6, "a number is never given twice"

    asyncio.run(body())


def test_a_flipped_bit_in_a_kept_event_is_told(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            await log.dead_letters.keep(letter(1))
        with sqlite3.connect(tmp_path / "events.db") as connection:
            connection.execute("update dead_letters set event = cast(substr(event, 1, 30) || 'x' as blob), fate = 'x'")
        connection.close()
        async with opened(tmp_path / "events.db") as log:
            (found,) = await log.dead_letters.list()
            assert found.event is None
            assert found.reason == (
                "retries are used up (the kept event is damaged: its checksum does not match) (its history is damaged)"
            )
            assert (found.fate, found.attempts) == (Fate.WAITING, ())

    asyncio.run(body())
