"""Writes ScaledObjects' statuses and events behind the loop's back, so that a scale never waits for one.

`loop` says who has something to tell; of several changes the last is written. What matters goes at once; counts of
failures and the time of the last activity wait until something else does, or half a minute at most: no write per
message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from autoscaler.triggers.announcements import Announcement, announce
from autoscaler.triggers.facts import Facts
from autoscaler.triggers.status import status_of
from autoscaler.triggers.timers import Timers
from core.clock import Clock
from core.errors import ApiError, NotFound
from core.reconcile.events import Recorder
from core.resources.keda import SCALED_OBJECT
from core.resources.meta import Json, ObjectKey
from core.store.base import Store
from core.tasks import Started

AFTER_S: Final = 0.02
"""What was decided is most often that something is to start: that goes first."""
SLOW_S: Final = 30.0
WRITERS: Final = 8
"""At once: their syncs of the disk are one."""

log = structlog.get_logger()

Gather = Callable[[ObjectKey], tuple[Facts, Json] | None]
"""What there is to tell of an object now, with a reference for its events."""


class StatusWriter:
    """A queue of objects, each at most once in it."""

    def __init__(self, store: Store, clock: Clock, recorder: Recorder, gather: Gather) -> None:
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._gather = gather
        self._told: dict[ObjectKey, Facts] = {}
        self._timers: Timers[ObjectKey] = Timers(clock)
        self._due: dict[ObjectKey, None] = {}
        self._busy: set[ObjectKey] = set()
        self._said: deque[tuple[Json, Announcement]] = deque()
        self._work = asyncio.Event()

    def tell(self, key: ObjectKey, facts: Facts) -> None:
        """That is how it is now."""
        told = self._told.get(key)
        if told is None or facts != told:
            self._timers.clear(key)
            self._due[key] = None
            self._work.set()
        elif told.drift != facts.drift and self._timers.at(key) is None:
            self._timers.set(key, self._clock.monotonic() + SLOW_S)

    def say(self, reference: Json, announcement: Announcement) -> None:
        """An event of its own."""
        self._said.append((reference, announcement))
        self._work.set()

    def forget(self, key: ObjectKey) -> None:
        self._told.pop(key, None)
        self._due.pop(key, None)
        self._timers.clear(key)

    async def run(self, started: Started) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._timers.run(self._hurry), name="scaledobjects:slow statuses")
            started()
            while True:
                await self._work.wait()
                self._work.clear()
                await self._clock.sleep(AFTER_S)
                while self._said:
                    await self._record(*self._said.popleft())
                async with asyncio.TaskGroup() as writers:
                    for _ in range(min(WRITERS, len(self._due))):
                        writers.create_task(self._write_due(), name="scaledobjects:status")

    def _hurry(self, key: ObjectKey) -> None:
        self._due[key] = None
        self._work.set()

    async def _write_due(self) -> None:
        while self._due:
            key = next(iter(self._due))
            del self._due[key]
            await self._write(key)

    async def _write(self, key: ObjectKey) -> None:
        found = self._gather(key)
        if found is None:
            return
        facts, reference = found

        def change(obj: Json) -> Json:
            obj["status"] = status_of(facts, obj.get("status") or {})
            return obj

        try:
            await self._store.modify(SCALED_OBJECT, key.name, key.namespace, change, "status")
        except NotFound:
            return
        except ApiError as error:
            log.warning("status of a scaled object not written", object=str(key), error=str(error))
            return
        before = self._told.get(key)
        self._told[key] = facts
        for announcement in announce(before, facts):
            await self._record(reference, announcement)

    async def _record(self, reference: Json, said: Announcement) -> None:
        await self._recorder.event(reference, said.type, said.reason, said.message)
