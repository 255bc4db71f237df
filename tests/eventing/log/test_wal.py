from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eventing.log.log import EventLog
from eventing.log.wal import commits_in
from tests.support.clock import FakeClock
from tests.support.event_log import STREAM, events, opened, read_all, told

FRAME = 24 + 4096


async def cut_off_of(path: Path, flipped: int | None) -> tuple[int, list[str]]:
    """Copies a log under way, as a crash leaves it, flips a bit of SQLite's own log, and opens it.

    `flipped` is a place in that log, from its end where it is negative.
    """
    copy = path.with_name("copy") / "events.db"
    copy.parent.mkdir()
    async with opened(path) as log:
        for turn in range(10):
            await log.append_nowait(STREAM, events(1, turn))
        for suffix in ("", "-wal"):
            copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    wal = copy.with_name("events.db-wal")
    if flipped is not None:
        data = bytearray(wal.read_bytes())
        data[flipped] ^= 4
        wal.write_bytes(data)
    log = EventLog(copy, FakeClock())
    await log.open()
    entries = told(await read_all(log))
    await log.close()
    return log.cut_off, entries


@pytest.mark.parametrize(
    ("flipped", "lost"),
    [
        pytest.param(None, 0, id="nothing is flipped"),
        pytest.param(-100, 1, id="in the last transaction, which a crash may have interrupted"),
        pytest.param(-100 - 6 * FRAME, 4, id="in one before it"),
    ],
)
def test_what_is_behind_a_flipped_bit_is_counted(flipped: int | None, lost: int, tmp_path: Path) -> None:
    found, entries = asyncio.run(cut_off_of(tmp_path / "events.db", flipped))
    assert found == lost
    assert entries == [f"{n}:e{n}" for n in range(10 - lost)]


def test_a_flip_in_the_header_hides_everything_and_is_told(tmp_path: Path) -> None:
    found, entries = asyncio.run(cut_off_of(tmp_path / "events.db", 17))
    assert found >= 10
    assert entries == []


def test_no_log_no_commits(tmp_path: Path) -> None:
    assert commits_in(tmp_path / "none") == []
    (tmp_path / "short").write_bytes(b"x" * 10)
    assert commits_in(tmp_path / "short") == []
