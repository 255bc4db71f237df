"""autoscaler/triggers/poller.py and sources.py: when triggers are read, and what of it is told."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from autoscaler.triggers.circuit import State
from autoscaler.triggers.making import Maker
from autoscaler.triggers.poller import READ_FIRST_S, READINGS_AT_ONCE, Poller
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.sources import DEADLINE_S, Owner
from core.resources.meta import ObjectKey
from core.tasks import start_service
from tests.autoscaler.triggers.sources import Ponds, trigger, with_password, world_of
from tests.support.virtual_time import START, VirtualClock, run

ORDERS = Owner("ScaledObject", ObjectKey("default", "orders"))


def owner(name: str) -> Owner:
    return Owner("ScaledObject", ObjectKey("default", name))


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.ponds = Ponds(self.clock)
        self.told: list[tuple[Owner, float]] = []
        maker = Maker(world_of(self.clock), self.ponds.look_up)
        self.poller = Poller(self.clock, maker.make, self._tell)

    def _tell(self, owner: Owner) -> None:
        self.told.append((owner, self.clock.monotonic() - START))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = await start_service(group, self.poller.run, "poller")
            try:
                yield
            finally:
                task.cancel()

    def sample(self, of: Owner = ORDERS) -> Sample:
        (sample,) = self.poller.samples(of)
        return sample


def story(play: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        world = World()
        async with world.running():
            await play(world)

    run(main())


def test_read_at_once_and_then_at_the_interval_at_most() -> None:
    async def play(world: World) -> None:
        world.poller.place(ORDERS, [trigger("a")], 5.0)
        assert world.sample().reading is None
        await asyncio.sleep(21.0)
        asked = [at - START for at in world.ponds["a"].asked]
        assert asked[0] < 0.1
        gaps = [late - early for early, late in itertools.pairwise(asked)]
        assert gaps[0] <= 5.05
        assert all(5.0 - 0.1 < gap <= 5.05 for gap in gaps[1:])
        assert world.sample().fresh
        assert world.sample().metric == "s0-pond-a"

    story(play)


def test_one_that_is_cached_is_read_at_its_interval_whatever_happens() -> None:
    async def play(world: World) -> None:
        world.poller.place(ORDERS, [dataclasses.replace(trigger("a", "pond-push"), cached=True)], 100.0)
        await asyncio.sleep(10.0)
        world.ponds["a"].value = 95.0
        world.ponds["a"].tell(True)
        await asyncio.sleep(60.0)
        assert len(world.ponds["a"].asked) == 1
        await asyncio.sleep(35.0)
        assert len(world.ponds["a"].asked) == 2
        assert world.sample().reading is not None
        await asyncio.sleep(30.0)
        assert len(world.ponds["a"].asked) == 2

    story(play)


def test_what_the_first_reading_finds_is_no_change() -> None:
    async def play(world: World) -> None:
        world.ponds["a"].value = 95.0
        world.poller.place(ORDERS, [trigger("a")], 75.0)
        await asyncio.sleep(65.0)
        assert len(world.ponds["a"].asked) == 1

    story(play)


def test_a_change_is_followed_closely() -> None:
    async def play(world: World) -> None:
        world.poller.place(ORDERS, [trigger("a")], 8.0)
        await asyncio.sleep(1.0)
        world.ponds["a"].value = 95.0
        await asyncio.sleep(20.0)
        asked = [at - START for at in world.ponds["a"].asked]
        steps = [round(late - early, 1) for early, late in itertools.pairwise(asked[1:])]
        assert steps[:6] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4][: len(steps[:6])]
        assert len(steps) >= 5

    story(play)


def test_an_error_keeps_what_was_read_and_the_scaler() -> None:
    async def play(world: World) -> None:
        world.ponds["a"].value = 30.0
        world.poller.place(ORDERS, [trigger("a")], 5.0)
        await asyncio.sleep(30.0)
        world.ponds["a"].error = "no route to host"
        await asyncio.sleep(14.0)
        sample = world.sample()
        assert sample.error == "no route to host"
        assert not sample.fresh
        assert sample.reading is not None
        assert sample.reading.value == 30.0
        assert sample.failures == 3  # polls, not questions: those were asked again after 1, 2, 4 … seconds
        (source,) = world.poller.sources(ORDERS)
        assert source.circuit.state is State.OPEN
        world.ponds["a"].error = ""
        await asyncio.sleep(30.0)
        assert world.sample().fresh
        assert world.sample().failures == 0
        assert world.ponds["a"].made == 1

    story(play)


def test_polls_that_an_open_circuit_swallows_are_told_too() -> None:
    async def play(world: World) -> None:
        world.ponds["a"].error = "down"
        world.poller.place(ORDERS, [trigger("a")], 2.0)
        await asyncio.sleep(100.0)
        assert len(world.ponds["a"].asked) <= 9
        assert 49 <= world.sample().failures <= 51
        assert len(world.told) >= 50

    story(play)


def test_a_defect_of_a_scaler_is_a_failure_without_its_words() -> None:
    async def play(world: World) -> None:
        world.ponds["a"].error = "defect"
        with capture_logs() as logs:
            world.poller.place(ORDERS, [trigger("a")], 2.0)
            await asyncio.sleep(1.0)
        assert "KeyError" in world.sample().error
        assert "hunter22" not in world.sample().error + str(logs)

    story(play)


def test_a_trigger_that_cannot_be_made_says_why_and_is_not_made_again() -> None:
    async def play(world: World) -> None:
        world.poller.place(ORDERS, [trigger("a", "absent")], 2.0)
        await asyncio.sleep(21.0)
        sample = world.sample()
        assert "pip install 'pilotlight[absent]'" in sample.error
        assert (sample.metric, sample.target, sample.failures) == ("s0-absent", None, 11)
        (source,) = world.poller.sources(ORDERS)
        assert source.errors == 1

    story(play)


def test_one_that_hangs_delays_no_other() -> None:
    async def play(world: World) -> None:
        for number in range(4 * READINGS_AT_ONCE):
            world.ponds[f"h{number}"].hangs = True
            world.poller.place(owner(f"h{number}"), [trigger(f"h{number}", owner=f"h{number}")], 5.0)
        await asyncio.sleep(0.05)
        world.poller.place(ORDERS, [trigger("a")], 1.0)
        await asyncio.sleep(60.0)
        asked = [at - START for at in world.ponds["a"].asked]
        assert asked[0] < 1.2  # behind four times as many as there are places
        assert max(late - early for early, late in itertools.pairwise(asked)) < 2.2
        assert f"gave no answer within {DEADLINE_S:g}s" in world.sample(owner("h0")).error

    story(play)


def test_what_is_pushed_is_read_at_once() -> None:
    async def play(world: World) -> None:
        world.poller.place(ORDERS, [trigger("a", "pond-push")], 30.0)
        await asyncio.sleep(15.0)
        world.told.clear()
        world.ponds["a"].value = 40.0
        world.ponds["a"].tell(True)
        assert world.sample().pushed
        assert world.told == [], "one decision of the push and its reading"
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.01)
        assert len(world.told) == 1
        sample = world.sample()
        assert not sample.pushed
        assert sample.reading is not None
        assert sample.reading.value == 40.0
        before = len(world.ponds["a"].asked)
        for _ in range(1000):
            world.ponds["a"].tell(True)
            await asyncio.sleep(0.001)
        assert len(world.ponds["a"].asked) - before <= 7, "one more at once, and five a second"
        world.ponds["a"].value = 0.0
        world.ponds["a"].tell(False)
        await asyncio.sleep(0.5)
        assert world.sample().reading == sample.reading.__class__(0.0)

    story(play)


def test_an_end_and_the_next_beginning_are_both_read_at_once() -> None:
    async def play(world: World) -> None:
        pond = world.ponds["a"]
        pond.value = 40.0
        world.poller.place(ORDERS, [trigger("a", "pond-push")], 30.0)
        await asyncio.sleep(15.0)
        for value in (0.0, 40.0):
            world.told.clear()
            pond.value = value
            pond.tell(value > 0)
            assert world.told == []
            await asyncio.sleep(0.01)
            assert len(world.told) == 1
            sample = world.sample()
            assert not sample.pushed
            assert sample.reading is not None
            assert sample.reading.value == value

    story(play)


def test_a_push_does_not_make_a_source_that_fails_be_read_over_and_over() -> None:
    async def play(world: World) -> None:
        world.poller.place(ORDERS, [trigger("a", "pond-push")], 30.0)
        await asyncio.sleep(15.0)
        pond = world.ponds["a"]
        pond.error = "no route to host"
        before = len(pond.asked)
        pond.tell(True)
        await asyncio.sleep(10.0)
        assert world.sample().pushed
        assert len(pond.asked) - before <= 4

    story(play)


def test_a_push_that_waits_for_its_reading_is_told_before_it() -> None:
    async def play(world: World) -> None:
        world.poller.place(ORDERS, [trigger("a", "pond-push")], 30.0)
        await asyncio.sleep(15.0)
        world.told.clear()
        world.ponds["a"].hangs = True
        world.ponds["a"].tell(True)
        await asyncio.sleep(READ_FIRST_S + 0.01)
        assert (len(world.told), world.sample().pushed) == (1, True)

    story(play)


def test_a_push_while_it_is_being_read_leads_to_another_reading() -> None:
    async def play(world: World) -> None:
        world.poller.place(ORDERS, [trigger("a", "pond-push")], 30.0)
        await asyncio.sleep(15.0)
        (source,) = world.poller.sources(ORDERS)
        pond = world.ponds["a"]
        pond.hangs = True
        pond.tell(True)
        await asyncio.sleep(5.0)
        pond.hangs = False
        pond.tell(True)
        assert world.sample().pushed
        await asyncio.sleep(DEADLINE_S)
        assert source.pushed_at is None
        assert world.sample().fresh

    story(play)


def test_an_end_that_is_pushed_while_it_is_being_read_leads_to_another_reading_too() -> None:
    async def play(world: World) -> None:
        world.ponds["a"].value = 40.0
        world.poller.place(ORDERS, [trigger("a", "pond-push")], 300.0)
        await asyncio.sleep(1500.0)
        pond = world.ponds["a"]
        pond.takes_s = 2.0
        count = len(pond.asked)
        while len(pond.asked) == count:
            await asyncio.sleep(0.5)
        pond.value = 0.0  # what is on its way is older
        pond.tell(False)
        await asyncio.sleep(6.0)
        reading = world.sample().reading
        assert reading is not None
        assert reading.value == 0.0

    story(play)


def test_a_stream_that_breaks_is_run_again_ever_more_seldom() -> None:
    async def play(world: World) -> None:
        world.ponds["a"].breaks = True
        world.poller.place(ORDERS, [trigger("a", "pond-push")], 30.0)
        await asyncio.sleep(65.0)
        assert world.ponds["a"].streams == 7  # at 0, 1, 3, 7, 15, 31, 61 s
        world.ponds["a"].breaks = False
        await asyncio.sleep(30.0)
        world.ponds["a"].tell(True)
        assert world.sample().pushed

    story(play)


def test_only_what_changed_is_made_anew_and_what_is_gone_is_closed() -> None:
    async def play(world: World) -> None:
        first, second = trigger("a"), with_password(trigger("b", index=1), "old")
        world.poller.place(ORDERS, [first, second], 5.0)
        await asyncio.sleep(1.0)
        world.poller.place(ORDERS, [first, with_password(second, "new")], 7.0)
        await asyncio.sleep(1.0)
        assert (world.ponds["a"].made, world.ponds["b"].made) == (1, 2)
        assert (world.ponds["a"].closed, world.ponds["b"].closed) == (0, 1)
        world.poller.remove(ORDERS)
        await asyncio.sleep(1.0)
        assert (world.ponds["a"].closed, world.ponds["b"].closed) == (1, 2)
        count = len(world.ponds["a"].asked)
        await asyncio.sleep(60.0)
        assert len(world.ponds["a"].asked) == count
        assert len(world.poller) == 0

    story(play)


def test_one_that_goes_while_it_is_read_is_closed_too() -> None:
    async def play(world: World) -> None:
        world.ponds["a"].hangs = True
        world.poller.place(ORDERS, [trigger("a", "pond-push")], 5.0)
        await asyncio.sleep(0.1)
        world.poller.remove(ORDERS)
        await asyncio.sleep(0.1)
        assert world.ponds["a"].closed == 1

    story(play)


def test_the_end_of_it_closes_everything() -> None:
    async def main() -> None:
        world = World()
        async with world.running():
            world.poller.place(ORDERS, [trigger("a", "pond-push"), trigger("b", index=1)], 5.0)
            await asyncio.sleep(1.0)
        assert (world.ponds["a"].closed, world.ponds["b"].closed) == (1, 1)

    run(main())


def test_the_end_of_it_closes_what_was_just_let_go() -> None:
    async def main() -> None:
        world = World()
        async with world.running():
            world.ponds["a"].hangs = True
            world.poller.place(ORDERS, [trigger("a", "pond-push")], 5.0)
            await asyncio.sleep(1.0)
            world.poller.remove(ORDERS)
        assert world.ponds["a"].closed == 1

    run(main())


@pytest.mark.parametrize("polling_s", [0.2, 1.0])
def test_the_first_of_a_burst_is_seen_within_the_interval(polling_s: float) -> None:
    async def play(world: World) -> None:
        world.poller.place(ORDERS, [trigger("a")], polling_s)
        await asyncio.sleep(10.3)
        world.ponds["a"].value = 500.0
        at = world.clock.monotonic() - START
        await asyncio.sleep(2.0)
        asked = [asked - START for asked in world.ponds["a"].asked if asked - START >= at]
        assert asked[0] - at <= polling_s + 0.05

    story(play)
