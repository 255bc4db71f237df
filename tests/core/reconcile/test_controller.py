from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from core.errors import Conflict, PermanentError, TemporaryError
from core.reconcile.controller import Controller, Watched, itself, owner
from core.resources.meta import Json, ObjectKey
from core.store.base import EventType, WatchEvent
from core.store.memory import MemoryStore
from core.tasks import start_service
from tests.support.clock import FakeClock, settle
from tests.support.kinds import BOOK, GLANCE, LOAN, TEST_KINDS, TOWN, make, owned_by

EMMA = ObjectKey("default", "emma")


class World:
    """A store, a clock, and what a reconciler was called with; `answer` is what it does."""

    def __init__(self, *watches: Watched, workers: int = 16) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(TEST_KINDS, self.clock)
        self.calls: list[tuple[float, ObjectKey]] = []
        self.answer: Callable[[ObjectKey], Awaitable[float | None]] = self.nothing
        self.controller = Controller("test", self.store, self.reconcile, watches, self.clock, workers)

    async def nothing(self, key: ObjectKey) -> float | None:
        return None

    async def reconcile(self, key: ObjectKey) -> float | None:
        self.calls.append((self.clock.monotonic() - 1000.0, key))
        return await self.answer(key)

    @property
    def keys(self) -> list[str]:
        return [key.name for _, key in self.calls]

    @property
    def times(self) -> list[float]:
        return [round(at, 3) for at, _ in self.calls]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = await start_service(group, self.controller.run, "test")
            yield
            task.cancel()


def raising(*errors: Exception | None) -> Callable[[ObjectKey], Awaitable[float | None]]:
    """A reconciler that fails with each error in turn, then with the last one for ever; None is success."""
    left = list(errors)

    async def answer(key: ObjectKey) -> float | None:
        error = left.pop(0) if len(left) > 1 else left[0]
        if error is not None:
            raise error
        return None

    return answer


def test_what_exists_and_what_changes_is_reconciled() -> None:
    async def body() -> None:
        world = World(Watched(BOOK, itself))
        await world.store.create(BOOK, make("there"))
        async with world.running():
            await settle()
            assert world.keys == ["there"]
            await world.store.create(BOOK, make("emma"))
            await settle()
            await world.store.delete(BOOK, "emma", "default")
            await settle()
            assert world.keys == ["there", "emma", "emma"]

    asyncio.run(body())


def test_what_is_only_watched_for_changes_is_not_walked_along_and_no_change_is_missed() -> None:
    async def body() -> None:
        world = World(Watched(BOOK, itself), Watched(LOAN, itself, changes_only=True))
        await world.store.create(BOOK, make("there"))
        await world.store.create(LOAN, make("old"))

        async def lend(key: ObjectKey) -> None:
            if key.name == "there":
                await world.store.create(LOAN, make("lent"))

        world.answer = lend
        async with world.running():
            await settle()
            assert world.keys == ["there", "lent"]

    asyncio.run(body())


def test_what_was_there_goes_behind_what_changes_and_what_is_in_a_hurry() -> None:
    async def body() -> None:
        world = World(Watched(BOOK, itself), Watched(GLANCE, itself))
        for n in range(600):
            await world.store.create(GLANCE, make(f"g{n}"))
        async with world.running():
            await settle(1)
            assert 1 <= len(world.calls) <= 5, "one in a turn of the loop"
            await world.store.create(BOOK, make("changed"))
            world.controller.hurry(ObjectKey("default", "g300"))
            await settle(3)
            assert {"changed", "g300"} <= set(world.keys), "not behind all the others"
            await settle(1300)
            assert len(set(world.keys)) == 601, "every one of them has had its turn"
            done = len(world.calls)
            world.controller.hurry(ObjectKey("default", "g300"))
            await settle()
            assert len(world.calls) == done, "once all have had their turn, nothing is in a hurry"

    asyncio.run(body())


def test_owners_are_found_now_and_before() -> None:
    async def body() -> None:
        store = MemoryStore(TEST_KINDS, FakeClock())
        first, second = [await store.create(BOOK, make(name)) for name in ("one", "two")]
        town = await store.create(TOWN, make("bath"))
        keys = owner(BOOK)

        def event(new: Json, old: Json | None = None) -> set[str]:
            found = keys(WatchEvent(EventType.MODIFIED, new, 1, old))
            assert all(key.namespace == "default" for key in found)
            return {key.name for key in found}

        of_first, of_second = (make("x", ownerReferences=[owned_by(BOOK, book)]) for book in (first, second))
        assert event(of_first) == {"one"}
        assert event(of_second, of_first) == {"one", "two"}
        assert event(make("x")) == set()
        assert event(make("x", ownerReferences=[owned_by(BOOK, first, controller=False)])) == set()
        assert event(make("x", ownerReferences=[owned_by(TOWN, town)])) == set()
        stranger = {**owned_by(BOOK, first), "apiVersion": "other.dev/v1"}
        assert event(make("x", ownerReferences=[stranger])) == set()
        of_town = make("x", ownerReferences=[owned_by(TOWN, town)])
        assert owner(TOWN)(WatchEvent(EventType.ADDED, of_town, 1)) == {ObjectKey("", "bath")}

    asyncio.run(body())


def test_one_key_is_never_worked_on_twice_at_a_time() -> None:
    async def body() -> None:
        world = World(Watched(BOOK, itself))
        inside = most = 0
        gate = asyncio.Event()

        async def answer(key: ObjectKey) -> float | None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await gate.wait()
            inside -= 1
            return None

        world.answer = answer
        async with world.running():
            for _ in range(5):
                world.controller.enqueue(EMMA)
                await settle()
            assert world.keys == ["emma"]
            gate.set()
            await settle()
            assert world.keys == ["emma", "emma"], "asked for four times more, it came once more"
            assert most == 1

    asyncio.run(body())


def test_workers_are_bounded_and_share_the_work() -> None:
    async def body() -> None:
        world = World(workers=3)
        gates = {name: asyncio.Event() for name in "abcdef"}

        async def answer(key: ObjectKey) -> float | None:
            await gates[key.name].wait()
            return None

        world.answer = answer
        for name in gates:
            world.controller.enqueue(ObjectKey("", name))
        async with world.running():
            await settle()
            assert world.keys == ["a", "b", "c"]
            gates["b"].set()
            await settle()
            assert world.keys == ["a", "b", "c", "d"]
            for gate in gates.values():
                gate.set()
            await settle()
            assert world.keys == list("abcdef")

    asyncio.run(body())


def test_it_comes_again_when_asked_to() -> None:
    async def body() -> None:
        world = World()

        async def answer(key: ObjectKey) -> float | None:
            return 10.0 if len(world.calls) < 3 else None

        world.answer = answer
        async with world.running():
            world.controller.enqueue(EMMA, after_s=1.0)
            await world.clock.advance(60)
            assert world.times == [1.0, 11.0, 21.0]

    asyncio.run(body())


def test_an_earlier_alarm_replaces_a_later_one() -> None:
    async def body() -> None:
        world = World()
        async with world.running():
            for name, after_s in (("late", 30.0), ("early", 2.0), ("middle", 10.0)):
                world.controller.enqueue(ObjectKey("", name), after_s)
            await world.clock.advance(60)
            assert list(zip(world.keys, world.times, strict=True)) == [("early", 2.0), ("middle", 10.0), ("late", 30.0)]

    asyncio.run(body())


@pytest.mark.parametrize(
    ("label", "errors", "times"),
    [
        ("an unexpected error backs off", [ValueError("x"), ValueError("x"), None], [0, 0.005, 0.015]),
        ("a conflict is retried soon", [Conflict("x"), None], [0, 0.005]),
        ("a temporary error says when", [TemporaryError("x", 7.0), TemporaryError("x"), None], [0, 7.0, 7.01]),
        ("a permanent error is not retried", [PermanentError("x")], [0]),
    ],
)
def test_failures(label: str, errors: list[Exception | None], times: list[float]) -> None:
    async def body() -> None:
        world = World()
        world.answer = raising(*errors)
        async with world.running():
            world.controller.enqueue(EMMA)
            await world.clock.advance(100)
            assert world.times == times, label

    asyncio.run(body())


def test_a_permanent_error_ends_with_the_next_change() -> None:
    async def body() -> None:
        world = World(Watched(BOOK, itself))
        world.answer = raising(PermanentError("no such image"), None)
        await world.store.create(BOOK, make("emma"))
        async with world.running():
            await settle()
            await world.store.update(BOOK, make("emma", spec={"image": "right"}))
            await settle()
            assert world.keys == ["emma", "emma"]

    asyncio.run(body())


def test_a_watch_that_fell_behind_lists_again() -> None:
    async def body() -> None:
        blocked = asyncio.Event()

        class Forgetful(MemoryStore):
            """Its ring is emptied behind the controller's back, as a partitioned watch would find it."""

            async def list_bytes(self, *args, **kwargs):  # type: ignore[no-untyped-def]
                listing = await super().list_bytes(*args, **kwargs)
                if not blocked.is_set():
                    blocked.set()
                    for n in range(2000):
                        await self.create(LOAN, make(f"l{n}"))
                return listing

        world = World(Watched(LOAN, itself))
        store = Forgetful(TEST_KINDS, world.clock)
        world.controller = Controller("test", store, world.reconcile, [Watched(LOAN, itself)], world.clock)
        async with world.running():
            await settle(3000)
            assert set(world.keys) == {f"l{n}" for n in range(2000)}

    asyncio.run(body())


def test_after_the_end_nothing_is_started() -> None:
    async def body() -> None:
        world = World(Watched(BOOK, itself))
        async with world.running():
            pass
        world.controller.enqueue(EMMA)
        await settle()
        assert world.calls == []

    asyncio.run(body())
