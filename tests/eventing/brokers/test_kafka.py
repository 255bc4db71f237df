"""The broker class over Kafka, against a real one: what every class must do, and what is this one's own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from core.clients.kafka_admin import Admin
from core.inside import Reply
from core.resources.conditions import find_condition
from core.resources.core_v1 import CONFIG_MAP
from core.resources.eventing import BROKER, KAFKA_BROKER_CONDITIONS, TRIGGER
from core.resources.eventing_labels import BROKER_CLASS_ANNOTATION
from core.resources.meta import Json
from eventing.brokers.base import Broker
from eventing.brokers.kafka import KafkaBroker
from eventing.kafka.layout import Layout
from tests.support.broker_contract import Parts, RemoteBrokerContract
from tests.support.eventing import eventing, until
from tests.support.kafka import kafka_server
from tests.support.subscribers import event

KAFKA: Final = {BROKER_CLASS_ANNOTATION: "Kafka"}
CONFIG: Final = {"config": {"apiVersion": "v1", "kind": "ConfigMap", "name": "kafka-config"}}


def configuration(servers: str) -> Json:
    data = {"bootstrap.servers": servers, "default.topic.partitions": "2", "default.topic.replication.factor": "1"}
    return {"metadata": {"name": "kafka-config", "namespace": "default"}, "data": data}


class TestKafkaBroker(RemoteBrokerContract):
    async def make(self, stream: str, parts: Parts) -> Broker:
        topic = "knative-" + stream.replace("/", "-")
        layout = Layout(kafka_server().access, topic, partitions=3, replication=1)
        return KafkaBroker(stream, layout, parts.log.dead_letters, parts.clock, "test")

    def kill(self) -> None:
        kafka_server().kill()

    def start(self) -> None:
        kafka_server().start()


def test_a_broker_document_becomes_a_topic_and_a_trigger_a_group(tmp_path: Path) -> None:
    """From `kubectl apply` to delivery, and away again with what it had stored."""

    async def main() -> None:
        admin = Admin(kafka_server().access, "test")
        async with asyncio.timeout(60), eventing(tmp_path) as there:
            await there.store.create(CONFIG_MAP, configuration(kafka_server().bootstrap))
            await there.apply(BROKER, "kafkaesque", CONFIG, annotations=KAFKA)
            made = await there.ready(BROKER, "kafkaesque")
            assert {each["type"]: each["status"] for each in made["status"]["conditions"]} == dict.fromkeys(
                (*KAFKA_BROKER_CONDITIONS.dependents, "Ready"), "True"
            )
            assert await admin.partitions("knative-broker-default-kafkaesque") == 2
            there.people.answers["s"] = lambda got: Reply(202)
            await there.apply(TRIGGER, "t", {"broker": "kafkaesque", "subscriber": {"uri": "http://s/"}})
            await there.ready(TRIGGER, "t")
            assert set(await admin.committed("knative-trigger-default-t")) != set()
            assert (await there.post(event("1", data="x"), "/default/kafkaesque")).status == 202
            assert (await there.post(event("2", data="x" * 1_100_000), "/default/kafkaesque")).status == 413
            assert await there.received("s", 1) == ["1"]
            await there.store.delete(TRIGGER, "t", "default")
            await there.store.delete(BROKER, "kafkaesque", "default")

            async def gone() -> bool | None:
                topic = await admin.partitions("knative-broker-default-kafkaesque")
                return True if topic is None and not await admin.committed("knative-trigger-default-t") else None

            await until(gone, "topic or group is still there", 30)
        await admin.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("servers", "condition", "said"),
    [("nonsense", "ConfigParsed", "host:port is allowed"), ("127.0.0.1:1", "TopicReady", "127.0.0.1:1")],
)
def test_a_broker_says_why_it_takes_no_events(tmp_path: Path, servers: str, condition: str, said: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), eventing(tmp_path) as there:
            await there.store.create(CONFIG_MAP, configuration(servers))
            await there.apply(BROKER, "b", CONFIG, annotations=KAFKA)
            found = find_condition(await there.ready(BROKER, "b", "False"), condition)
            assert found is not None
            assert found["status"] == "False"
            assert said in found["message"]
            if condition == "TopicReady":
                assert (await there.post(event("1"), "/default/b")).status == 503

    asyncio.run(main())
