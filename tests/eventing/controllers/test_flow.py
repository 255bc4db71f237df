"""Sequences and Parallels over a real event log: what runs, what it costs, what their statuses say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from core.inside import Reply
from core.resources.conditions import find_condition
from core.resources.core_services import CORE_SERVICE
from core.resources.eventing import BROKER, TRIGGER
from core.resources.flows import PARALLEL, SEQUENCE
from core.resources.meta import Json
from eventing.event import Event
from eventing.hops import BUDGET
from eventing.log.base import DeadLetter
from eventing.redrive import redrive
from tests.support.eventing import Eventing, eventing, until
from tests.support.subscribers import event, with_event

SEQUENCE_HOST = "s-kn-sequence-0-kn-channel.default.svc.cluster.local"
PARALLEL_HOST = "p-kn-parallel-kn-channel.default.svc.cluster.local"
ONCE: Json = {"retry": 0}


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


def host(name: str) -> str:
    return f"{name}.default.svc.cluster.local"


def adding(letter: str) -> Callable[[Event], Reply]:
    """Answers with the event, a letter longer."""
    return lambda got: with_event(event(got.id + letter))


def flow_ref(kind: str, name: str) -> Json:
    return {"ref": {"apiVersion": "flows.knative.dev/v1", "kind": kind, "name": name}}


async def into(under: Eventing, event: Event, where: str = SEQUENCE_HOST) -> None:
    assert (await under.post(event, "/", where)).status == 202


async def letters_of(under: Eventing, subscription: str) -> list[DeadLetter]:
    async def some() -> list[DeadLetter] | None:
        return await under.log.dead_letters.list(subscription) or None

    return list(await until(some, f"{subscription} has no dead letters"))


def test_a_sequence_hands_the_answer_of_each_step_to_the_next_and_the_last_to_its_reply(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            steps = [await under.function(name, adding(name)) for name in "abc"]
            reply = await under.function("end")
            await under.apply(SEQUENCE, "s", {"steps": steps, "reply": reply})
            sequence = await under.ready(SEQUENCE, "s")
            await into(under, event("1"))
            assert await under.received(host("end"), 1) == ["1abc"]
            assert [under.people.ids(host(name)) for name in "abc"] == [["1"], ["1a"], ["1ab"]]
            # One transfer to each step and one to the reply, none between.
            assert len(under.people.calls) == 4
            status = sequence["status"]
            assert status["address"]["url"] == f"http://{SEQUENCE_HOST}:80".removesuffix(":80")
            assert [each["subscription"]["fieldPath"] for each in status["subscriptionStatuses"]] == [
                "spec.steps[0]", "spec.steps[1]", "spec.steps[2]",
            ]  # fmt: skip
            assert {each["ready"]["status"] for each in status["channelStatuses"]} == {"True"}
            service = await under.store.get(CORE_SERVICE, SEQUENCE_HOST.partition(".")[0], "default")
            assert service["metadata"]["ownerReferences"][0]["name"] == "s"

    run(main())


def test_a_step_that_answers_nothing_ends_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            silent = lambda got: Reply(202) if got.id == "1" else with_event(event(got.id + "a"))  # noqa: E731
            steps = [await under.function("a", silent), await under.function("b")]
            await under.apply(SEQUENCE, "s", {"steps": steps})
            await under.ready(SEQUENCE, "s")
            await into(under, event("1"))
            await into(under, event("2"))
            assert await under.received(host("b"), 1) == ["2a"]

    run(main())


def test_a_failed_sequence_goes_on_at_the_step_that_failed(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            steps = [await under.function(name, adding(name)) for name in "abc"]
            grave, end = await under.function("grave"), await under.function("end")
            steps[1]["delivery"] = {**ONCE, "deadLetterSink": grave}
            under.people.answers[host("b")] = lambda got: Reply(500)
            await under.apply(SEQUENCE, "s", {"steps": steps, "reply": end})
            await under.ready(SEQUENCE, "s")
            await into(under, event("1"))
            assert await under.received(host("grave"), 1) == ["1a"]
            (letter,) = await letters_of(under, "sequence/default/s/1")
            assert (letter.stream, len(letter.attempts)) == ("sequence/default/s", 1)
            under.people.answers[host("b")] = adding("b")
            result = await redrive(under.plane, under.log.dead_letters, [letter.number])
            assert result.numbers == [letter.number]
            assert await under.received(host("end"), 1) == ["1abc"]
            assert under.people.ids(host("a")) == ["1"], "the first step is not done again"
            assert "knativeerrorcode" not in under.people.got[host("b")][-1].attributes

    run(main())


def test_what_a_crash_leaves_between_two_steps_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            store = under.store
            steps = [await under.function(name, adding(name)) for name in "ab"]
            end = await under.function("end")
            under.people.answers[host("b")] = lambda got: Reply(503)
            await under.apply(SEQUENCE, "s", {"steps": steps, "reply": end})
            await under.ready(SEQUENCE, "s")
            await into(under, event("1"))
            await under.received(host("b"), 1)
        async with eventing(tmp_path, store) as under:
            for name in ("a", "b", "end"):
                under.people.answers[host(name)] = adding(name)
            assert await under.received(host("end"), 1) == ["1ab"]
            assert under.people.ids(host("a")) == []
            await into(under, event("2"))
            assert await under.received(host("end"), 2) == ["1ab", "2ab"]

    run(main())


def test_events_wait_at_the_step_that_is_not_there_yet(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            first = await under.function("a", adding("a"))
            await under.apply(SEQUENCE, "s", {"steps": [first, {"ref": {**first["ref"], "name": "b"}}]})
            sequence = await under.ready(SEQUENCE, "s", "False")
            condition = find_condition(sequence, "SubscriptionsReady") or {}
            assert condition["reason"] == "ReferencesNotResolved"
            assert condition["message"].startswith("spec.steps[1]: Service default/b does not exist")
            states = [each["ready"]["status"] for each in sequence["status"]["subscriptionStatuses"]]
            assert states == ["True", "False"]
            await into(under, event("1"))
            await under.received(host("a"), 1)
            await under.function("b")
            await under.ready(SEQUENCE, "s")
            assert await under.received(host("b"), 1) == ["1a"]

    run(main())


def test_a_sequence_may_grow_and_shrink(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            steps = [await under.function(name, adding(name)) for name in "abc"]
            reply = await under.function("end")
            for count, id, wanted in ((2, "1", "1ab"), (3, "2", "2abc"), (1, "3", "3a")):
                await under.apply(SEQUENCE, "s", {"steps": steps[:count], "reply": reply})
                await under.ready(SEQUENCE, "s")
                await into(under, event(id))
                assert (await under.received(host("end"), int(id)))[-1] == wanted
            assert set(under.subscriptions_of("sequence/default/s")) == {"sequence/default/s/0"}

    run(main())


@pytest.mark.parametrize("where", ["step", "reply"])
def test_a_sequence_that_leads_into_itself_says_so_and_keeps_what_comes(tmp_path: Path, where: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            first, me = await under.function("a", adding("a")), flow_ref("Sequence", "s")
            other = await under.function("b")
            bad: Json = {"steps": [first, me]} if where == "step" else {"steps": [first], "reply": me}
            await under.apply(SEQUENCE, "s", bad)
            # Its own address resolves only after it has one.
            sequence = await until_reason(under, "Cyclic")
            message = (find_condition(sequence) or {})["message"]
            assert message.startswith("spec.steps[1]: " if where == "step" else "spec.steps[0]: ")
            assert "this Sequence itself" in message
            await into(under, event("1"))
            await under.apply(SEQUENCE, "s", {"steps": [first, other]})
            await under.ready(SEQUENCE, "s")
            assert await under.received(host("b"), 1) == ["1a"]

    async def until_reason(under: Eventing, reason: str) -> Json:
        async def found() -> Json | None:
            obj = await under.store.get(SEQUENCE, "s", "default")
            return obj if (find_condition(obj) or {}).get("reason") == reason else None

        return dict(await until(found, f"no condition says {reason}"))

    run(main())


def test_a_ring_of_flows_ends_when_its_hops_are_spent_and_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            step = await under.function("a", adding(""))
            broker = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"}}
            await under.apply(BROKER, "b")
            await under.ready(BROKER, "b")
            # s → p → b → s, without anybody but the functions being called.
            await under.apply(PARALLEL, "p", {"branches": [{"subscriber": step}], "reply": broker})
            await under.ready(PARALLEL, "p")
            await under.apply(SEQUENCE, "s", {"steps": [step], "reply": flow_ref("Parallel", "p")})
            await under.ready(SEQUENCE, "s")
            await under.apply(TRIGGER, "t", {"broker": "b", "subscriber": flow_ref("Sequence", "s")})
            await under.ready(TRIGGER, "t")
            await into(under, event("1"))

            async def ended() -> list[DeadLetter] | None:
                return await under.log.dead_letters.list() or None

            (letter,) = await until(ended, "the ring does not end")
            for name in ("sequence/default/s/0", "parallel/default/p/0", "trigger/default/t"):
                assert name in letter.reason
            # Of three hops each round, two lead through a function.
            assert len(under.people.calls) == (BUDGET + 1) // 3 * 2 + 1
            assert {call.host for call in under.people.calls} == {host("a").encode()}

    run(main())


def test_a_parallel_asks_each_filter_and_hands_on_what_it_answers(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            small = lambda got: with_event(event(got.id + "-small")) if got.id < "5" else Reply(200)  # noqa: E731
            large = lambda got: with_event(event(got.id + "-large")) if got.id >= "5" else Reply(200)  # noqa: E731
            branches = [
                {"filter": await under.function("f0", small), "subscriber": await under.function("s0", adding("!"))},
                {
                    "filter": await under.function("f1", large),
                    "subscriber": await under.function("s1", adding("?")),
                    "reply": await under.function("own"),
                },
                {"subscriber": await under.function("all")},
            ]
            await under.apply(PARALLEL, "p", {"branches": branches, "reply": await under.function("end")})
            parallel = await under.ready(PARALLEL, "p")
            for id in ("1", "7"):
                await into(under, event(id), PARALLEL_HOST)
            assert await under.received(host("end"), 1) == ["1-small!"]
            assert await under.received(host("own"), 1) == ["7-large?"]
            assert sorted(await under.received(host("all"), 2)) == ["1", "7"]
            assert under.people.ids(host("s0")) == ["1-small"]
            assert under.people.ids(host("s1")) == ["7-large"]
            told = parallel["status"]["branchStatuses"]
            assert [sorted(each) for each in told] == [
                ["filterChannelStatus", "filterSubscriptionStatus", "subscriberSubscriptionStatus"],
                ["filterChannelStatus", "filterSubscriptionStatus", "subscriberSubscriptionStatus"],
                ["filterChannelStatus", "subscriberSubscriptionStatus"],
            ]
            assert parallel["status"]["ingressChannelStatus"]["ready"]["status"] == "True"

    run(main())


def test_one_branch_that_fails_holds_up_no_other_and_is_dead_lettered_by_its_own_policy(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            grave = await under.function("grave")
            branches = [
                {
                    "subscriber": await under.function("bad", lambda got: Reply(500)),
                    "delivery": {**ONCE, "deadLetterSink": grave},
                },
                {"subscriber": await under.function("good")},
            ]
            await under.apply(PARALLEL, "p", {"branches": branches})
            await under.ready(PARALLEL, "p")
            await into(under, event("1"), PARALLEL_HOST)
            assert await under.received(host("good"), 1) == ["1"]
            assert await under.received(host("grave"), 1) == ["1"]
            assert len(under.people.ids(host("bad"))) == 1

    run(main())


def test_a_step_delivers_as_the_channel_template_says_where_it_says_nothing_itself(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            step = await under.function("a", lambda got: Reply(503))
            grave = {"ref": {**step["ref"], "name": "grave"}}
            delivery = {"retry": 2, "backoffDelay": "PT0.01S", "deadLetterSink": grave}
            template = {
                "apiVersion": "messaging.knative.dev/v1",
                "kind": "InMemoryChannel",
                "spec": {"delivery": delivery},
            }
            steps = [{**step, "delivery": {"retry": 1}}]
            await under.apply(SEQUENCE, "s", {"steps": steps, "channelTemplate": template})
            await under.ready(SEQUENCE, "s", "False")
            await under.function("grave")
            await under.ready(SEQUENCE, "s")
            await into(under, event("1"))
            assert await under.received(host("grave"), 1) == ["1"]
            assert len(under.people.ids(host("a"))) == 2

    run(main())


def test_a_step_that_is_gone_for_good_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            steps = [await under.function("a", adding("a")), await under.function("b", lambda got: Reply(410))]
            await under.apply(SEQUENCE, "s", {"steps": steps})
            await under.ready(SEQUENCE, "s")
            await into(under, event("1"))
            sequence = await under.ready(SEQUENCE, "s", "False")
            condition = find_condition(sequence) or {}
            assert condition["reason"] == "SubscriberGone"
            assert condition["message"].startswith("spec.steps[1]")

    run(main())


def test_a_flow_that_is_deleted_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(SEQUENCE, "s", {"steps": [await under.function("a")]})
            await under.ready(SEQUENCE, "s")
            await into(under, event("1"))
            await under.store.delete(SEQUENCE, "s", "default")

            async def closed() -> bool | None:
                return None if SEQUENCE_HOST in under.sites.places else True

            await until(closed, "its door is open")

            async def dropped() -> bool | None:
                return None if any(each.name == "sequence/default/s" for each in under.log.streams()) else True

            await until(dropped, "its stream is there")
            assert under.subscriptions_of("sequence/default/s") == []

    run(main())


def test_a_host_that_is_taken_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            name = SEQUENCE_HOST.partition(".")[0]
            await under.store.create(
                CORE_SERVICE,
                {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": 80}]}},
            )
            await under.apply(SEQUENCE, "s", {"steps": [await under.function("a")]})
            sequence = await under.ready(SEQUENCE, "s", "False")
            assert (find_condition(sequence, "Addressable") or {})["reason"] == "HostTaken"

    run(main())
