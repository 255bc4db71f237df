"""Follows what the other packages write: routes, revisions, Pods and Services in, table and instances out.

The only part of the data path that reads the store. Each kind is listed once and then watched; a change is turned
into a small value (`observed`, `routing`) and handed to the gateway or the throttler in the same turn.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

import structlog

from activator.claims import Claimant, Claims, Sort
from activator.gateway import Gateway
from activator.instances import Endpoint
from activator.limits import BACK_OFF_S, RevisionLimits
from activator.observed import (
    SeenPod,
    SeenService,
    SeenSlice,
    common_failure,
    newly_failed,
    see_limits,
    see_pod,
    see_service,
    see_slice,
)
from activator.problem import revision_missing
from activator.routing import Compiled, ServiceKey, compile_ingress, compile_service
from activator.throttler import Throttler
from core.clock import Clock
from core.errors import Expired
from core.resources.core_services import CORE_SERVICE, is_placeholder
from core.resources.discovery_v1 import ENDPOINT_SLICE, SERVICE_NAME_LABEL
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.resources.networking import INGRESS
from core.resources.pod_failures import Failure, overdue
from core.resources.pods import POD
from core.resources.serving import REVISION
from core.stats import InstanceKey, RevisionKey
from core.store.base import EventType, Store
from core.store.scanning import scan
from core.tasks import Started

log = structlog.get_logger()

Apply: TypeAlias = Callable[[ObjectKey, Json | None, Json | None], None]
"""An object as it is now (None: gone), and as it was where that is known."""

STARTING: Final = "no Pod has been made yet"


class Endpoints:
    """The state of the world, as far as requests are concerned."""

    def __init__(self, store: Store, clock: Clock, gateway: Gateway, throttler: Throttler, cluster_domain: str) -> None:
        self._store = store
        self._clock = clock
        self._gateway = gateway
        self._throttler = throttler
        self._cluster_domain = cluster_domain
        self._claims = Claims(gateway.table.hosts)
        self._services: dict[ObjectKey, SeenService] = {}
        self._slices: dict[ObjectKey, tuple[ObjectKey, SeenSlice]] = {}  # with the Service each belongs to
        self._slices_of: defaultdict[ObjectKey, set[ObjectKey]] = defaultdict(set)
        self._pods: dict[ObjectKey, SeenPod] = {}
        self._pods_of: defaultdict[RevisionKey, set[ObjectKey]] = defaultdict(set)
        self._unready: dict[ObjectKey, float] = {}  # since when each runs and is not ready

    async def run(self, started: Started) -> None:
        """Started once everything that exists has been read."""
        # Revisions first: a route to a revision that is not known yet is no route.
        followed: tuple[tuple[Kind[Any], Apply], ...] = (
            (REVISION, self._revision),
            (POD, self._pod),
            (CORE_SERVICE, self._service),
            (ENDPOINT_SLICE, self._slice),
            (INGRESS, self._ingress),
        )
        async with asyncio.TaskGroup() as group:
            for kind, apply in followed:
                listed = asyncio.Event()
                group.create_task(self._follow(kind, apply, listed), name=f"activator:{kind.plural}")
                await listed.wait()
            started()

    async def _follow(self, kind: Kind[Any], apply: Apply, listed: asyncio.Event) -> None:
        known: set[ObjectKey] = set()
        while True:
            objects, since = await scan(self._store, kind)
            before, known = known, set()
            for obj in objects:
                known.add(key := key_of(obj))
                apply(key, obj, None)
            for key in before - known:
                apply(key, None, None)
            listed.set()
            try:
                async with self._store.watch(kind, since=since) as changes:
                    async for event in changes:
                        if event.type is EventType.BOOKMARK:
                            continue
                        key = key_of(event.object)
                        if event.type is EventType.DELETED:
                            known.discard(key)
                            apply(key, None, event.old)
                        else:
                            known.add(key)
                            apply(key, event.object, event.old)
            except Expired:
                log.info("watch fell behind, listing again", kind=kind.resource)
            else:
                return

    # Routes.

    def _ingress(self, key: ObjectKey, obj: Json | None, old: Json | None) -> None:
        self._claim((Sort.INGRESS, key), obj, compile_ingress(obj) if obj is not None else {})

    def _claim(self, claimant: Claimant, obj: Json | None, compiled: Compiled) -> None:
        created = obj["metadata"].get("creationTimestamp") if obj is not None else None
        self._gateway.change_routes(self._claims.put(claimant, created or "", compiled))

    # Revisions and their Pods.

    def _revision(self, key: ObjectKey, obj: Json | None, old: Json | None) -> None:
        revision = RevisionKey(key.namespace, key.name)
        if obj is None:
            self._throttler.forget(revision, revision_missing(str(revision)))
            return
        backend = self._throttler.ensure(revision, see_limits(obj))
        if not backend.instances:
            if failure := newly_failed(obj, old) if old is not None else None:
                backend.refuse_all(failure)
            self._refresh_revision(revision)

    def _pod(self, key: ObjectKey, obj: Json | None, old: Json | None) -> None:
        before = self._pods.pop(key, None)
        now = see_pod(obj) if obj is not None else None
        if now is not None:
            self._pods[key] = now
        if before == now:
            return
        if now is None or not now.unready:
            self._unready.pop(key, None)
        else:
            self._unready.setdefault(key, self._clock.monotonic())
        for seen in (before, now):
            if seen is not None and seen.revision is not None:
                members = self._pods_of[seen.revision]
                members.discard(key) if now is None or now.revision != seen.revision else members.add(key)
                self._refresh_revision(seen.revision)
        for service in {
            service for service, part in self._slices.values() if any(e.pod == key.name for e in part.ready)
        }:
            self._refresh_service(service)

    def _refresh_revision(self, revision: RevisionKey) -> None:
        backend = self._throttler.backends.get(revision)
        members = self._pods_of.get(revision, set())
        if not members:
            self._pods_of.pop(revision, None)
        if backend is None:
            return
        pods = [self._judged(key, backend.limits.ready_s) for key in sorted(members, key=str)]
        backend.starting = next((pod.state for pod in pods if pod.live), STARTING)
        now, failure = self._clock.monotonic(), common_failure(pods)
        backend.set_endpoints((pod.endpoint for pod in pods if pod.endpoint is not None), now)
        backend.set_failure(failure, now, self._retry_s(failure))

    def _retry_s(self, failure: Failure | None) -> float:
        if failure is None or failure.retry_at is None:
            return BACK_OFF_S
        return failure.retry_at - self._clock.wall()

    def _judged(self, key: ObjectKey, ready_s: float) -> SeenPod:
        """The Pod; one that has had its time to become ready has failed."""
        pod = self._pods[key]
        if pod.failure is not None or pod.revision is None or key not in self._unready:
            return pod
        revision, left_s = pod.revision, self._unready[key] + ready_s - self._clock.monotonic()
        if left_s > 0:
            self._throttler.later(left_s, lambda: self._refresh_revision(revision))
            return pod
        return replace(pod, failure=overdue(ready_s, pod.unready))

    # Core Services and their slices.

    def _service(self, key: ObjectKey, obj: Json | None, old: Json | None) -> None:
        before = self._services.pop(key, None)
        # A Route's placeholder holds its names for kubectl; requests to them go by the Route's Ingress.
        now = see_service(obj) if obj is not None and not is_placeholder(obj) else None
        if now is not None:
            self._services[key] = now
        for port in set(before.ports if before else ()) - set(now.ports if now else ()):
            where = ServiceKey(key.namespace, key.name, port)
            self._throttler.forget(where, revision_missing(str(where)))
        if before != now:
            routes = {}
            if now is not None:
                routes = compile_service(key.namespace, key.name, now.ports, self._cluster_domain, now.external_name)
            self._claim((Sort.SERVICE, key), obj, routes)
            self._refresh_service(key)

    def _slice(self, key: ObjectKey, obj: Json | None, old: Json | None) -> None:
        before = self._slices.pop(key, None)
        if before is not None:
            self._slices_of[before[0]].discard(key)
            self._refresh_service(before[0])
        if obj is not None and (name := (obj["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL)):
            service = ObjectKey(key.namespace, name)
            self._slices[key] = (service, see_slice(obj))
            self._slices_of[service].add(key)
            self._refresh_service(service)

    def _refresh_service(self, key: ObjectKey) -> None:
        service = self._services.get(key)
        if service is None:
            return
        now = self._clock.monotonic()
        for port, name in service.ports.items():
            backend = self._throttler.ensure(ServiceKey(key.namespace, key.name, port), RevisionLimits())
            if service.external_name:
                outside = InstanceKey(key.namespace, key.name, service.external_name)
                backend.set_endpoints([Endpoint(outside, service.external_name, port)], now)
                continue
            slices = [self._slices[part][1] for part in sorted(self._slices_of.get(key, ()), key=str)]
            backend.set_endpoints([e for part in slices for e in self._endpoints(key, part, name)], now)

    def _endpoints(self, service: ObjectKey, part: SeenSlice, port_name: str) -> list[Endpoint]:
        """A Pod's own address is used for its serving port: where processes share one address, ports are given out."""
        port = part.ports.get(port_name)
        if port is None:
            return []
        found = []
        for ready in part.ready:
            pod = self._pods.get(ObjectKey(service.namespace, ready.pod)) if ready.pod else None
            if pod is not None and pod.endpoint is not None:
                host, actual = pod.endpoint.address
                if port != pod.port and host == ready.address:
                    actual = port
                found.append(Endpoint(pod.endpoint.key, host, actual))
            elif pod is None:
                found.append(Endpoint(InstanceKey(service.namespace, ready.address, ""), ready.address, port))
        return found
