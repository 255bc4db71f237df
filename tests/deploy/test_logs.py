"""Reading logs: all, the last lines, since, across rotations, followed, of the run before."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.apiserver.logs import LogLine, LogQuery
from core.clock import SystemClock
from core.errors import BadRequest
from core.resources.meta import Json
from core.resources.pods import POD
from core.store.base import DeleteOptions
from core.store.memory import MemoryStore
from deploy.logs import PodLogs
from deploy.podplan import Places
from deploy.runtimes.logfile import LogFile
from tests.support.pods import KINDS, container, is_ready, node_world, pod
from tests.support.runtime import FakeProcess

QUERY = LogQuery("main")


class Shelf:
    """A Pod in a store, its log, and the reader."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore(KINDS, SystemClock())
        self.places = Places(folder / "pods", folder / "volumes")
        self.logs = PodLogs(self.store, SystemClock(), self.places)
        self.pod: Json = {}
        self.path = folder

    async def fill(self, state: Json | None = None) -> None:
        obj = pod(name="web")
        obj["status"] = {"containerStatuses": [{"name": "main", "state": state or {"running": {}}, "containerID": "a"}]}
        self.pod = await self.store.create(POD, obj)
        self.path = self.places.pods / f"default_web_{self.pod['metadata']['uid']}" / "logs/main.log"
        self.path.parent.mkdir(parents=True)

    async def read(self, query: LogQuery = QUERY) -> list[str]:
        return [line.text.decode() async for line in await self.logs.open(self.pod, query)]


def test_lines_pieces_and_limits(tmp_path: Path) -> None:
    async def test() -> None:
        shelf = Shelf(tmp_path)
        await shelf.fill()
        shelf.path.write_text(
            "2023-11-14T22:13:20.000000000Z stdout F one\n"
            "2023-11-14T22:13:21.500000000Z stdout P tw\n"
            "2023-11-14T22:13:21.600000000Z stderr F between\n"
            "2023-11-14T22:13:22.000000000Z stdout F o words\n"
            "broken by a full disk\n"
            "2023-11-14T22:13:23.000000001Z stdout F \n"
            "2023-11-14T22:13:24.000000000Z stdout P prompt> \n"
        )
        assert await shelf.read() == ["one", "between", "two words", "", "prompt> "]
        assert await shelf.read(LogQuery("main", tail_lines=2)) == ["", "prompt> "]
        assert await shelf.read(LogQuery("main", tail_lines=0)) == []
        assert await shelf.read(LogQuery("main", since=1_700_000_001.6)) == ["between", "two words", "", "prompt> "]
        lines = [line async for line in await shelf.logs.open(shelf.pod, QUERY)]
        assert lines[0] == LogLine(1_700_000_000.0, b"one")
        assert lines[3].at == pytest.approx(1_700_000_003.000000001)

    asyncio.run(test())


@pytest.mark.parametrize("query", [LogQuery("main", tail_lines=1), LogQuery("main", since=1_700_000_001.0)])
def test_others_get_their_turn_also_while_nothing_is_told(tmp_path: Path, query: LogQuery) -> None:
    async def test() -> None:
        shelf = Shelf(tmp_path)
        await shelf.fill()
        old, new = "2023-11-14T22:13:20.000000000Z stdout F old\n", "2023-11-14T22:13:22.000000000Z stdout F new\n"
        shelf.path.write_text(old * 10_000 + new)
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(others())
        assert await shelf.read(query) == ["new"]
        beside.cancel()
        assert turns >= 10_000 // 256

    asyncio.run(test())


def test_rotated_files_are_read_as_one(tmp_path: Path) -> None:
    async def test() -> None:
        shelf = Shelf(tmp_path)
        await shelf.fill()
        log = LogFile(shelf.path, bytes_max=2000)
        for number in range(60):
            log.write(b"stdout", b"%d\n" % number)
        log.close()
        lines = [int(line) for line in await shelf.read()]
        assert lines == list(range(lines[0], 60))
        assert shelf.path.with_name("main.log.1").exists()

    asyncio.run(test())


def test_following_through_a_rotation_until_the_end(tmp_path: Path) -> None:
    async def test() -> None:
        shelf = Shelf(tmp_path)
        await shelf.fill()
        log = LogFile(shelf.path, bytes_max=500)
        log.write(b"stdout", b"0\n")
        lines: AsyncIterator[LogLine] = await shelf.logs.open(shelf.pod, LogQuery("main", follow=True))
        seen = [int((await anext(lines)).text)]
        for number in itertools.count(1):
            log.write(b"stdout", b"%d\n" % number)
            if number % 10 == 0:
                async with asyncio.timeout(20):
                    while seen[-1] != number:
                        seen.append(int((await anext(lines)).text))
            if number == 100:
                break
        log.write(b"stdout", b"101\n")

        def end(obj: Json) -> Json:
            obj["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 0}}
            return obj

        await shelf.store.modify(POD, "web", "default", end, "status")
        async with asyncio.timeout(20):
            seen += [int(line.text) async for line in lines]
        assert seen == list(range(102))
        log.close()

    asyncio.run(test())


def test_following_ends_when_the_pod_is_gone(tmp_path: Path) -> None:
    async def test() -> None:
        shelf = Shelf(tmp_path)
        await shelf.fill()
        LogFile(shelf.path).close()
        lines = await shelf.logs.open(shelf.pod, LogQuery("main", follow=True))
        await shelf.store.delete(POD, "web", "default", DeleteOptions(grace_period_s=0))
        async with asyncio.timeout(20):
            assert [line async for line in lines] == []

    asyncio.run(test())


def test_nothing_to_read_is_said_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        shelf = Shelf(tmp_path)
        await shelf.fill({"waiting": {"reason": "ImagePullBackOff"}})
        with pytest.raises(BadRequest, match='container "main" in pod "web" is waiting to start: ImagePullBackOff'):
            await shelf.logs.open(shelf.pod, QUERY)
        with pytest.raises(BadRequest, match='previous terminated container "main" in pod "web" not found'):
            await shelf.logs.open(shelf.pod, LogQuery("main", previous=True))

    asyncio.run(test())


def test_previous_is_the_run_before(tmp_path: Path) -> None:
    runs = itertools.count(1)

    async def talk(process: FakeProcess) -> int:
        process.write(b"run %d\n" % next(runs))
        async with process.serving(lambda reader, writer: asyncio.sleep(0)):
            await process.terminated.wait()
        return 0

    async def main() -> None:
        async with asyncio.timeout(30), node_world(tmp_path) as world:
            world.runtime.programs["talk"] = talk
            name = await world.create(pod(container("talk")))
            await world.until(name, is_ready)
            world.runtime.sandboxes[name].containers["main"].crash(1)
            again = await world.until(
                name, lambda obj: is_ready(obj) and obj["status"]["containerStatuses"][0]["restartCount"] == 1
            )
            logs = PodLogs(world.store, SystemClock(), Places(tmp_path / "pods", tmp_path / "volumes"))
            for query, text in ((QUERY, b"run 2"), (LogQuery("main", previous=True), b"run 1")):
                assert [line.text async for line in await logs.open(again, query)] == [text]

    asyncio.run(main())
