"""A Deployment of consumers and a ScaledObject as on KEDA's page, on a whole platform with a real RabbitMQ: 0 → N → 0.

Documents by the real kubectl; the consumer is a process of its own with pika.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_event_journey import Hands
from tests.support.platform import Platform
from tests.support.queues import working
from tests.support.rabbitmq import Rabbitmq

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(300)]
CONSUMER = Path(__file__).parents[1] / "support/consumer.py"
DOCUMENTS = """
apiVersion: v1
kind: Secret
metadata:
  name: keda-rabbitmq-secret
stringData:
  host: {host}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: rabbitmq-consumer
spec:
  replicas: 0
  selector:
    matchLabels: {{app: rabbitmq-consumer}}
  template:
    metadata:
      labels: {{app: rabbitmq-consumer}}
    spec:
      runtimeClassName: process
      terminationGracePeriodSeconds: 30
      containers:
      - name: consumer
        image: consumer
        command: ["{python}", "-P", "{consumer}"]
        env:
        - {{name: RABBITMQ_URL, value: "{amqp}"}}
        - {{name: QUEUE, value: hello}}
        - {{name: SECONDS, value: "{seconds}"}}
        - {{name: BOOK, value: "{book}"}}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: keda-trigger-auth-rabbitmq-conn
spec:
  secretTargetRef:
    - parameter: host
      name: keda-rabbitmq-secret
      key: host
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: rabbitmq-scaledobject
spec:
  scaleTargetRef:
    name: rabbitmq-consumer
  pollingInterval: 1
  cooldownPeriod: 2
  maxReplicaCount: 5
  triggers:
  - type: rabbitmq
    metadata:
      protocol: auto
      queueName: hello
      mode: QueueLength
      value: "10"{more}
    authenticationRef:
      name: keda-trigger-auth-rabbitmq-conn
"""


@pytest.fixture
def scaled(platform: Platform, rabbitmq: Rabbitmq, vhost: str, tmp_path: Path) -> Iterator[Scaled]:
    scaled = Scaled(Hands(platform), rabbitmq, vhost, tmp_path / "book")
    yield scaled
    scaled.delete()


class Scaled:
    def __init__(self, hands: Hands, rabbitmq: Rabbitmq, vhost: str, book: Path) -> None:
        self.hands = hands
        self.rabbitmq = rabbitmq
        self.vhost = vhost
        self.book = book
        self._documents = ""

    def apply(self, protocol: str, seconds: float = 0.05) -> None:
        more = ""
        host = f"{self.rabbitmq.http_url}/{self.vhost}"
        if protocol == "amqp":
            host = self.rabbitmq.uri(self.vhost)
            more = f"\n      managementHost: http://127.0.0.1:{self.rabbitmq.http_port}"
        self._documents = DOCUMENTS.format(
            host=host,
            amqp=self.rabbitmq.uri(self.vhost),
            python=sys.executable,
            consumer=CONSUMER,
            seconds=seconds,
            book=self.book,
            more=more,
        )
        self.hands.type("kubectl", "apply", "-f", "-", stdin=self._documents)

    def delete(self) -> None:
        self.hands.type("kubectl", "delete", "-f", "-", "--ignore-not-found", stdin=self._documents)

    def put(self, first: int, count: int) -> None:
        async def publish() -> None:
            async with working(self.rabbitmq, self.vhost, ["hello"]) as work:
                await work.put_all("hello", [str(number) for number in range(first, first + count)])

        asyncio.run(publish())

    def replicas(self) -> int:
        words = ("deploy", "rabbitmq-consumer", "-o", "jsonpath={.spec.replicas}")
        return int(self.hands.type("kubectl", "get", *words) or 0)

    def until(self, what: str, replicas: int, seconds: float = 60.0) -> list[int]:
        """Every count that was seen on the way."""
        deadline, seen = time.monotonic() + seconds, [self.replicas()]
        while seen[-1] != replicas:
            assert time.monotonic() < deadline, f"{what}: {seen}"
            time.sleep(0.05)
            now = self.replicas()
            seen += [now] if now != seen[-1] else []
        return seen

    def until_gone(self, seconds: float = 60.0) -> None:
        """A consumer that is being stopped takes what it is given."""
        words = ("kubectl", "get", "pods", "-l", "app=rabbitmq-consumer", "-o", "name")
        deadline = time.monotonic() + seconds
        while pods := self.hands.type(*words):
            assert time.monotonic() < deadline, pods
            time.sleep(0.1)

    def until_done(self, messages: int, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while len(self.lines("-")) != messages:
            assert time.monotonic() < deadline, f"{len(self.lines('-'))} of {messages} are done"
            time.sleep(0.05)

    def lines(self, sign: str) -> Counter[str]:
        text = self.book.read_text() if self.book.exists() else ""
        return Counter(line[1:] for line in text.splitlines() if line.startswith(sign))


@pytest.mark.parametrize("protocol", ["amqp", "http"])
def test_from_zero_to_many_and_back(scaled: Scaled, protocol: str) -> None:
    scaled.put(0, 0)
    scaled.apply(protocol)
    scaled.hands.type("kubectl", "wait", "--for=condition=Ready", "--timeout=30s", "so/rabbitmq-scaledobject")
    assert scaled.replicas() == 0
    scaled.put(0, 300)
    assert set(scaled.until("what needs thirty asks for all five at once", 5)) <= {0, 5}
    told = scaled.hands.type("kubectl", "get", "so,events", "-o", "yaml")
    assert "s0-rabbitmq-hello" in told
    assert "guest:guest" not in told
    scaled.until_done(300)
    scaled.until("back to nothing", 0)
    assert scaled.lines("+") == scaled.lines("-") == Counter(str(number) for number in range(300))
    scaled.until_gone()
    scaled.put(300, 1)
    scaled.until("one message wakes one", 1)
    scaled.until_done(301)
    scaled.until("back to nothing again", 0)


def test_none_is_stopped_in_its_work(scaled: Scaled) -> None:
    """The queue is empty, as AMQP has it, while a message is in hand for far longer than cooldown is."""
    scaled.put(0, 0)
    scaled.apply("amqp", seconds=25)
    scaled.put(0, 1)
    scaled.until("one is woken", 1)
    while not scaled.lines("+"):
        time.sleep(0.05)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert scaled.replicas() == 1
        time.sleep(0.2)
    scaled.until_done(1)
    scaled.until("back to nothing", 0)
    assert scaled.lines("+") == {"0": 1}
