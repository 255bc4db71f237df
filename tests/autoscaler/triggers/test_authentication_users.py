from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from autoscaler.triggers.authentication_users import AuthenticationUsers
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.keda_jobs import SCALED_JOB
from core.resources.kinds import KINDS
from core.resources.meta import Json, Kind
from core.store.memory import MemoryStore
from core.tasks import start_service
from tests.support.clock import FakeClock

CLUSTER = "ClusterTriggerAuthentication"


class House:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(KINDS, self.clock)

    async def create(self, kind: Kind[Any], name: str, spec: Json, namespace: str = "default") -> None:
        metadata = {"name": name, "namespace": namespace} if kind.namespaced else {"name": name}
        await self.store.create(kind, {"kind": kind.kind, "metadata": metadata, "spec": spec})

    async def use(self, kind: Kind[Any], name: str, *references: Json, namespace: str = "default") -> None:
        triggers = [{"type": "x", "metadata": {}, "authenticationRef": each} for each in references]
        await self.create(kind, name, {"triggers": [{"type": "y", "metadata": {}}, *triggers]}, namespace)

    async def status(self, kind: Kind[Any], name: str) -> Json | None:
        await self.clock.advance(1.5)
        obj = await self.store.get(kind, name, "default" if kind.namespaced else "")
        return obj.get("status")


def play(story: Callable[[House], Awaitable[None]]) -> None:
    async def run() -> None:
        house = House()
        await house.store.open()
        async with asyncio.TaskGroup() as group:
            service = AuthenticationUsers(house.store, house.clock)
            task = await start_service(group, service.run, "users")
            await story(house)
            task.cancel()

    asyncio.run(run())


def test_users_come_and_go() -> None:
    async def story(house: House) -> None:
        await house.use(SCALED_OBJECT, "b", {"name": "access"}, {"name": "access"})
        await house.create(TRIGGER_AUTHENTICATION, "access", {})
        assert await house.status(TRIGGER_AUTHENTICATION, "access") == {"scaledobjects": "b"}
        await house.use(SCALED_OBJECT, "a", {"name": "access", "kind": "TriggerAuthentication"})
        await house.use(SCALED_JOB, "j", {"name": "access"})
        await house.use(SCALED_OBJECT, "c", {"name": "access", "kind": CLUSTER})
        await house.use(SCALED_OBJECT, "d", {"name": "access"}, namespace="other")
        assert await house.status(TRIGGER_AUTHENTICATION, "access") == {"scaledobjects": "a,b", "scaledjobs": "j"}
        await house.store.delete(SCALED_JOB, "j", "default")
        await house.store.modify(SCALED_OBJECT, "b", "default", lambda obj: {**obj, "spec": {"triggers": []}})
        assert await house.status(TRIGGER_AUTHENTICATION, "access") == {"scaledobjects": "a"}
        await house.store.delete(SCALED_OBJECT, "a", "default")
        assert not await house.status(TRIGGER_AUTHENTICATION, "access")

    play(story)


def test_one_of_the_cluster_has_users_of_all_namespaces() -> None:
    async def story(house: House) -> None:
        await house.create(CLUSTER_TRIGGER_AUTHENTICATION, "access", {})
        await house.use(SCALED_OBJECT, "a", {"name": "access", "kind": CLUSTER})
        await house.use(SCALED_OBJECT, "b", {"name": "access", "kind": CLUSTER}, namespace="other")
        await house.use(SCALED_OBJECT, "c", {"name": "access"})
        assert await house.status(CLUSTER_TRIGGER_AUTHENTICATION, "access") == {"scaledobjects": "a,b"}

    play(story)


def test_many_users_in_a_row_are_few_writes() -> None:
    async def story(house: House) -> None:
        await house.create(TRIGGER_AUTHENTICATION, "access", {})
        before = house.store.resource_version
        for number in range(50):
            await house.use(SCALED_OBJECT, f"u{number:02}", {"name": "access"})
        status = await house.status(TRIGGER_AUTHENTICATION, "access")
        assert status is not None
        assert len(status["scaledobjects"].split(",")) == 50
        assert house.store.resource_version - before - 50 <= 2

    play(story)


def test_one_that_nobody_uses_gets_no_status() -> None:
    async def story(house: House) -> None:
        await house.create(TRIGGER_AUTHENTICATION, "access", {})
        assert await house.status(TRIGGER_AUTHENTICATION, "access") is None

    play(story)
