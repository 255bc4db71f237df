"""The Kafka client against a real broker: topics, groups, producing, consuming, and what comes of trouble."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import pytest
from kafka import errors as kafka_errors

from core.clients import kafka_admin, kafka_consumer, kafka_producer
from core.clients.kafka_access import Access
from core.clients.kafka_admin import Admin
from core.clients.kafka_consumer import Consumer
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Committed, Outgoing, Partition, Received, translate
from core.errors import PermanentError, TemporaryError, TooLarge, TooManyRequests
from tests.support.kafka import PASSWORD, USER, kafka_server

_numbers = itertools.count()


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


def fresh(what: str) -> str:
    return f"{what}-{next(_numbers)}"


class Told:
    """A reader that reads everything from where its group was."""

    def __init__(self) -> None:
        self.consumer: Consumer | None = None
        self.owned: dict[Partition, Committed] = {}
        self.records: list[Received] = []
        self.ends: dict[Partition, int] = {}
        self.troubles: list[Exception] = []

    def assigned(self, found: Mapping[Partition, Committed]) -> None:
        assert self.consumer is not None
        self.owned |= found
        self.consumer.read({partition: to.offset for partition, to in found.items()})

    def revoked(self, partitions: Collection[Partition]) -> None:
        for each in partitions:
            self.owned.pop(each, None)

    def arrived(self, records: Sequence[Received]) -> None:
        self.records += records

    def ended(self, ends: Mapping[Partition, int]) -> None:
        self.ends |= ends

    def troubled(self, error: Exception) -> None:
        self.troubles.append(error)

    async def has(self, count: int) -> list[Received]:
        while len(self.records) < count:
            await asyncio.sleep(0.005)
        return self.records


def consuming(access: Access, group: str, topic: str, name: str = "test") -> tuple[Consumer, Told]:
    told = Told()
    told.consumer = Consumer(access, group, [topic], name, told)
    told.consumer.start()
    return told.consumer, told


def record(value: str, key: str | None = None) -> Outgoing:
    return Outgoing(None if key is None else key.encode(), value.encode(), (("n", value.encode()),))


def test_topics_come_and_go() -> None:
    async def main() -> None:
        admin, topic = Admin(kafka_server().access, "test"), fresh("topic")
        assert await admin.partitions(topic) is None
        await admin.create_topic(topic, 3, 1)
        await admin.create_topic(topic, 5, 1)
        assert await admin.partitions(topic) == 3
        assert await admin.ends([topic]) == {(topic, 0): 0, (topic, 1): 0, (topic, 2): 0}
        await admin.delete_topic(topic)
        await admin.delete_topic(topic)
        while await admin.partitions(topic) is not None:
            await asyncio.sleep(0.05)
        with pytest.raises(PermanentError, match="InvalidReplicationFactor"):
            await admin.create_topic(topic, 1, 3)
        await admin.close()

    run(main)


def test_what_is_produced_is_consumed_and_committed_with_its_note() -> None:
    async def main() -> None:
        access, topic, group = kafka_server().access, fresh("topic"), fresh("group")
        admin, producer = Admin(access, "test"), Producer(access, topic, "test")
        await admin.create_topic(topic, 1, 1)
        await admin.begin(group, [topic], "earliest")
        producer.start()
        assert await producer.send([record("a", "k"), record("b")]) == (0, 0)
        assert await producer.send([Outgoing(None, None, ())]) == (0, 2)
        consumer, told = consuming(access, group, topic)
        got = await told.has(3)
        assert [(each.value, each.key, each.headers) for each in got] == [
            (b"a", b"k", [("n", b"a")]), (b"b", None, [("n", b"b")]), (None, None, [])
        ]  # fmt: skip
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        consumer.commit({(topic, 0): Committed(1, "a note")}, kept.set_result)
        assert await kept
        assert await admin.committed(group) == {(topic, 0): Committed(1, "a note")}
        with pytest.raises(TemporaryError, match="NonEmptyGroup"):
            await admin.delete_group(group)
        await consumer.close({(topic, 0): Committed(2, "")})
        consumer, told = consuming(access, group, topic)
        assert [each.value for each in await told.has(1)] == [None]
        while told.ends != {(topic, 0): 3}:
            await asyncio.sleep(0.01)
        await consumer.close({})
        await admin.delete_group(group)
        await admin.delete_group(group)
        assert await admin.committed(group) == {}
        await producer.close()
        await admin.close()

    run(main)


@pytest.mark.parametrize(
    ("where", "value", "first"),
    [("earliest", 0, 0), ("latest", 0, 3), ("offset", 2, 2), ("offset", 9, 3), ("time", 1, 0)],
)
def test_a_group_begins_where_it_is_told_and_only_once(where: str, value: float, first: int) -> None:
    async def main() -> None:
        access, topic, group = kafka_server().access, fresh("topic"), fresh("group")
        admin, producer = Admin(access, "test"), Producer(access, topic, "test")
        await admin.create_topic(topic, 1, 1)
        producer.start()
        await producer.send([record("a"), record("b"), record("c")])
        await admin.begin(group, [topic], where, value)
        await admin.begin(group, [topic], "earliest")
        assert await admin.committed(group) == {(topic, 0): Committed(first)}
        await producer.close()
        await admin.close()

    run(main)


def test_records_stay_where_they_are_while_a_consumer_pauses() -> None:
    async def main() -> None:
        access, topic, group = kafka_server().access, fresh("topic"), fresh("group")
        admin, producer = Admin(access, "test"), Producer(access, topic, "test")
        await admin.create_topic(topic, 2, 1)
        producer.start()
        consumer, told = consuming(access, group, topic)
        await producer.send([record("a")])
        await told.has(1)
        consumer.pause(True)
        while not consumer._paused:
            await asyncio.sleep(0.01)
        await producer.send([record("b")])
        await asyncio.sleep(0.3)  # nothing to wait for: nothing is to come
        assert len(told.records) == 1
        consumer.pause(False)
        await told.has(2)
        await consumer.close({})
        await producer.close()
        await admin.close()

    run(main)


def test_partitions_whose_offsets_cannot_be_asked_for_at_once_are_told_of_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that goes away between an assignment and the question how far the group had come."""
    really, tries = kafka_consumer._where, itertools.count()

    def sometimes(*question: Any) -> Committed:
        if next(tries) < 2:
            raise kafka_errors.KafkaConnectionError("gone")
        return really(*question)

    monkeypatch.setattr(kafka_consumer, "_where", sometimes)
    monkeypatch.setattr(kafka_consumer, "TROUBLE_S", 0.01)

    async def main() -> None:
        access, topic, group = kafka_server().access, fresh("topic"), fresh("group")
        admin = Admin(access, "test")
        await admin.create_topic(topic, 3, 1)
        consumer, told = consuming(access, group, topic)
        while len(told.owned) < 3:
            await asyncio.sleep(0.01)
        assert len(told.troubles) == 2
        await consumer.close({})
        await admin.close()

    run(main)


def test_two_members_share_partitions_and_one_that_died_is_put_out() -> None:
    async def main() -> None:
        access, topic, group = kafka_server().access, fresh("topic"), fresh("group")
        admin = Admin(access, "test")
        await admin.create_topic(topic, 4, 1)
        first, first_told = consuming(access, group, topic, "first")
        while len(first_told.owned) < 4:
            await asyncio.sleep(0.01)
        second, second_told = consuming(access, group, topic, "second")
        while (len(first_told.owned), len(second_told.owned)) != (2, 2):
            await asyncio.sleep(0.01)
        await admin.evict(group, "nobody")
        await second.close({})
        while len(first_told.owned) < 4:
            await asyncio.sleep(0.01)
        await admin.evict(group, "first")
        await first.close({})
        await admin.delete_group(group)
        await admin.close()

    run(main)


def logins() -> list[object]:
    return [
        pytest.param(mechanism, tls, id=f"{mechanism}{' over TLS' if tls else ''}")
        for mechanism, tls in [("PLAIN", False), ("PLAIN", True), ("SCRAM-SHA-256", False), ("SCRAM-SHA-512", True)]
    ]


@pytest.mark.parametrize(("mechanism", "tls"), logins())
def test_users_log_in(mechanism: str, tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    server = kafka_server()
    monkeypatch.setattr("core.clients.kafka_access.BOOTSTRAP_TIMEOUT_S", 1.0)
    monkeypatch.setattr(kafka_admin, "BOOTSTRAP_TIMEOUT_S", 1.0)
    servers = (server.tls_bootstrap if tls else server.sasl_bootstrap,)

    async def main() -> None:
        admin = Admin(Access(servers, mechanism, USER, PASSWORD, tls, server.ca if tls else None), "test")
        assert await admin.partitions(fresh("topic")) is None
        await admin.close()
        wrong = Admin(Access(servers, mechanism, USER, "guess", tls, server.ca if tls else None), "test")
        with pytest.raises((PermanentError, TemporaryError), match=r"(?i)authentication|password"):
            await wrong.partitions("x")
        await wrong.close()

    run(main)


def test_a_server_with_a_certificate_of_others_is_not_spoken_to(monkeypatch: pytest.MonkeyPatch) -> None:
    server = kafka_server()
    monkeypatch.setattr("core.clients.kafka_access.BOOTSTRAP_TIMEOUT_S", 0.5)
    monkeypatch.setattr(kafka_admin, "BOOTSTRAP_TIMEOUT_S", 0.5)

    async def main() -> None:
        admin = Admin(Access((server.tls_bootstrap,), "PLAIN", USER, PASSWORD, tls=True), "test")
        with pytest.raises((TemporaryError, PermanentError)):
            await admin.partitions("x")
        await admin.close()

    run(main)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.kafka_access.BOOTSTRAP_TIMEOUT_S", 0.3)
    monkeypatch.setattr(kafka_admin, "BOOTSTRAP_TIMEOUT_S", 0.3)
    access = Access(("127.0.0.1:1",))

    async def main() -> None:
        admin, producer, (consumer, told) = Admin(access, "x"), Producer(access, "t", "x"), consuming(access, "g", "t")
        producer.start()
        with pytest.raises(TemporaryError, match="bootstrap"):
            await admin.partitions("x")
        with pytest.raises(TemporaryError):
            await producer.send([record("a")])
        while not told.troubles:
            await asyncio.sleep(0.01)
        assert isinstance(told.troubles[0], TemporaryError)
        await consumer.close({})
        await producer.close()
        await admin.close()

    run(main)


def test_what_is_too_much_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        producer = Producer(Access(("127.0.0.1:1",)), "t", "x")
        with pytest.raises(TooLarge):
            producer.send([record("a" * kafka_producer.RECORD_BYTES_MAX)])
        monkeypatch.setattr(kafka_producer, "WAITING_BYTES_MAX", 10)
        with pytest.raises(TooManyRequests):
            producer.send([record("a" * 10)])
        await producer.close()

    run(main)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (kafka_errors.SaslAuthenticationFailedError("x"), PermanentError),
        (kafka_errors.TopicAuthorizationFailedError("x"), PermanentError),
        (kafka_errors.KafkaTimeoutError("x"), TemporaryError),
        (kafka_errors.MessageSizeTooLargeError("x"), TooLarge),
        (OSError("x"), TemporaryError),
    ],
)
def test_errors_in_our_words(error: Exception, kind: type[Exception]) -> None:
    assert type(translate(error)) is kind


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("111 ECONNREFUSED", "Connection refused"),
        ("Handshake failed: [SSL] EOF occurred", "no TLS is spoken there (Handshake failed: [SSL] EOF occurred)"),
        ("DNS Resolution failure", "its name cannot be resolved"),
        (
            "Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED]",
            "the broker's certificate cannot be verified (Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED])",
        ),
    ],
)
def test_why_a_broker_cannot_be_reached_is_told_in_words(said: str, words: str) -> None:
    assert str(translate(kafka_errors.KafkaConnectionError(said))) == f"Kafka cannot be reached: {words}"
    assert str(translate(kafka_errors.KafkaConnectionError("closed"))) == "Kafka: KafkaConnectionError: closed"
