from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from core.errors import NotFound
from core.reconcile.garbage import GarbageCollector
from core.resources.meta import Json, Kind
from core.store.base import DeleteOptions, Propagation
from core.store.memory import MemoryStore
from core.tasks import start_service
from tests.support.clock import FakeClock
from tests.support.kinds import BOOK, GLANCE, LOAN, READER, TEST_KINDS, TOWN, make, owned_by

FOREGROUND = DeleteOptions(propagation=Propagation.FOREGROUND)
ORPHAN = DeleteOptions(propagation=Propagation.ORPHAN)


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(TEST_KINDS, self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        collector = GarbageCollector(self.store, TEST_KINDS, self.clock)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = await start_service(group, collector.run, "garbage")
            yield
            task.cancel()

    async def there(self) -> set[str]:
        """Names of all objects, once everything has settled."""
        await self.clock.advance(5)
        return {obj["metadata"]["name"] for kind in TEST_KINDS for obj in (await self.store.list(kind)).items}

    async def family(self, *, blocks: bool = True) -> Json:
        """owner ← child ← grandchild, and a bystander."""
        owner = await self.store.create(BOOK, make("owner"))
        child = await self.create(LOAN, "child", owned_by(BOOK, owner, blocks=blocks))
        await self.create(GLANCE, "grandchild", owned_by(LOAN, child, blocks=blocks))
        await self.store.create(GLANCE, make("bystander"))
        return owner

    async def create(self, kind: Kind[Any], name: str, *owners: Json, **metadata: Any) -> Json:
        return await self.store.create(kind, make(name, ownerReferences=list(owners), **metadata))

    async def metadata(self, kind: Kind[Any], name: str) -> Json:
        metadata: Json = (await self.store.get(kind, name, "default"))["metadata"]
        return metadata


class RacedStore(MemoryStore):
    """Somebody else is always the first to delete: a namespace that ends, say."""

    async def delete(
        self, kind: Kind[Any], name: str, namespace: str = "", options: DeleteOptions | None = None
    ) -> Json:
        await super().delete(kind, name, namespace, options)
        return await super().delete(kind, name, namespace, options)


def test_what_others_delete_first_is_no_fault() -> None:
    async def body() -> None:
        world = World()
        world.store = RacedStore(TEST_KINDS, world.clock)
        with structlog.testing.capture_logs() as logs:
            async with world.running():
                await world.family()
                with pytest.raises(NotFound):
                    await world.store.delete(BOOK, "owner", "default")
                assert await world.there() == {"bystander"}
        assert [entry for entry in logs if entry["log_level"] == "error"] == []

    asyncio.run(body())


@pytest.mark.parametrize(
    ("label", "options", "left"),
    [
        ("background", DeleteOptions(), {"bystander"}),
        ("foreground", FOREGROUND, {"bystander"}),
        ("orphan", ORPHAN, {"child", "grandchild", "bystander"}),
    ],
)
def test_what_is_left(label: str, options: DeleteOptions, left: set[str]) -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            await world.family()
            assert len(await world.there()) == 4
            await world.store.delete(BOOK, "owner", "default", options)
            assert await world.there() == left, label

    asyncio.run(body())


def test_in_the_background_the_owner_goes_first() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            await world.family()
            await world.store.delete(BOOK, "owner", "default")
            with pytest.raises(NotFound):
                await world.store.get(BOOK, "owner", "default")
            await world.store.get(LOAN, "child", "default")

    asyncio.run(body())


def test_in_the_foreground_the_owner_stays_for_whom_it_must() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            owner = await world.store.create(BOOK, make("owner"))
            await world.create(LOAN, "held", owned_by(BOOK, owner), finalizers=["test.dev/hold"])
            await world.store.delete(BOOK, "owner", "default", FOREGROUND)
            assert await world.there() == {"owner", "held"}
            assert (await world.metadata(BOOK, "owner"))["finalizers"] == ["foregroundDeletion"]
            assert "deletionTimestamp" in await world.metadata(LOAN, "held")
            await world.store.modify(LOAN, "held", "default", without_finalizers)
            assert await world.there() == set()

    asyncio.run(body())


def test_in_the_foreground_the_owner_does_not_wait_for_those_that_do_not_block() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            owner = await world.store.create(BOOK, make("owner"))
            await world.create(LOAN, "held", owned_by(BOOK, owner, blocks=False), finalizers=["test.dev/hold"])
            await world.store.delete(BOOK, "owner", "default", FOREGROUND)
            assert await world.there() == {"held"}

    asyncio.run(body())


def test_a_grace_period_is_waited_for() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            owner = await world.store.create(BOOK, make("owner"))
            pod = make("stopping", spec={"grace": 30}, ownerReferences=[owned_by(BOOK, owner)])
            await world.store.create(READER, pod)
            await world.store.delete(BOOK, "owner", "default", FOREGROUND)
            assert await world.there() == {"owner", "stopping"}
            await world.store.delete(READER, "stopping", "default", DeleteOptions(grace_period_s=0))
            assert await world.there() == set()

    asyncio.run(body())


def test_orphans_lose_the_reference_only() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            owner = await world.family()
            other = await world.store.create(BOOK, make("other"))
            shared = [owned_by(BOOK, owner, controller=False), owned_by(BOOK, other)]
            await world.create(LOAN, "shared", *shared)
            await world.store.delete(BOOK, "owner", "default", ORPHAN)
            await world.there()
            assert "ownerReferences" not in await world.metadata(LOAN, "child")
            assert (await world.metadata(LOAN, "shared"))["ownerReferences"] == [shared[1]]

    asyncio.run(body())


def test_one_owner_that_is_left_is_enough() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            one, two = [await world.store.create(BOOK, make(name)) for name in ("one", "two")]
            await world.create(LOAN, "shared", owned_by(BOOK, one), owned_by(BOOK, two, controller=False))
            await world.store.delete(BOOK, "one", "default")
            assert await world.there() == {"two", "shared"}
            references = (await world.metadata(LOAN, "shared"))["ownerReferences"]
            assert [reference["name"] for reference in references] == ["two"]
            await world.store.delete(BOOK, "two", "default", FOREGROUND)
            assert await world.there() == set()

    asyncio.run(body())


def test_an_owner_of_the_same_name_is_another_owner() -> None:
    async def body() -> None:
        world = World()
        owner = await world.store.create(BOOK, make("owner"))
        await world.create(LOAN, "child", owned_by(BOOK, owner))
        await world.store.delete(BOOK, "owner", "default")
        await world.store.create(BOOK, make("owner"))
        async with world.running():
            assert await world.there() == {"owner"}

    asyncio.run(body())


def test_those_whose_owner_went_while_nobody_looked_are_collected() -> None:
    async def body() -> None:
        world = World()
        await world.family()
        await world.store.delete(BOOK, "owner", "default")
        async with world.running():
            assert await world.there() == {"bystander"}

    asyncio.run(body())


def test_one_made_for_an_owner_that_is_gone_already_is_collected() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            owner = await world.store.create(BOOK, make("owner"))
            await world.store.delete(BOOK, "owner", "default")
            await world.create(LOAN, "late", owned_by(BOOK, owner))
            assert await world.there() == set()

    asyncio.run(body())


def test_adopted_by_one_that_is_gone() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            owner = await world.store.create(BOOK, make("owner"))
            await world.store.delete(BOOK, "owner", "default")
            await world.store.create(LOAN, make("adopted"))
            await world.store.modify(LOAN, "adopted", "default", lambda o: referring(o, owned_by(BOOK, owner)))
            assert await world.there() == set()

    asyncio.run(body())


def test_owners_of_kinds_that_are_not_known_are_left_alone() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            stranger = {"apiVersion": "other.dev/v1", "kind": "Thing", "name": "x", "uid": "1", "controller": True}
            await world.create(LOAN, "child", stranger)
            assert await world.there() == {"child"}

    asyncio.run(body())


def test_a_cluster_scoped_owner() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            town = await world.store.create(TOWN, make("bath"))
            await world.create(LOAN, "child", owned_by(TOWN, town))
            assert await world.there() == {"bath", "child"}
            await world.store.delete(TOWN, "bath")
            assert await world.there() == set()

    asyncio.run(body())


def test_a_namespaced_owner_is_looked_for_in_the_same_namespace() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            owner = await world.store.create(BOOK, make("owner", "elsewhere"))
            await world.create(LOAN, "child", owned_by(BOOK, owner))
            assert await world.there() == {"owner"}

    asyncio.run(body())


def test_a_circle_is_broken() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            first = await world.store.create(BOOK, make("first"))
            second = await world.create(LOAN, "second", owned_by(BOOK, first))
            await world.store.modify(BOOK, "first", "default", lambda o: referring(o, owned_by(LOAN, second)))
            await world.store.delete(BOOK, "first", "default", FOREGROUND)
            assert await world.there() == set()

    asyncio.run(body())


def test_a_long_chain_in_the_foreground_goes_from_its_end() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            owner = await world.store.create(LOAN, make("n0"))
            for n in range(1, 6):
                owner = await world.create(LOAN, f"n{n}", owned_by(LOAN, owner))
            gone: list[str] = []
            async with world.store.watch(LOAN) as watch:
                await world.store.delete(LOAN, "n0", "default", FOREGROUND)
                assert await world.there() == set()
                while len(gone) < 6:
                    event = await anext(watch)
                    if event.type.value == "DELETED":
                        gone.append(event.object["metadata"]["name"])
            assert gone == ["n5", "n4", "n3", "n2", "n1", "n0"]

    asyncio.run(body())


def without_finalizers(obj: Json) -> Json:
    metadata = {name: value for name, value in obj["metadata"].items() if name != "finalizers"}
    return {**obj, "metadata": metadata}


def referring(obj: Json, *references: Json) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": list(references)}}
