"""Who wants a container in the platform's first moments waits for the first look for an engine; later nobody waits.
What is left over from before keeps nobody from working."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.clients.engine import EngineDown, EngineRefused
from core.clock import SystemClock
from deploy.runtimes.base import StartError
from deploy.runtimes.container_rooms import OwnContainers
from deploy.runtimes.container_watch import EngineWatch


class SlowEngine:
    """Answers `connect` when told to."""

    def __init__(self, problem: Exception | None) -> None:
        self.facts: Any = None
        self.answers = asyncio.Event()
        self._problem = problem

    async def connect(self) -> Any:
        await self.answers.wait()
        if self._problem is not None:
            raise self._problem
        self.facts = type("Facts", (), {"name": "podman", "version": "5", "url": "unix://x"})()
        return self.facts

    async def limits(self) -> tuple[bool, bool]:
        return (True, True)

    async def ensure_network(self, name: str, labels: dict[str, str]) -> str:
        return name

    async def close(self) -> None:
        pass


class Nothing:
    """Own containers and rooms of a machine that has none."""

    platform = "p1"

    async def remove_leftovers(self) -> None:
        pass

    async def anchor(self) -> None:
        pass

    def use(self, *_: Any) -> None:
        pass


async def renew() -> None:
    pass


@pytest.mark.parametrize("problem", [None, EngineDown("no engine answers")])
def test_the_first_look_is_waited_for(problem: Exception | None) -> None:
    asyncio.run(look(problem))


async def look(problem: Exception | None) -> None:
    engine: Any = SlowEngine(problem)
    nothing: Any = Nothing()
    watch = EngineWatch(engine, nothing, nothing, SystemClock(), renew)
    running = asyncio.create_task(watch.run(lambda: None))
    wanted = asyncio.create_task(watch.require())
    done, _ = await asyncio.wait({wanted}, timeout=0.05)
    assert not done, "the engine has not answered yet"
    engine.answers.set()
    if problem is None:
        assert (await asyncio.wait_for(wanted, 20)).name == "podman"
    else:
        with pytest.raises(StartError, match="no engine answers"):
            await asyncio.wait_for(wanted, 20)
        with pytest.raises(StartError, match="no engine answers"):
            await asyncio.wait_for(watch.require(), 0.5)
    running.cancel()
    await asyncio.wait({running})


class BrokenEngine:
    """Podman with one container, anybody's, that is half removed: it lists none, and does all the rest."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    async def containers(self, label: str) -> list[str]:
        raise EngineRefused(500, "getting container from store: container not known")

    async def create(self, config: dict[str, Any]) -> str:
        return "c1"

    async def remove(self, id: str) -> None:
        self.removed.append(id)


def test_an_engine_that_cannot_list_is_used_all_the_same(tmp_path: Path) -> None:
    async def test() -> None:
        engine: Any = BrokenEngine()
        own = OwnContainers("p1", engine, tmp_path / "last-words")
        await own.remove_leftovers()
        words = own.make_last_words()
        await own.create({}, words)
        await own.remove_all()
        assert engine.removed == ["c1"]
        assert not words.exists()

    asyncio.run(test())
