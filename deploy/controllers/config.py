"""The settings in force, read from their ConfigMaps when a controller needs them.

A ConfigMap that is missing means the defaults; one that is not valid leaves the last valid settings in force. Reading
at the time of need keeps a reconciliation from running on older settings than the change that caused it.
"""

from __future__ import annotations

from typing import Any, cast

import structlog

from core.errors import NotFound
from core.resources.core_v1 import CONFIG_MAP
from core.settings import config_maps
from core.settings.autoscaler import AutoscalerSettings
from core.settings.domain import DomainSettings
from core.settings.features import FeatureSettings
from core.settings.gc import GcSettings
from core.settings.network import NetworkSettings
from core.store.base import Store

log = structlog.get_logger()


class LiveSettings:
    """Parsed once per version of a ConfigMap."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parsed: dict[str, tuple[str, Any]] = {}

    async def network(self) -> NetworkSettings:
        return cast(NetworkSettings, await self._read(config_maps.NETWORK))

    async def domain(self) -> DomainSettings:
        return cast(DomainSettings, await self._read(config_maps.DOMAIN))

    async def features(self) -> FeatureSettings:
        return cast(FeatureSettings, await self._read(config_maps.FEATURES))

    async def gc(self) -> GcSettings:
        return cast(GcSettings, await self._read(config_maps.GC))

    async def autoscaler(self) -> AutoscalerSettings:
        return cast(AutoscalerSettings, await self._read(config_maps.AUTOSCALER))

    async def _read(self, name: str) -> Any:
        try:
            obj = await self._store.get(CONFIG_MAP, name, config_maps.SYSTEM_NAMESPACE)
            version = obj["metadata"].get("resourceVersion", "")
        except NotFound:
            obj, version = None, ""
        known = self._parsed.get(name)
        if known is not None and known[0] == version:
            return known[1]
        settings = config_maps.settings_of(name, obj)
        if settings is None:
            log.warning("settings are not valid, keeping the last ones", config_map=name, resource_version=version)
            settings = known[1] if known is not None else config_maps.settings_of(name, None)
        self._parsed[name] = (version, settings)
        return settings
