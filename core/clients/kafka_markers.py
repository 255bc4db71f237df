"""What is left to consume where transactions are written: records, or only the marks with which transactions end.

A mark has an offset and is given to nobody to read, so a group that has read all of a topic may never commit past the
last one, and would lag behind for ever. Where a short stretch lies still, `core/clients/kafka_wire.py` looks at it,
once. Pure but for kafka-python's reader.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from kafka import errors as kafka_errors
from kafka.protocol.consumer import FetchRequest
from kafka.record import MemoryRecords

STILL_S: Final = 2.0
MARKS_MAX: Final = 100
"""A longer stretch is not looked at: it is work, whatever it ends with."""
STRETCH_BYTES: Final = 16_384  # a hundred marks have half of it
ANSWER_BYTES: Final = 1_000_000
REMEMBERED_MAX: Final = 10_000
_NAMED_TOPICS: Final = 12  # later versions of Fetch name topics by identifiers


class Stretch(NamedTuple):
    """What a group has before it in a partition: from the first offset to before the last one."""

    topic: str
    number: int
    first: int
    end: int


class Markers:
    """What was found, by stretch."""

    def __init__(self) -> None:
        self._since: dict[Stretch, float] = {}  # seen, and not looked at yet
        self._found: dict[Stretch, bool] = {}

    def due(self, stretches: Iterable[Stretch], now: float) -> list[Stretch]:
        """Those to be looked at now, of all that there are."""
        due: dict[tuple[str, int], Stretch] = {}  # of each partition one: more cannot be asked for at once
        for each in stretches:
            if each in self._found or not 0 < each.end - each.first <= MARKS_MAX:
                continue
            if now - self._since.setdefault(each, now) >= STILL_S:
                due[each.topic, each.number] = each
        while len(self._since) > REMEMBERED_MAX:
            del self._since[next(iter(self._since))]
        return list(due.values())

    def tell(self, stretch: Stretch, records: bytes) -> None:
        """What lies there; nothing: it may not be read."""
        self._since.pop(stretch, None)
        self._found[stretch] = only_marks(records, stretch)
        while len(self._found) > REMEMBERED_MAX:
            del self._found[next(iter(self._found))]

    def only(self, stretch: Stretch) -> bool:
        return self._found.get(stretch, False)


def only_marks(records: bytes, stretch: Stretch) -> bool:
    """Whether all of a stretch are marks. What was cut off counts as records."""
    batches = MemoryRecords(records)
    reached = stretch.first
    try:
        while reached < stretch.end and batches.has_next():
            batch = batches.next_batch()
            if not getattr(batch, "is_control_batch", False):  # records of old formats have no transactions
                return False
            reached = batch.next_offset
    except kafka_errors.CorruptRecordError:
        return False
    return reached >= stretch.end


def look(stretches: Iterable[Stretch]) -> Any:
    """The request for them."""
    by_topic: dict[str, list[Any]] = {}
    for each in stretches:
        part = FetchRequest.FetchTopic.FetchPartition(
            partition=each.number, fetch_offset=each.first, partition_max_bytes=STRETCH_BYTES
        )
        by_topic.setdefault(each.topic, []).append(part)
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=ANSWER_BYTES,
        isolation_level=0,
        session_id=0,
        session_epoch=-1,
        topics=[FetchRequest.FetchTopic(topic=topic, partitions=parts) for topic, parts in by_topic.items()],
        min_version=4,
        max_version=_NAMED_TOPICS,
    )
