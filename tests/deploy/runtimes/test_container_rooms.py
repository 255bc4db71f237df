"""What is made on an engine goes with its files, however it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.clients.engine import EngineRefused
from deploy.runtimes.container_rooms import OwnContainers


class Engine:
    """As Podman is: it makes what it was asked for also where nobody listens any more, and what it is to mount and does
    not find becomes a folder."""

    def __init__(self) -> None:
        self.asked, self.goes_on = asyncio.Event(), asyncio.Event()
        self.there: set[str] = set()
        self.problem: Exception | None = None

    async def create(self, config: dict[str, Any]) -> str:
        self.asked.set()
        await self.goes_on.wait()
        if self.problem is not None:
            raise self.problem
        config["mount"].mkdir() if not config["mount"].exists() else None
        self.there.add("c1")
        return "c1"

    async def remove(self, id: str) -> None:
        self.there.discard(id)

    async def containers(self, label: str) -> list[str]:
        return sorted(self.there)


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "last-words"
        self.engine = Engine()
        engine: Any = self.engine
        self.own = OwnContainers("p1", engine, self.folder)

    def create(self) -> asyncio.Task[str]:
        words = self.own.make_last_words()
        return asyncio.create_task(self.own.create({"mount": words}, words))

    def left(self) -> tuple[set[str], int]:
        return self.engine.there, len(list(self.folder.glob("*")))


def test_one_whose_pod_goes_while_it_is_made_leaves_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        making = world.create()
        await world.engine.asked.wait()
        making.cancel()
        await asyncio.wait((making,), timeout=0.01)
        world.engine.goes_on.set()
        await asyncio.wait((making,), timeout=10)
        assert making.cancelled()
        assert world.left() == (set(), 0)

    asyncio.run(test())


def test_one_that_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        world.engine.problem = EngineRefused(500, "no space left")
        world.engine.goes_on.set()
        with pytest.raises(EngineRefused):
            await world.create()
        assert world.left() == (set(), 0)

    asyncio.run(test())


def test_a_folder_in_the_place_of_last_words_is_removed_and_one_that_cannot_be_stops_nobody(tmp_path: Path) -> None:
    async def test() -> None:
        world = World(tmp_path)
        world.engine.goes_on.set()
        id = await world.create()
        (file,) = world.folder.glob("*")
        (world.folder / "of-before").mkdir()
        await world.own.remove_leftovers()
        assert world.left() == ({id}, 1)
        file.unlink()
        file.mkdir()
        await world.own.discard(id)
        assert world.left() == (set(), 0)
        (world.folder / "somebodys" / "file").mkdir(parents=True)
        await world.own.remove_all()
        assert world.left() == (set(), 1)

    asyncio.run(test())
