"""`demo lag`: consumers of Kafka and RabbitMQ go from zero to as many as the lag asks for, and back, with real brokers.

The documents and the programs are those of `examples/lag`, with the addresses of the brokers that were found.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from core.clients.kafka_access import Access
from core.clients.kafka_admin import Admin
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Outgoing
from core.clients.kubernetes import KubernetesClient
from core.clients.rabbitmq import Session as RabbitmqSession
from core.clients.rabbitmq_access import access_of
from core.clients.rabbitmq_terms import Content, Queue
from core.resources.core_v1 import SECRET
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_auth import TRIGGER_AUTHENTICATION
from core.resources.meta import Json, Kind
from core.resources.workloads import DEPLOYMENT
from pilotlight.cli.demo_brokers import Way, find_kafka, find_rabbitmq, open_pod, started
from pilotlight.cli.output import say
from pilotlight.cli.platform import start_detached, stop
from pilotlight.cli.session import NotReady, Session, UsageProblem
from pilotlight.datadir import DataDir
from pilotlight.options import PlatformOptions

KINDS: Final[Mapping[str, Kind[Any]]] = {
    kind.kind: kind for kind in (SECRET, DEPLOYMENT, SCALED_OBJECT, TRIGGER_AUTHENTICATION)
}
TOPIC: Final = "orders"
PARTITIONS: Final = 8
MESSAGES: Final = 100
TIMEOUT_S: Final = 90.0
EXPLAIN_PATH: Final = "/pilotlight/v1/namespaces/default/scaledobjects/{name}/decisions"
MISSING: Final = (
    "There is no Kafka and no RabbitMQ to be had: none is installed (Debian: apt-get install rabbitmq-server; Kafka: "
    "unpack it and set KAFKA_HOME), no container engine answers, and neither KAFKA_BOOTSTRAP (host:port) nor "
    "RABBITMQ_URL (amqp://user:password@host:5672/) names one."
)

Say = Callable[[str], None]
Send = Callable[[Way], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Story:
    """One broker's part. `send` makes what the consumers read from, and puts MESSAGES there."""

    name: str
    title: str
    way: Way
    document: str
    send: Send


def run_demo_lag(examples: Path, step: Say) -> None:
    """NotReady where a consumer does not do as it should; UsageProblem where there is no broker at all."""
    folder = examples / "lag"
    if not folder.is_dir():
        raise UsageProblem("examples/lag is not here: run `pilotlight demo lag` in a checkout")
    root = Path(tempfile.mkdtemp(prefix="pilotlight-demo-"))
    try:
        kafka, rabbitmq = find_kafka(root), find_rabbitmq(root)
        if kafka is None and rabbitmq is None:
            raise UsageProblem(MISSING)
        stories = []
        if kafka is not None:
            stories.append(Story("kafka-orders", "Kafka", kafka, _kafka_document(folder, kafka), send_to_kafka))
        if rabbitmq is not None:
            text = _rabbitmq_document(folder, rabbitmq)
            stories.append(Story("rabbitmq-orders", "RabbitMQ", rabbitmq, text, send_to_rabbitmq))
        for name, way, variable in (("Kafka", kafka, "KAFKA_BOOTSTRAP"), ("RabbitMQ", rabbitmq, "RABBITMQ_URL")):
            if way is None:
                step(f"no {name} to be had (install it, or name one with {variable}): its part is left out")
        with contextlib.ExitStack() as brokers:
            for story in stories:
                brokers.enter_context(started(story.way, root / f"{story.name}.log"))
                step(f"{story.title}: {story.way.words}")
            _show(stories, root, step)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    step("all stopped, the folder removed")


def _show(stories: Sequence[Story], root: Path, step: Say) -> None:
    session = Session(DataDir(root / "platform"))
    running = start_detached(PlatformOptions(session.data_dir, gateway_port=0, api_port=0))
    step(f"platform up: {running.api}")
    try:
        for story in stories:
            session.run(lambda client, story=story: show(client, story, step))  # type: ignore[misc]
    finally:
        stop(running)


async def show(client: KubernetesClient, story: Story, step: Say) -> None:
    """The story of one broker, once the platform runs."""
    await open_pod(client, story.way)
    for document in yaml.safe_load_all(story.document):
        document["metadata"]["namespace"] = "default"
        await client.apply(KINDS[document["kind"]], document, "pilotlight")
    step(f"applied a Deployment with 0 replicas, and a ScaledObject on {story.title}")
    began = time.perf_counter()
    await story.send(story.way)
    step(f"sent {MESSAGES} orders")
    await follow(client, story, began)
    step(f"why, in the words of `pilotlight explain scaledobject/{story.name}`")
    answer = await client.call("GET", EXPLAIN_PATH.format(name=story.name))
    for decision in answer["items"][-5:]:
        say(f"    {decision['words']}")


async def follow(client: KubernetesClient, story: Story, began: float) -> None:
    """Prints each change of the replicas, until they are zero again."""
    most, last = 0, None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while not (most and last == (0, 0)):
                deployment = await client.get(DEPLOYMENT, story.name, "default")
                ready = (deployment.get("status") or {}).get("readyReplicas") or 0
                now = (deployment["spec"]["replicas"], ready)
                if now != last and (now[0] or most):
                    say(f"    {time.perf_counter() - began:5.1f} s  {ready} of {now[0]} ready")
                most, last = max(most, ready), now
                await asyncio.sleep(0.05)
    except TimeoutError:
        said = await _conditions(client, story.name)
        raise NotReady(f"{story.name} has {last} of replicas after {TIMEOUT_S:g} s. {said}") from None


async def send_to_kafka(way: Way) -> None:
    access = Access(tuple(way.address.split(",")))
    admin, producer = Admin(access, "demo"), Producer(access, TOPIC, "demo")
    try:
        await admin.create_topic(TOPIC, PARTITIONS, 1)
        producer.start()
        orders = (str(number).encode() for number in range(MESSAGES))
        await producer.send([Outgoing(order, order, ()) for order in orders])
    finally:
        await producer.close()
        await admin.close()


async def send_to_rabbitmq(way: Way) -> None:
    session = RabbitmqSession(access_of({"uri": way.address}), "demo")
    await session.open()
    try:
        await session.declare(Queue(TOPIC, "classic"))
        await asyncio.gather(*(session.publish("", TOPIC, Content(str(n).encode())) for n in range(MESSAGES)))
    finally:
        await session.close()


async def _conditions(client: KubernetesClient, name: str) -> str:
    scaled = await client.get(SCALED_OBJECT, name, "default")
    said = (scaled.get("status") or {}).get("conditions") or ()
    return "; ".join(f"{each['type']}={each['status']}: {each.get('message', '')}" for each in said)


def _kafka_document(folder: Path, way: Way) -> str:
    text = (folder / "kafka.yaml").read_text().replace("localhost:9092", way.address)
    return _localized(text, folder)


def _rabbitmq_document(folder: Path, way: Way) -> str:
    text = (folder / "rabbitmq.yaml").read_text().replace("amqp://guest:guest@localhost:5672/", way.address)
    return _localized(text, folder)


def _localized(text: str, folder: Path) -> str:
    """The programs where they are, run by the Python that has their client libraries: ours."""
    found: list[Json] = list(yaml.safe_load_all(text.replace("/path/to/examples/lag", str(folder))))
    for document in found:
        if document["kind"] == DEPLOYMENT.kind:
            document["spec"]["template"]["spec"]["containers"][0]["command"][0] = sys.executable
    return yaml.safe_dump_all(found)
