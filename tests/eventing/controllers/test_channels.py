"""Channels and Subscriptions over a real event log.

Of eventing/controllers/channel.py, eventing/controllers/in_memory_channel.py, eventing/controllers/subscription.py and
eventing/controllers/channel_hosts.py, eventing/controllers/written_subscribers.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from core.errors import NotFound
from core.inside import Reply
from core.resources.conditions import find_condition
from core.resources.core_services import CORE_SERVICE
from core.resources.eventing import BROKER, TRIGGER
from core.resources.messaging import CHANNEL, IN_MEMORY_CHANNEL, SUBSCRIPTION
from core.resources.meta import Json
from tests.support.eventing import Eventing, eventing, until
from tests.support.subscribers import event, with_event

HOST = "c-kn-channel.default.svc.cluster.local"
URL = f"http://{HOST}"
TEMPLATE: Json = {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


def host(name: str) -> str:
    return f"{name}.default.svc.cluster.local"


def channel(name: str = "c", kind: str = "Channel") -> Json:
    return {"apiVersion": "messaging.knative.dev/v1", "kind": kind, "name": name}


async def into(under: Eventing, *ids: str, where: str = HOST) -> None:
    for id in ids:
        assert (await under.post(event(id), "/", where)).status == 202


def test_a_channel_becomes_what_its_template_says_and_each_subscription_gets_everything(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            one, two = await under.function("one"), await under.function("two")
            await under.apply(CHANNEL, "c")
            ready = await under.ready(CHANNEL, "c")
            assert ready["spec"]["channelTemplate"] == TEMPLATE
            assert ready["status"]["channel"] == {**TEMPLATE, "name": "c", "namespace": "default"}
            assert ready["status"]["address"]["url"] == URL
            child = await under.store.get(IN_MEMORY_CHANNEL, "c", "default")
            assert child["metadata"]["ownerReferences"][0]["kind"] == "Channel"
            for name, function in (("s1", one), ("s2", two)):
                await under.apply(SUBSCRIPTION, name, {"channel": channel(), "subscriber": function})
                subscription = await under.ready(SUBSCRIPTION, name)
                assert subscription["status"]["physicalSubscription"] == {
                    "subscriberUri": f"http://{host(function['ref']['name'])}"
                }
            await into(under, "1")
            assert await under.received(host("one"), 1) == ["1"]
            assert await under.received(host("two"), 1) == ["1"]

            async def told() -> Json | None:
                status = (await under.store.get(CHANNEL, "c", "default"))["status"]
                found = status.get("subscribers") or []
                return status if [each["ready"] for each in found] == ["True", "True"] else None

            await until(told, "the channel does not tell of its subscribers")

    run(main())


@pytest.mark.parametrize("kind", ["Channel", "InMemoryChannel"])
def test_answers_go_to_the_reply_and_a_subscription_without_a_subscriber_passes_on(tmp_path: Path, kind: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            fn = await under.function("fn", lambda got: with_event(event(got.id + "!")))
            for name in ("c", "d"):
                await under.apply(CHANNEL if kind == "Channel" else IN_MEMORY_CHANNEL, name)
            reply = {"ref": channel("d", kind)}
            await under.apply(SUBSCRIPTION, "s", {"channel": channel("c", kind), "subscriber": fn, "reply": reply})
            await under.ready(SUBSCRIPTION, "s")
            end = await under.function("end")
            await under.apply(SUBSCRIPTION, "pass", {"channel": channel("d", kind), "reply": end})
            await under.ready(SUBSCRIPTION, "pass")
            await into(under, "1")
            assert await under.received(host("end"), 1) == ["1!"]
            assert len(under.people.calls) == 2, "nothing was sent between the two channels"

    run(main())


def test_events_wait_for_a_subscriber_and_a_reply_that_are_not_there(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(CHANNEL, "c")
            ref = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "fn"}}
            await under.apply(SUBSCRIPTION, "s", {"channel": channel(), "subscriber": ref})
            subscription = await under.ready(SUBSCRIPTION, "s", "False")
            found = find_condition(subscription, "ReferencesResolved") or {}
            assert found["reason"] == "SubscriberResolveFailed"
            assert "Service default/fn does not exist" in found["message"]

            async def waits() -> bool | None:
                return True if "subscription/default/s" in under.subscriptions_of("channel/default/c") else None

            await until(waits, "nothing is kept for it")
            await into(under, "1")
            await under.function("fn")
            await under.ready(SUBSCRIPTION, "s")
            assert await under.received(host("fn"), 1) == ["1"]

    run(main())


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (channel("nobody"), "Channel default/nobody does not exist"),
        ({"apiVersion": "messaging.knative.dev/v1beta1", "kind": "KafkaChannel", "name": "k"}, "spec.channel may name"),
    ],
)
def test_a_subscription_to_nothing_says_so_and_begins_when_there_is_something(
    tmp_path: Path, reference: Json, said: str
) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            fn = await under.function("fn")
            await under.apply(SUBSCRIPTION, "s", {"channel": reference, "subscriber": fn})
            subscription = await under.ready(SUBSCRIPTION, "s", "False")
            found = find_condition(subscription) or {}
            assert found["reason"] == "ChannelReferenceFailed"
            assert said in found["message"]
            if reference["name"] == "nobody":
                await under.apply(CHANNEL, "nobody")
                await under.ready(SUBSCRIPTION, "s")

    run(main())


def test_delivery_is_merged_over_the_channels_and_dead_letters_go_to_its_sink(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            bad, grave = await under.function("bad", lambda got: Reply(503)), await under.function("grave")
            delivery = {"retry": 1, "backoffDelay": "PT0.01S", "deadLetterSink": grave}
            await under.apply(CHANNEL, "c", {"delivery": delivery})
            ready = await under.ready(CHANNEL, "c")
            assert ready["status"]["deadLetterSinkUri"] == f"http://{host('grave')}"
            own = {"channel": channel(), "subscriber": bad, "delivery": {"retry": 2}}
            await under.apply(SUBSCRIPTION, "s", own)
            subscription = await under.ready(SUBSCRIPTION, "s")
            assert subscription["status"]["physicalSubscription"]["deadLetterSinkUri"] == f"http://{host('grave')}"
            await into(under, "1")
            assert await under.received(host("grave"), 1) == ["1"]
            assert len(under.people.ids(host("bad"))) == 3

    run(main())


def test_what_a_channel_asks_by_annotation_is_done(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            fn = await under.function("fn")
            asked = {"pilotlight.dev/deduplicate": "PT10M", "pilotlight.dev/backlog-max": "1"}
            await under.apply(CHANNEL, "c", annotations=asked)
            await under.ready(CHANNEL, "c")
            await under.apply(SUBSCRIPTION, "s", {"channel": channel(), "subscriber": fn})
            await under.ready(SUBSCRIPTION, "s")
            await into(under, "1", "1")
            gate = under.people.gates[host("fn")] = asyncio.Event()
            await into(under, "2")
            assert await under.received(host("fn"), 2) == ["1", "2"]

            async def refused() -> bool | None:
                return True if (await under.post(event("3"), "/", HOST)).status == 429 else None

            await asyncio.sleep(0.15)  # the backlog is looked at ten times a second
            await until(refused, "the backlog has no bound")
            gate.set()

    run(main())


def test_a_subscription_begins_and_ends_where_it_is_asked_to(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            fn = await under.function("fn")
            await under.apply(CHANNEL, "c")
            await under.ready(CHANNEL, "c")
            await into(under, "1")
            asked = {"pilotlight.dev/start": "earliest", "pilotlight.dev/keep-cursor": "true"}
            await under.apply(SUBSCRIPTION, "s", {"channel": channel(), "subscriber": fn}, annotations=asked)
            await under.ready(SUBSCRIPTION, "s")
            assert await under.received(host("fn"), 1) == ["1"]
            await under.store.delete(SUBSCRIPTION, "s", "default")

            async def ended() -> bool | None:
                return True if not under.subscriptions_of("channel/default/c") else None

            await until(ended, "it still runs")
            await into(under, "2")
            await under.apply(SUBSCRIPTION, "s", {"channel": channel(), "subscriber": fn}, annotations=asked)
            assert await under.received(host("fn"), 2) == ["1", "2"]

    run(main())


def test_a_channel_that_is_deleted_is_closed_with_what_it_became(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(IN_MEMORY_CHANNEL, "c")
            await under.ready(IN_MEMORY_CHANNEL, "c")
            fn = await under.function("fn")
            await under.apply(SUBSCRIPTION, "s", {"channel": channel(kind="InMemoryChannel"), "subscriber": fn})
            await under.ready(SUBSCRIPTION, "s")
            await under.store.delete(IN_MEMORY_CHANNEL, "c", "default")
            subscription = await under.ready(SUBSCRIPTION, "s", "False")
            assert (find_condition(subscription) or {})["reason"] == "ChannelReferenceFailed"

            async def closed() -> bool | None:
                return None if HOST in under.sites.places else True

            await until(closed, "its door is open")

    run(main())


def test_a_template_that_nobody_serves_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            template = {"apiVersion": "messaging.knative.dev/v1beta1", "kind": "KafkaChannel"}
            await under.apply(CHANNEL, "c", {"channelTemplate": template})
            found = find_condition(await under.ready(CHANNEL, "c", "False")) or {}
            assert found["reason"] == "ChannelFailure"
            assert "no KafkaChannel of messaging.knative.dev/v1beta1 is served here" in found["message"]

    run(main())


def test_a_channel_under_a_name_that_is_taken_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.store.create(
                CORE_SERVICE,
                {"metadata": {"name": "c-kn-channel", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}},
            )
            await under.apply(IN_MEMORY_CHANNEL, "d")
            await under.ready(IN_MEMORY_CHANNEL, "d")
            await under.apply(CHANNEL, "d")
            found = find_condition(await under.ready(CHANNEL, "d", "False")) or {}
            assert "InMemoryChannel default/d exists and does not belong to this Channel" in found["message"]
            await under.apply(CHANNEL, "c")
            found = find_condition(await under.ready(CHANNEL, "c", "False")) or {}
            assert "Service default/c-kn-channel exists and does not belong" in found["message"]
            assert HOST not in under.sites.places

    run(main())


def test_a_service_that_somebody_deletes_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(CHANNEL, "c")
            await under.ready(CHANNEL, "c")
            await under.store.delete(CORE_SERVICE, "c-kn-channel", "default")

            async def back() -> bool | None:
                try:
                    await under.store.get(CORE_SERVICE, "c-kn-channel", "default")
                except NotFound:
                    return None
                return True

            await until(back, "the Service stays away")

    run(main())


def test_a_change_of_a_channel_reaches_what_it_became(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(CHANNEL, "c", annotations={"pilotlight.dev/deduplicate": "PT1M"})
            await under.ready(CHANNEL, "c")
            await under.apply(CHANNEL, "c", {"delivery": {"retry": 7}, "channelTemplate": TEMPLATE}, annotations={})

            async def changed() -> bool | None:
                child = await under.store.get(IN_MEMORY_CHANNEL, "c", "default")
                same = child["spec"].get("delivery") == {"retry": 7}
                return True if same and "pilotlight.dev/deduplicate" not in child["metadata"]["annotations"] else None

            await until(changed, "it is what it was")

    run(main())


def test_after_a_restart_a_channel_answers_at_once_and_delivers_what_it_owed(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            store = under.store
            fn = await under.function("fn", lambda got: Reply(503))
            await under.apply(CHANNEL, "c")
            await under.apply(SUBSCRIPTION, "s", {"channel": channel(), "subscriber": fn})
            await under.ready(SUBSCRIPTION, "s")
            await into(under, "1")
            await under.received(host("fn"), 1)
            # What a controller made is not kept on a disk.
            await store.delete(CORE_SERVICE, "c-kn-channel", "default")
        async with eventing(tmp_path, store) as under:
            under.people.answers[host("fn")] = lambda got: Reply(200)
            await into(under, "2")
            assert sorted(await under.received(host("fn"), 2)) == ["1", "2"]

    run(main())


def test_a_broker_hands_to_a_channel_and_a_loop_of_them_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(BROKER, "main")
            await under.apply(CHANNEL, "c")
            await under.ready(BROKER, "main")
            await under.ready(CHANNEL, "c")
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": {"ref": channel()}})
            back = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "main"}}
            await under.apply(SUBSCRIPTION, "s", {"channel": channel(), "subscriber": back})
            await under.ready(TRIGGER, "t")
            await under.ready(SUBSCRIPTION, "s")
            await into(under, "1")

            async def ended() -> Any:
                return await under.log.dead_letters.list() or None

            (letter,) = await until(ended, "the loop does not end")
            assert "trigger/default/t" in letter.reason
            assert "subscription/default/s" in letter.reason
            assert under.people.calls == []

    run(main())


def test_subscribers_that_stand_in_the_channel_itself(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            for name in ("one", "two", "sink", "told"):
                await under.function(name)
            under.people.answers[host("one")] = lambda got: with_event(event("reply"))
            under.people.answers[host("two")] = lambda got: Reply(400)
            one = {
                "uid": "1",
                "generation": 3,
                "subscriberUri": f"http://{host('one')}",
                "replyUri": f"http://{host('told')}",
            }
            two = {
                "uid": "2", "subscriberUri": f"http://{host('two')}",
                "delivery": {"deadLetterSink": {"uri": f"http://{host('sink')}"}},
            }  # fmt: skip

            async def ready(*uids: str) -> Json:
                async def found() -> Json | None:
                    obj = await under.store.get(IN_MEMORY_CHANNEL, "c", "default")
                    told = (obj.get("status") or {}).get("subscribers") or []
                    return obj if [each["uid"] for each in told if each["ready"] == "True"] == [*uids] else None

                return dict(await until(found, f"not ready: {uids}"))

            await under.apply(IN_MEMORY_CHANNEL, "c", {"subscribers": [one, two]})
            assert (await ready("1", "2"))["status"]["subscribers"][0]["observedGeneration"] == 3
            await into(under, "a")
            assert await under.received(host("one"), 1) == ["a"]
            assert await under.received(host("told"), 1) == ["reply"]
            assert await under.received(host("sink"), 1) == ["a"]
            await under.apply(IN_MEMORY_CHANNEL, "c", {"subscribers": [one]})
            await ready("1")
            assert under.subscriptions_of("channel/default/c") == ["channel/default/c/1"]
            unknown = {"ref": {**channel("nowhere", "Channel")}}
            await under.apply(
                IN_MEMORY_CHANNEL, "c", {"subscribers": [{**two, "delivery": {"deadLetterSink": unknown}}]}
            )
            await ready()
            told = (await under.store.get(IN_MEMORY_CHANNEL, "c", "default"))["status"]["subscribers"]
            assert "default/nowhere does not exist" in told[0]["message"]

    run(main())
