"""From a message on an empty topic or queue to the first instance that is asked for, and from a burst to all of them.

Real brokers on this machine, a whole platform as a user starts it. The instances do nothing: what is measured ends with
the Deployment's `spec.replicas`, seen through a watch of the API. Between two messages the lag is taken away and the
Deployment is back at zero; each message comes at another moment of the polling interval.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.platform import WAIT_S_MAX, Platform, platform
from benchmarks.report import Row, percentile
from core.clients.external_scaler_messages import MetricSpec, MetricValue, ScaledObjectRef
from core.clients.external_scaler_server import serve
from core.clients.kafka_admin import Admin
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Outgoing
from core.clients.rabbitmq import Session
from core.clients.rabbitmq_access import access_of
from core.clients.rabbitmq_terms import Content, Queue
from tests.support.kafka import KafkaServer, kafka_server
from tests.support.rabbitmq import Rabbitmq, running_rabbitmq

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "25"))
POLL_S = 1
WAKE_S, PUSHED_S = 1.2, 0.1
BURST_REPLICAS, THRESHOLD, PARTITIONS = 50, 10, 64
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SCALED_OBJECTS = "/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects"
Put = Callable[[int], Awaitable[None]]
Take = Callable[[], Awaitable[None]]


@dataclass
class Watched:
    """The replicas that a Deployment was asked to have, with the moments at which that was seen."""

    seen: list[tuple[float, int]] = field(default_factory=list)
    changed: threading.Event = field(default_factory=threading.Event)

    def wait(self, holds: Callable[[int], bool], since: float) -> float:
        """The first moment after `since` at which it held. TimeoutError."""
        deadline = time.perf_counter() + WAIT_S_MAX
        while True:
            self.changed.clear()
            for at, replicas in list(self.seen):
                if at >= since and holds(replicas):
                    return at
            if not self.changed.wait(max(0.0, deadline - time.perf_counter())):
                raise TimeoutError(f"replicas were {[replicas for _, replicas in self.seen][-5:]}")


@contextmanager
def watched(running: Platform, name: str) -> Iterator[Watched]:
    connection, token = running.connect()
    path = f"{DEPLOYMENTS}?watch=true&fieldSelector=metadata.name%3D{name}"
    connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    found = Watched()

    def follow() -> None:
        try:
            while line := answer.readline():
                event = json.loads(line)
                if event["object"].get("kind") == "Deployment":
                    found.seen.append((time.perf_counter(), event["object"]["spec"]["replicas"]))
                    found.changed.set()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # closed below

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    yield found
    connection.close()


def scale_by(running: Platform, name: str, trigger: dict[str, Any]) -> None:
    """A Deployment whose instances do nothing, and a ScaledObject."""
    container = {"name": "idle", "image": "any", "command": ["sleep", "3600"]}
    running.call(
        "POST",
        DEPLOYMENTS,
        {
            "metadata": {"name": name},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "runtimeClassName": "process",
                        "terminationGracePeriodSeconds": 0,
                        "containers": [container],
                    },
                },
            },
        },
    )
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    running.call(
        "POST",
        SCALED_OBJECTS,
        {
            "metadata": {"name": name},
            "spec": {
                "scaleTargetRef": {"name": name},
                "pollingInterval": POLL_S,
                "cooldownPeriod": 1,
                "maxReplicaCount": 100,
                "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
                "triggers": [trigger],
            },
        },
    )


@dataclass(frozen=True)
class Waking:
    """Seconds from a message to the first instance asked for, and what a burst was answered with."""

    waits_s: list[float]
    burst_s: float
    steps: list[int]


async def wake(watch: Watched, put: Put, take: Take) -> Waking:
    waits = []
    for _ in range(MESSAGES):
        await asyncio.to_thread(watch.wait, lambda replicas: replicas == 0, 0.0)
        await asyncio.sleep(POLL_S * (2 + random.random()))
        began = time.perf_counter()
        await put(1)
        waits.append(await asyncio.to_thread(watch.wait, lambda replicas: replicas > 0, began) - began)
        await back_to_zero(watch, take)
    await asyncio.sleep(POLL_S * (2 + random.random()))
    began = time.perf_counter()
    await put(BURST_REPLICAS * THRESHOLD)
    burst_s = await asyncio.to_thread(watch.wait, lambda replicas: replicas >= BURST_REPLICAS, began) - began
    await asyncio.sleep(2 * POLL_S)
    steps = [replicas for at, replicas in watch.seen if at >= began]
    await back_to_zero(watch, take)
    return Waking(waits, burst_s, list(dict.fromkeys(steps)))


async def back_to_zero(watch: Watched, take: Take) -> None:
    since = time.perf_counter()
    await take()
    await asyncio.to_thread(watch.wait, lambda replicas: replicas == 0, since)


async def wake_by_kafka(running: Platform, server: KafkaServer) -> Waking:
    topic = group = "wake"
    admin, producer = Admin(server.access, "bench"), Producer(server.access, topic, "bench")
    producer.start()
    metadata = {
        "bootstrapServers": server.bootstrap,
        "consumerGroup": group,
        "topic": topic,
        "lagThreshold": str(THRESHOLD),
        "scaleToZeroOnInvalidOffset": "true",  # between two commits of `take` there is none
    }

    async def put(count: int) -> None:
        await producer.send([Outgoing(str(number).encode(), b"x", ()) for number in range(count)])

    async def take() -> None:
        await admin.delete_group(group)
        await admin.begin(group, [topic], "latest")

    try:
        await admin.create_topic(topic, PARTITIONS, 1)
        await take()
        with watched(running, "kafka") as watch:
            scale_by(running, "kafka", {"type": "kafka", "metadata": metadata})
            return await wake(watch, put, take)
    finally:
        await producer.close()
        await admin.close()


async def wake_by_rabbitmq(running: Platform, server: Rabbitmq) -> Waking:
    session = Session(access_of({"uri": server.uri()}), "bench")
    await session.open()
    metadata = {"host": server.uri(), "queueName": "wake", "mode": "QueueLength", "value": str(THRESHOLD)}

    async def put(count: int) -> None:
        await asyncio.gather(*(session.publish("", "wake", Content(b"x")) for _ in range(count)))

    async def take() -> None:
        await asyncio.to_thread(server.ask, "DELETE", "queues/%2f/wake/contents")

    try:
        await session.declare(Queue("wake", "classic"))
        with watched(running, "rabbitmq") as watch:
            scale_by(running, "rabbitmq", {"type": "rabbitmq", "metadata": metadata})
            return await wake(watch, put, take)
    finally:
        await session.close()


class PushedWork:
    """KEDA's external scaler: so much work, and a push when there is some again."""

    def __init__(self) -> None:
        self.work = 0
        self.changed = asyncio.Event()

    async def is_active(self, ref: ScaledObjectRef) -> bool:
        return self.work > 0

    async def activity(self, ref: ScaledObjectRef) -> AsyncIterator[bool]:
        while True:
            await self.changed.wait()
            self.changed.clear()
            yield self.work > 0

    async def metric_specs(self, ref: ScaledObjectRef) -> Sequence[MetricSpec]:
        return [MetricSpec("work", THRESHOLD)]

    async def metrics(self, ref: ScaledObjectRef, metric: str) -> Sequence[MetricValue]:
        return [MetricValue("work", self.work)]

    def set(self, work: int) -> None:
        self.work = work
        self.changed.set()


async def wake_by_push(running: Platform) -> Waking:
    pushed = PushedWork()

    async def put(count: int) -> None:
        pushed.set(count)

    async def take() -> None:
        pushed.set(0)

    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(pushed, "127.0.0.1:0", started=port.set_result))
        metadata = {"scalerAddress": f"127.0.0.1:{await port}"}
        with watched(running, "pushed") as watch:
            scale_by(running, "pushed", {"type": "external-push", "metadata": metadata})
            waking = await wake(watch, put, take)
        serving.cancel()
    return waking


def rows_of(source: str, waking: Waking, bar_s: float = WAKE_S) -> list[Row]:
    p50, p95 = percentile(waking.waits_s, 0.5), percentile(waking.waits_s, 0.95)
    once = waking.steps == [BURST_REPLICAS]
    return [
        Row(
            f"a message on an empty {source} → the first instance asked for",
            f"≤ {bar_s * 1e3:.0f} ms at p95, polled every {POLL_S} s",
            f"p50 {p50 * 1e3:.0f} ms, p95 {p95 * 1e3:.0f} ms", p95 <= bar_s,
            f"half of the interval is {POLL_S * 500} ms",
            f"{MESSAGES} messages, each at a moment of its own", {"all_s": waking.waits_s},
        ),
        Row(
            f"a burst on {source} that needs {BURST_REPLICAS} replicas",
            "all of them in one decision, and not one more",
            f"{' → '.join(map(str, [0, *waking.steps]))} after {waking.burst_s:.2f} s", once,
            numbers={"steps": waking.steps, "burst_s": waking.burst_s},
        ),
    ]  # fmt: skip


def measure() -> list[Row]:
    server = kafka_server()
    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-") as name, platform(Path(name) / "data") as running:
        rows = rows_of("Kafka topic", asyncio.run(wake_by_kafka(running, server)))
        with running_rabbitmq() as rabbitmq:
            rows += rows_of("RabbitMQ queue", asyncio.run(wake_by_rabbitmq(running, rabbitmq)))
        rows += rows_of("source that pushes", asyncio.run(wake_by_push(running)), PUSHED_S)
    return rows
