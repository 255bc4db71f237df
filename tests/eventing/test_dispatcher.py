"""One subscription against subscribers that answer, fail, reply, loop and leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from core.errors import StoreFull
from core.inside import Reply
from core.stats import Backlog, Backlogs
from eventing.brokers.base import Interest
from eventing.chronicle import Chronicle
from eventing.delivery import Policy
from eventing.dispatcher import Dispatcher, Parts
from eventing.event import Event
from eventing.filters.clauses import everything
from eventing.hops import BUDGET, HOPS, ONLY, STEP, VIA
from eventing.log.base import NOW
from eventing.places import Places
from eventing.sender import Sender
from eventing.subscriptions import Append, Drop, SendOn, Subscription
from tests.support.clock import FakeClock, settle
from tests.support.subscribers import ListFeed, Nowhere, Subscribers, event, with_event

POLICY = Policy(retry=2, backoff_delay_s=1.0)


@dataclass
class Stored:
    """`eventing.dispatcher.Streams`."""

    events: list[tuple[str, Event]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    places: Places = field(default_factory=Places)

    def append(self, stream: str, events: Sequence[Event]) -> asyncio.Future[int]:
        if self.failures:
            raise self.failures.pop(0)
        self.events += [(stream, each) for each in events]
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_result(0)
        return future


@dataclass
class Under:
    """A dispatcher under test, and everything around it."""

    clock: FakeClock
    feed: ListFeed
    people: Subscribers
    stored: Stored
    dispatcher: Dispatcher
    gone: list[str] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    backlogs: Backlogs = field(default_factory=Backlogs)


@asynccontextmanager
async def under_way(answer: Callable[[Event], Reply | str], *events: Event, **plan: Any) -> AsyncIterator[Under]:
    clock = FakeClock()
    people = Subscribers({"fn": answer})
    stored = Stored()
    gone: list[str] = []
    told: list[int] = []
    parts = Parts(
        clock,
        Sender(people, Nowhere()),
        stored,
        Chronicle(clock),
        lambda plan, number: told.append(number),
        lambda: 0.0,
        backlogs := Backlogs(),
    )
    subscription = Subscription(
        **{
            "interest": Interest("trigger/default/t", everything(), "", NOW),
            "namespace": "default",
            "subscriber": "http://fn",
            "reply": Append("broker/default/b"),
            "policy": POLICY,
            **plan,
        }
    )
    feed = ListFeed(events)
    dispatcher = Dispatcher(parts, subscription, feed, lambda plan: gone.append(plan.name))
    task = asyncio.ensure_future(dispatcher.run(lambda: None))
    await settle()
    yield Under(clock, feed, people, stored, dispatcher, gone, told, backlogs)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def failing(times: int, status: int = 503) -> Callable[[Event], Reply | str]:
    """So often, and then no more."""
    left = {"": times}

    def answer(got: Event) -> Reply | str:
        left[""] -= 1
        return Reply(status, (), b"no") if left[""] >= 0 else Reply(202)

    return answer


def test_what_was_answered_is_acknowledged() -> None:
    async def main() -> None:
        async with under_way(lambda got: Reply(200), event("1"), event("2")) as under:
            assert under.feed.acked == ["1", "2"]
            under.feed.add(event("3"))
            await settle()
            assert under.feed.acked == ["1", "2", "3"]
            call = under.people.calls[0]
            assert (call.value(b"prefer"), call.value(b"kn-namespace")) == (b"reply", b"default")

    asyncio.run(main())


def test_a_failure_is_tried_again_after_its_wait_and_noted() -> None:
    async def main() -> None:
        async with under_way(failing(2), event("1")) as under:
            assert under.people.ids("fn") == ["1"]
            await under.clock.advance(1.9)
            assert under.people.ids("fn") == ["1"]
            await under.clock.advance(0.2)
            assert under.people.ids("fn") == ["1", "1"]
            await under.clock.advance(4)
            assert under.feed.acked == ["1"]
            assert [(id, each.number, each.code) for id, each in under.feed.attempts] == [("1", 1, 503), ("1", 2, 503)]

    asyncio.run(main())


def test_who_waits_for_a_retry_takes_no_place_in_flight() -> None:
    async def main() -> None:
        def answer(got: Event) -> Reply | str:
            return Reply(503) if got.id == "bad" else Reply(200)

        async with under_way(answer, event("bad"), event("1"), event("2"), parallelism=1) as under:
            assert under.feed.acked == ["1", "2"]

    asyncio.run(main())


def test_after_the_last_attempt_it_is_a_dead_letter_with_what_was_said() -> None:
    async def main() -> None:
        async with under_way(failing(99), event("1"), reply=Drop()) as under:
            await under.clock.advance(60)
            ((letter, reason),) = under.feed.buried
            assert letter.attributes["knativeerrordest"] == "http://fn"
            assert letter.attributes["knativeerrorcode"] == 503
            assert letter.attributes["knativeerrordata"] == "bm8="
            assert "503" in reason
            assert under.told == [1]
            assert under.feed.acked == []
            assert len(under.feed.attempts) == 3

    asyncio.run(main())


def test_no_answer_at_all_is_a_failure_with_its_reason() -> None:
    async def main() -> None:
        async with under_way(lambda got: "the connection broke", event("1"), policy=Policy(retry=0)) as under:
            ((letter, reason),) = under.feed.buried
            assert letter.attributes["knativeerrorcode"] == -1
            assert reason == "the connection broke"
        async with under_way(lambda got: "", event("1"), subscriber="http://outside.example") as under:
            assert under.feed.attempts[0][1].reason == "http://outside.example cannot be reached"

    asyncio.run(main())


def test_gone_ends_the_subscription_and_loses_nothing() -> None:
    async def main() -> None:
        async with under_way(lambda got: Reply(410), event("1")) as under:
            assert under.gone == ["trigger/default/t"]
            assert len(under.feed.buried) == 1

    asyncio.run(main())


def test_a_reply_is_stored_with_a_hop_less_before_the_event_is_acknowledged() -> None:
    async def main() -> None:
        async with under_way(lambda got: with_event(event("r")), event("1")) as under:
            ((stream, reply),) = under.stored.events
            assert stream == "broker/default/b"
            assert reply.attributes[HOPS] == BUDGET - 1
            assert reply.attributes[VIA] == "trigger/default/t"
            assert under.feed.acked == ["1"]

    asyncio.run(main())


def test_a_reply_that_cannot_be_stored_is_tried_again_without_asking_the_subscriber_again() -> None:
    async def main() -> None:
        async with under_way(lambda got: with_event(event("r"))) as under:
            under.stored.failures = [StoreFull("the disk is full")]
            under.feed.add(event("1"))
            await settle()
            assert under.feed.acked == []
            assert "the disk is full" in under.feed.attempts[0][1].reason
            await under.clock.advance(3)
            assert under.people.ids("fn") == ["1"]
            assert [reply.id for _, reply in under.stored.events] == ["r"]
            assert under.feed.acked == ["1"]

    asyncio.run(main())


def test_a_202_is_no_reply_and_what_is_no_event_is_a_failure() -> None:
    async def main() -> None:
        async with under_way(lambda got: with_event(event("r"), 202), event("1")) as under:
            assert (under.stored.events, under.feed.acked) == ([], ["1"])
        async with under_way(lambda got: Reply(200, (), b"thanks"), event("1")) as under:
            assert under.feed.acked == []
            assert "not a CloudEvent" in under.feed.buried[0][1]

    asyncio.run(main())


def test_a_loop_ends_in_the_dead_letters_and_is_named() -> None:
    async def main() -> None:
        looping = event("1", **{HOPS: 0, VIA: "trigger/default/other"})
        async with under_way(lambda got: with_event(event("r")), looping) as under:
            assert under.stored.events == []
            assert "trigger/default/other, trigger/default/t" in under.feed.buried[0][1]

    asyncio.run(main())


def test_what_a_subscription_may_not_see_is_not_sent() -> None:
    async def main() -> None:
        async with under_way(lambda got: Reply(200), event("1", **{HOPS: 9, STEP: "2"})) as under:
            assert {HOPS, STEP}.isdisjoint(under.people.got["fn"][0].attributes)

    asyncio.run(main())


def test_replies_may_go_on_to_a_url_or_nowhere_and_events_may_pass_through() -> None:
    async def main() -> None:
        async with under_way(lambda got: with_event(event("r")), event("1"), reply=SendOn("http://next")) as under:
            assert under.feed.acked == []  # `next` is nowhere
            under.people.answers["next"] = lambda got: Reply(200)
            await under.clock.advance(3)
            assert under.people.ids("next") == ["r"]
            assert under.people.ids("fn") == ["1"]
            assert under.feed.acked == ["1"]
        for answer in (with_event(event("r")), Reply(200, (), b"thanks")):  # nobody asked for one
            async with under_way(lambda got, answer=answer: answer, event("1"), reply=Drop()) as under:
                assert under.feed.acked == ["1"]
        async with under_way(lambda got: "", event("1"), subscriber=None, reply=Append("flow/f", "2")) as under:
            assert [(stream, each.id, each.attributes[STEP]) for stream, each in under.stored.events] == [
                ("flow/f", "1", "2")
            ]

    asyncio.run(main())


def test_no_more_are_in_flight_than_may_be() -> None:
    async def main() -> None:
        async with under_way(lambda got: Reply(200), parallelism=3) as under:
            gate = under.people.gates["fn"] = asyncio.Event()
            under.feed.add(*(event(str(n)) for n in range(10)))
            await settle()
            assert under.people.in_flight == 3
            gate.set()
            await settle()
            assert under.people.most_in_flight == 3
            assert len(under.feed.acked) == 10

    asyncio.run(main())


def test_ordered_events_of_one_key_wait_for_each_other_and_for_no_other_key() -> None:
    async def main() -> None:
        answers = failing(1)

        def answer(got: Event) -> Reply | str:
            return answers(got) if got.id == "a1" else Reply(200)

        events = [event("a1", partitionkey="a"), event("a2", partitionkey="a"), event("b1", partitionkey="b")]
        async with under_way(answer, *events, order_key="partitionkey") as under:
            assert under.feed.acked == ["b1"]
            await under.clock.advance(3)
            assert under.feed.acked == ["b1", "a1", "a2"]

    asyncio.run(main())


def test_a_rate_is_kept() -> None:
    async def main() -> None:
        async with under_way(lambda got: Reply(200), *(event(str(n)) for n in range(50)), rate_per_s=10) as under:
            await under.clock.advance(2)
            assert 19 <= len(under.feed.acked) <= 22

    asyncio.run(main())


def test_who_is_stopped_finishes_what_is_in_flight_and_begins_nothing() -> None:
    async def main() -> None:
        async with under_way(lambda got: Reply(200), parallelism=1) as under:
            gate = under.people.gates["fn"] = asyncio.Event()
            under.feed.add(event("1"), event("2"))
            await settle()
            under.dispatcher.stop()
            await settle()
            gate.set()
            await settle()
            assert under.feed.acked == ["1"]
            assert under.people.ids("fn") == ["1"]

    asyncio.run(main())


def test_what_one_stream_hands_to_another_takes_no_door_and_spends_a_hop() -> None:
    async def main() -> None:
        sent = event("1", **{HOPS: 9, ONLY: "trigger/default/t", STEP: "3"})
        async with under_way(lambda got: Reply(500), subscriber="http://other") as under:
            under.stored.places.put("other", "/", "channel/default/other")
            under.feed.add(sent)
            await settle()
            assert under.people.calls == []
            (stream, got) = under.stored.events[0]
            assert stream == "channel/default/other"
            assert got == event("1", **{HOPS: 8, VIA: "trigger/default/t"})
            assert under.feed.acked == ["1"]

    asyncio.run(main())


def test_a_reply_to_a_url_of_ours_is_stored_here() -> None:
    async def main() -> None:
        async with under_way(lambda got: with_event(event("r")), reply=SendOn("http://other")) as under:
            under.stored.places.put("other", "/", "channel/default/other")
            under.feed.add(event("1"))
            await settle()
            assert [(stream, each.id) for stream, each in under.stored.events] == [("channel/default/other", "r")]
            assert len(under.people.calls) == 1

    asyncio.run(main())


def test_what_waits_is_told_as_it_changes_and_is_unknown_when_it_ends() -> None:
    async def main() -> None:
        heard: list[Backlog | None] = []
        async with under_way(failing(1), order_key="lane", parallelism=1) as under:
            assert under.backlogs.of("trigger/default/t") == Backlog(0)
            end = under.backlogs.listen("trigger/default/t", heard.append)
            under.feed.add(event("1", lane="a"))
            under.feed.add(event("2", lane="a"))
            await settle()
            assert heard[-1] == Backlog(2), "the first rests, the second is behind it"
            await under.clock.advance(60.0)
            assert heard[-1] == Backlog(0)
            assert Backlog(2, in_flight=1) in heard
            under.dispatcher.stop()
            await settle()
            assert heard[-1] is None
            end()

    asyncio.run(main())
