"""Writes into each TriggerAuthentication which ScaledObjects and ScaledJobs use it, as KEDA's operator does.

A service of its own beside the loops: nothing waits for it, so many changes in a row become one write.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from core.clock import Clock
from core.errors import NotFound
from core.reconcile.controller import Controller, Watched, itself
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.keda_jobs import SCALED_JOB
from core.resources.meta import Json, Kind, ObjectKey
from core.store.base import EventType, Store, WatchEvent
from core.tasks import Started

TOLD_AFTER_S: Final = 0.2
_USERS: Final[tuple[tuple[str, Kind[Any]], ...]] = (("scaledobjects", SCALED_OBJECT), ("scaledjobs", SCALED_JOB))
"""Field of the status → whose names stand there."""


class AuthenticationUsers:
    """Both kinds in one controller: a key without a namespace is a ClusterTriggerAuthentication's."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        watches = [Watched(kind, _used, after_s=TOLD_AFTER_S) for _, kind in _USERS]
        kinds = (TRIGGER_AUTHENTICATION, CLUSTER_TRIGGER_AUTHENTICATION)
        watches += [Watched(kind, _new, after_s=TOLD_AFTER_S) for kind in kinds]
        self._controller = Controller("authentication-users", store, self._reconcile, watches, clock)

    async def run(self, started: Started) -> None:
        await self._controller.run(started)

    async def _reconcile(self, key: ObjectKey) -> None:
        kind: Kind[Any] = TRIGGER_AUTHENTICATION if key.namespace else CLUSTER_TRIGGER_AUTHENTICATION
        names = {field: await self._names(users, key) for field, users in _USERS}

        def change(obj: Json) -> Json:
            kept = {name: value for name, value in (obj.get("status") or {}).items() if name not in names}
            status = kept | {field: ",".join(found) for field, found in names.items() if found}
            if status or "status" in obj:
                obj["status"] = status
            return obj

        try:
            await self._store.modify(kind, key.name, key.namespace, change, "status")
        except NotFound:
            return  # it is used before it is there

    async def _names(self, kind: Kind[Any], key: ObjectKey) -> list[str]:
        """Of different namespaces each name once, as upstream has them."""
        listing = await self._store.list(kind, key.namespace or None)
        return sorted({obj["metadata"]["name"] for obj in listing.items if key in _references(obj)})


def _references(obj: Json) -> set[ObjectKey]:
    namespace = obj["metadata"].get("namespace", "")
    found = set()
    for trigger in (obj.get("spec") or {}).get("triggers") or ():
        reference = trigger.get("authenticationRef") or {}
        if reference.get("name"):
            is_cluster = reference.get("kind") == CLUSTER_TRIGGER_AUTHENTICATION.kind
            found.add(ObjectKey("" if is_cluster else namespace, reference["name"]))
    return found


def _used(event: WatchEvent) -> Iterable[ObjectKey]:
    """What it began or ceased to use."""
    before = _references(event.old) if event.old is not None else set()
    if event.type is EventType.DELETED:
        return before | _references(event.object)
    return before ^ _references(event.object)


def _new(event: WatchEvent) -> Iterable[ObjectKey]:
    return itself(event) if event.type is EventType.ADDED else ()
