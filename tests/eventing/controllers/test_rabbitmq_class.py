"""Brokers of class RabbitMQBroker as documents, with a real RabbitMQ behind them."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.inside import Reply
from core.resources.conditions import find_condition
from core.resources.core_v1 import SECRET
from core.resources.eventing import BROKER, TRIGGER
from core.resources.eventing_labels import BROKER_CLASS_ANNOTATION, RABBITMQ_CLASS
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.resources.pilotlight import KEEP_CURSOR, START
from core.resources.sources_rabbitmq import RABBITMQ_BROKER_CONFIG
from core.store.memory import MemoryStore
from tests.eventing.controllers.test_broker_and_trigger import FN, condition, make_function, run
from tests.support.eventing import Eventing, eventing, until
from tests.support.rabbitmq import Rabbitmq
from tests.support.subscribers import event

HOST = "fn.default.svc.cluster.local"
CLASS = {BROKER_CLASS_ANNOTATION: RABBITMQ_CLASS}
CONFIG = {"apiVersion": "eventing.knative.dev/v1alpha1", "kind": "RabbitmqBrokerConfig", "name": "c"}
QUEUE = "pilotlight:default:main:default:t"


async def make_secret(under: Eventing, uri: str) -> None:
    data = {"uri": base64.b64encode(uri.encode()).decode()}
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rabbit", "namespace": "default"}, "data": data}
    await under.store.create(SECRET, obj)


async def make_broker(under: Eventing, vhost: str) -> None:
    spec = {"rabbitmqClusterReference": {"connectionSecret": {"name": "rabbit"}}, "vhost": vhost}
    await under.apply(RABBITMQ_BROKER_CONFIG, "c", spec)
    await under.apply(BROKER, "main", {"config": CONFIG}, annotations=CLASS)


async def make_all(under: Eventing, rabbitmq: Rabbitmq, vhost: str, **annotations: str) -> None:
    await make_function(under)
    await make_secret(under, rabbitmq.uri())
    await make_broker(under, vhost)
    await under.ready(BROKER, "main")
    spec = {"broker": "main", "subscriber": FN, "filters": [{"exact": {"type": "order"}}]}
    await under.apply(TRIGGER, "t", spec, annotations=annotations)


async def gone(rabbitmq: Rabbitmq, vhost: str, queues: list[str], exchanges: list[str]) -> None:
    async def found() -> bool | None:
        said = await asyncio.to_thread(lambda: (rabbitmq.queues(vhost), rabbitmq.exchanges(vhost)))
        return True if said == (queues, exchanges) else None

    await until(found, f"other queues than {queues} or exchanges than {exchanges} are there")


def test_from_the_door_through_rabbitmq_to_those_who_want_it(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_all(under, rabbitmq, vhost)
            await under.ready(TRIGGER, "t")
            assert rabbitmq.queues(vhost) == [QUEUE]
            assert (await under.post(event("1", type="other"))).status == 202
            assert (await under.post(event("2", type="order"))).status == 202
            assert await under.received(HOST, 1) == ["2"]
            await under.store.delete(TRIGGER, "t", "default")
            await gone(rabbitmq, vhost, [], ["pilotlight:default:main"])
            await under.store.delete(BROKER, "main", "default")
            await gone(rabbitmq, vhost, [], [])

    run(main())


def test_a_broker_takes_its_queues_with_it(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_all(under, rabbitmq, vhost)
            await under.ready(TRIGGER, "t")
            await under.store.delete(BROKER, "main", "default")
            await gone(rabbitmq, vhost, [], [])

    run(main())


def test_a_queue_can_begin_nowhere_but_now(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_all(under, rabbitmq, vhost, **{START: "earliest"})
            trigger = await under.ready(TRIGGER, "t", "False")
            assert condition(trigger, "SubscriptionReady") == ("False", "StartNotPossible")
            assert "only now is allowed" in (find_condition(trigger) or {})["message"]
            assert rabbitmq.queues(vhost) == []

    run(main())


def test_the_queue_of_a_trigger_that_keeps_its_place_stays(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        store = MemoryStore(KINDS, SystemClock())
        await store.open()
        async with eventing(tmp_path, store) as under:
            await make_all(under, rabbitmq, vhost, **{KEEP_CURSOR: "true"})
            await under.ready(TRIGGER, "t")
            await store.delete(TRIGGER, "t", "default")
            await until(lambda: nobody(under), "the Trigger still runs")
            assert (await under.post(event("1", type="order"))).status == 202
        async with eventing(tmp_path, store) as under:
            under.people.answers[HOST] = lambda got: Reply(202)
            await under.ready(BROKER, "main")
            assert (await under.post(event("2", type="order"))).status == 202
            spec: Json = {"broker": "main", "subscriber": FN}
            await under.apply(TRIGGER, "t", spec)
            assert sorted(await under.received(HOST, 2)) == ["1", "2"]

    run(main())


async def nobody(under: Eventing) -> bool | None:
    return True if not under.plane.running else None


def test_a_rabbitmq_that_is_not_there_is_said_and_then_found(
    tmp_path: Path, rabbitmq: Rabbitmq, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.clients.rabbitmq_link.PATIENCE_S", 0.2)

    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_secret(under, "amqp://127.0.0.1:1")
            await make_broker(under, vhost)
            broker = await under.ready(BROKER, "main", "False")
            assert "127.0.0.1:1" in (find_condition(broker) or {})["message"]
            assert (await under.post(event("1"))).status == 503
            data = {"uri": base64.b64encode(rabbitmq.uri().encode()).decode()}
            await under.store.modify(SECRET, "rabbit", "default", lambda now: {**now, "data": data})
            await under.ready(BROKER, "main")
            assert (await under.post(event("1"))).status == 202

    run(main())


def test_why_a_broker_is_not_ready(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(BROKER, "main", annotations=CLASS)
            broker = await under.ready(BROKER, "main", "False")
            assert "spec.config names nothing" in (find_condition(broker) or {})["message"]

    run(main())
