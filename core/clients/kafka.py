"""Kafka: topics and groups, a producer and a consumer, each on a thread of its own behind a face for the loop.

The only module that knows kafka-python. Constructors connect nowhere; what goes wrong there leaves as PermanentError
(refused, and will be again), TooLarge, or TemporaryError (anything else). Whoever calls lives on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetSpec, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import MemberToRemove, NewTopic
from kafka.structs import OffsetAndMetadata

from core.clients.kafka_access import BOOTSTRAP_TIMEOUT_S, REQUEST_TIMEOUT_S, Access
from core.clock import SystemClock
from core.errors import PermanentError, TemporaryError, TooLarge, TooManyRequests

DELIVERY_TIMEOUT_S: Final = 30.0
"""For how long a producer tries to store a record before it says that it could not."""
RECORD_BYTES_MAX: Final = 1_048_576
WAITING_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of records that wait for a cluster, per producer; what comes then is refused."""
POLL_S: Final = 0.25
POLL_EXPECTING_S: Final = 0.02
SESSION_S: Final = 10.0
"""After which a cluster gives a consumer's partitions to others where the consumer has died without a word."""
TROUBLE_S: Final = 1.0
ADMIN_RETRY_S: Final = 0.1
CLOSE_S: Final = 3.0
LAG_S: Final = 2.0

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]
Partition: TypeAlias = tuple[str, int]
Where: TypeAlias = Mapping[str, float]
T = TypeVar("T")
_now = SystemClock.monotonic  # of threads, which no test's clock drives


class Received(NamedTuple):
    """A record where it lies."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Outgoing:
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def size(self) -> int:
        return len(self.key or b"") + len(self.value or b"") + sum(len(n) + len(v or b"") for n, v in self.headers)


@dataclass(frozen=True, slots=True)
class Committed:
    """How far a group has come in a partition, and a note that whoever committed it left there."""

    offset: int
    note: str = ""


# -- topics and groups -------------------------------------------------------------------------------------------------


class Admin:
    """One connection, made when it is needed and made anew when it broke."""

    def __init__(self, access: Access, client_id: str) -> None:
        self._access = access
        self._client_id = client_id
        self._thread = ThreadPoolExecutor(1, f"kafka-admin {client_id}")
        self._client: KafkaAdminClient | None = None

    async def close(self) -> None:
        await self._on_thread(self._disconnect)
        self._thread.shutdown(wait=False)

    async def partitions(self, topic: str) -> int | None:
        """How many; None where there is no such topic."""
        found = await self._ask(lambda client: client.describe_topics([topic]))
        if not found or found[0].get("error_code") == kafka_errors.UnknownTopicOrPartitionError.errno:
            return None
        _raise_code(found[0].get("error_code", 0), topic)
        return len(found[0]["partitions"])

    async def create_topic(self, topic: str, partitions: int, replication: int) -> None:
        """Makes it; one that is there stays as it is."""

        def create(client: KafkaAdminClient) -> None:
            with contextlib.suppress(kafka_errors.TopicAlreadyExistsError):
                client.create_topics([NewTopic(topic, partitions, replication)])
            client.wait_for_topics([topic])

        await self._ask(create)

    async def delete_topic(self, topic: str) -> None:
        """Gone already is as good."""

        def delete(client: KafkaAdminClient) -> None:
            with contextlib.suppress(kafka_errors.UnknownTopicOrPartitionError):
                client.delete_topics([topic])

        await self._ask(delete)

    async def begin(self, group: str, topics: Collection[str], where: str, value: float = 0) -> None:
        """Commits where a group begins, for partitions in which it has not begun yet.

        `where` is latest, earliest, time (`value`: seconds since the epoch) or offset (`value`).
        """
        await self._ask(partial(_begin, group=group, topics=topics, where=where, value=value))

    async def committed(self, group: str) -> Mapping[Partition, Committed]:
        return await self._ask(partial(_committed, group=group))

    async def ends(self, topics: Collection[str]) -> Mapping[Partition, int]:
        """The offsets that the next records will have."""

        def ask(client: KafkaAdminClient) -> Mapping[Partition, int]:
            wanted = dict.fromkeys(_partitions_of(client, topics), OffsetSpec.LATEST)
            return {tuple(each): found.offset for each, found in client.list_partition_offsets(wanted).items()}

        return await self._ask(ask)

    async def evict(self, group: str, client_id: str) -> None:
        """Puts out the members of that name: former lives of the caller, which nobody else would miss for a while."""

        def evict(client: KafkaAdminClient) -> None:
            found = client.describe_groups([group])
            members = found[group].get("members") or () if group in found else ()
            own = [MemberToRemove(each["member_id"]) for each in members if each.get("client_id") == client_id]
            if own:
                client.remove_group_members(group, own)

        with contextlib.suppress(PermanentError):  # there is no such group yet
            await self._ask(evict)

    async def delete_group(self, group: str) -> None:
        """Gone already is as good. TemporaryError while it has members."""

        def delete(client: KafkaAdminClient) -> None:
            for name in client.delete_groups([group]).values():
                if name not in ("OK", kafka_errors.GroupIdNotFoundError.__name__):
                    raise getattr(kafka_errors, name)(group)

        await self._ask(delete)

    async def _ask(self, question: Callable[[KafkaAdminClient], T]) -> T:
        return await self._on_thread(partial(self._asked, question))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _asked(self, question: Callable[[KafkaAdminClient], T]) -> T:
        """What passes by itself within moments (a new group has no coordinator yet) is waited for."""
        deadline = _now() + BOOTSTRAP_TIMEOUT_S
        with translated():
            while True:
                try:
                    if self._client is None:
                        self._client = KafkaAdminClient(**self._access.settings(self._client_id))
                    return question(self._client)
                except kafka_errors.RetriableError:
                    if _now() > deadline:
                        self._disconnect()
                        raise
                    time.sleep(ADMIN_RETRY_S)

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(kafka_errors.KafkaError):
                client.close()


def _partitions_of(client: KafkaAdminClient, topics: Collection[str]) -> list[TopicPartition]:
    found = []
    for topic in client.describe_topics(list(topics)):
        _raise_code(topic.get("error_code", 0), topic["name"])
        found += [TopicPartition(topic["name"], each["partition_index"]) for each in topic["partitions"]]
    return found


def _committed(client: KafkaAdminClient, group: str) -> Mapping[Partition, Committed]:
    found = client.list_group_offsets({group: None})
    offsets = found.get(group, found)
    return {
        tuple(each): Committed(value.offset, value.metadata or "")
        for each, value in offsets.items()
        if value.offset >= 0
    }


def _begin(client: KafkaAdminClient, group: str, topics: Collection[str], where: str, value: float) -> None:
    begun = _committed(client, group)
    new = [each for each in _partitions_of(client, topics) if tuple(each) not in begun]
    if not new:
        return
    earliest = client.list_partition_offsets(dict.fromkeys(new, OffsetSpec.EARLIEST))
    latest = client.list_partition_offsets(dict.fromkeys(new, OffsetSpec.LATEST))
    at = client.list_partition_offsets(dict.fromkeys(new, int(value * 1000))) if where == "time" else {}
    starts = {}
    for each in new:
        first, end = earliest[each].offset, latest[each].offset
        offset = {"earliest": first, "latest": end, "offset": min(max(int(value), first), end)}.get(where)
        if offset is None:
            offset = at[each].offset if at[each].offset >= 0 else end
        starts[each] = OffsetAndMetadata(offset, "", -1)
    for each, error in client.alter_group_offsets(group, starts).items():
        if error is not kafka_errors.NoError:
            raise error(f"{group}: {each}")


# -- producing ---------------------------------------------------------------------------------------------------------


class Producer:
    """Writes to one topic: acknowledged by all replicas in sync, idempotent, in order within a key."""

    def __init__(self, access: Access, topic: str, client_id: str) -> None:
        self._access = access
        self._topic = topic
        self._client_id = client_id
        self._queue: SimpleQueue[_Sending | None] = SimpleQueue()
        self._waiting_bytes = 0
        self._thread = threading.Thread(target=self._work, name=f"kafka-producer {client_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def close(self) -> None:
        """What waits is tried first, for a while."""
        if self._thread.is_alive():
            self._queue.put(None)
            await _joined(self._thread)

    def send(self, records: Sequence[Outgoing]) -> asyncio.Future[Partition]:
        """Done when all are stored, with the partition and offset of the first.

        TooLarge and TooManyRequests at once. When it fails, some may be stored all the same.
        """
        size = 0
        for record in records:
            if record.size > RECORD_BYTES_MAX:
                raise TooLarge(f"An event of {record.size} bytes; a record may have {RECORD_BYTES_MAX}.")
            size += record.size
        if self._waiting_bytes + size > WAITING_BYTES_MAX:
            raise TooManyRequests("Too much waits to be stored in Kafka already.", retry_after_s=1)
        self._waiting_bytes += size
        sending = _Sending(records, asyncio.get_running_loop())
        sending.future.add_done_callback(partial(self._settled, size))
        self._queue.put(sending)
        return sending.future

    def _settled(self, size: int, _: object) -> None:
        self._waiting_bytes -= size

    def _work(self) -> None:
        producer: KafkaProducer | None = None
        while (sending := self._queue.get()) is not None:
            try:
                producer = producer or self._connect()
                for index, record in enumerate(sending.records):
                    future = producer.send(self._topic, record.value, key=record.key, headers=list(record.headers))
                    future.add_callback(partial(sending.stored, index))
                    future.add_errback(sending.failed)
            except Exception as error:  # a defect in the client as well: whoever waits is told
                sending.failed(error)
        if producer is not None:
            producer.close(CLOSE_S)

    def _connect(self) -> KafkaProducer:
        return KafkaProducer(
            **self._access.settings(f"{self._client_id}"),
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            delivery_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
            max_block_ms=int(BOOTSTRAP_TIMEOUT_S * 1000),
            max_request_size=RECORD_BYTES_MAX + 65_536,  # its own words around a record
            metrics_enabled=False,
        )


class _Sending:
    """Records under way; told on the producer's threads."""

    def __init__(self, records: Sequence[Outgoing], loop: asyncio.AbstractEventLoop) -> None:
        self.records = records
        self.future: asyncio.Future[Partition] = loop.create_future()
        self._loop = loop
        self._left = len(records)
        self._first: Partition = ("", -1)
        self._lock = threading.Lock()

    def stored(self, index: int, where: Any) -> None:
        with self._lock:
            self._left -= 1
            if not index:
                self._first = (where.partition, where.offset)
            left = self._left
        if not left:
            self._tell(lambda: self.future.set_result(self._first))

    def failed(self, error: BaseException) -> None:
        said = translate(error)
        self._tell(lambda: self.future.set_exception(said))

    def _tell(self, settle: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is no more, and nobody waits
            self._loop.call_soon_threadsafe(lambda: None if self.future.done() else settle())


# -- consuming ---------------------------------------------------------------------------------------------------------


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
        self._expecting: set[Partition] = set()  # assigned, and nobody has said from where to read them
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
            owned = [each for each in consumer.assignment() if tuple(each) not in self._expecting]
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
        await _joined(self._thread)

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
                busy = self._expecting or self._paused or not consumer.assignment()
                found = consumer.poll(int((POLL_EXPECTING_S if busy else POLL_S) * 1000))
                self._tell_changes(consumer)
                if found:
                    records = [_received(each) for some in found.values() for each in some]
                    self._tell(self._reader.arrived, records)
                if (now := _now()) >= lag_at:
                    lag_at = now + LAG_S
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
            if not gained:
                self._expecting -= partitions
                self._tell(self._reader.revoked, partitions)
                continue
            self._expecting |= partitions
            found = {each: _where(consumer, TopicPartition(*each)) for each in partitions}
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


# -- what they share ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise translate(error) from error


def translate(error: BaseException) -> Exception:
    """An exception of the client as one of ours."""
    if isinstance(error, (PermanentError, TemporaryError)):
        return error
    if isinstance(error, (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)):
        return TooLarge("The event is larger than its topic takes.")
    said = f"Kafka: {error}"
    if isinstance(error, _REFUSED):
        return PermanentError(said, type(error).__name__.removesuffix("Error"))
    if "bootstrap" in said:
        # kafka-python does not see why a server hangs up on it, so a wrong password looks like this, too.
        said += ". Nobody answers there, or not with this user, password and certificates"
    return TemporaryError(said)


_REFUSED: Final = (
    kafka_errors.AuthorizationError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.InvalidPartitionsError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidTopicError,
    kafka_errors.KafkaConfigurationError,
    kafka_errors.PolicyViolationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
)


def _raise_code(code: int, about: str) -> None:
    if code:
        raise kafka_errors.for_code(code)(about)


async def _joined(thread: threading.Thread) -> None:
    """Waits for its end without holding up the loop; one that hangs is left behind."""
    await asyncio.to_thread(thread.join, 2 * CLOSE_S)
