"""A stream as the loop knows it: its offsets, who reads it, and its latest records.

The latest records of all streams share one bound; a subscriber that keeps up finds what it needs here and never asks
the disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

from eventing.log.base import Record, Retention, StreamInfo
from eventing.log.positions import Position
from eventing.log.rows import StreamRow

Listener: TypeAlias = Callable[[Sequence[Record]], None]
_RECORD_BYTES = 1500  # what an event's objects take besides its payload, roughly


class Reads(Protocol):
    """What a stream must know of a subscription."""

    subscription: str
    position: Position


class Stream:
    """`tail` counts what is synced; `stored` says whether the file has the stream's row."""

    __slots__ = ("bytes", "cursors", "fresh", "head", "listeners", "name", "number", "retention", "stored", "tail")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.head = self.tail = self.bytes = 0
        self.stored = False
        self.retention = Retention()
        self.cursors: set[Reads] = set()  # the held ones
        self.listeners: list[Listener] = []
        self.fresh: dict[int, Record] = {}

    @property
    def info(self) -> StreamInfo:
        readers = tuple(cursor.subscription for cursor in self.cursors)
        return StreamInfo(self.name, self.head, self.tail, self.bytes, readers)

    @property
    def row(self) -> StreamRow:
        """As the file has it."""
        return StreamRow(self.number, self.name, self.head, self.tail)

    @property
    def floor(self) -> int:
        """Below it every subscription has acknowledged everything."""
        return min((cursor.position.low for cursor in self.cursors), default=self.tail)

    def latest(self, offset: int, count_max: int) -> Sequence[Record] | None:
        """Records from `offset` on; None where they are no longer in memory."""
        fresh = self.fresh
        if offset not in fresh:
            return [] if offset >= self.tail else None
        return [fresh[number] for number in range(offset, min(offset + count_max, self.tail))]


class Streams:
    """All of them by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Stream] = {}
        self._last = 0

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self._by_name.values()))

    def get(self, name: str) -> Stream | None:
        return self._by_name.get(name)

    def get_or_make(self, name: str) -> Stream:
        found = self._by_name.get(name)
        if found is None:
            self._last += 1
            found = self._by_name[name] = Stream(self._last, name)
        return found

    def restore(self, row: StreamRow, size: int) -> Stream:
        """A stream as the file has it, with the bytes that its groups take."""
        stream = self._by_name[row.name] = Stream(row.number, row.name)
        stream.head, stream.tail, stream.bytes, stream.stored = row.head, row.tail, size, True
        self._last = max(self._last, row.number)
        return stream

    def remove(self, name: str) -> Stream | None:
        return self._by_name.pop(name, None)


class Fresh:
    """Bounds the latest records of all streams together: the oldest commits go first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: deque[tuple[Stream, int, int, int]] = deque()

    def keep(self, stream: Stream, records: Sequence[Record], size: int) -> None:
        """The stream's records of one commit, whose payloads have `size` bytes."""
        first, after = records[0].offset, records[-1].after
        size += _RECORD_BYTES * len(records)
        stream.fresh.update(zip(range(first, after), records, strict=True))
        self._kept.append((stream, first, after, size))
        self._bytes += size
        while self._bytes > self._bytes_max:
            stream, first, after, size = self._kept.popleft()
            self._bytes -= size
            for offset in range(first, after):
                stream.fresh.pop(offset, None)
