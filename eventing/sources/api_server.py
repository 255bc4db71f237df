"""ApiServerSource → events of what happens to objects of the API (knative.dev/eventing/pkg/adapter/apiserver).

The platform is the API server, so a source is a watch of its own store, whose changes go into the source's stream. It
tells of what happens from its start on; what there is already is not told of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from core.errors import ApiError, Expired, TemporaryError
from core.reconcile.controller import Controller, Watched, itself
from core.resources.core_v1 import NAMESPACE
from core.resources.meta import Json, Kind, ObjectKey
from core.resources.selectors import selector_of
from core.resources.sources import API_SERVER_SOURCE, API_SERVER_SOURCE_CONDITIONS
from core.store.base import EventType, WatchEvent
from core.tasks import OpenGroup, Service
from eventing.controllers.resolving import followed, kind_of
from eventing.controllers.world import World
from eventing.event import Event, Value
from eventing.filters.clauses import Filter
from eventing.filters.dialects import compile_filters
from eventing.object_events import Interest, attributes_of, make_event
from eventing.outlet import Outlet
from eventing.sources.base import Sinks, overrides

log = structlog.get_logger()

DEPLOYED, PERMITTED = "Deployed", "SufficientPermissions"
RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Orders:
    """Compiled from a source; what runs with equal ones goes on undisturbed."""

    interests: tuple[Interest, ...]
    mode: str
    overrides: dict[str, Value | None]
    filters: str
    filter: Filter = field(compare=False)


class ApiServerSources:
    """`base.Source`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sinks = Sinks(world)
        self._outlet = Outlet(world, "apiserversource")
        self._watches = OpenGroup()
        self._running: dict[ObjectKey, tuple[_Orders, list[asyncio.Task[None]]]] = {}
        self._selecting: set[ObjectKey] = set()  # those that look at the labels of namespaces

    @property
    def services(self) -> Sequence[tuple[str, Service]]:
        return [("api-server-sources", self._watches.run)]

    def controller(self) -> Controller:
        watches = [
            Watched(API_SERVER_SOURCE, itself),
            Watched(NAMESPACE, self._when_namespaces_change),
            *followed(self._sinks.references),
        ]
        controller = Controller("apiserversource", self._world.store, self.reconcile, watches, self._world.clock)
        self._world.plane.follow(f"{self._outlet.sort}/", lambda key: controller.enqueue(key))
        return controller

    async def reconcile(self, key: ObjectKey) -> None:
        source = await self._world.find_live(API_SERVER_SOURCE, key)
        if source is None:
            self._selecting.discard(key)
            self._sinks.forget(key)
            await self._stop(key)
            await self._outlet.close(key)
            return
        conditions = API_SERVER_SOURCE_CONDITIONS.manage(source.get("status"), self._world.now())
        namespaces = await self._namespaces(key, source)
        status: Json = {
            "observedGeneration": source["metadata"].get("generation", 0),
            "ceAttributes": attributes_of(source["spec"]["mode"]),
            "namespaces": [""] if namespaces is None else sorted(namespaces),
        }
        conditions.mark_true(PERMITTED)
        url = await self._sinks.find(source, conditions, status)
        orders = _read(source, namespaces)
        if isinstance(orders, str):
            conditions.mark_false(DEPLOYED, "InvalidSource", orders)
        elif url is None:
            conditions.mark_unknown(DEPLOYED, "NoSink", "nothing is told while there is no sink")
        else:
            await self._outlet.open(key, source, url)
            if self._outlet.is_gone(key):
                said = f"{url} answered 410 Gone: it wants no more events. Change the ApiServerSource to try again"
                conditions.mark_false(DEPLOYED, "SinkGone", said)
            else:
                await self._start(key, orders)
                conditions.mark_true(DEPLOYED)
        if not conditions.is_true(DEPLOYED):
            await self._stop(key)
            await self._outlet.hold(key)
        await self._world.write_status(API_SERVER_SOURCE, source, {**status, "conditions": conditions.to_json()})

    async def _namespaces(self, key: ObjectKey, source: Json) -> frozenset[str] | None:
        """Those whose objects are told of; None for all."""
        selector = source["spec"].get("namespaceSelector")
        if selector is None:
            self._selecting.discard(key)
            return frozenset({key.namespace})
        self._selecting.add(key)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            return None
        wanted = selector_of(selector)
        found = (await self._world.store.list(NAMESPACE)).items
        return frozenset(
            each["metadata"]["name"] for each in found if wanted.matches(each["metadata"].get("labels") or {})
        )

    def _when_namespaces_change(self, event: WatchEvent) -> Iterable[ObjectKey]:
        return tuple(self._selecting)

    async def _start(self, key: ObjectKey, orders: _Orders) -> None:
        if key in self._running and self._running[key][0] == orders:
            return
        await self._stop(key)
        if (group := self._watches.group) is None:
            raise TemporaryError("the watches have not been started")
        tasks = []
        for interest in orders.interests:
            watching = asyncio.Event()
            work = self._watch(key, orders, interest, watching)
            tasks.append(group.create_task(work, name=f"apiserversource:{key}:{interest.kind.plural}"))
            await watching.wait()
        self._running[key] = (orders, tasks)

    async def _stop(self, key: ObjectKey) -> None:
        _, tasks = self._running.pop(key, (None, []))
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _watch(self, key: ObjectKey, orders: _Orders, interest: Interest, watching: asyncio.Event) -> None:
        """One kind. A watch that has lost changes says so and goes on."""
        while True:
            try:
                async with self._world.store.watch(interest.kind) as changes:
                    watching.set()
                    async for change in changes:
                        if change.type is not EventType.BOOKMARK and interest.wants(change.object):
                            await self._tell(
                                key, orders, make_event(change, interest.kind, orders.mode, orders.overrides)
                            )
                return
            except Expired:
                log.warning("changes were missed", source=str(key), kind=interest.kind.resource)

    async def _tell(self, key: ObjectKey, orders: _Orders, event: Event) -> None:
        if not orders.filter.matches(event):
            return
        while True:
            try:
                await self._outlet.append(key, [event])
            except (ApiError, TemporaryError) as error:
                log.warning("a change waits to be stored", source=str(key), reason=str(error))
                await self._world.clock.sleep(RETRY_S)
            else:
                return


def _read(source: Json, namespaces: frozenset[str] | None) -> _Orders | str:
    """What to watch, or what is wrong with it."""
    spec = source["spec"]
    owner = (spec["owner"].get("apiVersion") or "", spec["owner"]["kind"]) if spec.get("owner") else None
    interests = []
    for resource in spec["resources"]:
        kind: Kind[Any] | None = kind_of(resource)
        if kind is None:
            return f"no kind {resource.get('kind')} of {resource.get('apiVersion')} is served here"
        interests.append(Interest(kind, resource.get("selector"), owner, namespaces))
    wanted = compile_filters({"filters": spec.get("filters") or []})
    if not isinstance(wanted, Filter):
        return "; ".join(f"{error.path}: {error.message}" for error in wanted)
    return _Orders(tuple(interests), spec["mode"], overrides(source), str(spec.get("filters") or ""), wanted)
