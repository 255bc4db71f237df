"""Which Pods are made ahead, and which are let go, without an engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.stats import InstanceKey
from deploy.runtimes.base import PodPlan, StartError
from deploy.runtimes.container_rooms import Room
from deploy.runtimes.container_spares import Spares


class Engine:
    """Makes and unmakes; remembers what there is, as template by port."""

    def __init__(self) -> None:
        self.there: dict[int, str] = {}
        self.made = 0
        self.refuses = False

    async def make(self, plan: PodPlan) -> Room:
        await asyncio.sleep(0)
        if self.refuses:
            raise StartError("CreateContainerError", "no")
        self.made += 1
        self.there[self.made] = plan.template
        return Room(self.made)

    async def unmake(self, room: Room) -> None:
        assert room.port is not None
        del self.there[room.port]

    @property
    def templates(self) -> list[str]:
        return sorted(self.there.values())


def plan(template: str) -> PodPlan:
    return PodPlan(InstanceKey("default", "p", "u"), template, (), 8080, Path("/logs"), Path("/scratch"))


def test_one_is_kept_and_made_again() -> None:
    async def main() -> None:
        engine = Engine()
        spares = Spares(engine.make, engine.unmake)
        assert spares.take("a") is None
        await asyncio.gather(*(spares.want(plan("a"), 1) for _ in range(3)))
        assert engine.templates == ["a"], "also when asked for three times at once"
        assert spares.take("a") == Room(1)
        assert spares.take("a") is None
        await spares.fill("a")
        assert spares.take("a") == Room(2)
        await spares.let_go("a")
        await spares.fill("a")
        assert spares.take("a") is None, "nobody wants it any more"

    asyncio.run(main())


def test_at_the_bound_only_those_that_were_used_are_made_and_the_oldest_go() -> None:
    async def main() -> None:
        engine = Engine()
        spares = Spares(engine.make, engine.unmake, spares_max=2)
        for template in "abc":
            await spares.want(plan(template), 1)
        assert engine.templates == ["a", "b"], "1,000 sleeping revisions are not all made at once"
        await spares.fill("c")
        assert engine.templates == ["b", "c"]
        await spares.fill("b")
        await spares.fill("a")
        assert engine.templates == ["a", "b"], "c was used longest ago"

    asyncio.run(main())


def test_all_can_be_made_anew() -> None:
    async def main() -> None:
        engine = Engine()
        spares = Spares(engine.make, engine.unmake)
        for template in "ab":
            await spares.want(plan(template), 1)
        assert sorted(await spares.empty()) == ["a", "b"]
        assert engine.templates == []
        assert spares.is_wanted("a")

    asyncio.run(main())


def test_a_refusal_leaves_room_for_another_try() -> None:
    async def main() -> None:
        engine = Engine()
        engine.refuses = True
        spares = Spares(engine.make, engine.unmake)
        with pytest.raises(StartError):
            await spares.want(plan("a"), 1)
        engine.refuses = False
        await spares.fill("a")
        assert engine.templates == ["a"]

    asyncio.run(main())
