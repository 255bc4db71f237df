from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.errors import BadRequest, NotFound
from core.inside import Reply
from core.resources.eventing import BROKER, TRIGGER
from eventing.filters.clauses import Filter
from eventing.filters.dialects import cesql_filter
from eventing.log.base import EARLIEST, Origin, Start
from eventing.replay import Counts, Failure, Replay, Replays, Wish
from tests.support.eventing import Eventing, eventing, until
from tests.support.subscribers import event, with_event

NAME = "trigger/default/t"


async def with_history(world: Eventing, count: int = 10, **spec: object) -> None:
    """A trigger that has had `count` events, of two types in turn."""
    world.people.answers = {"fn": lambda _: Reply(200), "side": lambda got: with_event(event("reply", type="r"))}
    await world.apply(BROKER, "main")
    await world.ready(BROKER, "main")
    await world.apply(TRIGGER, "t", {"broker": "main", "subscriber": {"uri": "http://fn/"}, **spec})
    await world.ready(TRIGGER, "t")
    for number in range(count):
        await world.post(event(str(number), type="ab"[number % 2]))


async def plan(world: Eventing, failures: list[Failure] | None = None, **wish: object) -> Replay:
    replays = Replays(world.plane, world.log, world.plane.parts)
    whole = {"subscription": NAME, "start": EARLIEST, **wish}
    return await replays.plan(Wish(**whole), (failures if failures is not None else []).append)  # type: ignore[arg-type]


def cesql(text: str) -> Filter:
    compiled = cesql_filter(text, "filter")
    assert isinstance(compiled, Filter)
    return compiled


def test_a_run_sends_what_there_was_once_more_and_leaves_the_position_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_history(world)
            await world.received("fn", 10)
            replay = await plan(world)
            await world.post(event("later"))  # after the run was planned: not of it
            await replay.run()
            assert replay.feed.counts == Counts(10, matched=10, delivered=10)
            ids = await world.received("fn", 21)
            assert sorted(ids) == sorted([*map(str, range(10)), *map(str, range(10)), "later"])
            cursor = world.log.cursor(NAME)
            assert cursor is not None

            async def caught_up() -> bool | None:
                return cursor.position.low == 11 or None

            await until(caught_up, "the position was moved")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("wish", "ids"),
    [
        pytest.param({"start": Start(Origin.OFFSET, 7)}, ["7", "8", "9"], id="from an offset"),
        pytest.param({"start": Start(Origin.OFFSET, 70)}, [], id="from beyond the end"),
        pytest.param({"start": Start(Origin.TIME, 4e9)}, [], id="from a time to come"),
        pytest.param({"start": Start(Origin.TIME, 0)}, [str(n) for n in range(10)], id="from a time"),
        pytest.param({"narrower": cesql("type = 'b' AND INT(id) > 3")}, ["5", "7", "9"], id="narrower"),
    ],
)
def test_what_is_sent_and_what_a_dry_run_shows_are_the_same(
    tmp_path: Path, wish: dict[str, object], ids: list[str]
) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_history(world, filter={"attributes": {"source": "/test"}})
            await world.received("fn", 10)
            dry = await plan(world, **wish)
            assert [record.event.id async for record in dry.feed.records()] == ids
            assert dry.feed.counts.matched == len(ids)
            assert len(world.people.ids("fn")) == 10, "a dry run sends nothing"
            wet = await plan(world, **wish)
            await wet.run()
            assert world.people.ids("fn")[10:] == ids

    asyncio.run(main())


def test_another_sink_gets_them_and_its_replies_go_nowhere(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_history(world, 3)
            await (await plan(world, sink="http://side/")).run()
            assert world.people.ids("side") == ["0", "1", "2"]
            assert world.log.stream("broker/default/main").tail == 3

    asyncio.run(main())


def test_what_fails_is_told_and_not_buried(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_history(world, 4, delivery={"retry": 1, "backoffDelay": "PT0S"})
            await world.received("fn", 4)
            world.people.answers["fn"] = lambda got: Reply(503 if got.id in "13" else 200)
            failures: list[Failure] = []
            replay = await plan(world, failures)
            await replay.run()
            assert replay.feed.counts == Counts(4, matched=4, delivered=2, failed=2)
            told = sorted((each.offset, each.reason) for each in failures)
            assert told == [(1, "the subscriber answered 503"), (3, "the subscriber answered 503")]
            assert await world.log.dead_letters.list() == []

    asyncio.run(main())


def test_a_subscriber_that_is_gone_ends_the_run_and_not_the_subscription(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_history(world, 50)
            await world.received("fn", 50)
            world.people.answers["fn"] = lambda got: Reply(410)
            replay = await plan(world)
            await replay.run()
            assert replay.feed.counts.failed > 0
            assert not world.plane.is_gone(NAME)

    asyncio.run(main())


def test_a_run_ends_with_whoever_asked_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_history(world, 50)
            await world.received("fn", 50)
            gate = world.people.gates["fn"] = asyncio.Event()
            await world.apply(
                TRIGGER, "t", {"broker": "main", "subscriber": {"uri": "http://fn/"}},
                annotations={"pilotlight.dev/parallelism": "2"},
            )  # fmt: skip

            async def edited() -> bool | None:
                return world.plane.running[NAME].subscription.parallelism == 2 or None

            await until(edited, "the trigger is as it was")
            replay = await plan(world)
            async with asyncio.TaskGroup() as group:
                run = group.create_task(replay.run())
                await world.received("fn", 52)
                run.cancel()
            gate.set()
            assert replay.feed.counts.delivered == 0
            assert len(world.people.ids("fn")) == 52, "the two that were under way, and no more"

    asyncio.run(main())


def test_redriven_copies_are_not_replayed_beside_their_originals(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_history(world, 1)
            broker = world.plane.stream("broker/default/main")
            assert broker is not None
            await broker.append([event("0", pilotlightonly=NAME)])
            dry = await plan(world)
            assert [record.offset async for record in dry.feed.records()] == [0]

    asyncio.run(main())


def test_what_cannot_be_replayed_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_history(world, 0)
            with pytest.raises(NotFound, match="there is no trigger/default/none"):
                await plan(world, subscription="trigger/default/none")
            await world.plane.hold(NAME)
            with pytest.raises(BadRequest, match="trigger/default/t of broker/default/main is held back"):
                await plan(world)

    asyncio.run(main())
