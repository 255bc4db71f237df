"""Revision with instances → its ServerlessService, and the EndpointSlices of its private Service.

Nothing here reads them: clients do that count a revision's ready instances, as Knative's own tests. So they are written
a moment after a start, out of its way, and a revision that sleeps has none: a sleeper costs nothing by them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from core.clock import Clock
from core.errors import AlreadyExists, TemporaryError
from core.reconcile.controller import Watched
from core.reconcile.objects import Objects, is_controlled_by
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.meta import Json, ObjectKey
from core.resources.networking import SERVERLESS_SERVICE
from core.resources.pods import POD
from core.resources.serving_labels import REVISION_LABEL
from core.store.base import LocalStore, WatchEvent
from deploy import serverless_services as sks
from deploy.controllers.changes import when_readiness_changes
from deploy.controllers.endpoints import replace_dependents

TOLD_AFTER_S: Final = 0.5


def _revision(event: WatchEvent) -> Iterable[ObjectKey]:
    metadata = event.object["metadata"]
    name = (metadata.get("labels") or {}).get(REVISION_LABEL)
    return (ObjectKey(metadata["namespace"], name),) if name else ()


class ServerlessServiceReconciler:
    """A `core.reconcile.controller.Reconciler` for keys of Revisions; `watches` are its own."""

    watches = (Watched(POD, when_readiness_changes(_revision), TOLD_AFTER_S),)

    def __init__(self, store: LocalStore, clock: Clock) -> None:
        self._store = store
        self._objects = Objects(store, clock)

    async def __call__(self, key: ObjectKey) -> float | None:
        scaler = await self._objects.find_live(POD_AUTOSCALER, key)
        stored = await self._objects.find(SERVERLESS_SERVICE, key)
        pods = (await self._store.list(POD, key.namespace, {REVISION_LABEL: key.name})).items if scaler else []
        if scaler is None or not pods:
            if stored is not None:
                await replace_dependents(self._store, ENDPOINT_SLICE, stored, [])
                await self._objects.delete(SERVERLESS_SERVICE, key)
            return None
        if stored is None:
            stored = await self._create(scaler)
        elif not is_controlled_by(stored, scaler):
            raise TemporaryError(f"ServerlessService {key} belongs to a revision that has gone, and goes with it")
        instances = sks.instances_of(stored, pods)
        await replace_dependents(self._store, ENDPOINT_SLICE, stored, sks.make_private_slices(stored, instances))
        status = sks.decide_status(stored, instances, self._objects.now())
        await self._objects.write_status(SERVERLESS_SERVICE, stored, status)
        return None

    async def _create(self, scaler: Json) -> Json:
        try:
            return await self._store.create(SERVERLESS_SERVICE, sks.make_serverless_service(scaler))
        except AlreadyExists as error:
            raise TemporaryError(error.message) from error
