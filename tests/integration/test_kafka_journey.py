"""Events through Kafka on a whole platform: documents by the real kubectl, events by the real curl, a real Kafka.

Through pilotlight/eventing_wing.py: the broker class, the source and the sink as the roof connects them, in a platform
that is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from core.clients.kafka_admin import Admin
from core.clients.kafka_producer import Producer as TopicWriter
from core.clients.kafka_terms import Outgoing
from tests.integration.test_event_journey import COUNTING, Hands, counted
from tests.integration.test_failing_events import Producer, counting, got, make_broker, make_trigger, post
from tests.integration.test_failing_platform import kill, platform_on
from tests.support.kafka import kafka_server
from tests.support.platform import Platform
from tests.support.user import User, make_service

pytestmark = pytest.mark.usefixtures("nothing_left_running")

KILLS = 4
CLASS = {"eventing.knative.dev/broker.class": "Kafka"}
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: kafka}}
data:
  bootstrap.servers: {servers}
  default.topic.partitions: "2"
  default.topic.replication.factor: "1"
"""
DOCUMENTS = (
    CONFIG
    + """
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: journey
  annotations: {{eventing.knative.dev/broker.class: Kafka}}
spec:
  config: {{apiVersion: v1, kind: ConfigMap, name: kafka}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: first}}
spec:
  broker: journey
  filters: [{{cesql: "type LIKE 'order.%' OR type = 'dev.knative.kafka.event'"}}]
  subscriber: {{ref: {{apiVersion: serving.knative.dev/v1, kind: Service, name: first}}}}
---
apiVersion: eventing.knative.dev/v1alpha1
kind: KafkaSink
metadata: {{name: archive}}
spec: {{topic: archive, numPartitions: 1, replicationFactor: 1, bootstrapServers: ["{servers}"]}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: replies}}
spec:
  broker: journey
  filter: {{attributes: {{type: reply}}}}
  subscriber: {{ref: {{apiVersion: eventing.knative.dev/v1alpha1, kind: KafkaSink, name: archive}}}}
---
apiVersion: sources.knative.dev/v1
kind: KafkaSource
metadata: {{name: orders}}
spec:
  bootstrapServers: ["{servers}"]
  topics: [orders]
  initialOffset: earliest
  sink: {{ref: {{apiVersion: eventing.knative.dev/v1, kind: Broker, name: journey}}}}
---
apiVersion: sources.knative.dev/v1
kind: KafkaSource
metadata: {{name: archive}}
spec:
  bootstrapServers: ["{servers}"]
  topics: [archive]
  initialOffset: earliest
  sink: {{ref: {{apiVersion: serving.knative.dev/v1, kind: Service, name: second}}}}
"""
)


@pytest.fixture(scope="module")
def hands(platform: Platform) -> Hands:
    return Hands(platform)


async def write(topic: str, *values: str) -> None:
    admin, writer = Admin(kafka_server().access, "test"), TopicWriter(kafka_server().access, topic, "test")
    await admin.create_topic(topic, 1, 1)
    writer.start()
    await writer.send([Outgoing(None, value.encode(), ()) for value in values])
    await writer.close()
    await admin.close()


async def topics_like(name: str) -> int | None:
    admin = Admin(kafka_server().access, "test")
    try:
        return await admin.partitions(name)
    finally:
        await admin.close()


@pytest.mark.kubectl
def test_from_curl_and_a_topic_through_functions_into_a_topic(hands: Hands, user: User) -> None:
    warm = {"min-scale": "1", "max-scale": "1"}
    for name, environment in (("first", {"REPLY": "reply"}), ("second", {})):
        user.deploy(make_service(name, COUNTING, annotations=warm, env=environment))
    asyncio.run(write("orders", "by topic"))
    documents = DOCUMENTS.format(servers=kafka_server().bootstrap)
    hands.type("kubectl", "apply", "-f", "-", stdin=documents)
    wait = ("kubectl", "wait", "--for=condition=Ready", "--timeout=30s")
    hands.type(*wait, "broker/journey", "trigger/first", "kafkasink/archive", "kafkasource/orders")
    hands.type(*wait, "trigger/replies", "kafkasource/archive")
    order = {"ce_specversion": "1.0", "ce_type": "order.new", "ce_source": "/till", "ce_id": "curl"}
    assert hands.post("journey", "{}", content_type="application/json", **order) == 202
    user.until("both replies", lambda: len(counted(user, "second")["events"]) == 2)
    assert sorted(counted(user, "first")["events"]) == ["curl", "partition:0/offset:0"]
    assert sorted(counted(user, "second")["events"]) == ["reply-to-curl", "reply-to-partition:0/offset:0"]
    hands.type("kubectl", "delete", "-f", "-", stdin=documents)
    user.until("the Broker's topic is gone", lambda: asyncio.run(topics_like("knative-broker-default-journey")) is None)
    assert asyncio.run(topics_like("archive")) == 1


@pytest.mark.timeout(300)
def test_killed_under_load_everything_accepted_arrives_and_soon(tmp_path: Path) -> None:
    book = tmp_path / "orders.book"
    platform = platform_on(tmp_path)
    port = int(platform.running.gateway.rpartition(":")[2])
    user = User(platform)
    user.deploy(counting("orders", book))
    data = {
        "bootstrap.servers": kafka_server().bootstrap,
        "default.topic.partitions": "2",
        "default.topic.replication.factor": "1",
    }
    user.create({"metadata": {"name": "kafka"}, "data": data}, "api/v1/namespaces/default/configmaps")
    make_broker(user, annotations=CLASS, config={"apiVersion": "v1", "kind": "ConfigMap", "name": "kafka"})
    make_trigger(user, "orders", "order")
    numbers = itertools.count()
    accepted: list[str] = []
    for _ in range(KILLS):
        before = len(accepted)
        producers = [Producer(port, numbers, "order") for _ in range(3)]
        for producer in producers:
            producer.start()
        time.sleep(1.5)  # the load before the fault
        kill(platform)
        for producer in producers:
            producer.join()
            accepted += producer.accepted
        assert len(accepted) > before
        platform = platform_on(tmp_path, port)
    user = User(platform)
    user.until("the Broker takes events", lambda: post(user, "last").status == 202)
    began = time.monotonic()
    user.until("all of it is there", lambda: {*accepted, "last"} <= got(book).keys(), 60)
    assert time.monotonic() - began < 9, "nobody waits for the session of a life that was killed"
    counts = got(book)
    assert len(counts.keys() - {*accepted, "last"}) <= 3 * KILLS
    assert counts.total() - len(counts) <= KILLS * 400
    print(f"{len(accepted)} accepted, {counts.total() - len(counts)} repeated")
