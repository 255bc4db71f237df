"""RabbitmqSources with a real RabbitMQ (eventing/sources/rabbitmq.py over eventing/rabbitmq/inflow.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.clients.rabbitmq import Session
from core.clients.rabbitmq_access import access_of
from core.clients.rabbitmq_terms import Content, Exchange, Queue
from core.inside import Reply
from core.resources.conditions import find_condition
from core.resources.meta import Json
from core.resources.sources_rabbitmq import RABBITMQ_SOURCE
from tests.eventing.controllers.test_broker_and_trigger import FN, condition, make_function, run
from tests.eventing.controllers.test_rabbitmq_class import HOST, gone, make_secret
from tests.support.eventing import Eventing, eventing, until
from tests.support.rabbitmq import Rabbitmq

PATH = "/apis/v1/namespaces/default/rabbitmqsources/s"
NAME = "rabbitmqsource/default/s"


class Outsider:
    """Whoever else uses RabbitMQ."""

    def __init__(self, rabbitmq: Rabbitmq, vhost: str) -> None:
        self._session = Session(access_of({"uri": rabbitmq.uri()}, vhost), "outsider")

    async def __aenter__(self) -> Session:
        await self._session.open()
        return self._session

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()


async def make_source(under: Eventing, vhost: str, resources: Json | None = None, **spec: Any) -> None:
    config = {"vhost": vhost, "queueName": "q", "exchangeName": "x", **(resources or {})}
    reference = {"connectionSecret": {"name": "rabbit"}}
    whole = {"rabbitmqClusterReference": reference, "rabbitmqResourcesConfig": config, "sink": FN, **spec}
    await under.apply(RABBITMQ_SOURCE, "s", whole)


def test_messages_arrive_as_events_and_then_are_acknowledged(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under, Outsider(rabbitmq, vhost) as outsider:
            await make_function(under)
            under.people.answers[HOST] = lambda got: Reply(200, ((b"content-type", b"text/plain"),), b"thanks")
            await make_secret(under, rabbitmq.uri())
            await make_source(under, vhost, ceOverrides={"extensions": {"team": "blue"}})
            status = (await under.ready(RABBITMQ_SOURCE, "s"))["status"]
            assert status["sinkUri"] == f"http://{HOST}"
            assert status["ceAttributes"] == [{"type": "dev.knative.rabbitmq.event", "source": f"{PATH}#q"}]
            headers = {
                "cloudEvents_specversion": "1.0",
                "cloudEvents:specversion": None,
                "cloudEvents_id": "1",
                "cloudEvents_source": "/them",
                "cloudEvents_type": "order",
            }
            await outsider.publish("x", "", Content(b'{"a":1}', "application/json", headers))
            await outsider.publish("x", "anything", Content(b"plain", "text/plain", message_id="m2"))
            await under.received(HOST, 2)
            first, second = under.people.got[HOST]
            assert first.attributes == {
                "specversion": "1.0", "id": "1", "source": "/them", "type": "order",
                "datacontenttype": "application/json", "team": "blue",
            }  # fmt: skip
            assert second.attributes == {
                "specversion": "1.0", "id": "m2", "source": f"{PATH}#q", "type": "dev.knative.rabbitmq.event",
                "subject": "m2", "datacontenttype": "text/plain", "team": "blue",
            }  # fmt: skip
            await empty(under)
            await under.store.delete(RABBITMQ_SOURCE, "s", "default")
            await gone(rabbitmq, vhost, [], [])

    run(main())


def test_no_more_is_fetched_than_is_delivered_at_a_time(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under, Outsider(rabbitmq, vhost) as outsider:
            await make_function(under)
            gate = under.people.gates[HOST] = asyncio.Event()
            await make_secret(under, rabbitmq.uri())
            await make_source(under, vhost, {"parallelism": 2})
            await under.ready(RABBITMQ_SOURCE, "s")
            for number in range(6):
                await outsider.publish("x", "", Content(str(number).encode()))
            await under.received(HOST, 2)

            async def four() -> bool | None:
                return True if await outsider.depth("q") == 4 else None

            await until(four, "not four of six are in the queue")
            gate.set()
            await under.received(HOST, 6)
            assert under.people.most_in_flight == 2

    run(main())


def test_what_fails_is_a_dead_letter_with_its_history(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under, Outsider(rabbitmq, vhost) as outsider:
            await make_function(under)
            under.people.answers[HOST] = lambda got: Reply(503)
            await make_secret(under, rabbitmq.uri())
            await make_source(under, vhost, delivery={"retry": 2, "backoffDelay": "PT0.01S"})
            await under.ready(RABBITMQ_SOURCE, "s")
            await outsider.publish("x", "", Content(b"data", message_id="m"))
            broken = {"cloudEvents_specversion": "1.0", "cloudEvents_id": "1", "cloudEvents_type": "t"}
            await outsider.publish("x", "", Content(b"kept", headers=broken, message_id="b"))

            async def two() -> Any:
                letters = await under.log.dead_letters.list(NAME)
                return letters if len(letters) == 2 else None

            letters = {each.event.id: each for each in await until(two, "there are not two dead letters")}
            assert [attempt.code for attempt in letters["m"].attempts] == [503] * 3
            assert letters["m"].event.data == b"data"
            assert "not well-formed" in letters["b"].reason
            assert letters["b"].event.data == b"kept"
            assert letters["b"].attempts == ()
            await empty(under)

    run(main())


def test_a_queue_that_is_there_already_is_left_as_it_is(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under, Outsider(rabbitmq, vhost) as outsider:
            await make_function(under)
            await make_secret(under, rabbitmq.uri())
            await make_source(under, vhost, {"predeclared": True})
            source = await under.ready(RABBITMQ_SOURCE, "s", "False")
            assert condition(source, "QueueReady") == ("False", "NotReady")
            assert "no queue 'q'" in (find_condition(source, "QueueReady") or {})["message"]
            await outsider.declare(Queue("q", "classic"))
            await under.ready(RABBITMQ_SOURCE, "s")
            await outsider.publish("", "q", Content(b"1", message_id="1"))
            assert await under.received(HOST, 1) == ["1"]
            await under.store.delete(RABBITMQ_SOURCE, "s", "default")
            await until(lambda: nobody(under), "it still runs")
            assert rabbitmq.queues(vhost) == ["q"]

    run(main())


def test_what_was_not_delivered_is_when_rabbitmq_comes_back(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            gate = under.people.gates[HOST] = asyncio.Event()
            await make_secret(under, rabbitmq.uri())
            await make_source(under, vhost)
            await under.ready(RABBITMQ_SOURCE, "s")
            async with Outsider(rabbitmq, vhost) as outsider:
                for number in range(3):
                    await outsider.publish("x", "", Content(b"", message_id=str(number)))
            await under.received(HOST, 1)
            await asyncio.to_thread(rabbitmq.kill)
            source = await under.ready(RABBITMQ_SOURCE, "s", "False")
            assert condition(source, "Deployed") == ("False", "ConnectionLost")
            await asyncio.to_thread(rabbitmq.start)
            gate.set()
            await until(lambda: all_of(under, {"0", "1", "2"}), "something was lost", 25)
            await under.ready(RABBITMQ_SOURCE, "s")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("prepare", "kind", "said"),
    [
        (lambda under, uri: make_nothing(), "ExchangeReady", "Secret default/rabbit does not exist"),
        (lambda under, uri: make_secret(under, "amqp://127.0.0.1:1"), "ExchangeReady", "does not answer"),
    ],
)
def test_why_a_source_is_not_ready(
    tmp_path: Path, rabbitmq: Rabbitmq, vhost: str, prepare: Callable[..., Any], kind: str, said: str
) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await prepare(under, rabbitmq.uri())
            await make_source(under, vhost)
            source = await under.ready(RABBITMQ_SOURCE, "s", "False")
            assert said in (find_condition(source, kind) or {})["message"]
            assert condition(source, "BindingReady") == ("Unknown", "Waiting")

    run(main())


def test_an_exchange_of_another_type_is_said(tmp_path: Path, rabbitmq: Rabbitmq, vhost: str) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under, Outsider(rabbitmq, vhost) as outsider:
            await outsider.declare(Exchange("x", "fanout"))
            await make_function(under)
            await make_secret(under, rabbitmq.uri())
            await make_source(under, vhost)
            source = await under.ready(RABBITMQ_SOURCE, "s", "False")
            assert "inequivalent arg 'type'" in (find_condition(source, "ExchangeReady") or {})["message"]

    run(main())


async def make_nothing() -> None:
    pass


async def nobody(under: Eventing) -> bool | None:
    return True if not under.plane.running else None


async def all_of(under: Eventing, ids: set[str]) -> bool | None:
    return True if ids <= set(under.people.ids(HOST)) else None


async def empty(under: Eventing) -> None:
    async def none() -> bool | None:
        return True if under.plane.running[NAME].dispatcher.feed.backlog == 0 else None

    await until(none, "something waits")
