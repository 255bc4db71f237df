"""A service is started when it says so, and a failure before that is the caller's."""

from __future__ import annotations

import asyncio

import pytest

from core.tasks import OpenGroup, Started, hear_out, start_alone, start_service


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


class Elsewhere:
    """Another program: it carries out what it was asked for, and says so when it is told to."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self.there: list[str] = []
        self._problem = problem

    async def make(self) -> str:
        self.asked.set()
        await self.answers.wait()
        if self._problem is not None:
            raise self._problem
        self.there.append("x")
        return "x"

    async def remove(self, name: str) -> None:
        self.there.remove(name)


def test_what_was_asked_for_is_had() -> None:
    async def main() -> list[str]:
        elsewhere = Elsewhere()
        elsewhere.answers.set()
        assert await hear_out(elsewhere.make(), elsewhere.remove, 10) == "x"
        return elsewhere.there

    assert asyncio.run(main()) == ["x"]


@pytest.mark.parametrize("problem", [None, OSError("no")])
def test_one_who_is_cancelled_hears_the_answer_and_undoes_it(problem: Exception | None) -> None:
    async def main() -> list[str]:
        elsewhere = Elsewhere(problem)
        asking = asyncio.create_task(hear_out(elsewhere.make(), elsewhere.remove, 10))
        await elsewhere.asked.wait()
        asking.cancel()
        await asyncio.wait((asking,), timeout=0.01)
        assert not asking.done(), "the answer is still to come"
        elsewhere.answers.set()
        await asyncio.wait((asking,), timeout=10)
        assert asking.cancelled()
        return elsewhere.there

    assert asyncio.run(main()) == []


def test_nobody_waits_for_an_answer_for_ever() -> None:
    async def main() -> bool:
        elsewhere = Elsewhere()
        asking = asyncio.create_task(hear_out(elsewhere.make(), elsewhere.remove, 0))
        await elsewhere.asked.wait()
        asking.cancel()
        await asyncio.wait((asking,), timeout=10)
        return asking.cancelled()

    assert asyncio.run(main())


def test_an_open_group_takes_tasks_while_it_runs_and_ends_them_with_it() -> None:
    async def main() -> None:
        open_group, ended = OpenGroup(), asyncio.Event()
        assert open_group.group is None

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with asyncio.TaskGroup() as group:
            running = await start_service(group, open_group.run, "open")
            assert open_group.group is not None
            open_group.group.create_task(work())
            await asyncio.sleep(0)
            running.cancel()
        assert ended.is_set()
        assert open_group.group is None

    asyncio.run(main())
