"""Seeded faults over the whole way of an event: ingress, log, matching, dispatcher, subscriber, reply or dead letter.

What must hold for every seed once the faults have stopped (`tests/support/event_promises.py` has them one by one):

- what was answered with 202 is delivered to every trigger that wants it, or is among its dead letters;
- nothing is delivered that nobody sent, or that the trigger does not want;
- tries are as many and as far apart as the policy says; one more per crash, no more;
- what was delivered is not delivered again, but where a crash came before its acknowledgement was written;
- with an order key, the next event of a key begins when the one before is over for good;
- a subscriber that answers has its events at once, whatever the others do;
- a damaged event is told of in the dead letters of every trigger that had not had it yet.

Where the disk has lied about its syncs, or has lost what it had written, nothing can be promised for what came before;
everything holds again for what comes after.

`python -m tests.scenarios.test_events FIRST COUNT` plays as many seeds as you like; a seed that fails says what was
done to it, step by step, and plays the same again.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.errors import NotFound, PermanentError, StoreFull
from eventing.event import Event
from eventing.hops import HOPS
from eventing.log.base import DeadLetter, Fate
from eventing.redrive import redrive
from tests.support.event_house import LETTERS, House, Trigger, policy
from tests.support.event_people import Mood, Person
from tests.support.event_promises import Promises
from tests.support.platter import Crash, Moment
from tests.support.virtual_time import run

SEEDS, BLOCK = 300, 25
STEPS = 40
SETTLING_S = 3600.0
MEMORY = Path("/dev/shm")  # the platter does the syncing; the real disk would only be slow
HOPS_OF_LOOPS = 2

DATA = ((b'{"a": 1.10}', "application/json"), (b"\x00\xff", "image/x"), (b"x" * 1500, "text/plain"))
EVERYTHING: dict[str, Any] = {}
TRIGGERS = (
    Trigger("healthy", EVERYTHING, policy(3)),
    Trigger(
        "orders",
        {"filters": [{"exact": {"type": "order"}}]},
        policy(2, 1.0, linear=True),
        order_key="partitionkey",
        parallelism=3,
        sink=True,
    ),
    Trigger("asks", {"filter": {"attributes": {"type": "ask"}}}, policy(3), parallelism=2),
    Trigger("answers", {"filters": [{"prefix": {"type": "answ"}}]}, policy(1, 0.0), sink=True),
    Trigger("loops", {"filters": [{"cesql": "type = 'loop'"}]}, policy(1)),
    Trigger("edited", {"filters": [{"cesql": "type IN ('note', 'order')"}]}, policy(2), parallelism=1),
)
EDITS: tuple[dict[str, Any], ...] = (
    {"spec": EVERYTHING},
    {"spec": {"filters": [{"exact": {"type": "note"}}]}},
    {"spec": {"filters": [{"not": {"exact": {"type": "order"}}}]}},
    {"policy": policy(0)},
    {"policy": policy(4, 3.0, linear=True)},
    {"order_key": "partitionkey"},
    {"parallelism": 5},
)


def answer(ask: Event) -> Event:
    return Event({"specversion": "1.0", "id": f"answer-{ask.id}", "source": "/asks", "type": "answer"})


def round_again(event: Event) -> Event | None:
    """A mark more in its name for every time round."""
    return event.with_attributes(id=f"{event.id}'") if event.id.count("'") < 10 else None


class Story:
    """One seed's worth of trouble."""

    def __init__(self, seed: int, folder: Path, logs: list[MutableMapping[str, Any]]) -> None:
        self.chance = random.Random(seed)
        people = {trigger.name: Person() for trigger in TRIGGERS} | {LETTERS: Person()}
        people["asks"].reply, people["loops"].reply = answer, round_again
        self.house = House(folder, self.chance, people)
        self.steps: list[str] = []
        self.numbers = 0
        self.torn = self._flip = False
        self._logs = logs
        self._were_letters: dict[str, list[DeadLetter]] = {trigger.name: [] for trigger in TRIGGERS}
        self._things: tuple[Callable[[], Awaitable[str]], ...] = (
            *(self.post, self.post, self.post, self.post, self.wait, self.wait, self.wait, self.mood, self.mood),
            *(self.mood, self.edit, self.drop, self.redrive, self.jump, self.refuse, self.crash_soon, self.end),
            *(self.crash_soon, self.stop, self.lie, self.flip),
        )

    async def play(self) -> None:
        self.house.triggers = {trigger.name: trigger for trigger in TRIGGERS}
        await self.house.open()
        for _ in range(STEPS):
            await self._step(self.chance.choice(self._things))
        await self._settle()
        letters = await self._letters()
        Promises(self.house, letters, self.torn).check()
        self._loops_end(letters["loops"])

    def _loops_end(self, letters: list[DeadLetter]) -> None:
        """As soon as their hops are spent, in a dead letter that names the triggers that they went through."""
        visits = self.house.people.people["loops"].visits
        assert all(visit.event.id.count("'") <= HOPS_OF_LOOPS for visit in visits)
        spent = [letter for letter in letters if "budget of hops" in letter.reason]
        assert all("trigger/default/loops." in letter.reason for letter in spent)

    async def _step(self, thing: Callable[[], Awaitable[str]]) -> None:
        now = asyncio.get_running_loop().time()
        try:
            what = await self.house.while_alive(thing())
        except (Crash, StoreFull) as error:
            what = f"{thing.__name__}: {'refused' if isinstance(error, StoreFull) else 'cut off'}"
        self.steps.append(f"{now:.2f} {what}")
        if self.house.dead:
            await self._restart()
        defects = [each for each in self._logs if each["event"] == "dispatcher failed"]
        assert not defects, defects

    async def _restart(self) -> None:
        house = self.house
        await house.clear_away()
        self._logs.clear()
        lied, flips, self._flip = house.platter.lies, self._flip, False
        house.platter.live_again()
        self.torn = self.torn or lied
        if flips:
            flip = self.chance.choice((house.platter.flip_a_bit, house.platter.flip_an_event))
            self.steps.append(f"{flip()} flips")
        await house.open()
        books = house.books
        if lied or flips:  # positions may be damaged: delivered twice is better than never
            books.whole_from = len(books.lives) - 1
        if lied or (flips and house.log.cut_off):
            books.honest_from = len(books.lives) - 1
            books.offsets.clear()
        self.steps.append("— restart —")

    async def _settle(self) -> None:
        """The faults stop; what was to happen happens."""
        house = self.house
        house.platter.crash_at, house.platter.refusals = None, 0
        for person in house.people.people.values():
            person.mood = Mood.GOOD
        deadline = asyncio.get_running_loop().time() + SETTLING_S
        while not await self._is_settled():
            assert asyncio.get_running_loop().time() < deadline, f"after an hour there is still {self._backlogs()}"
            for name in [name for name, running in house.plane.running.items() if running.gone]:
                trigger = house.triggers[name.rpartition("/")[2]]
                await house.put(replace(trigger, parallelism=trigger.parallelism + 1))
            await house.wait(15.0)
        self.steps.append(f"{asyncio.get_running_loop().time():.2f} settled")

    async def _is_settled(self) -> bool:
        names = [trigger.subscription_name for trigger in self.house.triggers.values() if trigger.sink]
        letters = [letter for name in names for letter in await self.house.log.dead_letters.list(name)]
        waiting = [letter for letter in letters if letter.fate is Fate.WAITING and letter.event is not None]
        gone = any(running.gone for running in self.house.plane.running.values())
        return not waiting and not gone and not any(self._backlogs().values())

    def _backlogs(self) -> dict[str, int]:
        return {name: running.dispatcher.feed.backlog for name, running in self.house.plane.running.items()}

    async def _letters(self) -> dict[str, list[DeadLetter]]:
        found = {}
        for trigger in TRIGGERS:
            now = await self.house.log.dead_letters.list(trigger.subscription_name, count_max=100_000)
            found[trigger.name] = self._were_letters[trigger.name] + now
        return found

    # -- what users do -------------------------------------------------------------------------------------------------

    async def post(self) -> str:
        calls = self.chance.randint(1, 3)
        for _ in range(calls):
            self.house.post([self._event() for _ in range(self.chance.choice((1, 1, 1, 2, 4)))])
        return f"post up to e{self.numbers}"

    def _event(self) -> Event:
        self.numbers += 1
        kind = self.chance.choice(("order", "order", "order", "ask", "note", "loop"))
        attributes: dict[str, str | int | bool] = {
            "specversion": "1.0", "id": f"e{self.numbers}", "source": "/producer", "type": kind
        }  # fmt: skip
        if kind == "order":
            attributes["partitionkey"] = self.chance.choice(("a", "b", "ü c"))
        if kind == "loop":
            attributes[HOPS] = HOPS_OF_LOOPS
        data, attributes["datacontenttype"] = self.chance.choice(DATA)
        return Event(attributes, data)

    async def wait(self) -> str:
        seconds = self.chance.choice((0.01, 0.06, 0.3, 2.0, 20.0, 90.0))
        await self.house.wait(seconds)
        return f"{seconds} s pass"

    async def mood(self) -> str:
        name = self.chance.choice([trigger.name for trigger in TRIGGERS[1:]] + [LETTERS])
        mood = self.chance.choice((Mood.FLAKY, Mood.FLAKY, *Mood))
        if name == LETTERS and mood in (Mood.RUDE, Mood.GONE):
            mood = Mood.BROKEN  # what a sink refuses for good it is not offered again
        self.house.people.people[name].mood = mood
        return f"{name} is {mood}"

    async def edit(self) -> str:
        trigger = self.house.triggers.get("edited", TRIGGERS[-1])
        change = self.chance.choice(EDITS)
        await self.house.put(replace(trigger, **change))
        return f"edit {change}"

    async def drop(self) -> str:
        await self.house.drop("edited")
        return "delete edited"

    async def redrive(self) -> str:
        letters = await self.house.log.dead_letters.list("trigger/default/asks")
        some = [letter for letter in letters if letter.event is not None and letter.fate is Fate.WAITING]
        if not some:
            return "no dead letter to redrive"
        letter = self.chance.choice(some)
        assert letter.event is not None
        key = ("asks", letter.event.id)
        self.house.books.redriven[key] = self.house.books.redriven.get(key, 0) + 1
        await redrive(self.house.plane, self.house.log.dead_letters, [letter.number])
        return f"redrive {letter.event.id}"

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    async def jump(self) -> str:
        seconds = self.chance.choice((-86_400.0, -5.0, 5.0, 600.0, 86_400.0))
        self.house.clock.jump_wall(seconds)
        return f"the clock jumps by {seconds} s"

    async def refuse(self) -> str:
        self.house.platter.refusals = self.chance.randint(1, 4)
        return f"the disk refuses {self.house.platter.refusals} commits"

    async def crash_soon(self) -> str:
        moment = self.house.platter.crash_at = self.chance.choice(list(Moment))
        return f"crash {moment}"

    async def end(self) -> str:
        power = self.chance.random() < 0.5
        self.house.kill(power)
        return "power off" if power else "kill -9"

    async def stop(self) -> str:
        await self.house.close()
        await self.house.open()
        return "stop and start"

    async def lie(self) -> str:
        if self.chance.random() < 0.8:
            return "the disk is honest"
        self.house.platter.lie()
        return "the disk lies"

    async def flip(self) -> str:
        platter = self.house.platter
        if self.chance.random() < 0.6 or platter.lies:
            return "no bit flips"
        self._were_letters = await self._letters()
        self.torn = self._flip = True
        self.house.kill()
        return "kill -9, and a bit flips"


async def play(seed: int, folder: Path, logs: list[MutableMapping[str, Any]]) -> None:
    story = Story(seed, folder, logs)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    try:
        await story.play()
    except BaseException as error:
        if isinstance(error, PermanentError) and not isinstance(error, NotFound) and story.torn:
            return  # it says that it cannot read the file, and leaves it alone
        error.add_note(f"seed {seed}: " + " · ".join(story.steps))
        raise
    finally:
        story.house.platter.dead = True
        await story.house.clear_away()


def play_all(first: int, count: int) -> None:
    # What a dead platform was about to begin is never begun.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder, capture_logs() as logs:
            run(play(seed, Path(folder), logs))


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_events_arrive(first: int) -> None:
    play_all(first, BLOCK)


if __name__ == "__main__":
    play_all(int(sys.argv[1]), int(sys.argv[2]))
    print(f"seeds {sys.argv[1]} and the {int(sys.argv[2]) - 1} after it hold")
