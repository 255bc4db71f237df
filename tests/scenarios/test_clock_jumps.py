"""The machine's clock is set forward or back, by minutes or a day: nobody waits longer, nothing goes to zero sooner."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.resources.conditions import find_condition
from core.resources.serving import SERVICE
from tests.support.scenario import NAMESPACE, Scenario

JUMPS = (-86_400.0, -90.0, 90.0, 86_400.0)
WINDOW = {"window": "20s"}
SOON_S, ASLEEP_S = 8.0, 60.0


async def _is_ready(scenario: Scenario, name: str) -> str:
    obj = await scenario.store.get(SERVICE, name, NAMESPACE)
    return str((find_condition(obj) or {}).get("status"))


async def _deploy(scenario: Scenario, name: str) -> None:
    await scenario.deploy(name, WINDOW)
    await scenario.advance(2)
    assert await _is_ready(scenario, name) == "True"


@pytest.mark.parametrize("seconds", JUMPS)
def test_while_requests_run_wait_and_rest(seconds: float, tmp_path: Path) -> None:
    async def main() -> None:
        scenario = Scenario(tmp_path)
        async with scenario.running():
            for name in ("busy", "resting", "waking"):
                await _deploy(scenario, name)
            await scenario.advance(ASLEEP_S)
            assert [await scenario.replicas(name) for name in ("busy", "resting", "waking")] == [0, 0, 0]

            scenario.request_s = 12.0
            busy = asyncio.ensure_future(scenario.call("busy"))
            await scenario.advance(2)
            scenario.request_s = 0.1
            resting = asyncio.ensure_future(scenario.call("resting"))
            await scenario.advance(2)
            assert resting.result() == "200"
            scenario.runtime.start_delay_s = 5.0
            waking = asyncio.ensure_future(scenario.call("waking"))
            await scenario.advance(1)
            scenario.clock.jump_wall(seconds)
            await scenario.advance(SOON_S)
            assert waking.result() == "200", "as long as its start took, and no longer"
            assert await scenario.replicas("resting") == 1, "its window is not over"
            await scenario.advance(4)
            assert busy.result() == "200"
            await scenario.advance(ASLEEP_S)
            for name in ("busy", "resting", "waking"):
                assert await scenario.replicas(name) == 0, f"{name} does not go to zero"
                assert await _is_ready(scenario, name) == "True"
            assert not scenario.books.cut_off
            assert not scenario.books.errors

    asyncio.run(main())


@pytest.mark.parametrize("seconds", JUMPS)
def test_a_back_off_lasts_as_long_as_it_was_to(seconds: float, tmp_path: Path) -> None:
    async def main() -> None:
        scenario = Scenario(tmp_path)
        async with scenario.running():
            await _deploy(scenario, "hello")
            await scenario.advance(ASLEEP_S)
            scenario.sick = True
            refused = asyncio.ensure_future(scenario.call("hello"))
            await scenario.until(refused.done, "a caller waits for a start that has failed")
            assert refused.result() == "503"
            scenario.clock.jump_wall(seconds)
            scenario.sick = False
            await scenario.advance(45)
            again = asyncio.ensure_future(scenario.call("hello"))
            await scenario.until(again.done, "it does not recover")
            assert again.result() == "200"
            assert await _is_ready(scenario, "hello") == "True"

    asyncio.run(main())
