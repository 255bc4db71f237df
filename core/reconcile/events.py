"""What happened to an object, as `kubectl describe` and `kubectl get events` show it.

Controllers record; what is said again is counted on the same Event, as client-go's correlator does. Events are observed
state: memory only, and gone an hour after they were last said. They are named after the moment, as client-go has it:
within the second of a timestamp, the order of names is the order of what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
from collections import OrderedDict
from typing import Literal

import structlog

from core.clock import Clock
from core.errors import AlreadyExists, ApiError, Expired, NotFound
from core.resources.core_v1 import EVENT
from core.resources.meta import Json, ObjectKey, key_of
from core.resources.timestamps import epoch_of, rfc3339
from core.store.base import EventType, Store
from core.tasks import Started

log = structlog.get_logger()

EVENT_AGE_MAX_S = 3600  # kube-apiserver's --event-ttl
EVENTS_MAX = 1000  # some 600 bytes each, and the platform is to stay small
_SWEEP_EVERY_S = 1.0
_MESSAGE_CHARS_MAX = 1024  # as in the events.k8s.io API


class Recorder:
    """Records events in one component's name."""

    def __init__(self, store: Store, clock: Clock, component: str) -> None:
        self._store = store
        self._clock = clock
        self._component = component
        self._names: OrderedDict[bytes, str] = OrderedDict()  # of what was said, by its digest

    async def event(self, obj: Json, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Says that something happened to a stored object. Never fails: an event is told, not relied upon."""
        fresh = self._make(obj, type, reason, message[:_MESSAGE_CHARS_MAX])
        said = "\0".join((obj["kind"], str(key_of(obj)), obj["metadata"].get("uid", ""), type, reason, message))
        digest = hashlib.blake2b(said.encode(), digest_size=8).digest()
        try:
            if not await self._count(digest, fresh):
                await self._create(digest, fresh)
        except ApiError as error:
            log.warning("event not recorded", object=str(key_of(obj)), reason=reason, error=str(error))

    async def _count(self, digest: bytes, fresh: Json) -> bool:
        """Whether it was said before, and the Event of that is there."""

        def again(known: Json) -> Json:
            return {**known, "count": known.get("count", 1) + 1, "lastTimestamp": fresh["lastTimestamp"]}

        name = self._names.get(digest)
        if name is None:
            return False
        self._names.move_to_end(digest)
        try:
            await self._store.modify(EVENT, name, fresh["metadata"]["namespace"], again)
        except NotFound:
            return False
        return True

    async def _create(self, digest: bytes, fresh: Json) -> None:
        about = fresh["involvedObject"]["name"]
        for moment in itertools.count(int(self._clock.wall() * 1e9)):
            name = f"{about}.{moment:016x}"
            try:
                await self._store.create(EVENT, {**fresh, "metadata": {**fresh["metadata"], "name": name}})
            except AlreadyExists:
                continue
            break
        self._names[digest] = name
        if len(self._names) > EVENTS_MAX:
            self._names.popitem(last=False)

    def _make(self, obj: Json, type: str, reason: str, message: str) -> Json:
        """Without a name."""
        metadata = obj["metadata"]
        now = rfc3339(self._clock.wall())
        involved = {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            **{name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion") if name in metadata},
        }
        return {
            "metadata": {"namespace": metadata.get("namespace") or "default"},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "type": type,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }


class EventExpiry:
    """Forgets Events that were last said too long ago, and the oldest of what is too many."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._said: OrderedDict[ObjectKey, float] = OrderedDict()  # what was said last comes last

    async def run(self, started: Started) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="events:watch")
            started()
            while True:
                await self._clock.sleep(_SWEEP_EVERY_S)
                for key in self.due(self._clock.wall()):
                    with contextlib.suppress(NotFound):
                        await self._store.delete(EVENT, key.name, key.namespace)

    def see(self, change: EventType, event: Json) -> None:
        key = key_of(event)
        if change is EventType.DELETED:
            self._said.pop(key, None)
        else:
            self._said[key] = _last_said(event)
            self._said.move_to_end(key)

    def due(self, now: float) -> list[ObjectKey]:
        """Whom to forget; `now` in epoch seconds."""
        surplus = len(self._said) - EVENTS_MAX
        due: list[ObjectKey] = []
        for key, at in self._said.items():
            if len(due) >= surplus and now - at <= EVENT_AGE_MAX_S:
                break
            due.append(key)
        return due

    async def _follow(self) -> None:
        while True:
            listing = await self._store.list(EVENT)
            self._said.clear()
            for event in sorted(listing.items, key=_last_said):
                self.see(EventType.ADDED, event)
            try:
                async with self._store.watch(EVENT, since=listing.resource_version) as changes:
                    async for change in changes:
                        self.see(change.type, change.object)
            except Expired:
                log.info("watch fell behind, listing again", kind=EVENT.resource)
            else:
                return


def _last_said(event: Json) -> float:
    said = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return (epoch_of(said) if said else None) or 0.0
