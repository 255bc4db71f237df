"""KafkaSink against a real Kafka: events in by HTTP, records out; what is refused, and what is said of it."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.clients.kafka_admin import Admin
from core.clients.kafka_consumer import Consumer
from core.clients.kafka_terms import Committed, Partition, Received
from core.resources.core_v1 import SECRET
from core.resources.meta import Json
from core.resources.sinks import KAFKA_SINK, KAFKA_SINK_CONDITIONS
from core.store.memory import MemoryStore
from eventing.bindings.kafka import decode
from eventing.sinks.kafka import HOST
from tests.support.eventing import eventing, until
from tests.support.kafka import PASSWORD, USER, kafka_server
from tests.support.subscribers import event

_numbers = itertools.count()


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(80):
            await main()

    asyncio.run(bounded())


def spec(topic: str, **more: Any) -> Json:
    return {"topic": topic, "bootstrapServers": [kafka_server().bootstrap], **more}


MADE = {"numPartitions": 2, "replicationFactor": 1}


def fresh() -> str:
    return f"sink-{next(_numbers)}"


class Everything:
    """A reader of a whole topic."""

    def __init__(self) -> None:
        self.consumer: Consumer | None = None
        self.records: list[Received] = []

    def assigned(self, found: Mapping[Partition, Committed]) -> None:
        assert self.consumer is not None
        self.consumer.read(dict.fromkeys(found, 0))

    def revoked(self, partitions: Collection[Partition]) -> None: ...

    def arrived(self, records: Sequence[Received]) -> None:
        self.records += records

    def ended(self, ends: Mapping[Partition, int]) -> None: ...

    def troubled(self, error: Exception) -> None: ...


async def records_of(topic: str, count: int) -> list[Received]:
    reader = Everything()
    reader.consumer = Consumer(kafka_server().access, f"reader-{topic}", [topic], "reader", reader)
    reader.consumer.start()

    async def enough() -> bool | None:
        return True if len(reader.records) >= count else None

    await until(enough, f"{topic} has {len(reader.records)} of {count} records", 20)
    await reader.consumer.close({})
    return reader.records


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_an_event_becomes_a_record(tmp_path: Path, mode: str) -> None:
    async def main() -> None:
        topic = fresh()
        async with eventing(tmp_path) as there:
            await there.apply(KAFKA_SINK, "s", spec(topic, contentMode=mode, **MADE))
            sink = await there.ready(KAFKA_SINK, "s")
            assert sink["status"]["address"]["url"] == f"http://{HOST}/default/s"
            assert {each["type"]: each["status"] for each in sink["status"]["conditions"]} == dict.fromkeys(
                (*KAFKA_SINK_CONDITIONS.dependents, "Ready"), "True"
            )
            admin = Admin(kafka_server().access, "test")
            assert await admin.partitions(topic) == 2
            await admin.close()
            sent = event("1", data="x", datacontenttype="text/plain", partitionkey="k")
            assert (await there.post(sent, "/default/s", HOST)).status == 202
            (record,) = await records_of(topic, 1)
            assert record.key == b"k"
            assert decode(record.headers, record.value) == sent
            content_type = dict(record.headers)["content-type"]
            assert content_type == (b"text/plain" if mode == "binary" else b"application/cloudevents+json")
            assert (await there.post(event("2", data="x" * 1_100_000), "/default/s", HOST)).status == 413
            await there.store.delete(KAFKA_SINK, "s", "default")

            async def gone() -> bool | None:
                return True if (await there.post(sent, "/default/s", HOST)).status == 404 else None

            await until(gone, "the door is still open")

    run(main)


def test_it_is_said_why_nothing_can_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.kafka_admin.BOOTSTRAP_TIMEOUT_S", 0.2)

    async def main() -> None:
        topic = fresh()
        async with eventing(tmp_path) as there:

            async def said(name: str, what: str) -> None:
                async def found() -> bool | None:
                    status = (await there.store.get(KAFKA_SINK, name, "default")).get("status") or {}
                    return True if what in json.dumps(status) else None

                await until(found, f"{name} does not say {what}", 20)
                assert (await there.post(event("1"), f"/default/{name}", HOST)).status == 503

            await there.apply(KAFKA_SINK, "absent", spec(topic))
            await said("absent", f"Kafka has no topic {topic}")
            await there.apply(KAFKA_SINK, "copies", spec(fresh(), numPartitions=1, replicationFactor=3))
            await said("copies", "InvalidReplicationFactor")
            await there.apply(KAFKA_SINK, "typo", spec(topic) | {"bootstrapServers": ["nonsense"]})
            await said("typo", "host:port is allowed")
            await there.apply(KAFKA_SINK, "secret", spec(topic, auth={"secret": {"ref": {"name": "login"}}}))
            await said("secret", "Secret default/login does not exist")
            admin = Admin(kafka_server().access, "test")
            await admin.create_topic(topic, 1, 1)
            await admin.close()
            await there.ready(KAFKA_SINK, "absent")
            assert (await there.post(event("1"), "/default/absent", HOST)).status == 202

    run(main)


def test_it_logs_in(tmp_path: Path) -> None:
    async def main() -> None:
        server = kafka_server()
        values = {
            "protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "user": USER,
            "password": PASSWORD,
            "ca.crt": server.ca,
        }
        data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
        async with eventing(tmp_path) as there:
            secret = {"metadata": {"name": "login", "namespace": "default"}, "data": data}
            await there.store.create(SECRET, secret)
            auth = {"secret": {"ref": {"name": "login"}}}
            topic = fresh()
            await there.apply(
                KAFKA_SINK, "s", spec(topic, auth=auth, **MADE) | {"bootstrapServers": [server.tls_bootstrap]}
            )
            await there.ready(KAFKA_SINK, "s")
            assert (await there.post(event("1"), "/default/s", HOST)).status == 202
            assert len(await records_of(topic, 1)) == 1

    run(main)


def test_what_is_acknowledged_outlives_the_server_and_the_platform(tmp_path: Path) -> None:
    async def main() -> None:
        server, topic, acknowledged = kafka_server(), fresh(), set()
        store: MemoryStore | None = None
        for life in range(2):
            async with eventing(tmp_path, store) as there:
                store = there.store
                await there.apply(KAFKA_SINK, "s", spec(topic, **MADE))
                await there.ready(KAFKA_SINK, "s")

                async def produce(first: int, there: Any = there) -> None:
                    for number in range(first, first + 100):
                        while (await there.post(event(str(number)), "/default/s", HOST)).status != 202:
                            await asyncio.sleep(0.05)
                        acknowledged.add(str(number))

                async with asyncio.TaskGroup() as group:
                    group.create_task(produce(life * 100))
                    if not life:
                        await asyncio.sleep(0.05)
                        await asyncio.to_thread(server.kill)
                        await asyncio.to_thread(server.start)
        stored = {decode(each.headers, each.value).id for each in await records_of(topic, 200)}  # type: ignore[union-attr]
        assert stored >= acknowledged
        assert len(acknowledged) == 200

    run(main)


def test_a_topic_is_written_by_what_the_sink_says_now(tmp_path: Path) -> None:
    async def main() -> None:
        topic = fresh()
        async with eventing(tmp_path) as there:
            await there.apply(KAFKA_SINK, "s", spec(topic, **MADE))
            await there.ready(KAFKA_SINK, "s")
            await there.post(event("1", data="x"), "/default/s", HOST)
            await there.apply(KAFKA_SINK, "s", spec(topic, contentMode="structured", **MADE))
            await there.ready(KAFKA_SINK, "s")
            await there.post(event("2", data="x"), "/default/s", HOST)
            values = {each.value[:1] if each.value else b"" for each in await records_of(topic, 2)}
            assert values == {b"x", b"{"}

    run(main)
