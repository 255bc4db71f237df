"""Brokers and Triggers as documents: what runs, and what their statuses say (eventing/controllers/broker.py and
eventing/controllers/trigger.py, with eventing/controllers/resolving.py, eventing/controllers/world.py and
eventing/dataplane.py under them, as eventing/controllers/registry.py puts them together)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import StoreFull
from core.inside import Reply
from core.resources.conditions import find_condition
from core.resources.core_v1 import CONFIG_MAP
from core.resources.eventing import BROKER, TRIGGER
from core.resources.meta import Json
from core.resources.serving import SERVICE
from core.resources.sources import PING_SOURCE
from core.settings.config_maps import EVENTING_FEATURES
from eventing.hops import BUDGET
from tests.support.eventing import Eventing, eventing, until
from tests.support.subscribers import event, with_event

FN: Json = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "fn"}}
QUICK: Json = {"retry": 1, "backoffDelay": "PT0.01S"}


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


async def make_function(under: Eventing, name: str = "fn") -> None:
    """A Knative Service that has an address."""
    obj = await under.store.create(
        SERVICE,
        {
            "apiVersion": "serving.knative.dev/v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"template": {"spec": {"containers": [{"image": "x"}]}}},
        },
    )  # fmt: skip
    address = {"address": {"url": f"http://{name}.default.svc.cluster.local"}}
    await under.store.modify(SERVICE, name, "default", lambda now: {**now, "status": address}, "status")
    assert obj["metadata"]["uid"]
    under.people.answers.setdefault(f"{name}.default.svc.cluster.local", lambda got: Reply(202))


def condition(obj: Json, kind: str) -> tuple[str, str]:
    found = find_condition(obj, kind) or {}
    return found.get("status", ""), found.get("reason", "")


def test_an_event_goes_from_the_door_to_those_who_want_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(BROKER, "main")
            broker = await under.ready(BROKER, "main")
            assert broker["status"]["address"]["url"] == (
                "http://broker-ingress.knative-eventing.svc.cluster.local/default/main"
            )
            assert broker["status"]["addresses"][1]["url"] == "http://broker-ingress.localhost:8080/default/main"
            filters = [{"exact": {"type": "order"}}]
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN, "filters": filters})
            trigger = await under.ready(TRIGGER, "t")
            assert trigger["status"]["subscriberUri"] == "http://fn.default.svc.cluster.local"
            assert (await under.post(event("1", type="other"))).status == 202
            assert (await under.post(event("2", type="order"))).status == 202
            assert await under.received("fn.default.svc.cluster.local", 1) == ["2"]

    run(main())


def test_events_wait_for_a_subscriber_that_is_not_there_yet(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(BROKER, "main")
            await under.ready(BROKER, "main")
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN})
            trigger = await under.ready(TRIGGER, "t", "False")
            assert condition(trigger, "SubscriberResolved") == ("False", "Unable to get the Subscriber's URI")
            message = (find_condition(trigger, "SubscriberResolved") or {})["message"]
            assert "Service default/fn does not exist" in message
            assert (await under.post(event("1"))).status == 202
            await make_function(under)
            await under.ready(TRIGGER, "t")
            assert await under.received("fn.default.svc.cluster.local", 1) == ["1"]

    run(main())


def test_a_trigger_waits_for_its_broker_and_ends_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN})
            trigger = await under.ready(TRIGGER, "t", "False")
            assert condition(trigger, "BrokerReady") == ("False", "BrokerDoesNotExist")
            await under.apply(BROKER, "main")
            await under.ready(TRIGGER, "t")
            await under.store.delete(BROKER, "main", "default")
            await under.ready(TRIGGER, "t", "False")
            assert (await under.post(event("1"))).status == 404

    run(main())


def test_a_broker_made_anew_remembers_nothing_of_the_old_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(BROKER, "main")
            await under.ready(BROKER, "main")
            await under.post(event("old"))
            await under.store.delete(BROKER, "main", "default")

            async def closed() -> bool | None:
                return True if (await under.post(event("x"))).status == 404 else None

            await until(closed, "the broker still takes events")
            await under.apply(BROKER, "main")
            await under.ready(BROKER, "main")
            earliest = {"pilotlight.dev/start": "earliest"}
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN}, annotations=earliest)
            await under.ready(TRIGGER, "t")
            await under.post(event("new"))
            assert await under.received("fn.default.svc.cluster.local", 1) == ["new"]

    run(main())


def test_a_filter_that_cannot_be_read_lets_nothing_through(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(BROKER, "main")
            bad: Json = {"broker": "main", "subscriber": FN, "filters": [{"cesql": "type = "}]}
            await under.apply(TRIGGER, "t", bad)
            trigger = await under.ready(TRIGGER, "t", "False")
            assert condition(trigger, "Ready") == ("False", "InvalidFilter")
            assert "spec.filters[0].cesql" in (find_condition(trigger) or {})["message"]
            await under.post(event("1"))
            await under.apply(TRIGGER, "t", {**bad, "filters": [{"cesql": "type = 't'"}]})
            await under.ready(TRIGGER, "t")
            await under.post(event("2"))
            assert await under.received("fn.default.svc.cluster.local", 1) == ["2"]

    run(main())


def test_an_edited_filter_counts_from_then_on_and_delivers_nothing_twice(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(BROKER, "main")
            spec: Json = {"broker": "main", "subscriber": FN, "filters": [{"exact": {"type": "a"}}]}
            await under.apply(TRIGGER, "t", spec)
            await under.ready(TRIGGER, "t")
            await under.post(event("1", type="a"))
            await under.received("fn.default.svc.cluster.local", 1)
            await under.apply(TRIGGER, "t", {**spec, "filters": [{"exact": {"type": "b"}}]})
            await under.ready(TRIGGER, "t")
            await under.post(event("2", type="a"))
            await under.post(event("3", type="b"))
            assert await under.received("fn.default.svc.cluster.local", 2) == ["1", "3"]

    run(main())


def test_replies_go_round_until_their_budget_is_spent(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            under.people.answers["fn.default.svc.cluster.local"] = lambda got: with_event(event("again"))
            await under.apply(BROKER, "main")
            await under.apply(TRIGGER, "loop", {"broker": "main", "subscriber": FN})
            await under.ready(TRIGGER, "loop")
            await under.post(event("1"))

            async def letters() -> Any:
                return (await under.log.dead_letters.list("trigger/default/loop")) or None

            (letter,) = await until(letters, "the loop does not end")
            assert "trigger/default/loop" in letter.reason
            assert len(under.people.ids("fn.default.svc.cluster.local")) == BUDGET + 1

    run(main())


def test_dead_letters_go_to_the_sink_of_the_trigger_or_of_its_broker(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await make_function(under, "grave")
            under.people.answers["fn.default.svc.cluster.local"] = lambda got: Reply(400, (), b"will not do")
            sink = {"ref": {**FN["ref"], "name": "grave"}}
            await under.apply(BROKER, "main", {"delivery": {**QUICK, "deadLetterSink": sink}})
            broker = await under.ready(BROKER, "main")
            assert broker["status"]["deadLetterSinkUri"] == "http://grave.default.svc.cluster.local"
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN})
            await under.ready(TRIGGER, "t")
            await under.post(event("1"))
            await under.received("grave.default.svc.cluster.local", 1)
            (letter,) = under.people.got["grave.default.svc.cluster.local"]
            assert letter.attributes["knativeerrorcode"] == "400"
            assert letter.attributes["knativeerrordata"] == "d2lsbCBub3QgZG8="
            assert letter.attributes["knativeerrordest"] == "http://fn.default.svc.cluster.local"

    run(main())


def test_a_subscriber_that_is_gone_is_left_alone_until_the_trigger_changes(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            under.people.answers["fn.default.svc.cluster.local"] = lambda got: Reply(410)
            await under.apply(BROKER, "main")
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN})
            await under.ready(TRIGGER, "t")
            await under.post(event("1"))
            await under.received("fn.default.svc.cluster.local", 1)
            trigger = await under.ready(TRIGGER, "t", "False")
            assert condition(trigger, "SubscriptionReady") == ("False", "SubscriberGone")

            async def let_go() -> bool | None:
                return True if not under.log.stream("broker/default/main").subscriptions else None

            await until(let_go, "retention still waits for it")
            await under.post(event("2"))
            under.people.answers["fn.default.svc.cluster.local"] = lambda got: Reply(200)
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN, "delivery": {"retry": 1}})
            await under.ready(TRIGGER, "t")
            assert await under.received("fn.default.svc.cluster.local", 2) == ["1", "2"]

    run(main())


def test_a_trigger_deleted_while_the_disk_is_full_holds_nothing_up_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(BROKER, "main")
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN})
            await under.ready(TRIGGER, "t")
            refusals = iter((StoreFull("the disk is full"), StoreFull("the disk is full")))
            unsubscribe = under.log.unsubscribe

            async def on_a_full_disk(subscription: str, keep_position: bool = False) -> None:
                for refusal in refusals:
                    raise refusal
                await unsubscribe(subscription, keep_position)

            monkeypatch.setattr(under.log, "unsubscribe", on_a_full_disk)
            await under.store.delete(TRIGGER, "t", "default")

            async def let_go() -> bool | None:
                return True if not under.log.stream("broker/default/main").subscriptions else None

            await until(let_go, "retention waits for a Trigger that is deleted")

    run(main())


@pytest.mark.parametrize(("keep", "ids"), [("true", ["1", "2", "3"]), ("false", ["1", "3"])])
def test_a_position_outlives_its_trigger_where_that_is_asked(tmp_path: Path, keep: str, ids: list[str]) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(BROKER, "main")
            kept = {"pilotlight.dev/keep-cursor": keep}
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN}, annotations=kept)
            await under.ready(TRIGGER, "t")
            await under.post(event("1"))
            await under.received("fn.default.svc.cluster.local", 1)
            await under.store.delete(TRIGGER, "t", "default")

            async def ended() -> bool | None:
                return None if "trigger/default/t" in under.plane.running else True

            await until(ended, "it still runs")
            await asyncio.sleep(0.05)
            await under.post(event("2"))
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN}, annotations=kept)
            await under.ready(TRIGGER, "t")
            await under.post(event("3"))
            assert await under.received("fn.default.svc.cluster.local", len(ids)) == ids

    run(main())


def test_a_trigger_waits_for_what_it_depends_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(BROKER, "main")
            await under.apply(BROKER, "other", annotations={"eventing.knative.dev/broker.class": "Nobodys"})
            dependency = '{"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "needed"}'
            spec: Json = {"broker": "main", "subscriber": FN}
            await under.apply(TRIGGER, "t", spec, annotations={"knative.dev/dependency": dependency})
            trigger = await under.ready(TRIGGER, "t", "False")
            assert condition(trigger, "DependencyReady") == ("False", "DependencyDoesNotExist")
            await under.apply(BROKER, "needed")
            await under.ready(TRIGGER, "t")

    run(main())


def test_a_trigger_may_depend_on_a_source(tmp_path: Path) -> None:
    """One that has no address: nothing but the dependency tells of it."""

    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(BROKER, "main")
            dependency = '{"apiVersion": "sources.knative.dev/v1", "kind": "PingSource", "name": "ticks"}'
            spec: Json = {"broker": "main", "subscriber": FN}
            await under.apply(TRIGGER, "t", spec, annotations={"knative.dev/dependency": dependency})
            await under.ready(TRIGGER, "t", "False")
            await under.apply(PING_SOURCE, "ticks", {"schedule": "* * * * *", "sink": FN})
            await under.ready(TRIGGER, "t")

    run(main())


def test_a_class_that_nobody_serves_is_named_with_those_that_are(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(BROKER, "main", annotations={"eventing.knative.dev/broker.class": "Nobodys"})
            broker = await under.ready(BROKER, "main", "False")
            message = (find_condition(broker) or {})["message"]
            assert "'Nobodys'" in message
            assert "MTChannelBasedBroker, Pilotlight" in message

    run(main())


@pytest.mark.parametrize(
    ("subscriber", "said"),
    [
        ({"ref": {"apiVersion": "example.com/v1", "kind": "Thing", "name": "x"}}, "no kind Thing of example.com/v1"),
        ({"ref": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}}, "a ConfigMap cannot receive events"),
        ({"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "x"}}, "has no address yet"),
    ],
)
def test_what_resolves_to_nothing_says_why(tmp_path: Path, subscriber: Json, said: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(BROKER, "main")
            await under.store.create(CONFIG_MAP, {"metadata": {"name": "x", "namespace": "default"}})
            await under.apply(BROKER, "x", annotations={"eventing.knative.dev/broker.class": "Nobodys"})
            await under.ready(BROKER, "x", "False")
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": subscriber})
            trigger = await under.ready(TRIGGER, "t", "False")
            assert said in (find_condition(trigger, "SubscriberResolved") or {})["message"]

    run(main())


@pytest.mark.parametrize(
    ("destination", "url"),
    [
        ({"uri": "http://sink.example/x"}, "http://sink.example/x"),
        ({**FN, "uri": "orders?a=1"}, "http://fn.default.svc.cluster.local/orders?a=1"),
        ({**FN, "uri": "/orders"}, "http://fn.default.svc.cluster.local/orders"),
        ({"ref": {"kind": "Service", "group": "serving.knative.dev", "name": "fn"}}, "http://fn.default.svc.cluster.local"),
        ({"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "main"}},
         "http://broker-ingress.knative-eventing.svc.cluster.local/default/main"),
    ],
)  # fmt: skip
def test_destinations_resolve_to_urls(tmp_path: Path, destination: Json, url: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(BROKER, "main")
            await under.ready(BROKER, "main")
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": destination})
            assert (await under.ready(TRIGGER, "t"))["status"]["subscriberUri"] == url

    run(main())


def test_a_second_life_delivers_what_the_first_one_owed(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            store = under.store
            await make_function(under)
            gate = under.people.gates["fn.default.svc.cluster.local"] = asyncio.Event()
            await under.apply(BROKER, "main")
            await under.apply(TRIGGER, "t", {"broker": "main", "subscriber": FN})
            await under.ready(TRIGGER, "t")
            await under.post(event("1"))
            await under.received("fn.default.svc.cluster.local", 1)
            under.people.answers["fn.default.svc.cluster.local"] = lambda got: Reply(503)
            gate.set()
        async with eventing(tmp_path, store) as under:
            under.people.answers["fn.default.svc.cluster.local"] = lambda got: Reply(200)
            assert await under.received("fn.default.svc.cluster.local", 1) == ["1"]

    run(main())


def test_after_a_restart_the_doors_are_open_before_anybody_asks(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            store = under.store
            await under.apply(BROKER, "main")
            await under.ready(BROKER, "main")
        async with eventing(tmp_path, store) as under:
            assert (await under.post(event("1"))).status == 202
            assert (await under.post(event("1"), host="broker-ingress.localhost")).status == 202

    run(main())


def test_a_broker_is_made_for_a_trigger_that_asks_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            asked = {"eventing.knative.dev/injection": "enabled"}
            await under.apply(TRIGGER, "t", {"broker": "default", "subscriber": FN}, annotations=asked)
            await under.ready(TRIGGER, "t")
            broker = await under.ready(BROKER, "default")
            assert broker["metadata"]["labels"] == {"eventing.knative.dev/injected": "true"}
            assert broker["metadata"]["annotations"]["eventing.knative.dev/broker.class"] == "Pilotlight"
            assert broker["spec"]["delivery"]["retry"] == 10, "config-br-defaults fill it in"
            await under.post(event("1"), "/default/default")
            assert await under.received("fn.default.svc.cluster.local", 1) == ["1"]

    run(main())


@pytest.mark.parametrize("enabled", [True, False])
def test_a_trigger_may_be_of_another_namespaces_broker_where_features_let_it(tmp_path: Path, enabled: bool) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            if not enabled:
                features = under.settings[EVENTING_FEATURES]
                under.settings[EVENTING_FEATURES] = replace(features, cross_namespace="disabled")
            await under.apply(BROKER, "main", namespace="far")
            reference = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "main", "namespace": "far"}
            await under.apply(TRIGGER, "t", {"brokerRef": reference, "subscriber": FN})
            trigger = await under.ready(TRIGGER, "t", str(enabled))
            if enabled:
                await under.post(event("1"), "/far/main")
                assert await under.received("fn.default.svc.cluster.local", 1) == ["1"]
            else:
                assert condition(trigger, "BrokerReady") == ("False", "CrossNamespaceDisabled")

    run(main())
