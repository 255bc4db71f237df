"""Offsets of many groups and topics by Kafka's own protocol, in as few requests as there are brokers to ask.

The administration client of kafka-python asks topic by topic and gives up all answers for one that went wrong; here one
request names everything that a broker knows, and each part has its own error. `core/clients/kafka_offsets.py` hands in
the questions. All of this runs on the client's own thread.
"""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from kafka import errors as kafka_errors
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.consumer import ListOffsetsRequest, OffsetFetchRequest
from kafka.protocol.metadata import FindCoordinatorRequest, MetadataRequest

from core.clients.kafka_markers import Markers, Stretch, look
from core.clients.kafka_positions import GroupPositions, GroupQuestion, Partition, Position
from core.clients.kafka_terms import now

REQUEST_S: Final = 3.0
BOOTSTRAP_S: Final = 3.0
METADATA_S: Final = 10.0
"""For which it is taken as known where a topic's partitions are: so much later, at most, is an added one noticed."""
FORGOTTEN_S: Final = 600.0
RESTING_S: Final = 5.0
"""For which a broker that did not answer is not asked again, where others do: it would hold up their answers."""
ATTEMPTS: Final = 3
RETRY_S: Final = 0.1
LATEST: Final = -1
EARLIEST: Final = -2
_BATCHED_OFFSETS: Final = 8  # OffsetFetch takes several groups (KIP-709, Kafka 3.0)
_BATCHED_COORDINATORS: Final = 4  # FindCoordinator, too (KIP-699, Kafka 3.0)
_MOVED: Final = (
    kafka_errors.NotLeaderForPartitionError,
    kafka_errors.LeaderNotAvailableError,
    kafka_errors.UnknownTopicOrPartitionError,
    kafka_errors.FencedLeaderEpochError,
    kafka_errors.UnknownLeaderEpochError,
)
_PASSING: Final = (
    kafka_errors.CoordinatorLoadInProgressError,
    kafka_errors.CoordinatorNotAvailableError,
    kafka_errors.NotCoordinatorError,
)
Answer = GroupPositions | Exception
Leaders = Mapping[int, int]
"""Partition's number → the broker that leads it; -1: none at present."""
Errors = dict[Any, Exception]
T = TypeVar("T")


class Wire:
    """One cluster, as one user: a connection to each broker that is asked, made when it is needed."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """As `Access.settings` has them."""
        chosen = {
            **settings,
            "request_timeout_ms": int(REQUEST_S * 1000),
            "socket_connection_setup_timeout_ms": int(REQUEST_S * 1000),
            "max_in_flight_requests_per_connection": 100,
            "receive_message_max_bytes": 100_000_000,
            "slow_task_threshold_secs": 1.0,  # it warns of any: a thousand groups take a while to read
        }
        for name in ("kafka.net", "kafka.cluster"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what it has to say it raises, too
        self._named = "sasl_mechanism" in settings
        self._net = NetworkSelector(**chosen)
        self._brokers = KafkaConnectionManager(self._net, **chosen)
        self._leaders: dict[str, tuple[float, Leaders]] = {}  # topic → until when it is known, and its leaders
        self._coordinators: dict[str, int] = {}
        self._markers = Markers()
        self._resting: dict[int, float] = {}  # broker → until when it is not asked
        self._net.start()

    def read(self, questions: Sequence[GroupQuestion], tell: Callable[[Sequence[Answer] | Exception], None]) -> None:
        """An answer for each question, in their order, or what went wrong with all of them; told on another thread."""

        def ended(error: BaseException) -> None:
            tell(error if isinstance(error, Exception) else kafka_errors.KafkaConnectionError("closed"))

        told = self._net.call_soon_with_future(self._read, questions)
        told.add_callback(tell)
        told.add_errback(ended)

    def close(self) -> None:
        """Blocks for a moment."""
        with contextlib.suppress(Exception):  # the thread has ended by itself
            self._net.run(self._brokers.close)
        self._net.close()

    async def _read(self, questions: Sequence[GroupQuestion]) -> Sequence[Answer]:
        if not self._brokers.bootstrapped:
            await self._reach()
            await self._brokers.bootstrap_async(int(BOOTSTRAP_S * 1000))
        # What a group has committed is asked before where partitions end: the other way round a group may seem ahead.
        committed, refused = await self._committed({each.group for each in questions})
        topics = {topic for each in questions for topic in _topics_of(each, committed.get(each.group, {}))}
        leaders, missing = await self._led(topics)
        ends, lost = await self._offsets(leaders, LATEST)
        unread = {
            (topic, number)
            for each in questions
            if each.group in committed
            for topic in _topics_of(each, committed[each.group])
            for number in leaders.get(topic, ())
            if committed[each.group].get((topic, number)) != ends.get((topic, number), 0)
        }
        starts, _ = await self._offsets(_only(leaders, unread & ends.keys()), EARLIEST)
        answers: list[Answer] = [
            refused[each.group]
            if each.group in refused
            else _positions(each, committed[each.group], leaders, (starts, ends), (missing, lost))
            for each in questions
        ]
        await self._tell_marks([each.positions for each in answers if isinstance(each, GroupPositions)], leaders)
        return answers

    async def _reach(self) -> None:
        """Any of the servers that were named. The client itself would try again and again, and never say why."""
        reason: Exception = kafka_errors.NodeNotReadyError()
        wait_ms = int(BOOTSTRAP_S * 1000)
        for server in self._brokers.cluster.bootstrap_brokers():
            try:
                connection = self._brokers.get_connection(server.node_id, wait_ms, refresh_metadata_on_err=False)
            except kafka_errors.KafkaError as error:
                reason = error
                continue
            try:
                await self._brokers.wait_for(connection.init_future, wait_ms)
                return
            except (kafka_errors.KafkaError, OSError) as error:
                reason = error
                # A server that refuses a user says so and hangs up; the client sees no more than that at times.
                began = self._named and connection.broker_version_data is not None
                if began and isinstance(error, kafka_errors.KafkaConnectionError):
                    reason = kafka_errors.SaslAuthenticationFailedError("the server hung up")
        raise reason

    async def _committed(self, groups: Collection[str]) -> tuple[dict[str, dict[Partition, int]], Errors]:
        """Of each group all offsets that it has committed, or why they are not known."""
        found: dict[str, dict[Partition, int]] = {}
        errors: Errors = {}
        wanted = set(groups)
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._net.sleep(RETRY_S)
            coordinators, errors = await self._coordinated(wanted)
            requests = [
                (node, request)
                for node, named in _by_value(coordinators).items()
                for request in self._offset_fetches(named)
            ]
            answers = await self._together(self._send(request, node) for node, (_, request) in requests)
            for (_, (named, _)), answer in zip(requests, answers, strict=True):
                if isinstance(answer, Exception):
                    errors |= dict.fromkeys(named, answer)
                    continue
                for group, part in [(each.group_id, each) for each in answer.groups] or [(named[0], answer)]:
                    code = part.error_code or next((each.error_code for each in _parts(part) if each.error_code), 0)
                    if code:
                        errors[group] = _error(code, f"group {group}")
                    else:
                        found[group] = _committed_of(part)
            wanted = {group for group, error in errors.items() if isinstance(error, _PASSING)}
            for group in errors:
                self._coordinators.pop(group, None)
            if not wanted:
                break
        return found, {group: error for group, error in errors.items() if group not in found}

    def _offset_fetches(self, groups: Sequence[str]) -> Iterable[tuple[Sequence[str], Any]]:
        if self._version(OffsetFetchRequest) < _BATCHED_OFFSETS:
            for group in groups:
                yield (group,), OffsetFetchRequest(group_id=group, topics=None, min_version=2, max_version=7)
            return
        asked = [OffsetFetchRequest.OffsetFetchRequestGroup(group_id=group, topics=None) for group in groups]
        yield groups, OffsetFetchRequest(groups=asked, min_version=_BATCHED_OFFSETS, max_version=_BATCHED_OFFSETS)

    async def _coordinated(self, groups: Collection[str]) -> tuple[dict[str, int], Errors]:
        """The broker of each group."""
        unknown = sorted(set(groups) - self._coordinators.keys())
        errors: Errors = {}
        if unknown and self._version(FindCoordinatorRequest) < _BATCHED_COORDINATORS:
            for group in unknown:
                answer = await self._ask(FindCoordinatorRequest(key=group, key_type=0, max_version=3))
                self._coordinator(group, answer, errors)
        elif unknown:
            request = FindCoordinatorRequest(key_type=0, coordinator_keys=unknown, min_version=_BATCHED_COORDINATORS)
            for each in (await self._ask(request)).coordinators:
                self._coordinator(each.key, each, errors)
        return {group: self._coordinators[group] for group in groups if group in self._coordinators}, errors

    def _coordinator(self, group: str, answer: Any, errors: Errors) -> None:
        if answer.error_code:
            errors[group] = _error(answer.error_code, f"group {group}")
        else:
            self._coordinators[group] = answer.node_id

    async def _led(self, topics: Collection[str]) -> tuple[dict[str, Leaders], Errors]:
        """Who leads the partitions of each topic, or why that is not known."""
        errors: Errors = {}
        stale = [topic for topic in topics if self._leaders.get(topic, (0.0, {}))[0] < now()]
        if stale:
            self._forget()
            asked = [MetadataRequest.MetadataRequestTopic(name=topic) for topic in sorted(stale)]
            answer = await self._ask(MetadataRequest(topics=asked, allow_auto_topic_creation=False))
            for each in answer.topics:
                if each.error_code:
                    self._leaders.pop(each.name, None)
                    errors[each.name] = _error(each.error_code, f"topic {each.name}")
                else:
                    numbers = {part.partition_index: part.leader_id for part in each.partitions}
                    self._leaders[each.name] = (now() + METADATA_S, dict(sorted(numbers.items())))
            known = {broker.node_id for broker in self._brokers.cluster.brokers()}
            if not {broker.node_id for broker in answer.brokers} <= known:
                await self._brokers.cluster.refresh_metadata()
        return {topic: self._leaders[topic][1] for topic in topics if topic in self._leaders}, errors

    def _forget(self) -> None:
        """Topics that nobody has asked for in a while."""
        old = now() - FORGOTTEN_S
        self._leaders = {topic: known for topic, known in self._leaders.items() if known[0] > old}

    async def _offsets(self, leaders: Mapping[str, Leaders], which: int) -> tuple[dict[Partition, int], Errors]:
        """The first or the next offset of each partition, or why it is not known."""
        found: dict[Partition, int] = {}
        errors: Errors = {}
        wanted = {(topic, number): node for topic, led in leaders.items() for number, node in led.items()}
        for attempt in range(2):
            errors |= {each: kafka_errors.LeaderNotAvailableError() for each, node in wanted.items() if node < 0}
            by_node = {node: named for node, named in _by_value(wanted).items() if node >= 0}
            answers = await self._together(
                self._send(_list_offsets(named, which), node) for node, named in by_node.items()
            )
            for named, answer in zip(by_node.values(), answers, strict=True):
                if isinstance(answer, Exception):
                    errors |= dict.fromkeys(named, answer)
                    continue
                for topic in answer.topics:
                    for part in topic.partitions:
                        if part.error_code:
                            errors[topic.name, part.partition_index] = _error(part.error_code, topic.name)
                        else:
                            found[topic.name, part.partition_index] = part.offset
            moved = {each for each, error in errors.items() if isinstance(error, _MOVED) and each not in found}
            if attempt or not moved:
                break
            for topic, _ in moved:
                self._leaders.pop(topic, None)
            anew, _ = await self._led({topic for topic, _ in moved})
            wanted = {each: anew[each[0]][each[1]] for each in moved if each[1] in anew.get(each[0], ())}
        return found, {each: error for each, error in errors.items() if each not in found}

    async def _tell_marks(self, found: Sequence[dict[Partition, Position]], leaders: Mapping[str, Leaders]) -> None:
        """Of groups that have nothing but marks of transactions before them."""
        before = [(of, stretch) for of in found for each, at in of.items() if (stretch := _stretch(each, at))]
        due = {each: leaders[each.topic][each.number] for each in self._markers.due({s for _, s in before}, now())}
        by_node = _by_value(due)
        answers = await self._together(self._send(look(named), node) for node, named in by_node.items())
        for named, answer in zip(by_node.values(), answers, strict=True):
            if isinstance(answer, Exception):
                continue  # they count as records, and are looked at another time
            records = {
                (topic.topic, part.partition_index): bytes(part.records or b"")
                for topic in answer.responses
                for part in topic.partitions
            }
            for each in named:
                self._markers.tell(each, records.get((each.topic, each.number), b""))
        for of, stretch in before:
            if self._markers.only(stretch):
                each = (stretch.topic, stretch.number)
                of[each] = of[each]._replace(markers_only=True)

    async def _ask(self, request: Any) -> Any:
        """Any broker, and another one where that does not answer."""
        try:
            return await self._send(request, None)
        except kafka_errors.KafkaError:
            return await self._send(request, None)

    async def _send(self, request: Any, node: int | None) -> Any:
        if node is not None and self._resting.get(node, 0.0) > now():
            raise kafka_errors.RequestTimedOutError(f"broker {node} did not answer, and is asked again in a moment")
        try:
            return await self._brokers.wait_for(self._brokers.send(request, node_id=node), int(REQUEST_S * 1000))
        except (kafka_errors.KafkaTimeoutError, kafka_errors.RequestTimedOutError):
            if node is not None and len(self._brokers.cluster.brokers()) > 1:
                self._resting[node] = now() + RESTING_S
            raise

    async def _together(self, asked: Iterable[Awaitable[T]]) -> list[T | Exception]:
        """All at the same time."""
        under_way = [self._net.call_soon_with_future(each) for each in asked]
        results: list[T | Exception] = []
        for each in under_way:
            try:
                results.append(await each)
            except Exception as error:  # each is the answer to its own part
                results.append(error)
        return results

    def _version(self, request: Any) -> int:
        version: int = self._brokers.broker_version_data.api_version(request)
        return version


def _topics_of(question: GroupQuestion, committed: Mapping[Partition, int]) -> Collection[str]:
    return question.topics or {topic for topic, _ in committed}


def _by_value(keyed: Mapping[Any, int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for key, value in keyed.items():
        found[value].append(key)
    return found


def _only(leaders: Mapping[str, Leaders], wanted: Collection[Partition]) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for topic, number in wanted:
        found[topic][number] = leaders[topic][number]
    return found


def _list_offsets(partitions: Sequence[Partition], which: int) -> Any:
    by_topic: dict[str, list[Any]] = defaultdict(list)
    topic_of = ListOffsetsRequest.ListOffsetsTopic
    for topic, number in partitions:
        by_topic[topic].append(topic_of.ListOffsetsPartition(partition_index=number, timestamp=which))
    topics = [topic_of(name=name, partitions=parts) for name, parts in by_topic.items()]
    return ListOffsetsRequest(replica_id=-1, isolation_level=0, topics=topics, min_version=1)


def _committed_of(answer: Any) -> dict[Partition, int]:
    return {
        (topic.name, part.partition_index): part.committed_offset
        for topic in answer.topics
        for part in topic.partitions
        if part.committed_offset >= 0
    }


def _parts(answer: Any) -> Iterable[Any]:
    return (part for topic in answer.topics for part in topic.partitions)


def _positions(
    question: GroupQuestion,
    committed: Mapping[Partition, int],
    leaders: Mapping[str, Leaders],
    offsets: tuple[Mapping[Partition, int], Mapping[Partition, int]],
    errors: tuple[Errors, Errors],
) -> GroupPositions:
    (starts, ends), (missing, lost) = offsets, errors
    positions: dict[Partition, Position] = {}
    absent: dict[str, str] = {}
    for topic in _topics_of(question, committed):
        if topic not in leaders:
            absent[topic] = _name(missing.get(topic, kafka_errors.UnknownTopicOrPartitionError()))
        for number in leaders.get(topic, ()):
            each = (topic, number)
            problem = _name(lost[each]) if each in lost else ""
            positions[each] = Position(committed.get(each), ends.get(each), starts.get(each), problem=problem)
    return GroupPositions(positions, absent, begun=bool(committed))


def _stretch(each: Partition, found: Position) -> Stretch | None:
    if found.committed is None or found.end is None or found.committed >= found.end:
        return None
    return Stretch(*each, max(found.committed, found.start or 0), found.end)


def _error(code: int, about: str) -> Exception:
    error: Exception = kafka_errors.for_code(code)(about)
    return error


def _name(error: Exception) -> str:
    return type(error).__name__.removesuffix("Error")
