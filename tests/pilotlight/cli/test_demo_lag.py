"""`pilotlight demo lag`, with a real Kafka and a real RabbitMQ: both consumers go from zero to many and back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from core.clients.kafka_admin import Admin
from core.clients.kafka_terms import Partition
from core.clients.rabbitmq_terms import Content, Queue
from pilotlight.cli.demo import EXAMPLES
from pilotlight.cli.demo_brokers import Way
from pilotlight.cli.demo_lag import MISSING, rabbitmq_session, run_demo_lag
from pilotlight.cli.session import UsageProblem
from tests.support.kafka import kafka_server
from tests.support.rabbitmq import Rabbitmq

pytestmark = pytest.mark.timeout(300)


def test_the_whole_story(
    rabbitmq: Rabbitmq, vhost: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their brokers have orders of their own, which stay, and the demo's own do not."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka_server().bootstrap)
    monkeypatch.setenv("RABBITMQ_URL", rabbitmq.uri(vhost))
    before = asyncio.run(with_orders(rabbitmq.uri(vhost)))
    steps: list[str] = []
    run_demo_lag(EXAMPLES, steps.append)
    assert steps[-1] == "all stopped, the folder removed"
    assert [step for step in steps if step.startswith("sent")] == ["sent 100 orders"] * 2
    said = capsys.readouterr().out
    assert "8 of 8 ready" in said, f"Kafka: one for each partition\n{said}"
    assert "10 of 10 ready" in said, f"RabbitMQ: one for each ten messages\n{said}"
    assert said.count("  0 of 0 ready") == 2
    assert asyncio.run(there(rabbitmq.uri(vhost))) == before


async def with_orders(uri: str) -> tuple[Mapping[Partition, int], Collection[str], int]:
    """A topic and a queue that are called like those of the examples, and an order in the queue."""
    admin = Admin(kafka_server().access, "test")
    await admin.create_topic("orders", 1, 1)
    await admin.close()
    async with rabbitmq_session(Way("", uri)) as session:
        await session.declare(Queue("orders", "classic"))
        await session.publish("", "orders", Content(b"theirs"))
    return await there(uri)


async def there(uri: str) -> tuple[Mapping[Partition, int], Collection[str], int]:
    """Where their topic ends, the demo's topics and groups, and how much their queue has."""
    admin = KafkaAdminClient(bootstrap_servers=kafka_server().bootstrap)
    named = [*admin.list_topics(), *(each["group_id"] for each in admin.list_groups())]
    admin.close()
    own = Admin(kafka_server().access, "test")
    ends = await own.ends(["orders"])
    await own.close()
    async with rabbitmq_session(Way("", uri)) as session:
        depth = await session.depth("orders")
    return ends, sorted(each for each in named if each.startswith("pilotlight-demo")), depth


def test_no_broker_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP", "RABBITMQ_URL", "KAFKA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("pilotlight.cli.demo_brokers.RABBITMQ_FOLDERS", ())
    monkeypatch.setattr("pilotlight.cli.demo_brokers.KAFKA_FOLDERS", ())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere")
    with pytest.raises(UsageProblem) as raised:
        run_demo_lag(EXAMPLES, lambda step: None)
    assert str(raised.value) == MISSING
    with pytest.raises(UsageProblem, match="examples/lag is not here"):
        run_demo_lag(tmp_path, lambda step: None)
