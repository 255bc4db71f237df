from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.reconcile.service_accounts import ServiceAccountController
from core.resources.core_v1 import NAMESPACE, SERVICE_ACCOUNT
from core.resources.kinds import KINDS
from core.resources.meta import AdmissionContext, Json
from core.store.memory import MemoryStore
from core.tasks import start_service
from tests.support.clock import FakeClock


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(KINDS, self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        controller = ServiceAccountController(self.store, self.clock)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = await start_service(group, controller.run, "service-accounts")
            yield
            task.cancel()

    async def create_namespace(self, name: str) -> None:
        obj: Json = {"metadata": {"name": name}}
        NAMESPACE.default(obj, AdmissionContext())
        await self.store.create(NAMESPACE, obj)

    async def create_account(self, name: str, namespace: str) -> None:
        secrets = [{"name": "registry"}]
        metadata = {"name": name, "namespace": namespace}
        await self.store.create(SERVICE_ACCOUNT, {"metadata": metadata, "imagePullSecrets": secrets})

    async def accounts(self) -> dict[str, bool]:
        """Each account, and whether somebody wrote pull secrets into it."""
        await self.clock.advance(2)
        listed = (await self.store.list(SERVICE_ACCOUNT)).items
        return {f"{o['metadata']['namespace']}/{o['metadata']['name']}": "imagePullSecrets" in o for o in listed}


def test_every_namespace_has_its_account_and_keeps_the_one_it_has() -> None:
    async def body() -> None:
        world = World()
        await world.create_namespace("old")
        await world.create_namespace("own")
        await world.create_account("default", "own")
        async with world.running():
            await world.create_namespace("new")
            assert await world.accounts() == {"new/default": False, "old/default": False, "own/default": True}

    asyncio.run(body())


def test_a_deleted_one_comes_back_but_no_other_one_and_not_in_a_namespace_that_ends() -> None:
    async def body() -> None:
        world = World()
        for name in ("here", "ending"):
            await world.create_namespace(name)
            await world.create_account("other", name)
        async with world.running():
            assert await world.accounts() == {
                "ending/default": False,
                "ending/other": True,
                "here/default": False,
                "here/other": True,
            }
            await world.store.delete(NAMESPACE, "ending")  # held by its finalizer
            for account in ("default", "other"):
                for namespace in ("here", "ending"):
                    await world.store.delete(SERVICE_ACCOUNT, account, namespace)
            assert await world.accounts() == {"here/default": False}

    asyncio.run(body())
