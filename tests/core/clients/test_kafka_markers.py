"""Marks of transactions after what a group has read: told from records, over a real Kafka."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from kafka import KafkaProducer

from core.clients import kafka_markers
from core.clients.kafka_admin import Admin
from core.clients.kafka_markers import MARKS_MAX, Markers, Stretch, only_marks
from core.clients.kafka_offsets import Offsets
from core.clients.kafka_positions import GroupQuestion, Position
from tests.support.kafka import commit, kafka_server

_numbers = itertools.count()
HERE = Stretch("t", 0, 5, 7)


def test_a_stretch_is_looked_at_once_when_it_has_lain_still() -> None:
    markers = Markers()
    assert markers.due([HERE], 0.0) == []
    assert markers.due([HERE], 1.9) == []
    assert markers.due([HERE], 2.0) == [HERE]
    markers.tell(HERE, b"")
    assert markers.due([HERE], 9.0) == []
    assert not markers.only(HERE)
    more = HERE._replace(end=8)
    assert markers.due([more], 9.0) == []
    assert markers.due([more], 12.0) == [more]


def test_only_one_stretch_of_a_partition_is_asked_for_at_once() -> None:
    markers = Markers()
    both = [HERE, HERE._replace(first=6), HERE._replace(number=1)]
    markers.due(both, 0.0)
    first = markers.due(both, 5.0)
    assert len(first) == 2
    for each in first:
        markers.tell(each, b"")
    assert len(markers.due(both, 5.0)) == 1


@pytest.mark.parametrize("length", [0, MARKS_MAX + 1, 10**9])
def test_long_stretches_are_work(length: int) -> None:
    markers = Markers()
    assert [markers.due([HERE._replace(end=HERE.first + length)], now) for now in (0.0, 9.0)] == [[], []]


def test_it_remembers_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_markers, "REMEMBERED_MAX", 3)
    markers = Markers()
    stretches = [HERE._replace(number=n) for n in range(9)]
    markers.due(stretches, 0.0)
    assert len(markers.due(stretches[6:], 5.0)) == 3
    for each in stretches:
        markers.tell(each, b"")
    assert len(markers._found) == 3


def test_nothing_to_be_seen_is_no_proof() -> None:
    assert not only_marks(b"", HERE)
    assert not only_marks(b"\0" * 20, HERE)


def test_a_group_past_the_last_record_has_nothing_to_do() -> None:
    async def main() -> None:
        server = kafka_server()
        admin, offsets = Admin(server.access, "test"), Offsets(server.access, "test")
        topic, group = f"markers-{next(_numbers)}", f"markers-group-{next(_numbers)}"
        await admin.create_topic(topic, 2, 1)
        await asyncio.to_thread(write, server.bootstrap, topic)
        ends = {number: end for (_, number), end in (await admin.ends([topic])).items()}
        assert ends == {0: 4, 1: 2}  # two records and two marks; one record and its mark
        for name, at in ((group, (3, 1)), (f"{group}-behind", (2, 0))):
            await commit(admin, name, {(topic, n): to for n, to in enumerate(at)})
        question, behind = GroupQuestion(group, (topic,)), GroupQuestion(f"{group}-behind", (topic,))
        found = await offsets.ask(question)
        assert found.positions == {(topic, 0): Position(3, 4, 0), (topic, 1): Position(1, 2, 0)}
        while not all(each.markers_only for each in (await offsets.ask(question)).positions.values()):
            await asyncio.sleep(0.1)
        for _ in range(30):
            late = await offsets.ask(behind)
            assert not any(each.markers_only for each in late.positions.values())
            await asyncio.sleep(0.1)
        await offsets.close()
        await admin.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def write(bootstrap: str, topic: str) -> None:
    """A record in both partitions in one transaction, and one more in another."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b"a", partition=0)
    producer.send(topic, b"b", partition=1)
    producer.commit_transaction()
    producer.begin_transaction()
    producer.send(topic, b"c", partition=0)
    producer.commit_transaction()
    producer.close()
