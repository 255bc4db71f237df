"""Seeded faults over the whole platform: once they stop, every Service answers, and goes to zero.

CI takes the first seeds; `python -m tests.scenarios.test_faults FIRST COUNT` takes as many as you like. A seed that
fails says what was done to it, step by step.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.errors import NotFound
from core.resources.pods import POD
from core.store.base import DeleteOptions
from tests.support.scenario import NAMESPACE, Scenario

SEEDS = range(30)
STEPS = 12
SERVICES: dict[str, dict[str, str]] = {
    "plain": {},
    "bounded": {"max-scale": "3", "target": "2", "window": "6s"},
    "standing": {"min-scale": "1", "max-scale": "2", "window": "6s"},
    "slow-to-go": {"window": "10s", "scale-to-zero-pod-retention-period": "5s"},
    "single": {"max-scale": "4", "window": "6s"},
    "frozen": {"window": "6s", "pilotlight.dev/idle-action": "pause"},
}
CONCURRENCY = {"single": 1}
ASLEEP_S = 120.0
"""The default window, the grace period, and some."""


class Faults:
    """One seed's worth of trouble. `story` is what was done."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.chance = random.Random(seed)
        self.story: list[str] = []
        self.excused = {"200", "404"}  # a Service that has never been ready is not found
        self.calls: list[asyncio.Future[str]] = []
        self._steps: tuple[Callable[[], Awaitable[str]], ...] = (
            *(self.burst, self.burst, self.burst, self.wait, self.wait, self.take_long, self.update),
            *(self.crash, self.crash_in_writes, self.start_slowly, self.start_sick, self.jump, self.lose_watches),
            *(self.take_pod, self.end_container),
        )

    async def run(self) -> None:
        for _ in range(STEPS):
            self.story.append(f"{self.scenario.clock.monotonic():.1f} {await self.chance.choice(self._steps)()}")
            await self.scenario.advance(self.chance.uniform(0, 3))

    async def burst(self) -> str:
        name, count = self.chance.choice(list(SERVICES)), self.chance.randint(1, 12)
        self.calls += [asyncio.ensure_future(self.scenario.call(name)) for _ in range(count)]
        return f"{count} requests to {name}"

    async def wait(self) -> str:
        seconds = self.chance.choice((1.0, 8.0, 20.0, 70.0))
        await self.scenario.advance(seconds)
        return f"{seconds} s pass"

    async def crash(self) -> str:
        self.excused.add("broken")
        await self.scenario.crash()
        return "crash"

    async def crash_in_writes(self) -> str:
        self.excused.add("broken")
        self.scenario.store.writes_left = self.chance.randint(0, 40)
        return f"crash after {self.scenario.store.writes_left} writes"

    async def start_slowly(self) -> str:
        self.scenario.runtime.start_delay_s = self.chance.choice((0.0, 2.0, 15.0))
        return f"starts take {self.scenario.runtime.start_delay_s} s"

    async def start_sick(self) -> str:
        self.excused.add("503")
        self.scenario.sick = not self.scenario.sick
        return f"starts {'fail' if self.scenario.sick else 'work'}"

    async def update(self) -> str:
        name = self.chance.choice(list(SERVICES))
        marks = {**SERVICES[name], "example.dev/turn": str(len(self.story))}
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.scenario.deploy(name, marks, CONCURRENCY.get(name, 0)), 0.1)
        return f"a new revision of {name}"

    async def take_long(self) -> str:
        self.scenario.request_s = self.chance.choice((0.01, 0.2, 5.0, 30.0))
        return f"requests take {self.scenario.request_s} s"

    async def jump(self) -> str:
        seconds = self.chance.choice((-3600.0, -5.0, 5.0, 3600.0, 86_400.0))
        self.scenario.clock.jump_wall(seconds)
        return f"the wall clock jumps by {seconds} s"

    async def lose_watches(self) -> str:
        self.scenario.store.lose_watches()
        return "all watches are lost"

    async def take_pod(self) -> str:
        pods = (await self.scenario.store.list(POD, NAMESPACE)).items
        if not pods:
            return "no Pod to delete"
        name = self.chance.choice(pods)["metadata"]["name"]
        options = DeleteOptions(grace_period_s=30)
        try:
            await asyncio.wait_for(self.scenario.store.delete(POD, name, NAMESPACE, options), 0.1)
        except (NotFound, TimeoutError):
            return f"Pod {name} was gone, or the platform"
        return f"Pod {name} is deleted"

    async def end_container(self) -> str:
        self.excused |= {"502", "503"}
        self.scenario.crash_one(self.chance)
        return "an instance ends"

    def stop(self) -> None:
        self.scenario.sick = False
        self.scenario.request_s = 0.2
        self.scenario.runtime.start_delay_s = 0.0
        self.scenario.store.writes_left = None


async def _play(seed: int, folder: Path) -> None:
    scenario = Scenario(folder)
    faults = Faults(scenario, seed)
    async with scenario.running():
        try:
            for name, marks in SERVICES.items():
                await scenario.deploy(name, marks, CONCURRENCY.get(name, 0))
            await faults.run()
            faults.stop()
            await _everything_is_well(scenario, faults)
        except BaseException as error:
            error.add_note(f"seed {seed}: " + " · ".join(faults.story))
            raise


async def _everything_is_well(scenario: Scenario, faults: Faults) -> None:
    await scenario.until(lambda: all(call.done() for call in faults.calls), "a caller waits for ever", 400)
    for name in SERVICES:
        await _answers(scenario, name)
    await scenario.advance(ASLEEP_S)
    for name, marks in SERVICES.items():
        least = int(marks.get("min-scale", "0"))
        assert await scenario.replicas(name) == least, f"{name} does not go to {least}"
        assert len(await scenario.pods(name)) == least + (name == "frozen")
    assert scenario.alive() == 2, "what runs is what there is a Pod for"
    assert not scenario.books.cut_off
    assert not scenario.books.beyond
    assert not scenario.books.errors
    assert set(scenario.books.answers) <= faults.excused


async def _answers(scenario: Scenario, name: str) -> None:
    """After a back-off at most: the kubelet's longest is five minutes."""
    end = scenario.clock.monotonic() + 400
    while True:
        call = asyncio.ensure_future(scenario.call(name))
        await scenario.until(call.done, f"{name} leaves a caller waiting", 400)
        if call.result() == "200":
            return
        assert scenario.clock.monotonic() < end, f"{name} answers {call.result()}"
        await scenario.advance(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_is_well_when_the_faults_have_stopped(seed: int, tmp_path: Path) -> None:
    asyncio.run(_play(seed, tmp_path))


def main(first: int, count: int) -> None:
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_play(seed, Path(folder)))
        print(seed, "ok", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
