"""Records out of Kafka topics, as a member of a consumer group."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, Final, Protocol, TypeVar

from kafka import (
    ConsumerRebalanceListener,
    KafkaConsumer,
    TopicPartition,
)
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from core.clients.kafka_access import REQUEST_TIMEOUT_S, Access
from core.clients.kafka_terms import (
    CLOSE_S,
    Committed,
    Partition,
    Received,
    joined,
    now,
    translate,
)

POLL_S: Final = 0.25
POLL_EXPECTING_S: Final = 0.02
SESSION_S: Final = 10.0
"""After which a cluster gives a consumer's partitions to others where the consumer has died without a word."""
TROUBLE_S: Final = 1.0
LAG_S: Final = 2.0
T = TypeVar("T")


class Reader(Protocol):
    """Whom a consumer tells. Called on the loop, in the order of what happens."""

    def assigned(self, found: Mapping[Partition, Committed]) -> None:
        """These are its own from now on, and this is how far the group had come. Each waits for `Consumer.read`."""

    def revoked(self, partitions: Collection[Partition]) -> None:
        """These are its own no longer."""

    def arrived(self, records: Sequence[Received]) -> None:
        """The next ones, in the order of their partitions."""

    def ended(self, ends: Mapping[Partition, int]) -> None:
        """Where partitions end at present."""

    def troubled(self, error: Exception) -> None:
        """It does not work now, and tries again."""


class Consumer:
    """One member of a group. It reads a partition from where it is told to, and commits what it is told to."""

    def __init__(self, access: Access, group: str, topics: Collection[str], client_id: str, reader: Reader) -> None:
        self._settings = (access, client_id, group)
        self._topics = tuple(topics)
        self._reader = reader
        self._loop: asyncio.AbstractEventLoop | None = None
        self._commands: SimpleQueue[Callable[[KafkaConsumer], None]] = SimpleQueue()
        self._changes: SimpleQueue[tuple[bool, frozenset[Partition]]] = SimpleQueue()
        self._paused = False
        self._untold: set[Partition] = set()  # assigned, and the reader does not know it yet
        self._expecting: set[Partition] = set()  # it knows, and has not said from where to read them
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"kafka-consumer {group}", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def read(self, starts: Mapping[Partition, int]) -> None:
        """From these offsets on."""

        def begin(consumer: KafkaConsumer) -> None:
            owned = consumer.assignment()
            for partition, offset in starts.items():
                self._expecting.discard(partition)
                if TopicPartition(*partition) in owned:
                    consumer.seek(TopicPartition(*partition), offset)
                    if not self._paused:
                        consumer.resume(TopicPartition(*partition))

        self._commands.put(begin)

    def pause(self, paused: bool) -> None:
        """Whether records stay where they are for now; it stays a member of its group."""

        def change(consumer: KafkaConsumer) -> None:
            self._paused = paused
            unread = self._untold | self._expecting
            owned = [each for each in consumer.assignment() if tuple(each) not in unread]
            (consumer.pause if paused else consumer.resume)(*owned)

        self._commands.put(change)

    def commit(self, positions: Mapping[Partition, Committed], done: Callable[[bool], None]) -> None:
        """`done` is told on the loop whether they are kept."""

        def commit(consumer: KafkaConsumer) -> None:
            owned = consumer.assignment()
            offsets = {TopicPartition(*each): _offset(to) for each, to in positions.items()}
            if not all(each in owned for each in offsets):
                self._tell(done, False)
                return
            consumer.commit_async(offsets, lambda _, answer: self._tell(done, not isinstance(answer, Exception)))

        self._commands.put(commit)

    async def close(self, positions: Mapping[Partition, Committed]) -> None:
        """Leaves the group, with a last commit."""

        def commit(consumer: KafkaConsumer) -> None:
            owned = consumer.assignment()
            offsets = {TopicPartition(*each): _offset(to) for each, to in positions.items()}
            if kept := {each: to for each, to in offsets.items() if each in owned}:
                consumer.commit(kept, timeout_ms=int(CLOSE_S * 1000))

        self._commands.put(commit)
        self._closing.set()
        await joined(self._thread)

    # -- on the thread -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                consumer = self._connect()
            except Exception as error:  # a defect in the client as well: said, and tried again
                self._tell(self._reader.troubled, translate(error))
                self._closing.wait(TROUBLE_S)
                continue
            try:
                self._serve(consumer)
            finally:
                with contextlib.suppress(kafka_errors.KafkaError):
                    consumer.close(autocommit=False, timeout_ms=int(CLOSE_S * 1000))

    def _serve(self, consumer: KafkaConsumer) -> None:
        lag_at = 0.0
        while not self._closing.is_set():
            try:
                self._obey(consumer)
                busy = self._untold or self._expecting or self._paused or not consumer.assignment()
                found = consumer.poll(int((POLL_EXPECTING_S if busy else POLL_S) * 1000))
                self._tell_changes(consumer)
                if found:
                    records = [_received(each) for some in found.values() for each in some]
                    self._tell(self._reader.arrived, records)
                if now() >= lag_at:
                    lag_at = now() + LAG_S
                    self._tell_ends(consumer)
            except Exception as error:
                self._tell(self._reader.troubled, translate(error))
                self._closing.wait(TROUBLE_S)
        with contextlib.suppress(kafka_errors.KafkaError):
            self._obey(consumer)

    def _connect(self) -> KafkaConsumer:
        access, client_id, group = self._settings
        consumer = KafkaConsumer(
            **access.settings(client_id),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # what retention took is gone; what it left is still wanted
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            session_timeout_ms=int(SESSION_S * 1000),
            metadata_max_age_ms=30_000,  # how soon new partitions are seen
            metrics_enabled=False,
        )
        try:
            for topic in self._topics:
                # A member that joins before it knows its topics may be given none of their partitions, and for long.
                if not consumer.partitions_for_topic(topic):
                    raise kafka_errors.UnknownTopicOrPartitionError(topic)
        except BaseException:
            consumer.close(autocommit=False, timeout_ms=0)
            raise
        consumer.subscribe(self._topics, listener=_Changes(consumer, self._changes))
        return consumer

    def _obey(self, consumer: KafkaConsumer) -> None:
        while not self._commands.empty():
            self._commands.get()(consumer)

    def _tell_changes(self, consumer: KafkaConsumer) -> None:
        while not self._changes.empty():
            gained, partitions = self._changes.get()
            if gained:
                self._untold |= partitions
            else:
                self._untold -= partitions
                self._expecting -= partitions
                self._tell(self._reader.revoked, partitions)
        if self._untold:
            found = {each: _where(consumer, TopicPartition(*each)) for each in self._untold}  # if not now, then later
            self._expecting |= self._untold
            self._untold = set()
            self._tell(self._reader.assigned, found)

    def _tell_ends(self, consumer: KafkaConsumer) -> None:
        if owned := consumer.assignment():
            ends = consumer.end_offsets(list(owned), timeout_ms=int(REQUEST_TIMEOUT_S * 1000))
            self._tell(self._reader.ended, {tuple(each): offset for each, offset in ends.items()})

    def _tell(self, told: Callable[[T], None], what: T) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is no more, and nobody listens
            self._loop.call_soon_threadsafe(told, what)


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Notes what a rebalance gives and takes. Runs on the client's own thread, which must not wait."""

    def __init__(self, consumer: KafkaConsumer, changes: SimpleQueue[tuple[bool, frozenset[Partition]]]) -> None:
        self._consumer = consumer
        self._changes = changes

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        if assigned:
            self._consumer.pause(*assigned)
            self._changes.put((True, frozenset(map(tuple, assigned))))

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        # Where only the metadata of topics asked for this rebalance, kafka-python forgets half-way that it needs one if
        # a poll ends just then, and would stay without partitions for good.
        self._consumer._coordinator.request_rejoin()
        if revoked:
            self._changes.put((False, frozenset(map(tuple, revoked))))

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self.on_partitions_revoked(lost)


def _where(consumer: KafkaConsumer, partition: TopicPartition) -> Committed:
    """Where the group is; a partition that came after it had begun is read from its beginning."""
    timeout_ms = int(REQUEST_TIMEOUT_S * 1000)
    found = consumer.committed(partition, metadata=True, timeout_ms=timeout_ms)
    if found is not None and found.offset >= 0:
        return Committed(found.offset, found.metadata or "")
    return Committed(consumer.beginning_offsets([partition], timeout_ms=timeout_ms)[partition])


def _received(record: Any) -> Received:
    return Received(
        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers
    )


def _offset(to: Committed) -> OffsetAndMetadata:
    return OffsetAndMetadata(to.offset, to.note, -1)
