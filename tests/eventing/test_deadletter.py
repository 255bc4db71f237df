from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from core.inside import Reply
from eventing.brokers.base import Interest
from eventing.deadletter import PAUSE_S, Forwarder, redriven
from eventing.delivery import Policy
from eventing.event import Event
from eventing.filters.clauses import everything
from eventing.hops import HOPS, ONLY, STEP, VIA
from eventing.log.base import NOW, DeadLetter, Fate
from eventing.places import Places
from eventing.sender import Sender
from eventing.subscriptions import Drop, Subscription
from tests.support.clock import FakeClock, settle
from tests.support.subscribers import Nowhere, Subscribers, event


@dataclass
class Letters:
    """`eventing.log.dead_letters.DeadLetters`, as far as a forwarder uses it."""

    kept: dict[int, DeadLetter] = field(default_factory=dict)
    fates: dict[int, Fate] = field(default_factory=dict)

    async def list(self, subscription: str | None = None, after: int = 0, count_max: int = 100) -> list[DeadLetter]:
        return [letter for number, letter in sorted(self.kept.items()) if number > after][:count_max]

    def mark(self, numbers: list[int], fate: Fate) -> asyncio.Future[int]:
        self.fates |= dict.fromkeys(numbers, fate)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(len(numbers))
        return done

    def add(self, *events: Event, fate: Fate = Fate.WAITING) -> None:
        for each in events:
            number = len(self.kept) + 1
            self.kept[number] = DeadLetter(number, "t", "s", number, 0, "because", (), each, fate)


@dataclass
class Streams:
    """`eventing.dispatcher.Streams`."""

    places: Places = field(default_factory=Places)
    events: list[tuple[str, Event]] = field(default_factory=list)

    def append(self, stream: str, events: Sequence[Event]) -> asyncio.Future[int]:
        self.events += [(stream, each) for each in events]
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(0)
        return done


@asynccontextmanager
async def forwarding(
    letters: Letters, answer: Callable[[Event], Reply | str], streams: Streams | None = None
) -> AsyncIterator[tuple[Forwarder, Subscribers, FakeClock]]:
    clock, people = FakeClock(), Subscribers({"grave": answer})
    plan = Subscription(
        Interest("t", everything(), "", NOW), "default", "http://fn", Drop(), Policy(retry=1), "http://grave"
    )
    forwarder = Forwarder(letters, Sender(people, Nowhere()), clock, plan, streams or Streams())  # type: ignore[arg-type]
    task = asyncio.ensure_future(forwarder.run(lambda: None))
    await settle()
    yield forwarder, people, clock
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_letters_go_to_the_sink_in_order_once_and_are_marked() -> None:
    async def main() -> None:
        letters = Letters()
        letters.add(event("1"))
        letters.add(event("sent before"), fate=Fate.SENT)
        letters.add(event("2"))
        async with forwarding(letters, lambda got: Reply(202)) as (forwarder, people, _):
            assert people.ids("grave") == ["1", "2"]
            letters.add(event("3"))
            forwarder.wake()
            await settle()
            assert people.ids("grave") == ["1", "2", "3"]
            assert letters.fates == {1: Fate.SENT, 3: Fate.SENT, 4: Fate.SENT}

    asyncio.run(main())


@pytest.mark.parametrize("said", ["nobody", Reply(503), Reply(429), Reply(404)], ids=str)
def test_a_sink_that_is_down_is_asked_again_for_as_long_as_it_takes(said: Reply | str) -> None:
    async def main() -> None:
        letters, down = Letters(), {"": True}
        letters.add(event("1"))
        async with forwarding(letters, lambda got: said if down[""] else Reply(200)) as (_, people, clock):
            await clock.advance(3 * PAUSE_S)
            assert letters.fates == {}
            asked = len(people.ids("grave"))
            assert asked > 3
            down[""] = False
            await clock.advance(PAUSE_S)
            assert letters.fates == {1: Fate.SENT}

    asyncio.run(main())


def test_a_letter_that_the_sink_will_never_take_holds_up_no_other() -> None:
    async def main() -> None:
        letters = Letters()
        letters.add(event("bad"), event("2"))
        answer: Callable[[Event], Reply | str] = lambda got: Reply(400 if got.id == "bad" else 200)  # noqa: E731
        async with forwarding(letters, answer):
            assert letters.fates == {2: Fate.SENT}

    asyncio.run(main())


def test_letters_for_a_sink_of_ours_end_although_they_come_back_as_letters() -> None:
    async def main() -> None:
        letters, streams = Letters(), Streams()
        streams.places.put("grave", "/", "broker/default/b")
        letters.add(event("first"), event("last", **{HOPS: 0, VIA: "t", STEP: "2"}), event("2", **{HOPS: 7}))
        async with forwarding(letters, lambda got: Reply(200), streams) as (_, people, _):
            assert people.ids("grave") == []
            assert [(stream, each.id) for stream, each in streams.events] == [
                ("broker/default/b", "first"),
                ("broker/default/b", "2"),
            ]
            assert streams.events[1][1].attributes[HOPS] == 6
            assert letters.fates == {1: Fate.SENT, 3: Fate.SENT}

    asyncio.run(main())


def test_a_redriven_event_starts_afresh_at_the_step_where_it_failed() -> None:
    failed = event("1", knativeerrorcode=500, knativeerrordest="http://fn", **{HOPS: 3, VIA: "a b", STEP: "2"})
    letter = DeadLetter(7, "flow/default/s/2", "s", 1, 0, "because", (), failed)
    again = redriven(letter, failed)
    assert again == event("1", **{STEP: "2", ONLY: "flow/default/s/2"})
