"""Brokers for the demo: named, installed, in an engine, or not to be had; with the real RabbitMQ and Kafka."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from core.clients.kafka_access import Access
from core.clients.kafka_admin import Admin
from core.clients.rabbitmq import Session
from core.clients.rabbitmq_access import access_of
from core.clients.rabbitmq_terms import Queue
from pilotlight.cli.demo_brokers import Way, find_kafka, find_rabbitmq, started
from pilotlight.cli.session import NotReady
from tests.support.kafka import jars
from tests.support.rabbitmq import MISSING, available

NAMES = ("KAFKA_BOOTSTRAP", "RABBITMQ_URL", "KAFKA_HOME")


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_one_that_is_named_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setenv("RABBITMQ_URL", "amqp://u:p@broker/")
    assert find_kafka(tmp_path) == Way("KAFKA_BOOTSTRAP", "broker:9092")
    assert find_rabbitmq(tmp_path) == Way("RABBITMQ_URL", "amqp://u:p@broker/")


def test_none_is_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("pilotlight.cli.demo_brokers.RABBITMQ_FOLDERS", ())
    monkeypatch.setattr("pilotlight.cli.demo_brokers.KAFKA_FOLDERS", ())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere")
    assert find_kafka(tmp_path) is None
    assert find_rabbitmq(tmp_path) is None


def test_an_installed_rabbitmq_runs_as_long_as_it_is_wanted(tmp_path: Path) -> None:
    if not available():
        pytest.skip(MISSING)
    way = find_rabbitmq(tmp_path)
    assert way is not None
    assert way.words.endswith("/rabbitmq-server")

    async def use() -> None:
        session = Session(access_of({"uri": way.address}), "test")
        await session.open()
        await session.declare(Queue("orders", "classic"))
        assert await session.depth("orders") == 0
        await session.close()

    with started(way, tmp_path / "log"):
        asyncio.run(use())
    assert way.environment is not None
    for port in (way.address.rpartition(":")[2].strip("/"), way.environment["ERL_EPMD_PORT"]):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", int(port)), 1)


def test_an_unpacked_kafka_runs_as_long_as_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "libs").symlink_to(jars())
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path / "kafka"))
    way = find_kafka(tmp_path)
    assert way is not None

    async def use() -> None:
        admin = Admin(Access((way.address,)), "test")
        await admin.create_topic("orders", 2, 1)
        assert await admin.partitions("orders") == 2
        await admin.close()

    with started(way, tmp_path / "log"):
        asyncio.run(use())
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(way.address.rpartition(":")[2])), 1)


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    way = Way("/opt/broker", "127.0.0.1:1", ("sh", "-c", "echo no memory; exit 3"))
    with pytest.raises(NotReady, match="/opt/broker did not start: no memory"), started(way, tmp_path / "log"):
        raise AssertionError("it has not started")
