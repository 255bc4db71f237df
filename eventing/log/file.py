"""The log's file with the two threads that work on it: one writes and syncs, the other reads meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

import structlog

from core.clock import Clock
from core.store.folder import FolderLock
from eventing.log.database import Contents, Database, Disk, Statement, is_damage
from eventing.log.reading import Reader

log = structlog.get_logger()

_T = TypeVar("_T")


class LogFile:
    """Called on the loop; does everything on its threads. A file with torn pages is mended as soon as that shows."""

    def __init__(self, path: Path, clock: Clock, disk: Disk) -> None:
        self.opened = False
        self._clock = clock
        self._lock = FolderLock(path.with_name(f"{path.name}.lock"))
        self._database = Database(path, disk)
        self._reader = Reader(self._database, disk)
        self._writing, self._reading = disk.executor("events-writer"), disk.executor("events-reader")

    async def open(self) -> Contents:
        """PermanentError where another platform has the folder or the file cannot be read, StoreFull."""
        try:
            self._lock.acquire()
            contents = await _on(self._writing, lambda: self._database.open(self._clock.wall()))
        except BaseException:
            self._let_go()
            raise
        self.opened = True
        if contents.cut_off > 1:
            log.error("the newest transactions are behind a damaged one and lost", count=contents.cut_off)
        if contents.aside is not None:
            log.error("event log had unreadable pages: what could be read is served", file=str(contents.aside))
        return contents

    async def close(self) -> None:
        self.opened = False
        await _on(self._reading, self._reader.close)
        await _on(self._writing, self._database.close)
        self._let_go()

    def commit(self, statements: Sequence[Statement]) -> Future[None]:
        """One synced transaction. StoreFull; sqlite3.DatabaseError where even mending does not help."""
        return self._writing.submit(self._commit, statements)

    async def ask(self, question: Callable[[Reader], _T]) -> _T:
        """A question to the reader. sqlite3.DatabaseError where even mending does not help."""
        generation = self._database.generation
        try:
            return await _on(self._reading, lambda: question(self._reader))
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            why = str(error)
        await _on(self._writing, lambda: self._mend(generation, why))
        return await _on(self._reading, lambda: question(self._reader))

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return await self.ask(lambda reader: reader.rows(query, values))

    def _commit(self, statements: Sequence[Statement]) -> None:
        try:
            self._database.commit(statements)
        except sqlite3.DatabaseError as error:
            self._mend(self._database.generation, str(error))
            self._database.commit(statements)

    def _mend(self, generation: int, why: str) -> None:
        if generation == self._database.generation:
            log.error("event log is damaged: what can be read goes to a new file", error=why)
            self._database.mend(self._clock.wall())

    def _let_go(self) -> None:
        self._writing.shutdown()
        self._reading.shutdown()
        self._lock.release()


async def _on(thread: Executor, call: Callable[[], _T]) -> _T:
    return await asyncio.wrap_future(thread.submit(call))
