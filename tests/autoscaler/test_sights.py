"""autoscaler/sights.py: every object once, every change, and what has gone while a change was lost."""

from __future__ import annotations

import asyncio

import pytest

from autoscaler.sights import Sight, name_of, named, nothing_kept
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json
from core.store.memory import MemoryStore
from tests.support.clock import FakeClock, settle
from tests.support.scenario import FaultyStore

pytestmark = pytest.mark.anyio


def config_map(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {}}


@pytest.mark.parametrize("lost", [False, True])
async def test_what_is_seen(lost: bool) -> None:
    clock = FakeClock()
    store = FaultyStore(clock)
    seen: dict[tuple[str, str], bool] = {}

    def see(obj: Json, there: bool) -> None:
        seen[name_of(obj)] = there

    assert isinstance(store, MemoryStore)
    for name in ("first", "second"):
        await store.create(CONFIG_MAP, config_map(name))
    sight, listed = Sight(CONFIG_MAP, see, nothing_kept, named), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(sight.follow(store, listed))
        await listed.wait()
        assert seen == {("default", "first"): True, ("default", "second"): True}
        if lost:
            store.lose_watches()
        await store.create(CONFIG_MAP, config_map("third"))
        await store.delete(CONFIG_MAP, "first", "default")
        await settle()
        assert seen == {("default", "first"): False, ("default", "second"): True, ("default", "third"): True}
        task.cancel()
