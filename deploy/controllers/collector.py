"""Deletes Revisions that nobody has needed for long (`config-gc`; knative.dev/serving/pkg/reconciler/gc)."""

from __future__ import annotations

from typing import Final

from core.reconcile.controller import Controller, Watched, itself, owner
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import ObjectKey
from core.resources.serving import CONFIGURATION, REVISION
from core.resources.serving_labels import CONFIGURATION_LABEL
from core.settings import config_maps
from deploy.controllers.changes import when_readiness_changes, when_settings_change
from deploy.controllers.world import World
from deploy.revision_gc import choose_collectable

# Revisions become stale by waiting, which no watch tells; a Configuration with too few to lose is left alone.
LOOK_EVERY_S: Final = 600.0


class Collector:
    def __init__(self, world: World) -> None:
        self._world = world
        self._configurations: set[ObjectKey] = set()

    def controller(self) -> Controller:
        watches = (
            Watched(CONFIGURATION, when_readiness_changes(itself)),
            Watched(REVISION, when_readiness_changes(owner(CONFIGURATION))),
            Watched(CONFIG_MAP, when_settings_change((config_maps.GC,), lambda: tuple(self._configurations))),
        )
        return Controller("collector", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> float | None:
        configuration = await self._world.find_live(CONFIGURATION, key)
        if configuration is None:
            self._configurations.discard(key)
            return None
        self._configurations.add(key)
        if configuration["metadata"].get("generation", 1) <= 1:
            return None  # one Revision: the latest
        settings = await self._world.settings.gc()
        revisions = (await self._world.store.list(REVISION, key.namespace, {CONFIGURATION_LABEL: key.name})).items
        if len(revisions) <= max(1, settings.min_non_active_revisions):
            return None
        latest = (configuration.get("status") or {}).get("latestReadyRevisionName", "")
        for name in choose_collectable(revisions, latest, settings, self._world.clock.wall()):
            await self._world.delete(REVISION, ObjectKey(key.namespace, name))
        return LOOK_EVERY_S
