"""`demo lag`: consumers of Kafka and RabbitMQ go from zero to as many as the lag asks for, and back, with real brokers.

The documents and the programs are those of `examples/lag`, with the addresses of the brokers that were found, and with
a topic, a group and a queue of the demo's own: a broker that somebody names may well have others' orders in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from core.errors import PermanentError, TemporaryError
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
ORDERS: Final = frozenset({"TOPIC", "GROUP", "QUEUE", "topic", "consumerGroup", "queueName"})
"""What names the topic, its group and the queue, in the consumers' environments and in the triggers' metadata."""

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
AtBroker = Callable[[Way, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Story:
    """One broker's part. `send` makes `orders`, which the consumers read, and puts MESSAGES there; `remove` ends it."""

    name: str
    title: str
    way: Way
    orders: str
    documents: Sequence[Json]
    send: AtBroker
    remove: AtBroker


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
        orders = f"pilotlight-demo-{secrets.token_hex(4)}"
        if kafka is not None:
            documents = localized(folder / "kafka.yaml", "localhost:9092", kafka.address, orders)
            at_kafka = (send_to_kafka, remove_from_kafka)
            stories.append(Story("kafka-orders", "Kafka", kafka, orders, documents, *at_kafka))
        if rabbitmq is not None:
            address = "amqp://guest:guest@localhost:5672/"
            documents = localized(folder / "rabbitmq.yaml", address, rabbitmq.address, orders)
            at_rabbitmq = (send_to_rabbitmq, remove_from_rabbitmq)
            stories.append(Story("rabbitmq-orders", "RabbitMQ", rabbitmq, orders, documents, *at_rabbitmq))
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
            session.run(partial(show, story=story, step=step))
    finally:
        stop(running)
        for story in stories:
            if story.way.theirs:
                asyncio.run(leave(story, step))


async def leave(story: Story, step: Say) -> None:
    """A broker that was there before is left as it was."""
    try:
        await story.remove(story.way, story.orders)
    except (TemporaryError, PermanentError) as error:
        step(f"{story.orders} could not be removed from {story.way.words}: {error}")


async def show(client: KubernetesClient, story: Story, step: Say) -> None:
    """The story of one broker, once the platform runs."""
    await open_pod(client, story.way)
    for document in story.documents:
        document["metadata"]["namespace"] = "default"
        await client.apply(KINDS[document["kind"]], document, "pilotlight")
    step(f"applied a Deployment with 0 replicas, and a ScaledObject on {story.title}")
    began = time.perf_counter()
    await story.send(story.way, story.orders)
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


async def send_to_kafka(way: Way, topic: str) -> None:
    access = Access(tuple(way.address.split(",")))
    admin, producer = Admin(access, "demo"), Producer(access, topic, "demo")
    try:
        await admin.create_topic(topic, PARTITIONS, 1)
        producer.start()
        orders = (str(number).encode() for number in range(MESSAGES))
        await producer.send([Outgoing(order, order, ()) for order in orders])
    finally:
        await producer.close()
        await admin.close()


async def remove_from_kafka(way: Way, topic: str) -> None:
    admin = Admin(Access(tuple(way.address.split(","))), "demo")
    try:
        await admin.delete_topic(topic)
        await admin.delete_group(topic)
    finally:
        await admin.close()


async def send_to_rabbitmq(way: Way, queue: str) -> None:
    async with rabbitmq_session(way) as session:
        await session.declare(Queue(queue, "classic"))
        await asyncio.gather(*(session.publish("", queue, Content(str(n).encode())) for n in range(MESSAGES)))


async def remove_from_rabbitmq(way: Way, queue: str) -> None:
    async with rabbitmq_session(way) as session:
        await session.delete(Queue(queue, "classic"))


@contextlib.asynccontextmanager
async def rabbitmq_session(way: Way) -> AsyncIterator[RabbitmqSession]:
    session = RabbitmqSession(access_of({"uri": way.address}), "demo")
    await session.open()
    try:
        yield session
    finally:
        await session.close()


async def _conditions(client: KubernetesClient, name: str) -> str:
    scaled = await client.get(SCALED_OBJECT, name, "default")
    said = (scaled.get("status") or {}).get("conditions") or ()
    return "; ".join(f"{each['type']}={each['status']}: {each.get('message', '')}" for each in said)


def localized(document: Path, address: str, found: str, orders: str) -> Sequence[Json]:
    """A document of the examples with what holds here: the broker's address, the programs where they are, run by the
    Python that has their client libraries (ours), and the names of what they read."""
    text = document.read_text().replace(address, found).replace("/path/to/examples/lag", str(document.parent))
    documents: Sequence[Json] = list(yaml.safe_load_all(text))
    for each in documents:
        if each["kind"] == DEPLOYMENT.kind:
            container = each["spec"]["template"]["spec"]["containers"][0]
            container["command"][0] = sys.executable
            for variable in container["env"]:
                if variable["name"] in ORDERS:
                    variable["value"] = orders
        if each["kind"] == SCALED_OBJECT.kind:
            metadata = each["spec"]["triggers"][0]["metadata"]
            metadata |= dict.fromkeys(ORDERS & metadata.keys(), orders)
    return documents
