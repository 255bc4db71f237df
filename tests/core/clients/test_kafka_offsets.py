"""Where groups stand, asked of a real Kafka: batches, connections, what hangs, what breaks and heals."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from kafka.net.manager import KafkaConnectionManager

from core.clients import kafka_offsets, kafka_wire
from core.clients.kafka_access import Access
from core.clients.kafka_admin import Admin
from core.clients.kafka_offsets import Offsets
from core.clients.kafka_positions import GroupPositions, GroupQuestion, Position
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Outgoing
from core.errors import PermanentError, TemporaryError
from tests.support.kafka import PASSWORD, USER, kafka_server

_numbers = itertools.count()


def fresh(what: str) -> str:
    return f"offsets-{what}-{next(_numbers)}"


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


async def topic_with(admin: Admin, partitions: int, records: int = 0) -> str:
    topic = fresh("topic")
    await admin.create_topic(topic, partitions, 1)
    if records:
        producer = Producer(kafka_server().access, topic, "test")
        producer.start()
        await producer.send([Outgoing(str(n).encode(), b"x", ()) for n in range(records)])
        await producer.close()
    return topic


def sum_of(found: GroupPositions) -> int:
    return sum(each.end or 0 for each in found.positions.values())


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What goes to brokers from now on, by name."""
    counted: Counter[str] = Counter()
    send = KafkaConnectionManager.send

    def counting(self: Any, request: Any, *more: Any, **named: Any) -> Any:
        counted[type(request).__name__] += 1
        return send(self, request, *more, **named)

    monkeypatch.setattr(KafkaConnectionManager, "send", counting)
    return counted


def connections(port: int) -> int:
    """Of this machine to that port, established."""
    peer = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(peer) and row[3] == "01" for row in rows)


def test_positions() -> None:
    async def main() -> None:
        admin, offsets = Admin(kafka_server().access, "test"), Offsets(kafka_server().access, "test")
        topic, group = await topic_with(admin, 1, records=5), fresh("group")
        never = await offsets.ask(GroupQuestion(group, (topic,)))
        assert never == GroupPositions({(topic, 0): Position(None, 5, 0)}, {}, begun=False)
        assert await offsets.ask(GroupQuestion(group)) == GroupPositions({}, {}, begun=False)
        await admin.begin(group, [topic], "offset", 2)
        begun = GroupPositions({(topic, 0): Position(2, 5, 0)}, {}, begun=True)
        assert await offsets.ask(GroupQuestion(group, (topic,))) == begun
        assert await offsets.ask(GroupQuestion(group)) == begun
        gone = await offsets.ask(GroupQuestion(group, ("offsets-none", topic)))
        assert gone.missing == {"offsets-none": "UnknownTopicOrPartition"}
        assert gone.positions == begun.positions
        wrong = await offsets.ask(GroupQuestion(group, ("no/topic",)))
        assert wrong.missing == {"no/topic": "InvalidTopic"}
        assert await admin.partitions("offsets-none") is None  # asking makes none
        await offsets.close()
        await admin.close()

    run(main)


def test_two_hundred_groups_are_one_batch_over_one_connection(requests: Counter[str]) -> None:
    async def main() -> None:
        server = kafka_server()
        admin = Admin(server.access, "test")
        topics = [await topic_with(admin, 2) for _ in range(4)]
        groups = [fresh("group") for _ in range(200)]
        for group in groups[:8]:
            await admin.begin(group, topics, "latest")
        await admin.close()
        port = int(server.bootstrap.rpartition(":")[2])
        before = connections(port)
        offsets = Offsets(server.access, "test")
        questions = [GroupQuestion(group, (topics[n % 4],)) for n, group in enumerate(groups)]
        await asyncio.gather(*map(offsets.ask, questions))  # connects, and asks which broker has which
        requests.clear()
        found = await asyncio.gather(*map(offsets.ask, questions))
        assert [set(each.positions) for each in found] == [
            {(question.topics[0], 0), (question.topics[0], 1)} for question in questions
        ]
        assert [each.begun for each in found] == [n < 8 for n in range(200)]
        # All groups' offsets, all partitions' ends, and the starts of those in which nothing is committed.
        assert requests == {"OffsetFetchRequest": 1, "ListOffsetsRequest": 2}
        assert connections(port) - before == 1
        await offsets.close()
        assert connections(port) == before

    run(main)


@pytest.mark.parametrize(
    ("credit", "least", "most"),
    [pytest.param(1.0, 2, 12, id="32 to a batch, or 0.1 s apart"), pytest.param(100.0, 5, 70, id="after a calm")],
)
def test_askers_of_a_while_share_batches(
    requests: Counter[str], monkeypatch: pytest.MonkeyPatch, credit: float, least: int, most: int
) -> None:
    monkeypatch.setattr(kafka_offsets, "CREDIT_MAX", credit)

    async def main() -> None:
        offsets = Offsets(kafka_server().access, "test")
        group = fresh("group")
        await offsets.ask(GroupQuestion(group))
        requests.clear()

        async def ask(after_s: float) -> None:
            await asyncio.sleep(after_s)
            await offsets.ask(GroupQuestion(group))

        await asyncio.gather(*(ask(n / 1000) for n in range(300)))
        assert least <= requests["OffsetFetchRequest"] <= most
        await offsets.close()

    run(main)


def test_kafka_before_version_three_is_asked_group_by_group(
    requests: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a cluster lacks OffsetFetch 8 and FindCoordinator 4; this one is told that we speak no more than it."""
    monkeypatch.setattr(kafka_wire, "_BATCHED_OFFSETS", 100)
    monkeypatch.setattr(kafka_wire, "_BATCHED_COORDINATORS", 100)

    async def main() -> None:
        admin, offsets = Admin(kafka_server().access, "test"), Offsets(kafka_server().access, "test")
        topic, groups = await topic_with(admin, 1, records=3), [fresh("group") for _ in range(3)]
        for n, group in enumerate(groups):
            await admin.begin(group, [topic], "offset", n)
        await admin.close()
        requests.clear()
        found = await asyncio.gather(*(offsets.ask(GroupQuestion(group)) for group in groups))
        assert [each.positions[topic, 0].committed for each in found] == [0, 1, 2]
        assert (requests["FindCoordinatorRequest"], requests["OffsetFetchRequest"]) == (3, 3)
        await offsets.close()

    run(main)


def test_partitions_that_are_added_and_topics_made_anew_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_wire, "METADATA_S", 0.3)

    async def main() -> None:
        admin, offsets = Admin(kafka_server().access, "test"), Offsets(kafka_server().access, "test")
        topic = await topic_with(admin, 1, records=3)
        question = GroupQuestion(fresh("group"), (topic,))
        assert len((await offsets.ask(question)).positions) == 1
        await admin._ask(lambda client: client.create_partitions({topic: 3}))
        while len((await offsets.ask(question)).positions) != 3:
            await asyncio.sleep(0.05)
        await admin.delete_topic(topic)
        while not (found := await offsets.ask(question)).missing:
            # In between it is known that nothing is known.
            assert all(each.end is None or each.problem == "" for each in found.positions.values())
            await asyncio.sleep(0.05)
        assert found == GroupPositions({}, {topic: "UnknownTopicOrPartition"}, begun=False)
        await admin.create_topic(topic, 2, 1)
        while set((found := await offsets.ask(question)).positions) != {(topic, 0), (topic, 1)} or found.missing:
            await asyncio.sleep(0.05)
        while sum_of(found := await offsets.ask(question)) or any(p.problem for p in found.positions.values()):
            await asyncio.sleep(0.05)
        await offsets.close()
        await admin.close()

    run(main)


def test_a_broker_that_is_killed_and_comes_back() -> None:
    async def main() -> None:
        server = kafka_server()
        admin, offsets = Admin(server.access, "test"), Offsets(server.access, "test")
        topic = await topic_with(admin, 1, records=3)
        await admin.close()
        question = GroupQuestion(fresh("group"), (topic,))
        assert sum_of(await offsets.ask(question)) == 3
        asked = asyncio.gather(*(offsets.ask(question) for _ in range(5)), return_exceptions=True)
        server.kill()
        answers = await asked
        assert all(isinstance(each, TemporaryError | GroupPositions) for each in answers)
        with pytest.raises(TemporaryError, match="Kafka"):
            await asked_whole(offsets, question)
        await asyncio.to_thread(server.start)
        came_back = time.monotonic()
        while True:
            try:
                found = await asked_whole(offsets, question)
                break
            except TemporaryError:
                await asyncio.sleep(0.1)
        assert sum_of(found) == 3
        assert time.monotonic() - came_back < 10
        await offsets.close()

    run(main)


async def asked_whole(offsets: Offsets, question: GroupQuestion) -> GroupPositions:
    """TemporaryError also where a part is not known."""
    found = await offsets.ask(question)
    if found.missing or any(each.problem for each in found.positions.values()):
        raise TemporaryError(f"Kafka: {found}")
    return found


def test_a_broker_that_hangs_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_wire, "REQUEST_S", 0.5)
    monkeypatch.setattr(kafka_wire, "BOOTSTRAP_S", 0.5)
    monkeypatch.setattr(kafka_offsets, "ANSWER_S", 1.5)

    async def main() -> None:
        server = kafka_server()
        offsets = Offsets(server.access, "test")
        question = GroupQuestion(fresh("group"))
        await offsets.ask(question)
        server.suspend()
        try:
            for _ in range(3):
                began = time.monotonic()
                with pytest.raises(TemporaryError, match="Kafka"):
                    await offsets.ask(question)
                assert time.monotonic() - began < 3
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):  # an asker's own deadline
                    await offsets.ask(question)
            assert time.monotonic() - began < 0.6
        finally:
            server.resume()
        while True:
            try:
                assert await offsets.ask(question) == GroupPositions({}, {}, begun=False)
                break
            except TemporaryError:
                await asyncio.sleep(0.1)
        await offsets.close()

    run(main)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_users(mechanism: str, tls: bool) -> None:
    async def main() -> None:
        server = kafka_server()
        where = (server.tls_bootstrap if tls else server.sasl_bootstrap,)
        ca = server.ca if tls else None
        offsets = Offsets(Access(where, mechanism, USER, PASSWORD, tls=tls, ca=ca), "test")
        assert await offsets.ask(GroupQuestion(fresh("group"))) == GroupPositions({}, {}, begun=False)
        await offsets.close()
        wrong = Offsets(Access(where, mechanism, USER, "a guessed password", tls=tls, ca=ca), "test")
        with pytest.raises(TemporaryError) as refused:
            await wrong.ask(GroupQuestion(fresh("group")))
        assert str(refused.value) == f"Kafka at {where[0]} refuses the user 'alice': wrong name or password"
        await wrong.close()

    run(main)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({}, "certificate verify failed", id="a certificate that nobody vouches for"),
        pytest.param({"check_certificate": False}, "", id="any certificate will do"),
        pytest.param({"ca": "nonsense"}, "certificates for Kafka cannot be used", id="a CA that is none"),
    ],
)
def test_certificates(change: dict[str, Any], words: str) -> None:
    async def main() -> None:
        server = kafka_server()
        offsets = Offsets(Access((server.tls_bootstrap,), "PLAIN", USER, PASSWORD, tls=True, **change), "test")
        if words:
            with pytest.raises((TemporaryError, PermanentError), match=words):
                await offsets.ask(GroupQuestion(fresh("group")))
        else:
            assert not (await offsets.ask(GroupQuestion(fresh("group")))).begun
        await offsets.close()

    run(main)


def test_nobody_is_there() -> None:
    async def main() -> None:
        offsets = Offsets(Access(("127.0.0.1:1",)), "test")
        with pytest.raises(TemporaryError, match=r"Kafka at 127.0.0.1:1 cannot be reached: Connection refused"):
            await offsets.ask(GroupQuestion("x"))
        await offsets.close()

    run(main)


def test_one_of_several_servers_is_enough() -> None:
    async def main() -> None:
        offsets = Offsets(Access(("127.0.0.1:1", kafka_server().bootstrap)), "test")
        assert not (await offsets.ask(GroupQuestion(fresh("group")))).begun
        await offsets.close()

    run(main)


def test_an_address_that_is_none_and_a_thread_that_ended_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        offsets = Offsets(Access(("kafka:port",)), "test")
        with pytest.raises(Exception, match="port"):
            await offsets.ask(GroupQuestion("x"))
        await offsets.close()
        offsets = Offsets(kafka_server().access, "test")
        question = GroupQuestion(fresh("group"))
        await offsets.ask(question)
        assert offsets._wire is not None
        offsets._wire._net.stop()
        offsets._wire._net._closed = True
        with pytest.raises(Exception, match="closed"):
            await offsets.ask(question)
        assert not (await offsets.ask(question)).begun
        monkeypatch.setattr(kafka_offsets, "LOST_S", 0.2)
        monkeypatch.setattr(kafka_wire.Wire, "read", lambda *_: None)
        for _ in range(kafka_offsets.BATCHES_MAX + 1):
            with pytest.raises(TemporaryError, match="no answer"):
                await offsets.ask(question)
        await offsets.close()

    run(main)


def test_whoever_closes_it_waits_for_its_thread() -> None:
    async def main() -> None:
        offsets = Offsets(kafka_server().access, "test")
        asked: Sequence[Any] = [asyncio.ensure_future(offsets.ask(GroupQuestion("x"))) for _ in range(3)]
        await asyncio.sleep(0.02)
        await offsets.close()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, TemporaryError | GroupPositions) for each in answers)

    run(main)
