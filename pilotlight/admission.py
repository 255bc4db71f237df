"""The config-* settings in force, kept at hand for the API's admission, which cannot wait for a read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.clock import Clock
from core.errors import NotFound
from core.reconcile.controller import Controller, Watched
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import ObjectKey, key_of
from core.settings.config_maps import CONFIG_MAPS, is_settings, settings_name, settings_of
from core.store.base import Store, WatchEvent
from core.tasks import Started


class SettingsInForce:
    """`current` is what `AdmissionContext.settings` takes: name of settings (see `config_maps`) → what they say."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._settings: dict[str, Any] = {name: settings_of(name, None) for name in CONFIG_MAPS}
        watches = (Watched(CONFIG_MAP, _own_map),)
        self._controller = Controller("settings", store, self._reconcile, watches, clock)

    def current(self) -> Mapping[str, Any]:
        return self._settings

    async def run(self, started: Started) -> None:
        """Until cancelled."""
        await self._controller.run(started)

    async def _reconcile(self, key: ObjectKey) -> None:
        """One that is not valid leaves the ones before it in force."""
        try:
            found = await self._store.get(CONFIG_MAP, key.name, key.namespace)
        except NotFound:
            found = None
        name = settings_name(key.namespace, key.name)
        settings = settings_of(name, found) if name else None
        if name and settings is not None:
            self._settings[name] = settings


def _own_map(event: WatchEvent) -> Iterable[ObjectKey]:
    return (key_of(event.object),) if is_settings(event.object) else ()
