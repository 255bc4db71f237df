from __future__ import annotations

import asyncio

import pytest

from core.errors import TemporaryError
from core.stats import Backlog
from scalers.backlog import BacklogParameters
from scalers.params import parse
from scalers.readings import Reading, Target
from tests.support.inside_scalers import a_trigger, make_world, scaler_of

TYPE = "pilotlight-backlog"


@pytest.mark.parametrize(
    ("metadata", "subscription", "metric"),
    [
        pytest.param({"trigger": "ship"}, "trigger/shop/ship", "pilotlight-backlog-shop-ship", id="a Trigger"),
        pytest.param(
            {"subscription": "ship"}, "subscription/shop/ship", "pilotlight-backlog-shop-ship", id="of a channel"
        ),
        pytest.param(
            {"trigger": "ship", "namespace": "far"}, "trigger/far/ship", "pilotlight-backlog-far-ship", id="elsewhere"
        ),
    ],
)
def test_what_waits_is_read(metadata: dict[str, str], subscription: str, metric: str) -> None:
    async def main() -> None:
        world = make_world()
        scaler = scaler_of(a_trigger(TYPE, {**metadata, "backlog": "5"}), world)
        assert await scaler.targets() == (Target(metric, 5.0),)
        with pytest.raises(TemporaryError, match=f"{subscription} does not run"):
            await scaler.read()
        world.backlogs.note(subscription, Backlog(12, in_flight=3))
        assert await scaler.read() == (Reading(12.0, in_flight=3.0),)

    asyncio.run(main())


def test_the_first_each_doubling_and_the_last_are_pushed_in_the_same_turn() -> None:
    async def main() -> None:
        world, heard = make_world(), list[tuple[int, bool]]()
        scaler = scaler_of(a_trigger(TYPE, {"trigger": "ship"}), world)
        waiting = 0
        async with asyncio.TaskGroup() as group:
            run = group.create_task(scaler.run(lambda active: heard.append((waiting, active))))
            await asyncio.sleep(0)
            for waiting in (1, 2, 3, 4, 7, 8, 3, 0, 0, 5, 4):
                world.backlogs.note("trigger/shop/ship", Backlog(waiting))
            run.cancel()
        assert heard == [(1, True), (2, True), (4, True), (8, True), (0, False), (5, True)]
        world.backlogs.note("trigger/shop/ship", Backlog(99))
        assert len(heard) == 6, "it hears nothing any more"

    asyncio.run(main())


def test_what_waited_before_is_pushed_too_and_activation_is_heeded() -> None:
    async def main() -> None:
        world, heard = make_world(), list[bool]()
        world.backlogs.note("trigger/shop/ship", Backlog(3))
        scaler = scaler_of(a_trigger(TYPE, {"trigger": "ship", "activationBacklog": "2"}), world)
        async with asyncio.TaskGroup() as group:
            run = group.create_task(scaler.run(heard.append))
            await asyncio.sleep(0)
            assert heard == [True]
            world.backlogs.note("trigger/shop/ship", Backlog(2))
            assert heard == [True, False]
            run.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("metadata", [{}, {"trigger": "a", "subscription": "b"}], ids=["neither", "both"])
def test_exactly_one_is_named(metadata: dict[str, str]) -> None:
    wrong = parse(BacklogParameters, a_trigger(TYPE, metadata))
    assert isinstance(wrong, list)
    assert "exactly one of trigger and subscription" in wrong[0].message
