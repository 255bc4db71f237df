"""`core/store/sqlite.py` when the process dies, the disk is full, or commits fail between any two writes."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ApiError, StoreFull
from core.resources.meta import Json
from core.store.base import EventType, Listing
from core.store.database import Row
from core.store.memory import MemoryStore
from core.store.sqlite import SqliteStore
from tests.support.clock import FakeClock
from tests.support.kinds import BOOK, GLANCE, LOAN, TEST_KINDS, make

# -- a process of its own ----------------------------------------------------------------------------------------------


def start_writer(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.store_writer", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stored_values(path: Path) -> dict[str, str]:
    async def body() -> dict[str, str]:
        store = SqliteStore(path, TEST_KINDS, FakeClock())
        await store.open()
        assert store.damaged == []
        listing = await store.list(BOOK)
        await store.close()
        return {obj["metadata"]["name"]: str(obj["spec"]["value"]) for obj in listing.items}

    return asyncio.run(body())


@pytest.mark.parametrize("seed", range(5))
def test_nothing_acknowledged_is_lost_to_kill_9(seed: int, tmp_path: Path) -> None:
    """Each name is written by one writer in order, so what is stored is its last acknowledged write or the next one."""
    path = tmp_path / "store.db"
    chance = random.Random(seed)
    acknowledged: dict[str, str] = {}
    for life in range(3):  # each on what the last death left
        with start_writer("crash", str(path), str(seed * 10 + life)) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
            lines = [writer.stdout.readline() for _ in range(chance.randrange(5, 150))]
            time.sleep(chance.uniform(0.0, 0.01))
            writer.kill()
            lines += writer.stdout.read().splitlines(keepends=True)
        for line in lines:
            if line.endswith("\n"):
                name, value = line.split()
                acknowledged[name] = value
        check_survivors(acknowledged, stored_values(path))
    assert len(acknowledged) > 10


def check_survivors(acknowledged: dict[str, str], stored: dict[str, str]) -> None:
    for name, value in acknowledged.items():
        found = stored.get(name)
        if value == "gone":
            assert found is None, f"{name} was deleted and came back"
        elif value != "going":
            assert found is not None, f"{name} was acknowledged at {value} and is gone"
            assert int(found) in (int(value), int(value) + 1), f"{name}: acknowledged {value}, stored {found}"


def test_a_disk_that_refuses_the_process_and_then_has_space_again(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with start_writer("full", str(path), str(600 * 1024)) as writer:
        output, _ = writer.communicate(timeout=60)
    assert writer.returncode == 0
    lines = output.splitlines()[1:]
    assert sum(line.startswith("full nothing was written") for line in lines) == 2
    acknowledged = {line.split()[0] for line in lines if not line.startswith("full")}
    assert len(acknowledged) > 20
    assert {f"after{n}" for n in range(10)} <= acknowledged
    assert set(stored_values(path)) == acknowledged


# -- any interleaving --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Write:
    """One write of one task: `after` turns of the loop later, `what` is done to the object `name` of a kind."""

    what: str
    kind: int
    name: str
    owned: bool
    value: int
    after: int


WRITES = st.builds(
    Write,
    what=st.sampled_from(["create", "update", "modify", "status", "delete", "stale"]),
    kind=st.integers(0, 2),
    name=st.sampled_from("ab"),
    owned=st.booleans(),
    value=st.integers(0, 3),
    after=st.integers(0, 4),
)
KINDS = (BOOK, LOAN, GLANCE)
OWNER = {"apiVersion": "x/v1", "kind": "X", "name": "x", "uid": "1", "controller": True}


class Unreliable(SqliteStore):
    """Refuses the commits that `refused` says, in turn, as a full disk would."""

    def __init__(self, path: Path, refused: Sequence[bool]) -> None:
        super().__init__(path, TEST_KINDS, FakeClock())
        self._refused = list(refused)
        commit = self._database.commit

        def sometimes(rows: Sequence[Row], resource_version: int | None) -> None:
            if rows and self._refused and self._refused.pop(0):
                raise StoreFull("refused")
            commit(rows, resource_version)

        self._database.commit = sometimes  # type: ignore[method-assign]


async def carry_out(store: MemoryStore, write: Write) -> None:
    kind = KINDS[write.kind]
    for _ in range(write.after):
        await asyncio.sleep(0)
    obj = make(write.name, spec={"value": write.value}, **({"ownerReferences": [OWNER]} if write.owned else {}))
    try:
        if write.what == "create":
            await store.create(kind, obj)
        elif write.what == "update":
            await store.update(kind, obj)
        elif write.what == "modify":
            await store.modify(kind, write.name, "default", lambda o: {**o, "spec": {"value": write.value}})
        elif write.what == "status":
            await store.modify(kind, write.name, "default", lambda o: {**o, "status": {"v": write.value}}, "status")
        elif write.what == "stale":
            current = await store.get(kind, write.name, "default")
            await asyncio.sleep(0)
            await store.update(kind, {**current, "spec": {"value": write.value}})
        else:
            await store.delete(kind, write.name, "default")
    except ApiError:
        pass


async def follow(store: MemoryStore, kind: int, after: int, versions: list[int]) -> dict[str, Json]:
    """A list and every change after it: what an informer would hold when the store closes."""
    for _ in range(after):
        await asyncio.sleep(0)
    listing = await store.list(KINDS[kind])
    held = {obj["metadata"]["name"]: obj for obj in listing.items}
    newest = listing.resource_version
    async with store.watch(KINDS[kind], since=listing.resource_version) as watch:
        async for event in watch:
            assert event.resource_version > newest, "the order is total"
            newest = event.resource_version
            versions.append(newest)
            name = event.object["metadata"]["name"]
            assert event.object["metadata"]["resourceVersion"] == str(newest)
            assert (event.type is EventType.ADDED) == (name not in held)
            assert event.old == held.get(name), "each event continues where the one before it ended"
            if event.type is EventType.DELETED:
                del held[name]
            else:
                held[name] = event.object
    return held


async def play(store: MemoryStore, writes: list[Write], watchers: list[tuple[int, int]]) -> list[Listing]:
    """Carries all writes out at once; checks that every watcher ends with what a list shows."""
    versions: list[list[int]] = [[] for _ in watchers]
    followers = [
        asyncio.ensure_future(follow(store, kind, after, seen))
        for (kind, after), seen in zip(watchers, versions, strict=True)
    ]
    await asyncio.gather(*(carry_out(store, write) for write in writes))
    for _ in range(10):
        await asyncio.sleep(0)
    listings = [await store.list(kind) for kind in KINDS]
    await store.close()
    for (kind, _), held in zip(watchers, await asyncio.gather(*followers), strict=True):
        listed = {obj["metadata"]["name"]: obj for obj in listings[kind].items}
        assert held == listed
    by_kind: dict[int, set[int]] = {}
    for (kind, _), seen in zip(watchers, versions, strict=True):
        by_kind.setdefault(kind, set()).update(seen)
    assert sum(map(len, by_kind.values())) == len(set().union(*by_kind.values())), "no version was given twice"
    return listings


@settings(deadline=None, max_examples=60)
@given(st.lists(WRITES, max_size=30), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=6))
def test_any_interleaving_in_memory(writes: list[Write], watchers: list[tuple[int, int]]) -> None:
    asyncio.run(play(MemoryStore(TEST_KINDS, FakeClock()), writes, watchers))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(WRITES, max_size=30),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=6),
    st.lists(st.booleans(), max_size=6),
)
def test_any_interleaving_on_disk(writes: list[Write], watchers: list[tuple[int, int]], refused: list[bool]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"

        async def body() -> list[Listing]:
            store = Unreliable(path, refused)
            await store.open()
            return await play(store, writes, watchers)

        durable = {
            (kind.kind, obj["metadata"]["name"]): {**obj, "metadata": without_version(obj)}
            for kind, listing in zip(KINDS, asyncio.run(body()), strict=True)
            for obj in listing.items
            if kind is BOOK or (kind is LOAN and "ownerReferences" not in obj["metadata"])
        }
        assert asyncio.run(reopened(path)) == durable


async def reopened(path: Path) -> dict[tuple[str, str], Json]:
    store = SqliteStore(path, TEST_KINDS, FakeClock())
    await store.open()
    found = {
        (kind.kind, obj["metadata"]["name"]): {**obj, "metadata": without_version(obj)}
        for kind in KINDS
        for obj in (await store.list(kind)).items
    }
    await store.close()
    return found


def without_version(obj: Json) -> Json:
    return {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}
