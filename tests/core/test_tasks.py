"""A service is started when it says so, and a failure before that is the caller's."""

from __future__ import annotations

import asyncio

import pytest

from core.tasks import Started, start_service


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
