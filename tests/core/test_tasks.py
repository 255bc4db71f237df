"""A service is started when it says so, and a failure before that is the caller's."""

from __future__ import annotations

import asyncio

import pytest

from core.tasks import Started, start_alone, start_service


def test_start_returns_once_the_service_says_it_is_up() -> None:
    async def scenario() -> list[str]:
        seen: list[str] = []

        async def service(started: Started) -> None:
            seen.append("starting")
            await asyncio.sleep(0)
            started()
            seen.append("serving")

        async with asyncio.TaskGroup() as group:
            await start_service(group, service, "service")
            seen.append("started")
        return seen

    assert asyncio.run(scenario())[0] == "starting"


def test_a_failure_while_starting_is_raised_to_the_starter() -> None:
    async def scenario() -> None:
        async def service(started: Started) -> None:
            raise OSError("port in use")

        async with asyncio.TaskGroup() as group:
            await start_service(group, service, "gateway")

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(scenario())
    assert "port in use" in str(caught.value.exceptions[0])


def test_ending_without_having_started_is_an_error() -> None:
    async def scenario() -> None:
        async def service(started: Started) -> None:
            return

        async with asyncio.TaskGroup() as group:
            await start_service(group, service, "poller")

    with pytest.raises(ExceptionGroup, match=r"."):
        asyncio.run(scenario())


async def _no_pause() -> None:
    await asyncio.sleep(0)


def test_one_that_is_started_alone_fails_to_its_starter_or_is_run_again() -> None:
    async def main() -> None:
        runs = 0

        async def never_up(started: Started) -> None:
            raise OSError("not today")

        async def twice(started: Started) -> None:
            nonlocal runs
            runs += 1
            started()
            if runs < 3:
                raise OSError("a defect")

        async with asyncio.TaskGroup() as group:
            with pytest.raises(OSError, match="not today"):
                await start_alone(group, never_up, "never", _no_pause)
            await (await start_alone(group, twice, "twice", _no_pause))
        assert runs == 3

    asyncio.run(main())
