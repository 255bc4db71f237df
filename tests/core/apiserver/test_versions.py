"""Objects in a version that is not the stored one: every verb, watches and the status among them."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from core.apiserver.versions import VersionedStore
from core.errors import Conflict
from core.resources.eventing import EVENT_TYPE
from core.resources.eventing_v1beta2 import EVENT_TYPE_V1BETA2
from core.resources.meta import Json
from core.store.base import ByteLister
from core.store.memory import MemoryStore
from tests.support.clock import FakeClock

OLD: Json = {
    "apiVersion": "eventing.knative.dev/v1beta2",
    "kind": "EventType",
    "metadata": {"name": "e", "namespace": "ns"},
    "spec": {"type": "t"},
}


def type_of(obj: Json) -> str:
    """By the version that the object says it is in."""
    if obj["apiVersion"].endswith("/v1beta3"):
        return str(next(each["value"] for each in obj["spec"]["attributes"] if each["name"] == "type"))
    assert obj["apiVersion"].endswith("/v1beta2")
    return str(obj["spec"]["type"])


def test_every_verb() -> None:
    async def scenario() -> None:
        memory = MemoryStore((EVENT_TYPE,), FakeClock())
        await memory.open()
        store = VersionedStore(memory)
        assert isinstance(store, ByteLister)
        async with store.watch(EVENT_TYPE_V1BETA2) as older, store.watch(EVENT_TYPE) as newer:
            made = await store.create(EVENT_TYPE_V1BETA2, OLD)
            assert type_of(made) == "t"
            kept = await memory.get(EVENT_TYPE, "e", "ns")
            assert kept["apiVersion"] == "eventing.knative.dev/v1beta3"
            for kind in (EVENT_TYPE, EVENT_TYPE_V1BETA2):
                assert type_of(await store.get(kind, "e", "ns")) == "t"
                assert [type_of(item) for item in (await store.list(kind, "ns")).items] == ["t"]
                texts = (await store.list_bytes(kind, "ns")).items
                assert [orjson.loads(text)["apiVersion"] for text in texts] == [kind.api_version]

            changed = await store.modify(
                EVENT_TYPE_V1BETA2, "e", "ns", lambda obj: {**obj, "spec": {**obj["spec"], "type": "u"}}
            )
            assert type_of(changed) == "u"
            updated = await store.update(EVENT_TYPE_V1BETA2, {**changed, "spec": {"type": "v"}})
            assert (type_of(updated), updated["metadata"]["generation"]) == ("v", 3)
            with pytest.raises(Conflict):
                await store.update(EVENT_TYPE_V1BETA2, {**changed, "spec": {"type": "w"}})
            status = {"conditions": [{"type": "Ready", "status": "True"}]}
            await store.update(EVENT_TYPE_V1BETA2, {**updated, "status": status}, "status")
            assert (await memory.get(EVENT_TYPE, "e", "ns"))["status"] == status
            assert type_of(await store.delete(EVENT_TYPE_V1BETA2, "e", "ns")) == "v"
            async with asyncio.timeout(5):
                for watch, version in ((older, "v1beta2"), (newer, "v1beta3")):
                    seen = [await anext(watch) for _ in range(5)]
                    assert [type_of(event.object) for event in seen] == ["t", "u", "v", "v", "v"]
                    assert {event.object["apiVersion"] for event in seen} == {f"eventing.knative.dev/{version}"}
                    assert watch.resource_version >= seen[-1].resource_version

    asyncio.run(scenario())
