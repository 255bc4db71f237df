"""Keeps `routingState` and `routes` of Revisions and Configurations in step with the Routes.

knative.dev/serving/pkg/reconciler/labeler. No finalizer is needed: what still carries the name of a Route that has gone
is seen at the next start, too, because every carrier leads to a look at the Route.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.multimap import Multimap
from core.reconcile.controller import Controller, Keys, Watched, itself
from core.reconcile.references import References
from core.resources.meta import Json, Kind, ObjectKey, controller_of, key_of
from core.resources.serving import CONFIGURATION, REVISION, ROUTE
from core.store.base import EventType, WatchEvent
from deploy import labeling
from deploy.controllers.world import World


class Carriers:
    """Which objects of one kind carry which Route's name, as its watch shows them."""

    def __init__(self) -> None:
        self._by_route: Multimap[ObjectKey, ObjectKey] = Multimap()

    def names(self, route: ObjectKey) -> set[str]:
        return {key.name for key in self._by_route.of(route)}

    def watch(self, event: WatchEvent) -> Iterable[ObjectKey]:
        """The Routes whose carriers this changes: named before, or named now."""
        carrier = key_of(event.object)
        before = set(_routes(event.old)) if event.old is not None else set()
        now = set(_routes(event.object)) if event.type is not EventType.DELETED else set()
        for route in before - now:
            self._by_route.discard(route, carrier)
        for route in now:
            self._by_route.add(route, carrier)
        return now - before


class Labeler:
    def __init__(self, world: World) -> None:
        self._world = world
        self._carriers: dict[Kind[Any], Carriers] = {REVISION: Carriers(), CONFIGURATION: Carriers()}
        self._references = References()

    def controller(self) -> Controller:
        watches = [Watched(ROUTE, itself)]
        for kind, carriers in self._carriers.items():
            watches.append(Watched(kind, _both(carriers.watch, self._references.of(kind))))
        return Controller("labeler", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> None:
        route = await self._world.find_live(ROUTE, key)
        if route is None:
            self._references.set(key, ())
            for kind in self._carriers:
                await self._clear(kind, key, frozenset())
            return
        listed = await self._listed(key, route)
        for kind, names in listed.items():
            if labeling.may_clear(route):
                await self._clear(kind, key, names)
            for name in names:
                await self._relabel(kind, ObjectKey(key.namespace, name), key.name, is_listed=True)

    async def _listed(self, key: ObjectKey, route: Json) -> dict[Kind[Any], set[str]]:
        """What the Route sends to, those that exist; and where it follows the latest, the Revision being made."""
        revisions: set[str] = set()
        configurations: set[str] = set()
        referents: set[tuple[Kind[Any], ObjectKey]] = set()
        for target in labeling.listed_targets(route):
            configuration = target.get("configurationName") or ""
            if name := target.get("revisionName"):
                referents.add((REVISION, ObjectKey(key.namespace, name)))
                revision = await self._world.find(REVISION, ObjectKey(key.namespace, name))
                if revision is None:
                    continue
                revisions.add(name)
                owner = controller_of(revision)
                configuration = owner["name"] if owner and owner["kind"] == CONFIGURATION.kind else configuration
            if not configuration:
                continue
            referents.add((CONFIGURATION, ObjectKey(key.namespace, configuration)))
            parent = await self._world.find(CONFIGURATION, ObjectKey(key.namespace, configuration))
            if parent is None:
                continue
            configurations.add(configuration)
            created = (parent.get("status") or {}).get("latestCreatedRevisionName")
            if created and target.get("latestRevision"):
                revisions.add(created)
        self._references.set(key, referents)
        return {REVISION: revisions, CONFIGURATION: configurations}

    async def _clear(self, kind: Kind[Any], route: ObjectKey, kept: Iterable[str]) -> None:
        for name in self._carriers[kind].names(route) - set(kept):
            await self._relabel(kind, ObjectKey(route.namespace, name), route.name, is_listed=False)

    async def _relabel(self, kind: Kind[Any], key: ObjectKey, route: str, is_listed: bool) -> None:
        obj = await self._world.find(kind, key)
        if obj is None:
            return
        now, is_revision = self._world.now(), kind is REVISION
        relabel = labeling.with_route if is_listed else labeling.without_route
        if relabel(obj, route, now, is_revision) is not obj:
            await self._world.write(kind, obj, lambda old: relabel(old, route, now, is_revision))


def _routes(obj: Json) -> list[ObjectKey]:
    namespace = obj["metadata"].get("namespace", "")
    return [ObjectKey(namespace, name) for name in labeling.routes_of(obj)]


def _both(first: Keys, second: Keys) -> Keys:
    def keys(event: WatchEvent) -> Iterable[ObjectKey]:
        return {*first(event), *second(event)}

    return keys
