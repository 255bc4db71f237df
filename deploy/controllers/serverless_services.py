"""Revision with instances → its ServerlessService, with the Endpoints and EndpointSlices of the names in it.

Nothing here reads them: clients do that count a revision's ready instances, as Knative's own tests. So they are written
a moment after a start, out of its way; whoever watches sees them empty for a minute; and then they are gone: a revision
that sleeps costs nothing by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from core.clock import Clock
from core.errors import AlreadyExists, TemporaryError
from core.reconcile.controller import Watched
from core.reconcile.objects import Objects, is_controlled_by
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.core_services import ENDPOINTS
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.meta import Json, ObjectKey
from core.resources.networking import SERVERLESS_SERVICE
from core.resources.pods import POD
from core.resources.serving_labels import REVISION_LABEL
from core.settings.config_maps import SYSTEM_NAMESPACE
from core.store.base import LocalStore, WatchEvent
from deploy import serverless_services as sks
from deploy.controllers.changes import when_readiness_changes
from deploy.controllers.endpoints import replace_dependents
from deploy.endpoints import PodAddress

TOLD_AFTER_S: Final = 0.5
EMPTY_S: Final = 60.0  # that they are kept without an instance
GATEWAY: Final = ObjectKey(SYSTEM_NAMESPACE, "activator-service")
"""The Endpoints of the gateway, by the name that clients look for."""


def _revision(event: WatchEvent) -> Iterable[ObjectKey]:
    metadata = event.object["metadata"]
    name = (metadata.get("labels") or {}).get(REVISION_LABEL)
    return (ObjectKey(metadata["namespace"], name),) if name else ()


class ServerlessServiceReconciler:
    """A `core.reconcile.controller.Reconciler` for keys of Revisions; `watches` are its own."""

    watches = (Watched(POD, when_readiness_changes(_revision), TOLD_AFTER_S),)

    def __init__(self, store: LocalStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._objects = Objects(store, clock)
        self._empty_since: dict[ObjectKey, float] = {}

    async def __call__(self, key: ObjectKey) -> float | None:
        scaler = await self._objects.find_live(POD_AUTOSCALER, key)
        stored = await self._objects.find(SERVERLESS_SERVICE, key)
        pods = (await self._store.list(POD, key.namespace, {REVISION_LABEL: key.name})).items if scaler else []
        left_s = self._kept_for(key, bool(pods))
        if scaler is None or left_s <= 0 or (stored is None and not pods):
            self._empty_since.pop(key, None)
            await self._remove(key, stored)
            return None
        if stored is None:
            stored = await self._create(scaler)
        elif not is_controlled_by(stored, scaler):
            raise TemporaryError(f"ServerlessService {key} belongs to a revision that has gone, and goes with it")
        await self._tell(stored, sks.instances_of(stored, pods))
        return None if pods else left_s

    def _kept_for(self, key: ObjectKey, has_instances: bool) -> float:
        """The seconds that it has left."""
        if has_instances:
            self._empty_since.pop(key, None)
            return EMPTY_S
        now = self._clock.monotonic()
        return self._empty_since.setdefault(key, now) + EMPTY_S - now

    async def _tell(self, serverless: Json, instances: Sequence[PodAddress]) -> None:
        gateway = await self._objects.find(ENDPOINTS, GATEWAY)
        lists = sks.make_endpoints_lists(serverless, instances, gateway)
        slices = sks.make_slices_lists(serverless, instances, gateway)
        await replace_dependents(self._store, ENDPOINTS, serverless, lists)
        await replace_dependents(self._store, ENDPOINT_SLICE, serverless, slices)
        status = sks.decide_status(serverless, instances, self._objects.now())
        await self._objects.write_status(SERVERLESS_SERVICE, serverless, status)

    async def _remove(self, key: ObjectKey, stored: Json | None) -> None:
        if stored is None:
            return
        for kind in (ENDPOINTS, ENDPOINT_SLICE):
            await replace_dependents(self._store, kind, stored, [])
        await self._objects.delete(SERVERLESS_SERVICE, key)

    async def _create(self, scaler: Json) -> Json:
        try:
            return await self._store.create(SERVERLESS_SERVICE, sks.make_serverless_service(scaler))
        except AlreadyExists as error:
            raise TemporaryError(error.message) from error
