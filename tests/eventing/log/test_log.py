from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.errors import PermanentError, StoreFull, TooManyRequests
from eventing.log import commits
from eventing.log.base import Entry, Record
from eventing.log.log import EventLog
from tests.support.clock import FakeClock
from tests.support.event_log import STREAM, event, events, opened, read_all, told

OTHER = "broker/default/other"


def test_events_are_read_as_they_were_appended_also_after_a_restart(tmp_path: Path) -> None:
    async def body() -> None:
        written = [event(0, kind=True, level=3), *events(9, 1)]
        async with opened(tmp_path / "events.db") as log:
            assert await log.append_nowait(STREAM, written[:3]) == 0
            waiting = [log.append_nowait(STREAM, [one]) for one in written[3:9]]
            elsewhere = log.append_nowait(OTHER, events(2))
            assert await asyncio.gather(*waiting) == [3, 4, 5, 6, 7, 8]
            assert await elsewhere == 0
            fresh = await read_all(log)
        async with opened(tmp_path / "events.db") as log:
            assert await log.append_nowait(STREAM, written[9:]) == 9
            entries = await read_all(log)
            assert entries[:9] == fresh
            assert [entry.event for entry in entries if isinstance(entry, Record)] == written
            assert told(await log.read(STREAM, 4, 3)) == ["4:e4", "5:e5", "6:e6"]
            assert told(await log.read(STREAM, 4, 3, bytes_max=1)) == ["4:e4", "5:e5", "6:e6"], "a group at least"
            assert await log.read(STREAM, 10) == []
            assert await log.read("broker/default/unknown", 0) == []
            assert [(info.name, info.records) for info in log.streams()] == [(STREAM, 10), (OTHER, 2)]
            assert log.stream(STREAM).bytes > 500

    asyncio.run(body())


def test_large_events_and_many_at_once_make_groups_of_bounded_size(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            await log.append_nowait(STREAM, events(1000))
            await log.append_nowait(STREAM, [event(1000 + n, size=100_000) for n in range(5)])
        async with opened(tmp_path / "events.db") as log:
            assert told(await read_all(log)) == [f"{n}:e{n}" for n in range(1005)]
            counts = await log._file.rows("select count, bytes from groups order by first")
            assert [count for count, _ in counts] == [256, 256, 256, 232, 2, 2, 1]

    asyncio.run(body())


def test_nothing_is_heard_or_read_before_it_is_synced(tmp_path: Path) -> None:
    async def body() -> None:
        heard: list[str] = []
        async with opened(tmp_path / "events.db") as log:
            stop = log.listen(STREAM, lambda records: heard.extend(told(records)))
            waiting = log.append_nowait(STREAM, events(2))
            assert log.stream(STREAM).tail == 0
            assert await log.read(STREAM, 0) == []
            await waiting
            assert heard == ["0:e0", "1:e1"]
            assert told(log.fresh(STREAM, 1, 10) or ()) == ["1:e1"]
            stop()
            await log.append_nowait(STREAM, events(1, 2))
            assert len(heard) == 2

    asyncio.run(body())


def test_a_tail_follows_from_the_past_into_the_future(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            await log.append_nowait(STREAM, events(3))
            seen: list[Entry] = []
            note = seen.append

            async def follow() -> None:
                async for entry in log.tail(STREAM, 1):
                    note(entry)

            async with asyncio.TaskGroup() as group:
                task = group.create_task(follow())
                for number in range(3, 6):
                    await log.append_nowait(STREAM, events(1, number))
                    while len(seen) < number:
                        await asyncio.sleep(0)
                task.cancel()
            assert told(seen) == [f"{n}:e{n}" for n in range(1, 6)]
            newer = log.tail(STREAM)
            first = asyncio.ensure_future(anext(newer))
            await asyncio.sleep(0)
            await log.append_nowait(STREAM, events(1, 6))
            assert told([await first]) == ["6:e6"]
            await newer.aclose()  # type: ignore[attr-defined]

    asyncio.run(body())


def test_events_are_found_by_id_and_by_time(tmp_path: Path) -> None:
    async def body() -> None:
        clock = FakeClock(wall=1000.0)
        async with opened(tmp_path / "events.db", clock) as log:
            for turn in range(3):
                await log.append_nowait(STREAM, [*events(4), event(100 + turn)])
                await clock.advance(10)
            assert told(await log.find(STREAM, "e2")) == ["12:e2", "7:e2", "2:e2"]
            assert told(await log.find(STREAM, "e2", count_max=2)) == ["12:e2", "7:e2"]
            assert told(await log.find(STREAM, "e101")) == ["9:e101"]
            assert await log.find(STREAM, "e9") == []
            assert [await log.offset_at(STREAM, at) for at in (0, 1000, 1000.5, 1010, 1021)] == [0, 0, 5, 5, 15]
            clock.jump_wall(-500)
            await log.append_nowait(STREAM, events(1))
            assert await log.offset_at(STREAM, 1010) == 5, "a clock that goes back hides nothing"

    asyncio.run(body())


def test_more_than_may_wait_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "_WAITING_RECORDS_MAX", 10)

    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            waiting = [log.append_nowait(STREAM, events(1, n)) for n in range(10)]
            with pytest.raises(TooManyRequests, match="wait for the disk") as refused:
                log.append_nowait(STREAM, events(1))
            assert refused.value.retry_after_s == 1
            assert await asyncio.gather(*waiting) == list(range(10))
            assert await log.append_nowait(STREAM, events(1)) == 10

    asyncio.run(body())


def test_a_canceled_caller_disturbs_nobody(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            one, two = log.append_nowait(STREAM, events(1)), log.append_nowait(STREAM, events(1, 1))
            one.cancel()
            assert await two == 1
            assert told(await read_all(log)) == ["0:e0", "1:e1"]

    asyncio.run(body())


def test_one_platform_per_file_and_nothing_after_the_end(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path / "events.db") as log:
            second = EventLog(tmp_path / "events.db", FakeClock())
            with pytest.raises(PermanentError, match="in use by another platform"):
                await second.open()
        with pytest.raises(StoreFull, match="closed"):
            log.append_nowait(STREAM, events(1))
        await log.close()

    asyncio.run(body())
