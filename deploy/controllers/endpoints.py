"""Core Service with a selector → its Endpoints and EndpointSlices. On a cluster Kubernetes does this.

A reconciler for keys of core Services. It remembers the selectors, so that a change of a Pod costs nothing where no
Service looks at it, which is nearly always: Knative's own Services select no Pods.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from core.errors import NotFound
from core.reconcile.controller import Watched
from core.resources.core_services import CORE_SERVICE, ENDPOINTS
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.resources.pods import POD
from core.store.base import DeleteOptions, EventType, LocalStore, WatchEvent
from deploy.endpoints import addresses_of, make_endpoints, make_slices


class EndpointsReconciler:
    """A `core.reconcile.controller.Reconciler`; `watches` are its own."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._selectors: dict[ObjectKey, Mapping[str, str]] = {}
        self.watches = (Watched(CORE_SERVICE, self._service_changed), Watched(POD, self._pod_changed))

    async def __call__(self, key: ObjectKey) -> float | None:
        selector = self._selectors.get(key)
        if selector is None:
            return None
        try:
            service = await self._store.get(CORE_SERVICE, key.name, key.namespace)
        except NotFound:
            return None
        pods = await self._store.list(POD, key.namespace, selector)
        addresses = addresses_of(service, [pod for pod in pods.items if not _has_ended(pod)])
        await replace_dependents(self._store, ENDPOINTS, service, [make_endpoints(service, addresses)])
        await replace_dependents(self._store, ENDPOINT_SLICE, service, make_slices(service, addresses))
        return None

    def _service_changed(self, event: WatchEvent) -> Iterable[ObjectKey]:
        key, spec = key_of(event.object), event.object["spec"]
        selector = spec.get("selector")
        if event.type is EventType.DELETED or not selector or spec.get("type") == "ExternalName":
            self._selectors.pop(key, None)
            return ()
        self._selectors[key] = selector
        return (key,)

    def _pod_changed(self, event: WatchEvent) -> Iterable[ObjectKey]:
        namespace = event.object["metadata"]["namespace"]
        labels = [obj["metadata"].get("labels") or {} for obj in (event.object, event.old) if obj is not None]
        return {
            key
            for key, selector in self._selectors.items()
            if key.namespace == namespace and any(selector.items() <= each.items() for each in labels)
        }


async def replace_dependents(store: LocalStore, kind: Kind[Any], owner: Json, wanted: list[Json]) -> None:
    """Makes the owner's objects of that kind these."""
    old = {key for each, key in store.dependents(owner["metadata"]["uid"]) if each is kind}
    for obj in wanted:
        key = key_of(obj)
        if key in old:
            await store.modify(kind, key.name, key.namespace, partial(_renewed, obj))
        else:
            await store.create(kind, obj)
    for key in old - {key_of(obj) for obj in wanted}:
        with contextlib.suppress(NotFound):
            await store.delete(kind, key.name, key.namespace, DeleteOptions())


def _has_ended(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _renewed(obj: Json, current: Json) -> Json:
    return {**current, **obj, "metadata": {**current["metadata"], **obj["metadata"]}}
