"""Retention: a slice of a stream's oldest groups at a time, so that no append waits long behind it."""

from __future__ import annotations

import sqlite3

import structlog

from core.clock import Clock
from core.errors import StoreFull
from core.tasks import Started
from eventing.log.commits import Commits, Write
from eventing.log.database import Statement
from eventing.log.file import LogFile
from eventing.log.retention import plan_prune
from eventing.log.rows import stream_values
from eventing.log.streams import Stream, Streams

log = structlog.get_logger()

_EVERY_S = 10.0
_GROUPS_AT_ONCE = 256
_DELETE_GROUPS = "delete from groups where stream = ? and first < ?"
_PUT_HEAD = "update streams set number = ?, name = ?, head = ?, tail = ?, checksum = ? where number = ?"
_DELETE_STREAM = "delete from streams where number = ?"


class Upkeep:
    """Takes away what retention no longer keeps."""

    def __init__(self, streams: Streams, commits: Commits, file: LogFile, clock: Clock) -> None:
        self._streams = streams
        self._commits = commits
        self._file = file
        self._clock = clock

    async def run(self, started: Started) -> None:
        """Until canceled."""
        started()
        while True:
            await self._clock.sleep(_EVERY_S)
            try:
                await self.prune()
            except StoreFull as error:
                log.warning("retention waits for the disk", error=error.message)
            except sqlite3.DatabaseError as error:  # where even mending does not help, events still come and go
                log.error("retention cannot read the event log", error=str(error))

    async def prune(self) -> None:
        """One round over all streams. StoreFull."""
        for stream in self._streams:
            while await self._prune_some(stream):
                pass

    async def drop(self, name: str) -> None:
        """Deletes a stream that nobody reads any more, with its records. StoreFull: call again."""
        if (stream := self._streams.get(name)) is None:
            return
        while groups := await self._file.ask(lambda reader: reader.outline(stream.number, _GROUPS_AT_ONCE)):
            await self._delete(stream, groups[-1].first + groups[-1].count, sum(group.bytes for group in groups))
        self._streams.remove(name)
        await self._commits.write(Write([(_DELETE_STREAM, [(stream.number,)])]))

    async def _prune_some(self, stream: Stream) -> bool:
        """Whether there may be more to take."""
        if stream.floor <= stream.head:
            return False
        oldest = await self._file.ask(lambda reader: reader.outline(stream.number, _GROUPS_AT_ONCE))
        now_ms = int(self._clock.wall() * 1000)
        prune = plan_prune(oldest, stream.retention, stream.floor, stream.bytes, now_ms)
        if prune is None:
            return False
        await self._delete(stream, prune.head, prune.bytes)
        return len(oldest) == _GROUPS_AT_ONCE

    async def _delete(self, stream: Stream, head: int, size: int) -> None:
        # The head goes first, so that no reader takes what is being deleted for missing. The positions on disk go with
        # it, so that none of them lies before the head.
        stream.head = max(stream.head, head)
        stream.bytes -= size
        statements: list[Statement] = [
            (_DELETE_GROUPS, [(stream.number, head)]),
            (_PUT_HEAD, [(*stream_values(stream.row), stream.number)]),
        ]
        await self._commits.write(Write(statements, with_acks=True))
