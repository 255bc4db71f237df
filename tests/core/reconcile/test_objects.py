from __future__ import annotations

import asyncio

from core.reconcile.objects import Objects, is_controlled_by
from core.resources.core_v1 import CONFIG_MAP
from core.resources.eventing import BROKER
from core.resources.meta import Json, ObjectKey
from core.store.memory import MemoryStore
from tests.support.clock import FakeClock

KEY = ObjectKey("default", "p")


def make_broker() -> Json:
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": {}}


def test_a_status_is_written_once_and_never_to_a_successor() -> None:
    async def main() -> None:
        clock = FakeClock()
        store = MemoryStore((BROKER, CONFIG_MAP), clock)
        await store.open()
        objects = Objects(store, clock)
        first = await store.create(BROKER, make_broker())
        await objects.write_status(BROKER, first, {"observedGeneration": 1})
        written = await store.get(BROKER, "p", "default")
        assert written["status"] == {"observedGeneration": 1}
        await objects.write_status(BROKER, written, {"observedGeneration": 1})
        assert (await store.get(BROKER, "p", "default"))["metadata"] == written["metadata"]
        await objects.delete(BROKER, KEY)
        await objects.delete(BROKER, KEY)
        await objects.write_status(BROKER, written, {"observedGeneration": 2})
        assert await objects.find(BROKER, KEY) is None
        await store.create(BROKER, make_broker())
        await objects.write_status(BROKER, written, {"observedGeneration": 2})
        assert (await store.get(BROKER, "p", "default")).get("status", {}).get("observedGeneration") != 2

    asyncio.run(main())


def test_what_is_on_its_way_out_is_found_but_not_live() -> None:
    async def main() -> None:
        clock = FakeClock()
        store = MemoryStore((CONFIG_MAP,), clock)
        await store.open()
        objects = Objects(store, clock)
        await store.create(
            CONFIG_MAP, {"metadata": {"name": "p", "namespace": "default", "finalizers": ["example.com/hold"]}}
        )
        assert await objects.find_live(CONFIG_MAP, KEY) is not None
        await objects.delete(CONFIG_MAP, KEY)
        assert await objects.find(CONFIG_MAP, KEY) is not None
        assert await objects.find_live(CONFIG_MAP, KEY) is None

    asyncio.run(main())


def test_only_a_controller_reference_of_the_same_object_counts() -> None:
    owner = {"metadata": {"uid": "1"}}
    reference = {"uid": "1", "controller": True}
    assert is_controlled_by({"metadata": {"ownerReferences": [reference]}}, owner)
    assert not is_controlled_by({"metadata": {"ownerReferences": [{**reference, "uid": "2"}]}}, owner)
    assert not is_controlled_by({"metadata": {"ownerReferences": [{"uid": "1"}]}}, owner)
    assert not is_controlled_by({"metadata": {}}, owner)
