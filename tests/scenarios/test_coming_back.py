"""A platform that comes back answers before its controllers have looked at anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.scenario import Scenario

WINDOW = {"window": "20s"}
SLEEPERS = 12
ASLEEP_S = 60.0


def test_a_request_for_a_host_that_is_not_made_again_yet_waits_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        scenario = Scenario(tmp_path)
        names = [f"sleeper-{number}" for number in range(SLEEPERS)]
        async with scenario.running():
            for name in names:
                await scenario.deploy(name, WINDOW)
            await scenario.advance(ASLEEP_S)
            await scenario.until(lambda: not scenario.alive(), "they do not fall asleep")

            early: list[asyncio.Task[str]] = []
            scenario.listening = lambda: early.extend(asyncio.ensure_future(scenario.call(name)) for name in names)
            await scenario.crash()
            await scenario.advance(5)
            assert [call.result() for call in early] == ["200"] * SLEEPERS
            assert not scenario.books.errors

    asyncio.run(main())
