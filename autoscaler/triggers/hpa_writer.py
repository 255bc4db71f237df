"""Keeps the HorizontalPodAutoscalers of ScaledObjects, behind the loop's back: nobody waits for one.

`loop` says whose may have changed; what there is to see of it is looked at a moment later, once. A change of replicas,
conditions or the document is written then; values that drift wait for that, or a quarter of a minute, the rhythm in
which Kubernetes writes them. All of it is in memory: a platform that begins makes them anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import structlog

from autoscaler.triggers.hpa_document import whole
from autoscaler.triggers.hpa_status import View, status_of
from autoscaler.triggers.timers import Timers
from core.clock import Clock
from core.errors import AlreadyExists, ApiError, NotFound
from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER
from core.resources.keda_annotations import TRANSFER_HPA_OWNERSHIP
from core.resources.meta import Json, ObjectKey, controller_of
from core.resources.timestamps import rfc3339
from core.store.base import DeleteOptions, Store
from core.tasks import Started

AFTER_S: Final = 0.1
"""What was decided, and its status, go first."""
SLOW_S: Final = 15.0
AT_ONCE: Final = 16
"""After so many, others on the event loop get their turn."""

log = structlog.get_logger()

Look = Callable[[ObjectKey], View | None]
"""What there is to show of a ScaledObject now; None: nothing."""


class Cause(IntEnum):
    """Why it is looked at; of several the greatest holds."""

    PERHAPS = 0  # written where it looks another
    DRIFT = 1  # values have waited long enough
    DOUBT = 2  # somebody else may have changed what stands there


class HpaWriter:
    """A queue of ScaledObjects, each at most once in it."""

    def __init__(self, store: Store, clock: Clock, look: Look) -> None:
        self._store = store
        self._clock = clock
        self._look = look
        self._shown: dict[ObjectKey, View] = {}
        self._due: dict[ObjectKey, Cause] = {}
        self._timers: Timers[ObjectKey] = Timers(clock)
        self._work = asyncio.Event()

    def tell(self, key: ObjectKey, cause: Cause = Cause.PERHAPS) -> None:
        """Something about it may have changed; or it has gone."""
        self._due[key] = max(cause, self._due.get(key, cause))
        self._work.set()

    async def run(self, started: Started) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._timers.run(self._drift), name="scaledobjects:slow views")
            started()
            while True:
                await self._work.wait()
                self._work.clear()
                await self._clock.sleep(AFTER_S)
                await self._work_off()

    def _drift(self, key: ObjectKey) -> None:
        self.tell(key, Cause.DRIFT)

    async def _work_off(self) -> None:
        seen = 0
        while self._due:
            key = next(iter(self._due))
            await self._bring(key, self._due.pop(key))
            seen += 1
            if seen % AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _bring(self, key: ObjectKey, cause: Cause) -> None:
        view, shown = self._look(key), self._shown.get(key)
        if view == shown and cause is Cause.PERHAPS:
            if view is not None and shown is not None and view.current != shown.current and not self._timers.at(key):
                self._timers.set(key, self._clock.monotonic() + SLOW_S)
            return
        self._timers.clear(key)
        try:
            if shown is not None and (view is None or view.name != shown.name):
                del self._shown[key]
                await self._remove(key, shown)
            if view is not None:
                await self._put(key, view, None if cause is Cause.DOUBT else shown)
                self._shown[key] = view
        except ApiError as error:
            log.warning("the view of a scaled object not written", object=str(key), error=str(error))

    async def _put(self, key: ObjectKey, view: View, shown: View | None) -> None:
        """`shown`: what stands there for sure."""
        kind, now = HORIZONTAL_POD_AUTOSCALER, rfc3339(self._clock.wall())
        made = whole(view.skeleton, view.metrics)

        def change(obj: Json) -> Json:
            if not _may_write(view, obj):
                return obj
            return {**made, "metadata": {**obj["metadata"], **made["metadata"]}}

        def change_status(obj: Json) -> Json:
            return {**obj, "status": status_of(view, obj, now)} if _is_own(view, obj) else obj

        try:
            if shown is None or shown.document != view.document:
                found = await self._store.modify(kind, view.name, key.namespace, change)
                if not _is_own(view, found):
                    log.warning("a horizontal pod autoscaler of another stands in the way", object=str(key))
                    return
            await self._store.modify(kind, view.name, key.namespace, change_status, "status")
        except NotFound:
            try:
                await self._store.create(kind, {**made, "status": status_of(view, made, now)})
            except AlreadyExists:
                self.tell(key, Cause.DOUBT)

    async def _remove(self, key: ObjectKey, view: View) -> None:
        kind = HORIZONTAL_POD_AUTOSCALER
        try:
            obj = await self._store.get(kind, view.name, key.namespace)
            if _is_own(view, obj):
                await self._store.delete(kind, view.name, key.namespace, DeleteOptions(uid=obj["metadata"]["uid"]))
        except NotFound:
            return


def _is_own(view: View, obj: Json) -> bool:
    owner, ours = controller_of(obj), view.skeleton["metadata"]["ownerReferences"][0]
    return owner is not None and owner["uid"] == ours["uid"]


def _may_write(view: View, obj: Json) -> bool:
    """Its own, or one of nobody that the ScaledObject says to take over."""
    said = view.skeleton["metadata"]["annotations"].get(TRANSFER_HPA_OWNERSHIP)
    return _is_own(view, obj) or (said == "true" and controller_of(obj) is None)
