"""What every broker class must do: one suite, subclassed once per class, against the real thing behind it.

It looks from both ends, where users stand: events are appended, subscribers get them. Between the two are the real data
plane and a real event log; only the broker under test differs. `RemoteBrokerContract` adds what only a broker with a
server of its own can be asked.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.clock import Clock, SystemClock
from core.errors import TemporaryError
from core.inside import Reply
from core.resources.eventing_delivery import BackoffPolicy
from core.tasks import start_service
from eventing.brokers.base import Broker, Interest
from eventing.chronicle import Chronicle
from eventing.dataplane import DataPlane
from eventing.deadletter import redriven
from eventing.delivery import Policy
from eventing.event import Event
from eventing.filters.clauses import everything, exact
from eventing.log.base import EARLIEST, NOW, DeadLetter, Start
from eventing.log.log import EventLog
from eventing.sender import Sender
from eventing.subscriptions import Append, Subscription
from tests.support.eventing import until
from tests.support.subscribers import Answer, Nowhere, Subscribers, event, with_event

DEADLINE_S: Final = 60.0
OK: Final = Reply(202)
QUICK: Final = Policy(retry=3, backoff=BackoffPolicy.LINEAR, backoff_delay_s=0.02)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a broker may stand on."""

    log: EventLog
    clock: Clock
    chronicle: Chronicle


class Life:
    """One life of a platform with one broker in it; its subscribers and its folder outlive it."""

    def __init__(self, plane: DataPlane, broker: Broker, log: EventLog, people: Subscribers) -> None:
        self.plane = plane
        self.broker = broker
        self.log = log
        self.people = people

    async def append(self, *events: Event) -> None:
        """Stored when it returns. What a broker cannot store just now is sent again, as any producer would."""
        while True:
            try:
                await self.broker.append(events)
            except TemporaryError:
                await asyncio.sleep(0.05)
            else:
                return

    async def subscribe(
        self,
        name: str,
        answer: Answer = lambda event: OK,
        *,
        type: str | None = None,
        start: Start = NOW,
        **more: Any,
    ) -> str:
        """The subscription's name. Its subscriber has the host `name`; replies go back into the broker."""
        self.people.answers.setdefault(name, answer)
        wanted = exact("spec.filters[0]", {"type": type}) if type else everything()
        interest = Interest(subscription_name(name), wanted, type or "", start)
        fields = {"reply": Append(self.broker.name), "policy": QUICK} | more
        await self.plane.put(Subscription(interest, "default", f"http://{name}/", **fields), self.broker.name)
        return interest.name

    async def got(self, name: str, count: int) -> list[str]:
        """The ids that a subscriber has got, once there are so many."""

        async def enough() -> list[str] | None:
            ids = self.people.ids(name)
            return ids if len(ids) >= count else None

        return await until(enough, f"{name} has {len(self.people.ids(name))} of {count} events", DEADLINE_S / 2)

    async def settled(self, *names: str) -> None:
        """Nothing waits for these subscriptions, and nothing is under way."""

        async def none() -> bool | None:
            feeds = [self.plane.running[subscription_name(name)].dispatcher.feed for name in names]
            return True if not any(feed.backlog for feed in feeds) else None

        await until(none, f"something still waits for {', '.join(names)}", DEADLINE_S / 2)

    async def letters(self, name: str, count: int) -> list[DeadLetter]:
        async def enough() -> list[DeadLetter] | None:
            found = await self.log.dead_letters.list(subscription_name(name))
            return found if len(found) >= count else None

        return await until(enough, f"{name} has not {count} dead letters", DEADLINE_S / 2)


async def _answers(broker: Broker) -> bool | None:
    return None if broker.trouble else True


def subscription_name(name: str) -> str:
    return f"trigger/default/{name}"


def with_lives(test: Callable[[Any, Lives], Awaitable[None]]) -> Callable[[Any, Path], None]:
    """Runs an async test with a broker that has not been before, and will not be afterwards."""

    @functools.wraps(test)
    def run(self: BrokerContract, tmp_path: Path) -> None:
        async def body() -> None:
            async with asyncio.timeout(DEADLINE_S):
                lives = Lives(self, tmp_path, f"broker/default/b{next(_numbers)}")
                await test(self, lives)

        asyncio.run(body())

    del run.__wrapped__  # type: ignore[attr-defined]  # pytest would look for a fixture called `lives`
    return run


class Lives:
    """Opens one life after the other."""

    def __init__(self, contract: BrokerContract, folder: Path, stream: str) -> None:
        self.people = Subscribers()
        self._contract = contract
        self._folder = folder
        self._stream = stream
        self._suffix = next(_numbers)

    def name(self, text: str) -> str:
        """A subscription's name that no other test has."""
        return f"{text}{self._suffix}"

    @asynccontextmanager
    async def life(self) -> AsyncIterator[Life]:
        clock = SystemClock()
        log, chronicle = EventLog(self._folder / "events.db", clock), Chronicle(clock)
        await log.open()
        plane = DataPlane(log, clock, Sender(self.people, Nowhere()), chronicle, lambda: 0.0)
        try:
            async with asyncio.TaskGroup() as group:
                running = await start_service(group, plane.run, "plane")
                broker = await self._contract.make(self._stream, Parts(log, clock, chronicle))
                await plane.put_stream(broker)
                await until(lambda: _answers(broker), "the broker does not take events", DEADLINE_S / 2)
                try:
                    yield Life(plane, broker, log, self.people)
                finally:
                    running.cancel()
        finally:
            await log.close()


class BrokerContract:
    """Subclasses say how a broker is made: the same stream again is the same broker in its next life."""

    async def make(self, stream: str, parts: Parts) -> Broker:
        raise NotImplementedError

    # -- who gets what -------------------------------------------------------------------------------------------------

    @with_lives
    async def test_each_subscription_gets_what_its_filter_lets_through_once(self, lives: Lives) -> None:
        orders, everyone = lives.name("orders"), lives.name("all")
        async with lives.life() as life:
            await life.subscribe(orders, type="order")
            await life.subscribe(everyone)
            sent = [event(str(n), type="order" if n % 2 else "invoice", data=n) for n in range(20)]
            await life.append(*sent[:10])
            for each in sent[10:]:
                await life.append(each)
            await life.got(everyone, 20)
            await life.got(orders, 10)
            await life.settled(orders, everyone)
            assert sorted(life.people.ids(everyone), key=int) == [each.id for each in sent]
            assert sorted(life.people.ids(orders), key=int) == [str(n) for n in range(1, 20, 2)]

    @with_lives
    async def test_an_event_arrives_as_it_was_sent(self, lives: Lives) -> None:
        name = lives.name("t")
        sent = [
            event("plain"),
            event("all", data="text", datacontenttype="text/plain", subject="é/☃", time="2026-01-31T09:00:00.123456Z"),
            event("bytes").with_attributes(datacontenttype="application/octet-stream", number="7", truth="true"),
        ]
        sent[2].data = bytes(range(256))
        async with lives.life() as life:
            await life.subscribe(name)
            await life.append(*sent)
            await life.got(name, 3)
            assert sorted(life.people.got[name], key=lambda each: each.id) == sorted(sent, key=lambda each: each.id)

    @with_lives
    async def test_64_kib_and_more(self, lives: Lives) -> None:
        name = lives.name("t")
        async with lives.life() as life:
            await life.subscribe(name)
            sent = event("big", data="x" * 900_000)
            await life.append(sent)
            await life.got(name, 1)
            assert life.people.got[name] == [sent]

    @with_lives
    async def test_a_new_subscription_begins_where_it_says(self, lives: Lives) -> None:
        now, earliest, held = lives.name("now"), lives.name("earliest"), lives.name("held")
        async with lives.life() as life:
            await life.append(event("before"))
            await life.plane.reserve(subscription_name(held), life.broker.name, NOW)
            await life.append(event("between"))
            await life.subscribe(now)
            await life.subscribe(earliest, start=EARLIEST)
            await life.subscribe(held)
            await life.append(event("after"))
            assert await life.got(now, 1) == ["after"]
            assert sorted(await life.got(earliest, 3)) == ["after", "before", "between"]
            assert sorted(await life.got(held, 2)) == ["after", "between"]

    # -- what becomes of a delivery ------------------------------------------------------------------------------------

    @with_lives
    async def test_a_reply_is_an_event_like_any_other(self, lives: Lives) -> None:
        first, second = lives.name("first"), lives.name("second")
        async with lives.life() as life:
            await life.subscribe(first, lambda got: with_event(event(f"re-{got.id}", type="reply")), type="t")
            await life.subscribe(second, type="reply")
            await life.append(event("1"), event("2"))
            assert sorted(await life.got(second, 2)) == ["re-1", "re-2"]
            assert life.people.ids(first) == ["1", "2"] or life.people.ids(first) == ["2", "1"]

    @with_lives
    async def test_what_fails_is_tried_again(self, lives: Lives) -> None:
        name, tries = lives.name("t"), itertools.count(1)
        async with lives.life() as life:
            await life.subscribe(name, lambda got: Reply(503) if next(tries) < 3 else OK)
            await life.append(event("1"))
            assert await life.got(name, 3) == ["1", "1", "1"]
            await life.settled(name)
            assert await life.log.dead_letters.list(subscription_name(name)) == []

    @with_lives
    async def test_what_fails_for_good_is_a_dead_letter_with_all_that_was_tried(self, lives: Lives) -> None:
        name = lives.name("t")
        async with lives.life() as life:
            await life.subscribe(name, lambda got: Reply(500, (), b"no") if got.id == "500" else Reply(400))
            await life.append(event("500"), event("400"))
            letters = {letter.event.id: letter for letter in await life.letters(name, 2) if letter.event is not None}
            assert [attempt.code for attempt in letters["500"].attempts] == [500] * 4
            assert [attempt.number for attempt in letters["500"].attempts] == [1, 2, 3, 4]
            assert [attempt.code for attempt in letters["400"].attempts] == [400]
            assert letters["500"].stream == life.broker.name
            await life.settled(name)
        life.people.got.clear()
        async with lives.life() as life:
            await life.subscribe(name)
            await life.append(event("next"))
            assert await life.got(name, 1) == ["next"], "a dead letter is acknowledged"

    @with_lives
    async def test_a_redriven_letter_goes_to_its_own_subscription_alone(self, lives: Lives) -> None:
        broken, other = lives.name("broken"), lives.name("other")
        async with lives.life() as life:
            await life.subscribe(broken, lambda got: Reply(400))
            await life.subscribe(other)
            await life.append(event("1", data="x"))
            (letter,) = await life.letters(broken, 1)
            await life.got(other, 1)
            life.people.answers[broken] = lambda got: OK
            assert letter.event is not None
            await life.append(redriven(letter, letter.event))
            assert await life.got(broken, 2) == ["1", "1"]
            await life.append(event("2"))
            assert await life.got(other, 2) == ["1", "2"]
            assert life.people.got[broken][1] == event("1", data="x")

    # -- order and speed -----------------------------------------------------------------------------------------------

    @with_lives
    async def test_a_key_keeps_its_order_and_one_that_is_blocked_blocks_no_other(self, lives: Lives) -> None:
        name, failing = lives.name("t"), itertools.count()
        async with lives.life() as life:

            def answer(got: Event) -> Reply:
                return Reply(503) if got.id == "a0" and next(failing) < 3 else OK

            policy = Policy(retry=5, backoff=BackoffPolicy.LINEAR, backoff_delay_s=0.1)
            await life.subscribe(name, answer, order_key="partitionkey", policy=policy)
            for number in range(30):
                await life.append(*(event(f"{key}{number}", partitionkey=key) for key in "abc"))
            await life.got(name, 93)
            ids = life.people.ids(name)
            for key in "bc":
                assert [each for each in ids if each[0] == key] == [f"{key}{n}" for n in range(30)]
            of_a = [each for each in ids if each[0] == "a"]
            assert of_a == ["a0"] * 3 + [f"a{n}" for n in range(30)]
            assert ids.index("c29") < len(ids) - 1 - ids[::-1].index("a0"), "c did not wait for a"

    @with_lives
    async def test_what_waits_is_counted_and_bounded_in_memory(self, lives: Lives) -> None:
        name = lives.name("t")
        count = 5_000
        async with lives.life() as life:
            life.people.gates[name] = asyncio.Event()
            await life.subscribe(name, parallelism=10)
            for first in range(0, count, 500):
                await life.append(*(event(str(number)) for number in range(first, first + 500)))
            feed = life.plane.running[subscription_name(name)].dispatcher.feed

            async def counted() -> int | None:
                return feed.backlog if feed.backlog >= count else None

            assert await until(counted, f"{feed.backlog} of {count} are counted", DEADLINE_S / 2) == count
            life.people.gates[name].set()
            ids = await life.got(name, count)
            assert len(set(ids)) == len(ids) == count
            await life.settled(name)

    # -- from one life to the next -------------------------------------------------------------------------------------

    @with_lives
    async def test_a_restart_goes_on_where_it_was(self, lives: Lives) -> None:
        name = lives.name("t")
        async with lives.life() as life:
            await life.subscribe(name)
            await life.append(*(event(f"first{n}") for n in range(20)))
            await life.got(name, 20)
            await life.settled(name)
        async with lives.life() as life:
            await life.append(event("between"))
            await life.subscribe(name)
            await life.append(event("after"))
            ids = await life.got(name, 22)
            assert sorted(ids[20:]) == ["after", "between"]
            await life.settled(name)
            assert len(life.people.ids(name)) == 22

    @with_lives
    async def test_what_was_acknowledged_out_of_order_does_not_come_again(self, lives: Lives) -> None:
        name = lives.name("t")
        patient = Policy(retry=50, backoff=BackoffPolicy.LINEAR, backoff_delay_s=30)
        async with lives.life() as life:
            await life.subscribe(name, lambda got: Reply(503) if got.id == "bad" else OK, policy=patient)
            await life.append(event("0"), event("bad"), *(event(f"{n}") for n in range(1, 10)))
            await life.got(name, 11)

            async def one_left() -> bool | None:
                return True if life.plane.running[subscription_name(name)].dispatcher.feed.backlog == 1 else None

            await until(one_left, "more than the bad one waits")
        life.people.answers[name] = lambda got: OK
        async with lives.life() as life:
            await life.subscribe(name, policy=QUICK)
            assert (await life.got(name, 12))[11] == "bad"
            await life.append(event("end"))
            assert (await life.got(name, 13))[12:] == ["end"]

    @with_lives
    async def test_an_edited_subscription_goes_on_where_it_was(self, lives: Lives) -> None:
        name = lives.name("t")
        async with lives.life() as life:
            await life.subscribe(name, type="a")
            await life.append(event("1", type="a"))
            await life.got(name, 1)
            await life.settled(name)
            await life.subscribe(name, type="b")
            await life.append(event("2", type="b"), event("3", type="a"))
            assert await life.got(name, 2) == ["1", "2"]

    @with_lives
    async def test_a_position_is_kept_where_that_is_asked(self, lives: Lives) -> None:
        kept, forgotten = lives.name("kept"), lives.name("forgotten")
        async with lives.life() as life:
            for name in (kept, forgotten):
                await life.subscribe(name)
            await life.append(event("1"))
            await life.got(kept, 1)
            await life.got(forgotten, 1)
            await life.settled(kept, forgotten)
            await life.plane.drop(subscription_name(kept), keep_position=True)
            await life.plane.drop(subscription_name(forgotten))
            await life.append(event("2"))
            for name in (kept, forgotten):
                await life.subscribe(name)
            await life.append(event("3"))
            assert sorted(await life.got(kept, 3)) == ["1", "2", "3"]
            assert await life.got(forgotten, 2) == ["1", "3"]


class RemoteBrokerContract(BrokerContract):
    """Subclasses also say how their server is killed, as by a power cut, and started again."""

    def kill(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    @with_lives
    async def test_the_server_is_killed_in_mid_stream(self, lives: Lives) -> None:
        """Whatever was acknowledged is delivered, in every subscription; each key in order, give or take repetition."""
        names = [lives.name("one"), lives.name("two")]
        count = 300
        async with lives.life() as life:
            for name in names:
                await life.subscribe(name, order_key="partitionkey")

            async def produce(key: str) -> None:
                for number in range(count):
                    await life.append(event(f"{key}{number}", partitionkey=key))

            async with asyncio.TaskGroup() as producing:
                for key in "abc":
                    producing.create_task(produce(key))
                await life.got(names[0], count // 2)
                await asyncio.to_thread(self.kill)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(self.start)
            for name in names:
                await self._all_there(life, name, [f"{key}{n}" for key in "abc" for n in range(count)])
                for key in "abc":
                    assert in_order([int(each[1:]) for each in life.people.ids(name) if each[0] == key]), name
            await life.settled(*names)

    @with_lives
    async def test_the_server_is_away_for_a_while(self, lives: Lives) -> None:
        name = lives.name("t")
        async with lives.life() as life:
            await life.subscribe(name)
            await life.append(event("1"))
            await life.got(name, 1)
            await life.settled(name)
            await asyncio.to_thread(self.kill)
            starting = asyncio.ensure_future(asyncio.to_thread(self.start))
            await life.append(event("2"))
            await self._all_there(life, name, ["1", "2"])
            await starting

    @staticmethod
    async def _all_there(life: Life, name: str, wanted: Sequence[str]) -> None:
        async def none_missing() -> bool | None:
            return True if set(wanted) <= set(life.people.ids(name)) else None

        await until(none_missing, f"{name} lacks events", DEADLINE_S / 2)


def in_order(numbers: Sequence[int]) -> bool:
    """Whether each number comes first after the one before it; repetitions of what was there do not count."""
    seen = -1
    for number in numbers:
        if number > seen + 1:
            return False
        seen = max(seen, number)
    return True
