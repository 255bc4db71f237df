from __future__ import annotations

import asyncio

from autoscaler.triggers.authentication_events import AuthenticationEvents
from core.resources.core_v1 import EVENT
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.store.memory import MemoryStore
from core.tasks import start_service
from tests.support.clock import FakeClock


def other(obj: Json) -> Json:
    return {**obj, "spec": {"env": [{"parameter": "a", "name": "B"}]}}


def test_both_kinds_say_that_they_are_there_and_that_they_changed() -> None:
    async def play() -> list[tuple[str, str, str]]:
        clock = FakeClock()
        store = MemoryStore(KINDS, clock)
        await store.open()
        async with asyncio.TaskGroup() as group:
            service = AuthenticationEvents(store, clock)
            task = await start_service(group, service.run, "events")
            for kind, namespace in ((TRIGGER_AUTHENTICATION, "shop"), (CLUSTER_TRIGGER_AUTHENTICATION, "")):
                metadata = {"name": "access", **({"namespace": namespace} if namespace else {})}
                await store.create(kind, {"metadata": metadata, "spec": {}})
                await clock.advance(1.0)
                await store.modify(kind, "access", namespace, other)
                await clock.advance(1.0)
                await store.modify(
                    kind, "access", namespace, lambda obj: {**obj, "status": {"scaledobjects": "a"}}, "status"
                )
                await clock.advance(1.0)
            task.cancel()
        events = sorted((await store.list(EVENT)).items, key=lambda event: str(event["metadata"]["name"]))
        return [(event["metadata"]["namespace"], event["reason"], event["message"]) for event in events]

    updated = ("ClusterTriggerAuthenticationUpdated", "ClusterTriggerAuthentication access is updated")
    assert asyncio.run(play()) == [
        ("shop", "TriggerAuthenticationAdded", "New TriggerAuthentication configured"),
        ("shop", *updated),
        ("default", "ClusterTriggerAuthenticationAdded", "New ClusterTriggerAuthentication configured"),
        ("default", *updated),
    ]
