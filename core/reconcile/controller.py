"""The loop that every controller is: watches turn changes into keys, a reconciler brings each key's world in order.

`deploy`, `autoscaler` and the collectors beside this file hand in a reconciler and what it watches. The loop is level
triggered: a reconciler is told which key, never what happened, and must read everything it needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog

from core.clock import Alarm, Clock
from core.errors import Conflict, Expired, PermanentError, TemporaryError
from core.reconcile.queue import WorkQueue
from core.resources.meta import Json, Kind, ObjectKey, controller_of, key_of
from core.store.base import EventType, Store, WatchEvent
from core.store.scanning import scan
from core.tasks import Started

log = structlog.get_logger()

_LISTED_AT_ONCE = 32  # of a list that a start walks along, before others get their turn

Reconciler: TypeAlias = Callable[[ObjectKey], Awaitable[float | None]]
"""Brings one key's world in order; returns the seconds after which to come again, or None. Never two at once per key.

`Conflict` is retried quietly, `TemporaryError` after its own delay, `PermanentError` not before something changes, and
anything else after a back-off that doubles from 5 ms to 60 s.
"""
Keys: TypeAlias = Callable[[WatchEvent], Iterable[ObjectKey]]
"""Which keys a change concerns. Runs in the watch's turn: it only looks at the event."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One kind that a controller watches, and whose keys its changes concern.

    `after_s`: nobody waits for the answer to these changes, so several in a row become one reconciliation, which keeps
    out of the way of a cold start. `changes_only`: what there is at the start concerns nobody that another watch does
    not list, so it is not walked along.
    """

    kind: Kind[Any]
    keys: Keys
    after_s: float = 0.0
    changes_only: bool = False


def itself(event: WatchEvent) -> Iterable[ObjectKey]:
    """The changed object is the one to reconcile."""
    return (key_of(event.object),)


def owner(kind: Kind[Any]) -> Keys:
    """The object of `kind` that controls the changed one (its controller owner reference), now or before."""

    def keys(event: WatchEvent) -> Iterable[ObjectKey]:
        now = _controller_key(event.object, kind)
        before = _controller_key(event.old, kind) if event.old is not None else None
        return {key for key in (now, before) if key is not None}

    return keys


def _controller_key(obj: Json, kind: Kind[Any]) -> ObjectKey | None:
    reference = controller_of(obj)
    if reference is None or reference["kind"] != kind.kind:
        return None
    group = reference["apiVersion"].rpartition("/")[0]
    if group != kind.group:
        return None
    return ObjectKey(obj["metadata"].get("namespace", "") if kind.namespaced else "", reference["name"])


class Controller:
    """Watches, a queue, and at most `workers` reconciliations at a time, never two of one key.

    What there is at the start is worked off one key in a turn of the loop, behind whatever changes meanwhile: a
    platform that comes back to a thousand objects answers requests first.

    A change that a watch lost (`Expired`) is made up for by listing again and taking every key that exists; the stores
    of this machine let no watcher in this process fall behind that far.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        reconciler: Reconciler,
        watches: Sequence[Watched],
        clock: Clock,
        workers: int = 16,
    ) -> None:
        self.name = name
        self._store = store
        self._reconciler = reconciler
        self._watches = watches
        self._clock = clock
        self._idle_workers = workers
        self._queue = WorkQueue()
        self._backlog: dict[ObjectKey, None] = {}  # what a list showed and nobody has looked at
        self._listed_more = asyncio.Event()
        self._is_caught_up = False
        self._group: asyncio.TaskGroup | None = None
        self._alarm: Alarm | None = None
        self._alarm_at = 0.0

    async def run(self, started: Started) -> None:
        """Runs until cancelled. Started once every watched kind has been listed."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                lists = []
                for watched in self._watches:
                    lists.append(listed := asyncio.Event())
                    name = f"{self.name}:watch {watched.kind.plural}"
                    group.create_task(self._watch(watched, listed), name=name)
                self._start_due()
                for listed in lists:
                    await listed.wait()
                started()
                await self._catch_up()
            finally:
                if self._alarm is not None:
                    self._alarm.cancel()
                    self._alarm = None
                self._group = None  # whoever enqueues from here on must not start a task in a group that ends

    def enqueue(self, key: ObjectKey, after_s: float = 0.0) -> None:
        """Asks for a reconciliation; before `run` it waits for `run`."""
        self._queue.add(key, self._clock.monotonic(), after_s)
        self._start_due()

    def hurry(self, key: ObjectKey) -> None:
        """Somebody waits for a key that a start may not have come to yet: it goes before the others."""
        if not self._is_caught_up:
            self.enqueue(key)

    async def _catch_up(self) -> None:
        while True:
            while self._backlog:
                self.enqueue(self._backlog.popitem()[0])
                await asyncio.sleep(0)
            self._is_caught_up = True
            self._listed_more.clear()
            await self._listed_more.wait()

    async def _watch(self, watched: Watched, listed: asyncio.Event) -> None:
        since = None if watched.changes_only else await self._take_all(watched)
        while True:
            try:
                await self._follow(watched, since, listed)
                return
            except Expired:
                log.info("watch fell behind, listing again", controller=self.name, kind=watched.kind.resource)
                since = await self._take_all(watched)

    async def _follow(self, watched: Watched, since: int | None, listed: asyncio.Event) -> None:
        """Every change after that list, or from now on; ends when the store closes."""
        async with self._store.watch(watched.kind, since=since) as changes:
            listed.set()
            async for event in changes:
                if event.type is not EventType.BOOKMARK:
                    self._enqueue_all(watched.keys(event), watched.after_s)

    async def _take_all(self, watched: Watched) -> int:
        """Returns the resource version of the list; the objects themselves are not kept."""
        objects, resource_version = await scan(self._store, watched.kind)
        for number, obj in enumerate(objects, 1):
            self._backlog.update(dict.fromkeys(watched.keys(WatchEvent(EventType.ADDED, obj, resource_version))))
            if number % _LISTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._listed_more.set()
        return resource_version

    def _enqueue_all(self, keys: Iterable[ObjectKey], after_s: float = 0.0) -> None:
        now = self._clock.monotonic()
        for key in keys:
            self._queue.add(key, now, after_s)
        self._start_due()

    def _start_due(self) -> None:
        """Starts a task per due key while workers are idle; sets the alarm for the next one."""
        if self._group is None:
            return
        now = self._clock.monotonic()
        while self._idle_workers and (key := self._queue.take(now)) is not None:
            self._idle_workers -= 1
            self._group.create_task(self._work(key), name=f"{self.name}:{key}")
        due = self._queue.next_due()
        if due is None or not self._idle_workers:
            return
        if self._alarm is None or due < self._alarm_at:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = due
            self._alarm = self._clock.later(due - now, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self._start_due()

    async def _work(self, key: ObjectKey) -> None:
        try:
            after_s = await self._reconciler(key)
        except Conflict:
            self._queue.retry(key, self._clock.monotonic())
        except PermanentError as error:
            log.warning("gave up", controller=self.name, key=str(key), reason=error.reason, error=str(error))
            self._queue.finish(key)
        except TemporaryError as error:
            delay = self._queue.retry(key, self._clock.monotonic(), error.retry_after_s)
            log.info("will retry", controller=self.name, key=str(key), error=str(error), after_s=round(delay, 3))
        except Exception as error:
            delay = self._queue.retry(key, self._clock.monotonic())
            log.exception("failed", controller=self.name, key=str(key), error=str(error), after_s=round(delay, 3))
        else:
            self._queue.finish(key)
            if after_s is not None:
                self._queue.add(key, self._clock.monotonic(), after_s)
        finally:
            self._idle_workers += 1
        self._start_due()
