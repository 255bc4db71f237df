"""Clusters of several brokers, played: what one of them refuses, moves or leaves unanswered is no other's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import errors as kafka_errors
from kafka.future import Future
from kafka.net.manager import KafkaConnectionManager
from kafka.protocol.consumer import ListOffsetsResponse, OffsetFetchResponse
from kafka.protocol.metadata import FindCoordinatorResponse, MetadataResponse

from core.clients import kafka_wire
from core.clients.kafka_access import Access
from core.clients.kafka_positions import GroupPositions, GroupQuestion, Position
from core.clients.kafka_wire import Answer, Wire

NOT_LEADER, UNKNOWN_TOPIC, GROUP_REFUSED, TOPIC_REFUSED, LOADING, MOVED = 6, 3, 30, 29, 14, 16


class Cluster(Wire):
    """Two brokers. Topic t has a partition on each; every group has committed 5 there, every partition ends at 9."""

    def __init__(self) -> None:
        super().__init__(Access(("127.0.0.1:1",)).settings("test"))
        self._brokers.close()
        known = [SimpleNamespace(node_id=1), SimpleNamespace(node_id=2)]
        self._brokers: Any = SimpleNamespace(
            bootstrapped=True, cluster=SimpleNamespace(brokers=lambda: known), close=lambda: None
        )
        self.leaders = [1, 2]
        self.coordinators: dict[str, int] = {}
        self.group_errors: dict[str, list[int]] = {}
        self.partition_errors: dict[int, list[int]] = {}
        self.dead: set[int] = set()
        self.sent: list[tuple[str, int | None]] = []

    async def _send(self, request: Any, node: int | None) -> Any:
        name = type(request).__name__.removesuffix("Request")
        self.sent.append((name, node))
        if node in self.dead:
            raise kafka_errors.RequestTimedOutError
        answer: Callable[[Any], Any] = getattr(self, f"_{name.lower()}")
        return answer(request)

    def _version(self, request: Any) -> int:
        return 8

    def _findcoordinator(self, request: Any) -> Any:
        kind = FindCoordinatorResponse.Coordinator
        return FindCoordinatorResponse(
            coordinators=[
                kind(key=key, node_id=self.coordinators.get(key, 1), error_code=0) for key in request.coordinator_keys
            ]
        )

    def _offsetfetch(self, request: Any) -> Any:
        group_of = OffsetFetchResponse.OffsetFetchResponseGroup
        topic_of = group_of.OffsetFetchResponseTopics
        part_of = topic_of.OffsetFetchResponsePartitions
        groups = []
        for each in request.groups:
            errors = self.group_errors.get(each.group_id, [])
            parts = [part_of(partition_index=n, committed_offset=5, error_code=0) for n in (0, 1)]
            topics = [topic_of(name="t", partitions=parts)]
            code = errors.pop(0) if errors else 0
            groups.append(group_of(group_id=each.group_id, error_code=code, topics=[] if code else topics))
        return OffsetFetchResponse(groups=groups)

    def _metadata(self, request: Any) -> Any:
        topic_of = MetadataResponse.MetadataResponseTopic
        part_of = topic_of.MetadataResponsePartition
        found = []
        for each in request.topics:
            code = TOPIC_REFUSED if each.name == "secret" else 0
            parts = [part_of(partition_index=n, leader_id=leader) for n, leader in enumerate(self.leaders)]
            found.append(topic_of(name=each.name, error_code=code, partitions=[] if code else parts))
        return MetadataResponse(brokers=[], topics=found)

    def _listoffsets(self, request: Any) -> Any:
        topic_of = ListOffsetsResponse.ListOffsetsTopicResponse
        part_of = topic_of.ListOffsetsPartitionResponse
        found = []
        for topic in request.topics:
            parts = []
            for part in topic.partitions:
                errors = self.partition_errors.get(part.partition_index, [])
                code = errors.pop(0) if errors else 0
                offset = -1 if code else 9 if part.timestamp == kafka_wire.LATEST else 2
                parts.append(part_of(partition_index=part.partition_index, error_code=code, offset=offset))
            found.append(topic_of(name=topic.name, partitions=parts))
        return ListOffsetsResponse(topics=found)


def asked(cluster: Cluster, *questions: GroupQuestion) -> Sequence[Answer]:
    async def main() -> Sequence[Answer]:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Any] = loop.create_future()
        cluster.read(questions, lambda answers: loop.call_soon_threadsafe(told.set_result, answers) and None)
        answers = await asyncio.wait_for(told, 20)
        assert not isinstance(answers, Exception), answers
        return answers  # type: ignore[no-any-return]

    try:
        return asyncio.run(main())
    finally:
        cluster.close()


def known(*positions: Position) -> GroupPositions:
    return GroupPositions({("t", n): each for n, each in enumerate(positions)}, {}, begun=True)


A, B = GroupQuestion("a", ("t",)), GroupQuestion("b", ("t",))
AT = Position(5, 9, 2)


def test_each_broker_is_asked_once_for_all() -> None:
    cluster = Cluster()
    cluster.coordinators = {"b": 2}
    assert asked(cluster, A, B, GroupQuestion("a")) == [known(AT, AT)] * 3
    assert sorted(cluster.sent, key=str) == [
        ("FindCoordinator", None), ("ListOffsets", 1), ("ListOffsets", 1), ("ListOffsets", 2), ("ListOffsets", 2),
        ("Metadata", None), ("OffsetFetch", 1), ("OffsetFetch", 2),
    ]  # fmt: skip


def test_a_group_that_is_refused_is_its_own_trouble() -> None:
    cluster = Cluster()
    cluster.group_errors = {"a": [GROUP_REFUSED] * 9}
    refused, found = asked(cluster, A, B)
    assert isinstance(refused, kafka_errors.GroupAuthorizationFailedError)
    assert found == known(AT, AT)


@pytest.mark.parametrize("code", [LOADING, MOVED])
def test_a_coordinator_that_moves_or_loads_is_asked_again(code: int) -> None:
    cluster = Cluster()
    cluster.group_errors = {"a": [code, code]}
    assert asked(cluster, A, B) == [known(AT, AT)] * 2
    assert [name for name, _ in cluster.sent].count("OffsetFetch") == 3


def test_a_coordinator_that_loads_for_long_is_told() -> None:
    cluster = Cluster()
    cluster.group_errors = {"a": [LOADING] * 9}
    (found,) = asked(cluster, A)
    assert isinstance(found, kafka_errors.CoordinatorLoadInProgressError)


def test_a_partition_without_a_leader_is_not_known() -> None:
    cluster = Cluster()
    cluster.leaders = [1, -1]
    assert asked(cluster, A) == [known(AT, Position(5, None, problem="LeaderNotAvailable"))]


@pytest.mark.parametrize("code", [NOT_LEADER, UNKNOWN_TOPIC])
def test_a_partition_that_has_moved_is_looked_for(code: int) -> None:
    cluster = Cluster()
    cluster.partition_errors = {1: [code]}
    assert asked(cluster, A) == [known(AT, AT)]
    assert [name for name, _ in cluster.sent].count("Metadata") == 2


def test_a_broker_that_does_not_answer_leaves_its_partitions_unknown() -> None:
    cluster = Cluster()
    cluster.dead = {2}
    assert asked(cluster, A) == [known(AT, Position(5, None, problem="RequestTimedOut"))]
    cluster = Cluster()
    cluster.dead, cluster.coordinators = {2}, {"b": 2}
    _, hung = asked(cluster, A, B)
    assert isinstance(hung, kafka_errors.RequestTimedOutError)


def test_a_topic_that_may_not_be_seen() -> None:
    cluster = Cluster()
    (found,) = asked(cluster, GroupQuestion("a", ("secret", "t")))
    assert found == GroupPositions(known(AT, AT).positions, {"secret": "TopicAuthorizationFailed"}, begun=True)


def test_a_broker_that_did_not_answer_is_let_alone_for_a_while_where_there_are_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_wire, "REQUEST_S", 0.05)
    clock = SimpleNamespace(at=100.0)
    monkeypatch.setattr(kafka_wire, "now", lambda: clock.at)
    sent: list[int | None] = []

    def send(self: Any, request: Any, node_id: int | None = None) -> Any:
        sent.append(node_id)
        return Future()

    monkeypatch.setattr(KafkaConnectionManager, "send", send)
    wire = Wire(Access(("127.0.0.1:1",)).settings("test"))
    brokers = [SimpleNamespace(node_id=1), SimpleNamespace(node_id=2)]
    monkeypatch.setattr(wire._brokers.cluster, "brokers", lambda: brokers)

    def ask() -> str:
        try:
            wire._net.run(wire._send, object(), 2)
        except kafka_errors.KafkaError as error:
            return str(error)
        return ""

    assert "Timed out" in ask()
    assert "is asked again in a moment" in ask()
    clock.at += kafka_wire.RESTING_S + 0.1
    assert "Timed out" in ask()
    del brokers[1]
    clock.at += kafka_wire.RESTING_S + 0.1
    assert "Timed out" in ask()
    assert "Timed out" in ask()  # the only one is asked each time
    assert sent == [2, 2, 2, 2]
    wire.close()
