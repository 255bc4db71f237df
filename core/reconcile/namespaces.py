"""The end of a namespace: everything in it goes first, then the namespace (pkg/controller/namespace/deletion).

A Namespace is held by `spec.finalizers: [kubernetes]`, which is this controller's to take off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.clock import Clock
from core.errors import NotFound
from core.reconcile.controller import Controller, Watched, itself
from core.resources.core_v1 import NAMESPACE
from core.resources.meta import Json, Kind, ObjectKey
from core.resources.timestamps import rfc3339
from core.store.base import DeleteOptions, Store
from core.tasks import Started

_LOOK_AGAIN_S = 0.2  # for Pods that stop and finalizers that others hold
_CONTENT_REMAINING = "NamespaceContentRemaining"


class NamespaceController:
    """Empties namespaces that are being deleted, and those that are gone without having been emptied."""

    def __init__(self, store: Store, kinds: Sequence[Kind[Any]], clock: Clock) -> None:
        self._store = store
        self._kinds = [kind for kind in kinds if kind.namespaced]
        self._clock = clock
        self._controller = Controller("namespaces", store, self.reconcile, [Watched(NAMESPACE, itself)], clock)

    async def run(self, started: Started) -> None:
        """Runs until cancelled."""
        await self._controller.run(started)

    async def reconcile(self, key: ObjectKey) -> float | None:
        try:
            namespace = await self._store.get(NAMESPACE, key.name)
        except NotFound:
            namespace = None
        if namespace is not None and "deletionTimestamp" not in namespace["metadata"]:
            return None
        if namespace is not None:
            await self._say(key.name, {})
        remaining = await self._empty(key.name)
        if remaining:
            if namespace is not None:
                await self._say(key.name, remaining)
            return _LOOK_AGAIN_S
        if namespace is not None:
            await self._store.modify(NAMESPACE, key.name, "", _without_finalizer)
        return None

    async def _empty(self, namespace: str) -> dict[str, int]:
        """Deletes what is not being deleted yet; returns how many objects of which resource are still there."""
        remaining: dict[str, int] = {}
        for kind in self._kinds:
            for obj in (await self._store.list(kind, namespace)).items:
                metadata = obj["metadata"]
                if "deletionTimestamp" not in metadata:
                    try:
                        await self._store.delete(kind, metadata["name"], namespace, DeleteOptions(uid=metadata["uid"]))
                    except NotFound:
                        continue
            if left := len((await self._store.list(kind, namespace)).items):
                remaining[kind.resource] = left
        return remaining

    async def _say(self, name: str, remaining: dict[str, int]) -> None:
        """Phase Terminating, and what it still waits for."""
        now = rfc3339(self._clock.wall())

        def change(current: Json) -> Json:
            status = {**(current.get("status") or {}), "phase": "Terminating"}
            if remaining:
                listed = ", ".join(
                    f"{resource} has {count} resource instances" for resource, count in remaining.items()
                )
                _set_condition(status, f"Some resources are remaining: {listed}", now)
            return {**current, "status": status}

        await self._store.modify(NAMESPACE, name, "", change, "status")


def _set_condition(status: Json, message: str, now: str) -> None:
    conditions = status.get("conditions") or []
    since = next((c["lastTransitionTime"] for c in conditions if c["type"] == _CONTENT_REMAINING), now)
    condition = {
        "type": _CONTENT_REMAINING,
        "status": "True",
        "reason": "SomeResourcesRemain",
        "message": message,
        "lastTransitionTime": since,
    }
    status["conditions"] = [*(c for c in conditions if c["type"] != _CONTENT_REMAINING), condition]


def _without_finalizer(namespace: Json) -> Json:
    spec = {**(namespace.get("spec") or {})}
    spec["finalizers"] = [name for name in spec.get("finalizers") or () if name != "kubernetes"]
    return {**namespace, "spec": spec}
