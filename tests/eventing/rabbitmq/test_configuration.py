"""Where RabbitMQ is, as documents say it (eventing/rabbitmq/configuration.py)."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from core.clients.rabbitmq_access import Access
from core.clock import SystemClock
from core.errors import PermanentError, TemporaryError
from core.reconcile.objects import Objects
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.kinds import KINDS
from core.resources.meta import Json, Kind
from core.resources.sources_rabbitmq import RABBITMQ_BROKER_CONFIG
from core.store.memory import MemoryStore
from eventing.chronicle import Chronicle
from eventing.log.log import EventLog
from eventing.rabbitmq.configuration import find_access, find_for_broker, make_broker

NAMED: Json = {"rabbitmqClusterReference": {"connectionSecret": {"name": "s"}}}
CLUSTER: Json = {"rabbitmqClusterReference": {"name": "r", "namespace": "rabbit"}, "vhost": "v", "queueType": "classic"}


def secret(name: str, namespace: str = "default", **data: str) -> tuple[Kind[Any], Json]:
    encoded = {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return SECRET, {"metadata": {"name": name, "namespace": namespace}, "data": encoded}


def config_map(**data: str) -> tuple[Kind[Any], Json]:
    return CONFIG_MAP, {"metadata": {"name": "c", "namespace": "default"}, "data": data}


def config(spec: Json) -> tuple[Kind[Any], Json]:
    return RABBITMQ_BROKER_CONFIG, {"metadata": {"name": "c", "namespace": "default"}, "spec": spec}


def broker(kind: str | None, name: str = "c") -> Json:
    spec = {"config": {"kind": kind, "name": name}} if kind else {}
    return {"metadata": {"name": "main", "namespace": "default", "uid": "u"}, "spec": spec}


async def stored(*objects: tuple[Kind[Any], Json]) -> Objects:
    store = MemoryStore(KINDS, SystemClock())
    await store.open()
    for kind, obj in objects:
        await store.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **obj})
    return Objects(store, SystemClock())


@pytest.mark.parametrize(
    ("kind", "objects", "expected"),
    [
        ("RabbitmqBrokerConfig", [config(NAMED), secret("s", uri="amqp://u:p@h/x")],
         Access("h", vhost="x", user="u", password="p")),
        ("RabbitmqBrokerConfig", [config({**NAMED, "vhost": "v"}), secret("s", host="h", username="u", password="p")],
         Access("h", vhost="v", user="u", password="p")),
        ("RabbitmqBrokerConfig", [config(CLUSTER), secret("r-default-user", "rabbit", username="u", password="p")],
         Access("r.rabbit.svc", vhost="v", user="u", password="p")),
        ("Secret", [secret("c", host="h", port="1")], Access("h", 1)),
        ("ConfigMap", [config_map(host="h", vhost="v")], Access("h", vhost="v")),
        ("ConfigMap", [config_map(connectionSecret="s", vhost="v"), secret("s", host="h")], Access("h", vhost="v")),
    ],
)  # fmt: skip
def test_what_a_broker_names(kind: str, objects: list[tuple[Kind[Any], Json]], expected: Access) -> None:
    async def main() -> None:
        assert await find_for_broker(await stored(*objects), broker(kind)) == expected

    asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "objects", "error", "sentence"),
    [
        (None, [], PermanentError, "spec.config names nothing; class RabbitMQBroker needs a RabbitmqBrokerConfig or"),
        ("Deployment", [], PermanentError, "spec.config names Deployment default/c"),
        ("RabbitmqBrokerConfig", [], TemporaryError, "RabbitmqBrokerConfig default/c does not exist"),
        ("RabbitmqBrokerConfig", [config(NAMED)], TemporaryError, "Secret default/s does not exist"),
        ("RabbitmqBrokerConfig", [config(NAMED), secret("s", user="u")], PermanentError,
         "Secret default/s: there is neither a key uri nor a key host"),
        ("Secret", [(SECRET, {"metadata": {"name": "c", "namespace": "default"}, "data": {"host": "/w=="}})],
         PermanentError, "a value is no text"),
        ("ConfigMap", [config_map(host="h", queueType="x")], PermanentError, "queueType is 'x'; quorum or classic"),
    ],
)  # fmt: skip
def test_why_a_broker_cannot_be_made(
    tmp_path: Path, kind: str | None, objects: list[tuple[Kind[Any], Json]], error: type[Exception], sentence: str
) -> None:
    async def main() -> None:
        clock = SystemClock()
        log = EventLog(tmp_path / "events.db", clock)
        await log.open()
        try:
            with pytest.raises(error, match=sentence):
                await make_broker(await stored(*objects), log, Chronicle(clock), "broker/default/main", broker(kind))
        finally:
            await log.close()

    asyncio.run(main())


def test_a_secret_that_changes_is_read_again() -> None:
    async def main() -> None:
        objects = await stored(secret("s", host="h", password="old"))
        reference = NAMED["rabbitmqClusterReference"]
        assert (await find_access(objects, reference, "default", None)).password == "old"
        _, changed = secret("s", host="h", password="new")
        await objects.store.modify(SECRET, "s", "default", lambda now: {**now, "data": changed["data"]})
        assert (await find_access(objects, reference, "default", None)).password == "new"

    asyncio.run(main())
