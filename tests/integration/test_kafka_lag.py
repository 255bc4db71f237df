"""A Deployment of real Kafka consumers that follows its lag on a whole platform: from none to the partitions, and back.

The document is examples/lag/kafka.yaml, applied by the real kubectl as its README says.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from core.clients.kafka_admin import Admin
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Outgoing
from tests.support.kafka import kafka_server
from tests.support.platform import Platform
from tests.support.user import User

pytestmark = pytest.mark.kubectl

EXAMPLE = Path(__file__).parents[2] / "examples/lag"
DEPLOYMENT = "apis/apps/v1/namespaces/default/deployments/kafka-orders"
SCALED = "apis/keda.sh/v1alpha1/namespaces/default/scaledobjects/kafka-orders"
ORDERS = 60
PARTITIONS = 3
T = TypeVar("T")
_numbers = itertools.count()


class Orders:
    """A topic, and how far the group of its name has come."""

    def __init__(self) -> None:
        self.topic = f"orders-{next(_numbers)}"

    def make(self) -> None:
        async def make(admin: Admin) -> None:
            await admin.create_topic(self.topic, PARTITIONS, 1)

        asyncio.run(asked(make))

    def write(self, count: int) -> None:
        async def write() -> None:
            producer = Producer(kafka_server().access, self.topic, "test")
            producer.start()
            await producer.send([Outgoing(str(n).encode(), f"order {n}".encode(), ()) for n in range(count)])
            await producer.close()

        asyncio.run(write())

    def done(self) -> int:
        async def committed(admin: Admin) -> int:
            return sum(each.offset for each in (await admin.committed(self.topic)).values())

        return asyncio.run(asked(committed))


async def asked(question: Callable[[Admin], Awaitable[T]]) -> T:
    admin = Admin(kafka_server().access, "test")
    try:
        return await question(admin)
    finally:
        await admin.close()


@pytest.fixture
def orders(platform: Platform) -> Iterator[Orders]:
    """The example, with consumers of a topic of its own; it is taken away afterwards."""
    found = Orders()
    found.make()
    text = (EXAMPLE / "kafka.yaml").read_text()
    for old, new in {
        "/path/to": str(EXAMPLE.parents[1]),
        "localhost:9092": kafka_server().bootstrap,
        "command: [python3": f"command: [{sys.executable}",
        "value: orders": f"value: {found.topic}",
        "consumerGroup: orders": f"consumerGroup: {found.topic}",
        "topic: orders": f"topic: {found.topic}",
        "cooldownPeriod: 5": "cooldownPeriod: 2",
        "stabilizationWindowSeconds: 5": "stabilizationWindowSeconds: 2",
    }.items():
        assert old in text
        text = text.replace(old, new)
    kubectl(platform, "apply", "-f", "-", text=text)
    yield found
    kubectl(platform, "delete", "-f", "-", text=text)


def kubectl(platform: Platform, *arguments: str, text: str) -> None:
    done = subprocess.run(
        ["kubectl", *arguments],
        input=text,
        env=platform.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a warning"


def replicas(user: User) -> int:
    return int(user.get(DEPLOYMENT)["spec"]["replicas"])


def series(user: User, orders: Orders, count: int, seconds: float = 60) -> list[int]:
    """The replicas, each time they change, until all is done and none is left."""
    seen: list[int] = []
    deadline = time.monotonic() + seconds
    done = 0
    while done < count or seen[-1:] != [0]:
        assert time.monotonic() < deadline, (seen, done, user.get(SCALED)["status"])
        if (now := replicas(user)) != (seen or [0])[-1]:
            seen.append(now)
            done = orders.done()
        elif not now:
            done = orders.done()
        time.sleep(0.02)
    return seen


def test_from_none_to_the_partitions_and_back(platform: Platform, user: User, orders: Orders) -> None:
    time.sleep(2)
    assert replicas(user) == 0  # nothing waits
    for round_ in (1, 2):
        orders.write(ORDERS)
        seen = series(user, orders, round_ * ORDERS)
        assert seen[0] == PARTITIONS, "at once, and as many as there are partitions: 60 / 10 would be 6"
        assert seen == sorted(seen, reverse=True), "and then fewer and fewer"
        assert orders.done() == round_ * ORDERS
    conditions = {each["type"]: each["status"] for each in user.get(SCALED)["status"]["conditions"]}
    assert (conditions["Ready"], conditions["Active"]) == ("True", "False")


def test_a_broker_that_is_killed_takes_no_consumer_away(platform: Platform, user: User, orders: Orders) -> None:
    orders.write(ORDERS)
    deadline = time.monotonic() + 20
    while replicas(user) != PARTITIONS:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kafka_server().kill()
    gone = time.monotonic()
    while time.monotonic() < gone + 4:  # longer than cooldown and window
        assert replicas(user) == PARTITIONS
        time.sleep(0.1)
    kafka_server().start()
    series(user, orders, ORDERS, 90)
    assert orders.done() == ORDERS
