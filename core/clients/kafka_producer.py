"""Records into a Kafka topic."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from kafka import (
    KafkaProducer,
    Serializer,
)

from core.clients.kafka_access import BOOTSTRAP_TIMEOUT_S, Access
from core.clients.kafka_terms import (
    CLOSE_S,
    Outgoing,
    Spot,
    joined,
    translate,
)
from core.errors import TooLarge, TooManyRequests

DELIVERY_TIMEOUT_S: Final = 30.0
"""For how long a producer tries to store a record before it says that it could not."""
RECORD_BYTES_MAX: Final = 1_048_576
WAITING_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of records that wait for a cluster, per producer; what comes then is refused."""


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
            await joined(self._thread)

    def send(self, records: Sequence[Outgoing]) -> asyncio.Future[Spot]:
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
                    value = _NULL if record.value is None else record.value
                    future = producer.send(self._topic, value, key=record.key, headers=list(record.headers))
                    future.add_callback(partial(sending.stored, index))
                    future.add_errback(sending.failed)
            except Exception as error:  # a defect in the client as well: whoever waits is told
                sending.failed(error)
        if producer is not None:
            producer.close(CLOSE_S)

    def _connect(self) -> KafkaProducer:
        return KafkaProducer(
            **self._access.settings(f"{self._client_id}"),
            value_serializer=_Values(),
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            delivery_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
            max_block_ms=int(BOOTSTRAP_TIMEOUT_S * 1000),
            max_request_size=RECORD_BYTES_MAX + 65_536,  # its own words around a record
            metrics_enabled=False,
        )


_NULL: Final = object()


class _Values(Serializer):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python refuses records without key and value, which is what an event without data is."""

    def serialize(self, topic: str, headers: Any, data: Any) -> bytes | None:
        return None if data is _NULL else data


class _Sending:
    """Records under way; told on the producer's threads."""

    def __init__(self, records: Sequence[Outgoing], loop: asyncio.AbstractEventLoop) -> None:
        self.records = records
        self.future: asyncio.Future[Spot] = loop.create_future()
        self._loop = loop
        self._left = len(records)
        self._first: Spot = (-1, -1)
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
