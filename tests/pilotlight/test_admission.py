"""Settings in force follow their ConfigMaps, except into nonsense."""

from __future__ import annotations

import asyncio

from core.resources.core_v1 import CONFIG_MAP
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.settings.config_maps import CONFIG_MAPS, DEFAULTS, SYSTEM_NAMESPACE
from core.store.memory import MemoryStore
from core.tasks import start_service
from pilotlight.admission import SettingsInForce
from tests.support.clock import FakeClock, settle


def test_live_settings() -> None:
    async def scenario() -> list[int]:
        clock = FakeClock()
        store = MemoryStore(KINDS, clock)
        settings = SettingsInForce(store, clock)
        assert set(settings.current()) == set(CONFIG_MAPS)
        seen = [settings.current()[DEFAULTS].revision_timeout_s]

        async def write(value: str) -> None:
            data = {"revision-timeout-seconds": value}
            await store.modify(CONFIG_MAP, DEFAULTS, SYSTEM_NAMESPACE, lambda old: {**old, "data": data})
            await settle()
            seen.append(settings.current()[DEFAULTS].revision_timeout_s)

        async with asyncio.TaskGroup() as group:
            task = await start_service(group, settings.run, "settings")
            obj: Json = {"metadata": {"name": DEFAULTS, "namespace": SYSTEM_NAMESPACE}, "data": {}}
            await store.create(CONFIG_MAP, obj)
            await write("120")
            await write("nonsense")
            await store.delete(CONFIG_MAP, DEFAULTS, SYSTEM_NAMESPACE)
            await settle()
            seen.append(settings.current()[DEFAULTS].revision_timeout_s)
            task.cancel()
        return seen

    assert asyncio.run(scenario()) == [300, 120, 120, 300]
