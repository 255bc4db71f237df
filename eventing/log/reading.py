"""Reads of the event log that need the disk, on a connection and a thread of their own.

It blocks. Whatever it cannot read comes back as `Damaged`: between the offset asked for and the tail it leaves no gap.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from eventing.log.base import Damaged, Entry, Record
from eventing.log.database import Database, Disk, is_damage
from eventing.log.records import Group, decode_group, id_hash

_GROUPS_AT_ONCE = 64
_OUTLINE = "select number, first, count, time_ms, bytes from groups indexed by outline"


class Span(NamedTuple):
    """What of a stream to read: from `offset` to before `tail`, at most so much (one group at least)."""

    stream: int
    offset: int
    tail: int
    count_max: int
    bytes_max: int


class Reader:
    """Sees what is synced, never what is being written."""

    def __init__(self, database: Database, disk: Disk) -> None:
        self._database = database
        self._disk = disk
        self._connection: sqlite3.Connection | None = None
        self._generation = -1

    def rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._current().execute(query, values).fetchall()

    def read(self, span: Span) -> list[Entry]:
        """The entries of the span without a gap. sqlite3.DatabaseError where not even offsets can be found."""
        entries: list[Entry] = []
        expected, size = span.offset, 0
        for group in self._groups(span):
            if group.first > expected:
                entries.append(Damaged(expected, group.first - expected, "the records are missing"))
                expected = group.first
            for entry in self._entries(span.stream, group):
                if entry.after > expected:
                    entries.append(_cut(entry, expected))
                    expected = entry.after
            size += group.bytes
            if len(entries) >= span.count_max or size >= span.bytes_max:
                return entries[: span.count_max]
        if expected < span.tail:
            entries.append(Damaged(expected, span.tail - expected, "the records are missing"))
        return entries

    def outline(self, stream: int, count_max: int) -> list[Group]:
        """The oldest groups of the stream."""
        query = f"{_OUTLINE} where stream = ? order by first limit ?"
        return [_group(row) for row in self._current().execute(query, (stream, count_max))]

    def offset_at(self, stream: int, time_ms: int) -> int | None:
        query = "select first from groups indexed by outline where stream = ? and time_ms >= ? order by first limit 1"
        row = self._current().execute(query, (stream, time_ms)).fetchone()
        if row is not None and not isinstance(row[0], int):
            raise sqlite3.DatabaseError(f"the outline of groups has {row} in it")
        return None if row is None else row[0]

    def find(self, stream: int, id: str, count_max: int) -> list[Record]:
        """The newest records of events with this id, newest first."""
        query = f"{_OUTLINE} where stream = ? and instr(ids, ?) > 0 order by first desc"
        found: list[Record] = []
        for row in self._current().execute(query, (stream, id_hash(id))):
            for entry in reversed(self._entries(stream, _group(row))):
                if isinstance(entry, Record) and entry.event.id == id:
                    found.append(entry)
                    if len(found) == count_max:
                        return found
        return found

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _groups(self, span: Span) -> Iterator[Group]:
        """The group that holds the offset, and those after it up to the tail."""
        connection = self._current()
        holder = f"{_OUTLINE} where stream = ? and first <= ? order by first desc limit 1"
        following = f"{_OUTLINE} where stream = ? and first > ? and first < ? order by first limit {_GROUPS_AT_ONCE}"
        last = span.offset
        for row in connection.execute(holder, (span.stream, span.offset)).fetchall():
            yield _group(row)
        while rows := connection.execute(following, (span.stream, last, span.tail)).fetchall():
            for row in rows:
                group = _group(row)
                if group.first <= last:
                    raise sqlite3.DatabaseError("the outline of groups is out of order")
                yield group
                last = group.first

    def _entries(self, stream: int, group: Group) -> list[Entry]:
        try:
            row = self._current().execute("select data from groups where number = ?", (group.number,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return [Damaged(group.first, group.count, f"a page cannot be read ({error})")]
        if row is None or not isinstance(row[0], bytes):
            return []
        return decode_group(stream, group, row[0])

    def _current(self) -> sqlite3.Connection:
        if self._connection is None or self._generation != self._database.generation:
            self.close()
            self._generation = self._database.generation
            self._connection = self._disk.connect(self._database.path)
            self._connection.execute("pragma query_only = on")
        return self._connection


def _group(row: tuple[Any, ...]) -> Group:
    """sqlite3.DatabaseError where a flipped bit has made a text of a number: the file is to be mended."""
    if not all(isinstance(value, int) for value in row):
        raise sqlite3.DatabaseError(f"the outline of groups has {row} in it")
    return Group(*row)


def _cut(entry: Entry, offset: int) -> Entry:
    """The part of it from the offset on."""
    if isinstance(entry, Damaged) and entry.offset < offset:
        return Damaged(offset, entry.after - offset, entry.reason)
    return entry
