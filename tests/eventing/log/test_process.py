"""The log in a process of its own that is killed under load, and on a disk that is really full."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

from eventing.log.base import EARLIEST, Record
from tests.support.event_log import STREAM, TRIGGER, opened, read_all

KILLS = 20


def start_writer(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.event_writer", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_nothing_acknowledged_is_lost_to_twenty_kills(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    chance = random.Random(4)
    synced: dict[int, str] = {}
    acked: set[int] = set()
    buried: set[int] = set()
    for life in range(KILLS):  # each on what the last death left
        with start_writer("crash", str(path), str(life)) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
            lines = [writer.stdout.readline() for _ in range(chance.randrange(10, 600))]
            time.sleep(chance.uniform(0.0, 0.01))
            writer.kill()
            lines += writer.stdout.read().splitlines(keepends=True)
        for line in lines:
            match line.split() if line.endswith("\n") else []:
                case ["+", offset, id]:
                    assert synced.setdefault(int(offset), id) == id, f"offset {offset} was given twice"
                case ["-", offset]:
                    acked.add(int(offset))
                case ["x", offset]:
                    buried.add(int(offset))
    assert len(synced) > 1000
    assert len(acked) > 20
    assert len(buried) > 20
    asyncio.run(check(path, synced, acked, buried))


async def check(path: Path, synced: dict[int, str], acked: set[int], buried: set[int]) -> None:
    async with opened(path) as log:
        entries = await read_all(log)
        found = {entry.offset: entry.event.id for entry in entries if isinstance(entry, Record)}
        assert sorted(found) == list(range(len(entries)))
        assert {offset: found.get(offset) for offset in synced} == synced
        assert len(set(found.values())) == len(found), "no event is there twice"
        cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
        assert {offset for offset in acked | buried if not cursor.position.is_acked(offset)} == set()
        letters = {letter.offset for letter in await log.dead_letters.list(count_max=1_000_000)}
        assert buried <= letters
        assert all(offset is not None and cursor.position.is_acked(offset) for offset in letters)


def test_a_disk_that_refuses_the_process_and_then_has_space_again(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with start_writer("full", str(path), str(1024 * 1024)) as writer:
        output, _ = writer.communicate(timeout=60)
    assert writer.returncode == 0
    lines = output.splitlines()[1:]
    assert sum(line.startswith("full 507 nothing was written") for line in lines) == 2
    synced = [line.split() for line in lines if line.startswith("+")]
    assert len(synced) > 30
    assert [id for _, _, id in synced[-10:]] == [f"after{n}" for n in range(10)]

    async def body() -> None:
        async with opened(path) as log:
            entries = await read_all(log)
            found = [(str(e.offset), e.event.id) for e in entries if isinstance(e, Record)]
            assert found == [(offset, id) for _, offset, id in synced], "what was acknowledged, and nothing else"

    asyncio.run(body())
