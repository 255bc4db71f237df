"""Sharing: one question for all who ask, listings where many ask, and a management API that may not be there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from core.clients.rabbitmq_management import ManagementAccess
from core.clients.rabbitmq_terms import NOT_FOUND, QueueCounts, RabbitmqDown, RabbitmqRefused
from core.errors import TemporaryError
from scalers.base import World
from scalers.rabbitmq_broker import (
    ALONE_MAX,
    COMPANION_AGAIN_S,
    COMPANION_GIVEN_UP_S,
    HOLD_LEAST_S,
    HOLD_MOST_S,
    Api,
    Companion,
    Shared,
    Statistics,
    Uncounted,
    borrow_statistics,
    statistics_key,
)
from tests.support.clock import FakeClock, settle
from tests.support.scalers import make_world

API = Api(ManagementAccess("http://rabbit:15672", "guest", "guest"))


class Played:
    """Stands in for `Management`: takes its time, and fails when told to."""

    def __init__(self, clock: FakeClock, queues: int = 10) -> None:
        self.access = API.management
        self.clock = clock
        self.queues_there = [f"q{number}" for number in range(queues)]
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.takes_s = 0.0

    async def queue(self, vhost: str, name: str, timeout_s: float) -> QueueCounts:
        await self._take(f"{vhost}/{name}")
        if name not in self.queues_there:
            raise RabbitmqRefused(f"queue {name} does not exist", NOT_FOUND)
        return QueueCounts(name, len(self.asked))

    async def queues(self, vhost: str, timeout_s: float) -> list[QueueCounts]:
        await self._take(vhost)
        return [QueueCounts(name, len(self.asked)) for name in self.queues_there]

    async def matching(self, vhost: str, pattern: str, page_size: int, timeout_s: float) -> list[QueueCounts]:
        await self._take(f"{vhost}~{pattern}")
        return []

    async def close(self) -> None:
        self.asked.append("closed")

    async def _take(self, what: str) -> None:
        self.asked.append(what)
        await self.clock.sleep(self.takes_s)
        if self.error is not None:
            raise self.error


class House:
    def __init__(self, queues: int = 10) -> None:
        self.clock = FakeClock()
        self.world: World = make_world(self.clock)
        self.played = Played(self.clock, queues)
        self.statistics = borrow_statistics(self.world, API)
        self.statistics.management = self.played  # type: ignore[assignment]

    def want(self, count: int, vhost: str = "v") -> None:
        for number in range(count):
            self.statistics.want(vhost, f"q{number}")

    async def ask(self, *names: str, timeout_s: float = 8.0) -> list[Any]:
        return await asyncio.gather(
            *(self.statistics.queue("v", name, timeout_s) for name in names), return_exceptions=True
        )


def run(body: Callable[[House], Any], queues: int = 10) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await body(House(queues))

    asyncio.run(bounded())


def test_an_answer_is_good_for_nine_times_as_long_as_it_took() -> None:
    async def body(house: House) -> None:
        for takes_s, hold_s in ((0.0, HOLD_LEAST_S), (0.1, 0.9), (3.0, HOLD_MOST_S)):
            house.played.takes_s, asked = takes_s, 0

            async def ask(_: float) -> int:
                nonlocal asked
                asked += 1
                await house.clock.sleep(house.played.takes_s)
                return asked

            shared = Shared(ask, house.clock)
            async with asyncio.TaskGroup() as group:
                waiting = [group.create_task(shared.get(8.0)) for _ in range(50)]
                await settle()
                await house.clock.advance(takes_s)
            assert {each.result() for each in waiting} == {1}
            await house.clock.advance(hold_s - 0.01)
            assert await shared.get(8.0) == 1
            await house.clock.advance(0.02)
            late = asyncio.ensure_future(shared.get(8.0))
            await settle()
            await house.clock.advance(takes_s)
            assert await late == 2

    run(body)


def test_a_failure_answers_all_who_waited_and_is_no_answer_for_long() -> None:
    async def body(house: House) -> None:
        house.played.error = RabbitmqDown("no")
        found = await house.ask("q1", "q1", "q1")
        assert [str(each) for each in found] == ["no"] * 3
        assert len({id(each) for each in found}) == 3  # each raises its own
        assert house.played.asked == ["v/q1"]
        house.played.error = None
        await house.clock.advance(HOLD_LEAST_S)
        assert (await house.ask("q1"))[0].messages == 2

    run(body)


def test_who_gives_up_leaves_the_question_to_the_next() -> None:
    async def body(house: House) -> None:
        house.played.takes_s = 1.0
        shared = Shared(lambda _: house.played.queue("v", "q1", 8.0), house.clock)
        first, second = (asyncio.ensure_future(shared.get(8.0)) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        await house.clock.advance(1.0)
        assert (await second).messages == 2
        assert house.played.asked == ["v/q1"] * 2

    run(body)


def test_few_queues_are_asked_for_one_by_one_and_many_are_listed() -> None:
    async def body(house: House) -> None:
        house.want(ALONE_MAX)
        await house.ask(*(f"q{number}" for number in range(ALONE_MAX)))
        assert house.played.asked == [f"v/q{number}" for number in range(ALONE_MAX)]
        house.statistics.want("v", f"q{ALONE_MAX}")
        house.played.asked.clear()
        await house.clock.advance(HOLD_MOST_S)
        found = await house.ask(*(f"q{number}" for number in range(ALONE_MAX + 1)))
        assert house.played.asked == ["v"]
        assert {each.messages for each in found} == {1}
        house.statistics.unwant("v", "q0")
        house.played.asked.clear()
        await house.clock.advance(HOLD_MOST_S)
        await house.ask("q1")
        assert house.played.asked == ["v/q1"]

    run(body)


def test_a_crowd_of_queues_is_not_listed_for_a_few() -> None:
    async def body(house: House) -> None:
        house.want(ALONE_MAX + 1)
        await house.ask("q0")  # from which it is known how many there are
        house.played.asked.clear()
        await house.clock.advance(HOLD_MOST_S)
        await house.ask("q0", "q1")
        assert house.played.asked == ["v/q0", "v/q1"]

    run(body, queues=1000)


def test_a_queue_that_a_listing_lacks_is_asked_for_by_its_name() -> None:
    async def body(house: House) -> None:
        house.want(ALONE_MAX + 1)
        (found,) = await house.ask("gone")
        assert isinstance(found, RabbitmqRefused)
        assert found.code == NOT_FOUND
        assert house.played.asked == ["v", "v/gone"]

    run(body)


def test_equal_expressions_are_one_question() -> None:
    async def body(house: House) -> None:
        await asyncio.gather(*(house.statistics.matching("v", "^a", 100, 8.0) for _ in range(5)))
        await house.statistics.matching("v", "^b", 100, 8.0)
        assert house.played.asked == ["v~^a", "v~^b"]

    run(body)


def test_nobody_waits_longer_than_it_wants_to() -> None:
    async def body(house: House) -> None:
        house.want(ALONE_MAX + 1)
        house.played.takes_s = 3600.0
        (found,) = await house.ask("q1", timeout_s=0.05)
        assert isinstance(found, RabbitmqDown)
        assert str(found) == "http://rabbit:15672 does not answer within 0.05 s"

    run(body)


# -- beside AMQP -------------------------------------------------------------------------------------------------------


def companion(house: House, *apis: Api) -> Companion:
    made = Companion(apis or (API,), house.world)
    made.want("v", "q1")
    return made


def test_it_is_sought_once_and_shared_with_who_speaks_http() -> None:
    async def body(house: House) -> None:
        made = companion(house)
        found = await made.queue("v", "q1")
        assert isinstance(found, QueueCounts)
        assert len(house.world.pools) == 1
        made.unwant("v", "q1")
        await made.close()
        await house.world.pools.give_back(statistics_key(API))
        assert house.played.asked[-1] == "closed"
        assert len(house.world.pools) == 0

    run(body)


@pytest.mark.parametrize(
    "error",
    [RabbitmqDown("it does not answer"), RabbitmqRefused("Login failed", 401), TemporaryError("cannot be reached")],
)
def test_where_there_is_none_it_is_sought_again_after_minutes(error: Exception) -> None:
    async def body(house: House) -> None:
        house.played.error = error
        made = companion(house)
        found = await asyncio.gather(*(made.queue("v", "q1") for _ in range(20)))
        assert set(found) == {Uncounted(str(error), missed=False)}
        asked = len(house.played.asked)
        await house.clock.advance(COMPANION_GIVEN_UP_S - 1)
        assert await made.queue("v", "q1") == found[0]
        assert len(house.played.asked) == asked
        house.played.error = None
        await house.clock.advance(2)
        assert isinstance(await made.queue("v", "q1"), QueueCounts)
        await made.close()

    run(body)


def test_one_that_was_there_is_missed_before_it_is_given_up() -> None:
    async def body(house: House) -> None:
        made = companion(house)
        assert isinstance(await made.queue("v", "q1"), QueueCounts)
        house.played.error = RabbitmqDown("it is gone")
        await house.clock.advance(COMPANION_AGAIN_S)
        assert await made.queue("v", "q1") == Uncounted("it is gone", missed=True)
        house.played.error = None
        assert await made.queue("v", "q1") == Uncounted("it is gone", missed=True)  # asked again after a moment
        await house.clock.advance(COMPANION_AGAIN_S)
        assert isinstance(await made.queue("v", "q1"), QueueCounts)
        house.played.error = RabbitmqDown("it is gone")
        await house.clock.advance(COMPANION_GIVEN_UP_S + 1)
        assert await made.queue("v", "q1") == Uncounted("it is gone", missed=False)
        await made.close()

    run(body)


def test_a_queue_that_it_does_not_count_yet_is_missed() -> None:
    async def body(house: House) -> None:
        made = companion(house)
        found = await made.queue("v", "new")
        assert found == Uncounted("queue new does not exist", missed=True)
        assert isinstance(await made.queue("v", "q1"), QueueCounts)  # no reason to be silent about others
        await made.close()

    run(body)


def test_without_a_place_nothing_is_sought() -> None:
    async def body(house: House) -> None:
        made = Companion((), house.world)
        assert await made.queue("v", "q1") == Uncounted("no management API is known")
        await made.close()

    run(body)


def test_statistics_are_kept_for_nobody_who_has_gone() -> None:
    async def body(house: House) -> None:
        statistics: Statistics = house.statistics
        for _ in range(3):
            house.want(8)
        await house.ask("q1")
        for _ in range(3):
            for number in range(8):
                statistics.unwant("v", f"q{number}")
        await statistics.matching("v", "^a", 100, 8.0)
        statistics.forget("v", "^a", 100)
        assert not statistics._wanted
        assert not statistics._shared

    run(body)
