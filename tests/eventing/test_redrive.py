from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.errors import NotFound
from core.inside import Reply
from core.resources.eventing import BROKER, TRIGGER
from eventing.log.base import DeadLetter, Fate
from eventing.redrive import chosen, redrive
from tests.support.eventing import Eventing, eventing, until
from tests.support.subscribers import event


async def with_letters(world: Eventing, count: int) -> None:
    """A broker of two triggers, one of which answers 400 to so many events."""
    refusing = {"": True}
    world.people.answers = {"good": lambda _: Reply(200), "bad": lambda _: Reply(400 if refusing[""] else 200)}
    await world.apply(BROKER, "main", annotations={"pilotlight.dev/deduplicate": "PT10M"})
    await world.ready(BROKER, "main")
    for name in ("good", "bad"):
        await world.apply(TRIGGER, name, {"broker": "main", "subscriber": {"uri": f"http://{name}/"}})
        await world.ready(TRIGGER, name)
    for number in range(count):
        await world.post(event(str(number)))

    async def buried() -> bool | None:
        return await world.log.dead_letters.count("trigger/default/bad") == count or None

    await until(buried, "nothing is buried")
    refusing[""] = False


def test_redriven_events_go_to_the_subscription_that_failed_and_to_no_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_letters(world, 3)
            letters = world.log.dead_letters
            result = await redrive(world.plane, letters, [1])
            assert (result.numbers, result.refused) == ([1], [])
            assert await world.received("bad", 4) == ["0", "1", "2", "0"]
            numbers = await chosen(letters, [], "trigger/default/bad")
            assert numbers == [2, 3], "what was redriven is not chosen again"
            await redrive(world.plane, letters, numbers)
            assert await world.received("bad", 6) == ["0", "1", "2", "0", "1", "2"]
            assert world.people.ids("good") == ["0", "1", "2"]
            assert {each.fate for each in await letters.list()} == {Fate.REDRIVEN}
            got = world.people.got["bad"][-1].attributes
            assert "knativeerrorcode" not in got
            assert "pilotlightonly" not in got

    asyncio.run(main())


def test_what_cannot_be_redriven_says_why_and_stays(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_letters(world, 1)
            letters = world.log.dead_letters
            for letter in (
                DeadLetter(0, "trigger/default/bad", "broker/default/main", 9, 0, "damaged", (), None),
                DeadLetter(0, "trigger/default/gone", "broker/default/main", 9, 0, "", (), event("9")),
                DeadLetter(0, "trigger/default/bad", "broker/default/gone", 9, 0, "", (), event("9")),
            ):
                await letters.keep(letter)
            result = await redrive(world.plane, letters, [2, 3, 4, 1])
            assert result.numbers == [1]
            assert result.refused == [
                (2, "the event itself was damaged, nothing of it is left"),
                (3, "there is no trigger/default/gone at broker/default/main any more"),
                (4, "there is no broker/default/gone any more"),
            ]
            assert [each.fate for each in await letters.list()] == [Fate.REDRIVEN] + [Fate.WAITING] * 3
            with pytest.raises(NotFound, match="there is no dead letter 99"):
                await chosen(letters, [1, 99], None)

    asyncio.run(main())


def test_what_was_set_aside_at_the_entrance_goes_to_everybody(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as world:
            await with_letters(world, 0)
            stream = "broker/default/main"
            await world.log.dead_letters.keep(DeadLetter(0, stream, stream, None, 0, "schema", (), event("1")))
            assert (await redrive(world.plane, world.log.dead_letters, [1])).numbers == [1]
            assert await world.received("bad", 1) == await world.received("good", 1) == ["1"]

    asyncio.run(main())
