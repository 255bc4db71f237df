"""The store of one machine: everything in memory, what users wrote also on disk before they get their answer.

Ephemeral writes take MemoryStore's path and never wait. A durable write is *staged*: later writes build on it and
conflict with it at once, but readers and watchers see it only when its commit has been synced, which is also when it
gets its resource version. Versions are given at publication because ephemeral writes go on while a commit is under way:
a version given earlier would reach watchers after greater ones. The row on disk holds the number that the write had
while it was staged; after a restart no client knows either number as current, and every watch starts from a new list.

Staged writes are committed in groups: while one group is being synced, the next one gathers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from operator import length_hint
from pathlib import Path
from sys import intern
from typing import Any

import orjson
import structlog

from core.clock import Clock
from core.errors import ApiError, StoreFull, TooManyRequests
from core.resources.meta import Json, Kind, ObjectKey
from core.store.database import DamagedRow, Database, Row
from core.store.folder import FolderLock
from core.store.memory import MemoryStore
from core.store.table import Packing, Version, compact
from core.store.writes import Action, Plan, is_ephemeral

log = structlog.get_logger()

# Resource versions are set aside on disk by the range, so that none is given twice over a crash; half a range is left
# when the next one is asked for.
VERSION_RANGE = 10_000_000
# A group is published in one turn of the loop: watchers get theirs in between.
_GROUP_MAX = 128
_STAGED_MAX = 10_000
# What was loaded is packed when the platform has come up, a little at a time.
_SETTLE_AFTER_S = 1.0
_SETTLE_EVERY_S = 0.01
_SETTLED_AT_ONCE = 16


class _Staged:
    """A durable write between its decision and its publication."""

    __slots__ = ("current", "done", "key", "kind", "plan", "row", "version")

    def __init__(self, kind: Kind[Any], key: ObjectKey, current: Json | None, plan: Plan, row: Row) -> None:
        self.kind = kind
        self.key = key
        self.current = current
        self.plan = plan
        self.row = row
        data = row.data if row.data is not None else compact(plan.obj)
        self.version = None if plan.action is Action.REMOVE else Version(data, None, ephemeral=False)
        self.done: asyncio.Future[Json] = asyncio.get_running_loop().create_future()


class SqliteStore(MemoryStore):
    """`core.store.base.Store` on one file. Writes besides raise StoreFull while the disk refuses them.

    `bytes_max` bounds the file. `damaged` names the rows that were set aside when it was opened.
    """

    def __init__(self, path: Path, kinds: Sequence[Kind[Any]], clock: Clock, bytes_max: int | None = None) -> None:
        super().__init__(kinds, clock)
        self.damaged: Sequence[DamagedRow] = ()
        self._path = path
        self._database = Database(path, bytes_max)
        self._lock = FolderLock(path.with_name(f"{path.name}.lock"))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._staged: dict[tuple[Kind[Any], ObjectKey], _Staged] = {}  # the newest per key
        self._pending: list[_Staged] = []
        self._reserved = 0  # resource versions up to it may be given
        self._opened = False
        self._committing = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> None:
        """Reads the file, or makes it. PermanentError where another platform has the folder, StoreFull."""
        try:
            self._lock.acquire()
            contents = await self._in_thread(partial(self._database.open, self._clock.wall(), VERSION_RANGE))
        except BaseException:
            self._lock.release()
            self._thread.shutdown()
            raise
        self._opened = True
        self._version = contents.resource_version
        self._reserved = self._version + VERSION_RANGE
        self.damaged = contents.damaged
        if contents.aside is not None:
            log.error("store had unreadable pages: what could be read is served", file=str(contents.aside))
        for row in contents.damaged:
            log.error("damaged object set aside", kind=row.kind, namespace=row.namespace, name=row.name)
        self._load(contents.rows)
        for feed in self._feeds.values():
            feed.floor = self._version

    async def close(self) -> None:
        """Waits for what is being written, ends every watch, lets go of the folder. Closing again does nothing."""
        if not self._opened:
            return
        self._opened = False
        await self._idle.wait()
        await super().close()
        await self._in_thread(partial(self._database.close, self._version))
        self._thread.shutdown()
        self._lock.release()

    def _load(self, rows: Sequence[Row]) -> None:
        kinds = {kind.resource: kind for kind in self._shelves}
        loaded: list[tuple[Version, Packing]] = []
        strangers = 0
        for row in rows:
            kind = kinds.get(row.kind)
            if kind is None or row.data is None:
                strangers += 1
                continue
            key = ObjectKey(intern(row.namespace), intern(row.name))
            shelf, version = self._shelves[kind], Version(row.data, None, ephemeral=False)
            loaded.append((version, shelf.packing))
            shelf.put(key, version)
            if b'"ownerReferences"' in row.data:
                self._owners.replace(kind, key, None, orjson.loads(row.data))
        asyncio.get_running_loop().call_later(_SETTLE_AFTER_S, self._settle, iter(loaded))
        if strangers:
            log.warning("objects of unknown kinds are kept and not served", count=strangers, file=str(self._path))

    def _settle(self, loaded: Iterator[tuple[Version, Packing]]) -> None:
        """A platform that comes back to thousands is to answer first."""
        if not self._opened:
            return
        for version, packing in islice(loaded, _SETTLED_AT_ONCE):
            version.settle(packing)
        if length_hint(loaded):
            asyncio.get_running_loop().call_later(_SETTLE_EVERY_S, self._settle, loaded)

    def _newest(self, kind: Kind[Any], key: ObjectKey) -> Version | None:
        if self._staged and (staged := self._staged.get((kind, key))) is not None:
            return staged.version
        return super()._newest(kind, key)

    async def _carry_out(self, kind: Kind[Any], key: ObjectKey, current: Json | None, plan: Plan) -> Json:
        before = self._staged.get((kind, key)) if self._staged else None
        if plan.action is Action.KEEP:
            # What the caller is told must be as durable as if it had written it.
            return plan.obj if before is None else await asyncio.shield(before.done)
        if self._version >= self._reserved:
            raise StoreFull(f"no resource versions left: {self._path} could not be written for long", retry_after_s=5)
        version = super()._newest(kind, key)
        has_row = before is not None or (version is not None and not version.ephemeral)
        gets_row = plan.action is Action.PUT and not is_ephemeral(kind, plan.obj)
        if not has_row and not gets_row:
            return await super()._carry_out(kind, key, current, plan)
        return await asyncio.shield(self._stage(kind, key, current, plan, gets_row).done)

    def _stage(self, kind: Kind[Any], key: ObjectKey, current: Json | None, plan: Plan, gets_row: bool) -> _Staged:
        if not self._opened:
            raise StoreFull(f"{self._path} is closed: the platform is stopping, nothing was written", retry_after_s=5)
        if len(self._pending) >= _STAGED_MAX:
            raise TooManyRequests("too many writes wait for the disk", retry_after_s=1)
        number = self._next_version()
        plan.obj["metadata"]["resourceVersion"] = str(number)
        data = compact(plan.obj) if gets_row else None
        staged = _Staged(kind, key, current, plan, Row(kind.resource, key.namespace, key.name, number, data))
        self._staged[kind, key] = staged
        self._pending.append(staged)
        self._commit_soon()
        return staged

    def _next_version(self) -> int:
        number = super()._next_version()
        if number > self._reserved - VERSION_RANGE // 2:
            self._commit_soon()
        return number

    def _commit_soon(self) -> None:
        """Commits at the end of this turn, with all that is staged until then; or after the commit under way."""
        if not self._committing:
            self._committing = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._commit)

    def _commit(self) -> None:
        group, self._pending = self._pending[:_GROUP_MAX], self._pending[_GROUP_MAX:]
        reserved = self._version + VERSION_RANGE if self._version > self._reserved - VERSION_RANGE // 2 else None
        rows = [staged.row for staged in group]
        loop = asyncio.get_running_loop()
        future = self._thread.submit(self._database.commit, rows, reserved)
        future.add_done_callback(lambda done: loop.call_soon_threadsafe(self._committed, group, reserved, done))

    def _committed(self, group: list[_Staged], reserved: int | None, result: Future[None]) -> None:
        """Publishes the group, or fails everything staged: what waits behind it builds on it."""
        self._committing = False
        error = result.exception()
        if error is None:
            self._reserved = reserved or self._reserved
            for staged in group:
                self._show(staged)
        else:
            self._fail(group + self._pending, error)
        if self._pending:
            self._commit_soon()
        else:
            self._idle.set()

    def _show(self, staged: _Staged) -> None:
        place = (staged.kind, staged.key)
        if self._staged[place] is staged:
            del self._staged[place]
        obj = self._publish(staged.kind, staged.key, staged.current, staged.plan)
        staged.done.set_result(obj)

    def _fail(self, all_staged: list[_Staged], error: BaseException) -> None:
        log.error("writes refused", count=len(all_staged), error=str(error))
        self._pending = []
        self._staged.clear()
        for staged in all_staged:
            if isinstance(error, ApiError):
                staged.done.set_exception(StoreFull(error.message, retry_after_s=error.retry_after_s))
            else:
                staged.done.set_exception(error)

    async def _in_thread(self, call: partial[Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
