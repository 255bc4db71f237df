"""What `commits`, `streams`, `file` and `upkeep` promise each other where no disk fails: see also test_log."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from eventing.log.base import EARLIEST
from eventing.log.commits import _slices
from eventing.log.database import Disk
from tests.support.event_log import STREAM, TRIGGER, events, opened


class Counting(sqlite3.Connection):
    """Counts transactions."""

    commits = 0

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:  # type: ignore[override]
        Counting.commits += sql == "commit"
        return super().execute(sql, parameters)  # type: ignore[arg-type]


def test_what_arrives_together_is_synced_together(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db", disk=Disk(connection=Counting)) as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            Counting.commits = 0
            await asyncio.gather(*(log.append_nowait(STREAM, events(1, n)) for n in range(100)))
            assert Counting.commits == 1
            for offset in range(100):
                cursor.ack(offset)
                await asyncio.sleep(0)
            assert Counting.commits == 1, "acknowledgements wait for a commit that goes anyway"
            await cursor.dead_letter(99, None, "late")
            await asyncio.gather(*(log.append_nowait(f"broker/default/{n}", events(3)) for n in range(20)))
            assert Counting.commits == 3
            deadline = asyncio.get_running_loop().time() + 10
            while not (await log._file.rows("select position from subscriptions"))[0][0].startswith(b"\x64"):
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.005)
            assert Counting.commits <= 4, "or for a moment"

    asyncio.run(body())


def test_groups_are_cut_by_count_and_by_size() -> None:
    assert _slices([]) == []
    assert _slices([b"x"] * 600) == [(0, 256), (256, 512), (512, 600)]
    assert _slices([b"x" * 300_000, b"x", b"x" * 300_000]) == [(0, 1), (1, 2), (2, 3)]
