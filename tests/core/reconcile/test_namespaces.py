from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.reconcile.namespaces import NamespaceController
from core.resources.core_v1 import NAMESPACE
from core.resources.kinds import KINDS
from core.resources.meta import AdmissionContext, Json
from core.store.memory import MemoryStore
from core.tasks import start_service
from tests.support.clock import FakeClock
from tests.support.kinds import BOOK, GLANCE, TEST_KINDS, TOWN, make

ALL_KINDS = (*KINDS, *TEST_KINDS)


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(ALL_KINDS, self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        controller = NamespaceController(self.store, ALL_KINDS, self.clock)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = await start_service(group, controller.run, "namespaces")
            yield
            task.cancel()

    async def create_namespace(self, name: str) -> None:
        obj: Json = {"metadata": {"name": name}}
        NAMESPACE.default(obj, AdmissionContext())
        await self.store.create(NAMESPACE, obj)

    async def there(self) -> set[str]:
        await self.clock.advance(2)
        found = set()
        for kind in (NAMESPACE, *TEST_KINDS):
            found |= {
                f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
                for obj in (await self.store.list(kind)).items
            }
        return found


def test_a_namespace_takes_everything_in_it_along() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            for name in ("mine", "other"):
                await world.create_namespace(name)
                await world.store.create(BOOK, make("book", name))
                await world.store.create(GLANCE, make("glance", name))
            await world.store.create(TOWN, make("bath"))
            await world.store.delete(NAMESPACE, "mine")
            assert await world.there() == {"/other", "other/book", "other/glance", "/bath"}

    asyncio.run(body())


def test_it_says_what_it_waits_for() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            await world.create_namespace("mine")
            await world.store.create(BOOK, make("held", "mine", finalizers=["test.dev/hold"]))
            await world.store.delete(NAMESPACE, "mine")
            assert await world.there() == {"/mine", "mine/held"}
            status = (await world.store.get(NAMESPACE, "mine"))["status"]
            assert status["phase"] == "Terminating"
            (condition,) = status["conditions"]
            assert condition["type"] == "NamespaceContentRemaining"
            assert "books.test.dev has 1 resource instances" in condition["message"]
            NAMESPACE.parse(await world.store.get(NAMESPACE, "mine"))
            await world.store.modify(
                BOOK, "held", "mine", lambda o: {**o, "metadata": {**o["metadata"], "finalizers": []}}
            )
            assert await world.there() == set()

    asyncio.run(body())


def test_deletion_goes_on_after_a_restart() -> None:
    async def body() -> None:
        world = World()
        await world.create_namespace("mine")
        await world.store.create(BOOK, make("book", "mine"))
        await world.store.delete(NAMESPACE, "mine")
        async with world.running():
            assert await world.there() == set()

    asyncio.run(body())


def test_a_namespace_without_a_finalizer_leaves_nothing_behind_either() -> None:
    async def body() -> None:
        world = World()
        await world.store.create(NAMESPACE, {"metadata": {"name": "bare"}})
        async with world.running():
            await world.store.create(BOOK, make("book", "bare"))
            await world.store.delete(NAMESPACE, "bare")
            assert await world.there() == set()

    asyncio.run(body())


def test_a_namespace_in_use_is_left_alone() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            await world.create_namespace("mine")
            await world.store.create(BOOK, make("book", "mine"))
            assert await world.there() == {"/mine", "mine/book"}

    asyncio.run(body())
