"""The log when its disk fails: eventing/log/database.py, eventing/log/file.py and eventing/log/reading.py together."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import PermanentError, StoreFull
from eventing.log.base import EARLIEST, Attempt, Retention
from eventing.log.database import Database, Disk
from eventing.log.log import EventLog
from tests.support.event_log import STREAM, TRIGGER, event, events, opened, read_all, told

PAGE = 4096


def test_a_full_disk_is_told_and_forgotten_when_there_is_space_again(tmp_path: Path) -> None:
    async def body() -> None:
        kept: list[int] = []

        async def until_refused(log: EventLog) -> None:
            for number in range(1000):
                assert await log.append_nowait(STREAM, [event(number, size=5000)]) == number
                kept.append(number)

        async with opened(tmp_path / "events.db", disk=Disk(bytes_max=400_000)) as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            with pytest.raises(StoreFull, match=r"nothing was written: the event log .* refused it .*full"):
                await until_refused(log)
            assert len(kept) > 30
            refused = [log.append_nowait(STREAM, [event(n, size=50_000)]) for n in range(3)]
            assert all(isinstance(e, StoreFull) for e in await asyncio.gather(*refused, return_exceptions=True))
            with pytest.raises(StoreFull):
                await cursor.dead_letter(0, event(0, size=50_000), "no")
            assert not cursor.position.is_acked(0)
            cursor.ack(0, len(kept) // 2)
            assert log.stream(STREAM).tail == len(kept)
        async with opened(tmp_path / "events.db", disk=Disk(bytes_max=4_000_000)) as log:
            assert told(await read_all(log)) == [f"{n}:e{n}" for n in kept], "what was acknowledged, and nothing else"
            assert await log.append_nowait(STREAM, [event(1)]) == len(kept), "no offset is lost to a refused append"

    asyncio.run(body())


def test_what_nobody_waits_for_is_written_when_the_disk_takes_it_again(tmp_path: Path) -> None:
    async def body() -> None:
        Refusing.refuse = False
        async with opened(tmp_path / "events.db", disk=Disk(connection=Refusing)) as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            await log.append_nowait(STREAM, events(10))
            cursor.fail(7, Attempt(1, 0, 500, "old"))
            await log.flush()
            cursor.ack(0, 5)
            cursor.ack(7)
            cursor.fail(8, Attempt(1, 0, 500, "new"))
            Refusing.refuse = True
            with pytest.raises(StoreFull, match="disk I/O error"):
                await log.flush()
            with pytest.raises(StoreFull):
                await cursor.dead_letter(8, None, "no")
            Refusing.refuse = False
        async with opened(tmp_path / "events.db") as log:
            again = log.cursor(TRIGGER)
            assert again is not None
            assert (again.position.low, again.position.ranges) == (5, [(7, 8)])
            assert list(again.failing) == [8]
            assert await log.dead_letters.list() == []

    asyncio.run(body())


class Refusing(sqlite3.Connection):
    """A disk that fails its syncs while `refuse` is set."""

    refuse = False

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:  # type: ignore[override]
        if sql == "commit" and self.refuse:
            super().execute("rollback")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return super().execute(sql, parameters)  # type: ignore[arg-type]


# -- damage ------------------------------------------------------------------------------------------------------------


def filled(path: Path) -> None:
    """Forty groups of five events, each group on pages of its own; a subscription, a dead letter."""

    async def body() -> None:
        async with opened(path) as log:
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            for turn in range(40):
                await log.append_nowait(STREAM, [event(turn * 5 + n, size=1500) for n in range(5)])
            cursor.ack(0, 20)
            await cursor.dead_letter(30, event(30), "no")

    asyncio.run(body())


def tear(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


def damaged_of(entries: list[str]) -> int:
    """How many offsets are damaged; every one of them is told of, up to the event appended last."""
    damaged = expected = 0
    for entry in entries:
        if entry.endswith("!"):
            first, last = map(int, entry[:-1].split("-"))
            assert first == expected
            damaged += last + 1 - first
            expected = last + 1
        else:
            assert entry == f"{expected}:e{expected}"
            expected += 1
    assert expected == 201
    return damaged


@pytest.mark.parametrize("page", [*range(2, 16), 29, 48, 90, 91])
def test_a_torn_page_costs_what_is_on_it_and_says_so(page: int, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    filled(path)
    assert path.stat().st_size // PAGE > 90
    with sqlite3.connect(path) as connection:
        (root,) = connection.execute("select rootpage from sqlite_master where name = 'groups'").fetchone()
    connection.close()
    tear(path, page)

    async def body() -> None:
        async with opened(path) as log:
            names = [info.name for info in log.streams()]
            if names == ["lost/1"]:  # the names of the streams were on it
                assert damaged_of([*told(await read_all(log, "lost/1")), "200:e200"]) == 0
                return
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            assert (cursor.position.low, cursor.position.ranges) in ((20, [(30, 31)]), (0, []))
            assert [letter.offset for letter in await log.dead_letters.list()] in ([30], [])
            assert await log.append_nowait(STREAM, [event(200)]) == 200, "no offset is given twice"
        async with opened(path) as log:
            # Three groups begin on a leaf; the root is the way to all of them.
            assert damaged_of(told(await read_all(log))) <= (200 if page == root else 15)

    asyncio.run(body())


@pytest.mark.parametrize("column", ["count", "time_ms", "bytes"])
def test_a_number_that_has_become_a_text_costs_its_group_and_says_so(column: str, tmp_path: Path) -> None:
    """One flipped bit does that, in the header of a row."""
    path = tmp_path / "events.db"

    async def body() -> None:
        async with opened(path) as log:
            await log.append_nowait(STREAM, events(3))
            await log.append_nowait(STREAM, events(2, 3))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"update groups set {column} = '?' where first = 0")
            connection.commit()
        async with opened(path) as log:
            log.retain(STREAM, Retention(0, 0))
            cursor = await log.subscribe(TRIGGER, STREAM, EARLIEST)
            cursor.ack(0)
            await log.prune()
            assert told(await read_all(log)) == ["0-2!", "3:e3", "4:e4"]

    asyncio.run(body())


def test_a_repair_that_a_crash_interrupts_is_taken_up_again(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    filled(path)
    aside = path.rename(tmp_path / "events.db.damaged-12345")
    (tmp_path / "events.db.mending").write_bytes(b"half of it")
    database = Database(path, Disk())
    contents = database.open(0.0)
    assert (contents.aside, contents.streams[0][0].tail) == (aside, 200)
    database.close()


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"x" * 9000), lambda path: tear(path, 1)])
def test_what_is_no_log_at_all_is_refused_and_left_alone(spoil: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    filled(path)
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(PermanentError, match="cannot be read"):
        Database(path, Disk()).open(0.0)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if "damaged" in file.name or "mending" in file.name] == []


def test_a_file_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    Database(tmp_path / "events.db", Disk()).open(0.0)
    with sqlite3.connect(tmp_path / "events.db") as connection:
        connection.execute("pragma user_version = 9")
    connection.close()
    with pytest.raises(PermanentError, match="newer Pilotlight"):
        Database(tmp_path / "events.db", Disk()).open(0.0)
