from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.errors import Conflict, Expired, NotFound, PermanentError, StoreFull, TooManyRequests
from core.resources.meta import Json
from core.store import sqlite
from core.store.base import EventType
from core.store.database import DamagedRow
from core.store.memory import MemoryStore
from core.store.sqlite import VERSION_RANGE, SqliteStore
from tests.support.clock import FakeClock
from tests.support.kinds import BOOK, GLANCE, LOAN, TEST_KINDS, make, owned_by
from tests.support.store_contract import StoreContract, names, take, version_of

MB = 1024 * 1024


@asynccontextmanager
async def opened(folder: Path, **fields: int) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder / "store.db", TEST_KINDS, FakeClock(), **fields)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


class TestSqliteStore(StoreContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[MemoryStore]:
        async with opened(folder) as store:
            yield store


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await body()

    asyncio.run(bounded())


def rows(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "store.db")
    found = connection.execute("select kind, name from objects order by kind, name").fetchall()
    connection.close()
    return [f"{kind.split('.')[0]}/{name}" for kind, name in found]


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            kept = await store.create(BOOK, make("kept", spec={"n": 1}))
            kept = await store.update(BOOK, {**kept, "spec": {"n": 2}})
            kept = await store.update(BOOK, {**kept, "status": {"s": 1}}, "status")
            await store.create(BOOK, make("gone"))
            await store.delete(BOOK, "gone", "default")
            await store.create(GLANCE, make("seen"))
            by_hand = await store.create(LOAN, make("by-hand"))
            await store.create(LOAN, make("controlled", ownerReferences=[owned_by(BOOK, kept)]))
        assert rows(tmp_path) == ["books/kept", "loans/by-hand"]
        async with opened(tmp_path) as store:
            again = await store.get(BOOK, "kept", "default")
            assert without_version(again) == without_version(kept)
            assert names((await store.list(BOOK)).items) == ["default/kept"]
            assert (await store.list(GLANCE)).items == []
            loans = (await store.list(LOAN)).items
            assert [without_version(loan) for loan in loans] == [without_version(by_hand)]

    run(body)


def without_version(obj: Json) -> Json:
    metadata = {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}
    return {**obj, "metadata": metadata}


def test_versions_never_come_again(tmp_path: Path) -> None:
    async def body() -> None:
        newest = 0
        for _ in range(3):
            async with opened(tmp_path) as store:
                assert store.resource_version >= newest
                made = await store.create(GLANCE, make("a"))
                newest = version_of(made)
                assert newest < 100, "a clean stop wastes none"

    run(body)


def test_versions_never_come_again_after_a_crash(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            for n in range(50):
                await store.create(GLANCE, make(f"g{n}"))
            newest = store.resource_version
            # What a crash leaves: the file without the note that a clean close writes.
            crashed = tmp_path / "crashed"
            crashed.mkdir()
            for name in ("store.db", "store.db-wal"):
                (crashed / name).write_bytes((tmp_path / name).read_bytes())
        async with opened(crashed) as store:
            assert store.resource_version > newest
            with pytest.raises(Expired):
                async with store.watch(GLANCE, since=newest):
                    pass

    run(body)


def test_version_ranges_are_renewed_before_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "VERSION_RANGE", 100)

    async def body() -> None:
        async with opened(tmp_path) as store:
            for n in range(1000):
                await store.create(GLANCE, make(f"g{n}"))
                if n % 20 == 0:
                    await store._idle.wait()
            assert store._reserved > store.resource_version

    run(body)


def test_without_versions_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "VERSION_RANGE", 100)

    async def body() -> None:
        async with opened(tmp_path) as store:

            def refuse(*_: object) -> None:
                raise StoreFull("no space")

            with monkeypatch.context() as patch:
                patch.setattr(store._database, "commit", refuse)
                writes = (store.create(GLANCE, make(f"g{n}")) for n in range(200))
                results = await asyncio.gather(*writes, return_exceptions=True)
                assert str(results[-1]).startswith("no resource versions left")
                assert store.resource_version <= store._reserved
                await store._idle.wait()
            store._commit_soon()
            await store._idle.wait()
            await store.create(GLANCE, make("again"))

    run(body)


def test_a_durable_write_is_seen_only_when_it_is_on_disk(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store, store.watch(BOOK) as watch:
            writing = asyncio.ensure_future(store.create(BOOK, make("emma")))
            await asyncio.sleep(0)
            assert (await store.list(BOOK)).items == []
            with pytest.raises(NotFound):
                await store.get(BOOK, "emma", "default")
            seen = asyncio.ensure_future(anext(watch))
            made = await writing
            assert rows(tmp_path) == ["books/emma"]
            assert (await seen).object == made

    run(body)


def test_a_staged_write_is_built_on_and_conflicted_with(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            made = await store.create(BOOK, make("emma", spec={"n": 0}))
            start = store.resource_version
            first = asyncio.ensure_future(store.update(BOOK, {**made, "spec": {"n": 1}}))
            stale = asyncio.ensure_future(store.update(BOOK, {**made, "spec": {"n": 2}}))
            built = asyncio.ensure_future(
                store.modify(BOOK, "emma", "default", lambda o: {**o, "spec": {"n": o["spec"]["n"] + 10}})
            )
            nothing = asyncio.ensure_future(store.modify(BOOK, "emma", "default", lambda o: o))
            gone = asyncio.ensure_future(store.delete(BOOK, "emma", "default"))
            again = asyncio.ensure_future(store.create(BOOK, make("emma", spec={"n": 5})))
            await asyncio.gather(first, stale, built, nothing, gone, again, return_exceptions=True)
            assert isinstance(stale.exception(), Conflict)
            assert (await built)["spec"] == {"n": 11}
            assert (await nothing) == (await built)
            async with store.watch(BOOK, since=start) as watch:
                events = await take(watch, 4)
            assert [(event.type, event.object["spec"]["n"]) for event in events] == [
                (EventType.MODIFIED, 1),
                (EventType.MODIFIED, 11),
                (EventType.DELETED, 11),
                (EventType.ADDED, 5),
            ]
            assert [event.old and event.old["spec"]["n"] for event in events] == [0, 1, 11, None]
            assert [version_of(event.object) for event in events] == [event.resource_version for event in events]

    run(body)


def test_ephemeral_writes_pass_a_commit_under_way_and_the_order_stays_total(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            owner = await store.create(BOOK, make("owner"))
            controlled = make("controlled", ownerReferences=[owned_by(BOOK, owner)])
            async with store.watch(LOAN) as watch:
                slow = asyncio.ensure_future(store.create(LOAN, make("by-hand")))
                await asyncio.sleep(0)
                fast = await store.create(LOAN, controlled)
                assert not slow.done()
                events = await take(watch, 2)
                assert [event.object["metadata"]["name"] for event in events] == ["controlled", "by-hand"]
                assert version_of(fast) < version_of(await slow)

    run(body)


def test_an_object_that_changes_hands_moves_between_disk_and_memory(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            owner = await store.create(BOOK, make("owner"))
            await store.create(LOAN, make("loan"))
            assert rows(tmp_path) == ["books/owner", "loans/loan"]

            def adopt(obj: Json) -> Json:
                obj["metadata"]["ownerReferences"] = [owned_by(BOOK, owner)]
                return obj

            def release(obj: Json) -> Json:
                del obj["metadata"]["ownerReferences"]
                return obj

            await store.modify(LOAN, "loan", "default", adopt)
            assert rows(tmp_path) == ["books/owner"]
            await store.modify(LOAN, "loan", "default", release)
            assert rows(tmp_path) == ["books/owner", "loans/loan"]
            await asyncio.gather(
                store.modify(LOAN, "loan", "default", adopt),
                store.modify(LOAN, "loan", "default", lambda o: {**o, "spec": {"n": 1}}),
                store.delete(LOAN, "loan", "default"),
            )
            assert rows(tmp_path) == ["books/owner"]

    run(body)


def test_an_object_that_changes_hands_while_it_is_staged(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store, store.watch(LOAN) as watch:
            owner = {"apiVersion": "x/v1", "kind": "X", "name": "x", "uid": "1", "controller": True}
            await asyncio.gather(
                store.create(LOAN, make("loan")), store.update(LOAN, make("loan", ownerReferences=[owner]))
            )
            assert [event.type.value for event in await take(watch, 2)] == ["ADDED", "MODIFIED"]
            assert rows(tmp_path) == []

    run(body)


def test_a_change_of_nothing_waits_for_what_it_found(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            writing = asyncio.ensure_future(store.create(BOOK, make("emma")))
            await asyncio.sleep(0)
            await store.modify(BOOK, "emma", "default", lambda o: o)
            assert rows(tmp_path) == ["books/emma"]
            assert (await writing)["metadata"]["name"] == "emma"

    run(body)


def test_a_commit_that_fails_takes_all_that_builds_on_it_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            commit, begun, gate = store._database.commit, asyncio.Event(), threading.Event()
            loop = asyncio.get_running_loop()

            def fail_once(*_: object) -> None:
                loop.call_soon_threadsafe(begun.set)
                gate.wait(5)
                monkeypatch.setattr(store._database, "commit", commit)
                raise StoreFull("no space")

            monkeypatch.setattr(store._database, "commit", fail_once)
            first = asyncio.ensure_future(store.create(BOOK, make("emma", spec={"n": 1})))
            await begun.wait()
            second = asyncio.ensure_future(store.update(BOOK, make("emma", spec={"n": 2})))
            third = asyncio.ensure_future(store.create(BOOK, make("unrelated")))
            await asyncio.sleep(0)
            gate.set()
            results = await asyncio.gather(first, second, third, return_exceptions=True)
            assert [type(result) for result in results] == [StoreFull] * 3
            assert len({id(result) for result in results}) == 3, "an exception belongs to one task"
            with pytest.raises(NotFound):
                await store.update(BOOK, make("emma"))
            await store.create(BOOK, make("emma"))
            assert rows(tmp_path) == ["books/emma"]

    run(body)


def test_a_caller_that_leaves_takes_nothing_along(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            leaving = asyncio.ensure_future(store.create(BOOK, make("emma")))
            staying = asyncio.ensure_future(store.modify(BOOK, "emma", "default", lambda o: o))
            await asyncio.sleep(0)
            leaving.cancel()
            assert (await staying)["metadata"]["name"] == "emma"

    run(body)


def test_the_queue_to_the_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_STAGED_MAX", 10)

    async def body() -> None:
        async with opened(tmp_path) as store:
            writes = (store.create(BOOK, make(f"b{n}")) for n in range(12))
            results = await asyncio.gather(*writes, return_exceptions=True)
            assert sum(isinstance(result, TooManyRequests) for result in results) == 2
            assert len((await store.list(BOOK)).items) == 10

    run(body)


def test_a_store_that_is_closed_refuses_instead_of_letting_a_writer_wait_for_ever(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            await store.create(BOOK, make("emma"))
        with pytest.raises(StoreFull, match="is closed"):
            await store.create(BOOK, make("persuasion"))

    run(body)
    assert rows(tmp_path) == ["books/emma"]


def test_a_full_disk_refuses_and_changes_nothing_until_there_is_space(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path, bytes_max=MB) as store:
            written: list[str] = []
            big = "x" * 10_000
            with contextlib.suppress(StoreFull):
                for n in range(1000):
                    await store.create(BOOK, make(f"b{n:04}", spec={"text": big}))
                    written.append(f"default/b{n:04}")
            assert 20 < len(written) < 200
            async with store.watch(BOOK) as watch:
                refused = await asyncio.gather(
                    *(store.create(BOOK, make(f"more{n}", spec={"text": big})) for n in range(300)),
                    return_exceptions=True,
                )
                assert all(isinstance(result, StoreFull) for result in refused)
                assert "nothing was written" in str(refused[-1])
                assert names((await store.list(BOOK)).items) == written, "nothing refused is seen"
                await store.create(GLANCE, make("memory-goes-on"))
                for n in range(10):
                    await store.delete(BOOK, f"b{n:04}", "default")
                made = await store.create(BOOK, make("again", spec={"text": big}))
                kinds = [event.type for event in await take(watch, 11)]
                assert kinds == [EventType.DELETED] * 10 + [EventType.ADDED]
            assert names((await store.list(BOOK)).items) == ["default/again", *written[10:]]
        async with opened(tmp_path) as store:
            assert names((await store.list(BOOK)).items) == ["default/again", *written[10:]]
            assert without_version(await store.get(BOOK, "again", "default")) == without_version(made)

    run(body)


def test_the_second_platform_on_a_folder_is_refused(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            await store.create(BOOK, make("emma"))
            second = SqliteStore(tmp_path / "store.db", TEST_KINDS, FakeClock())
            with pytest.raises(PermanentError, match=r"in use by another platform \(pid \d+\)") as caught:
                await second.open()
            assert caught.value.reason == "DataFolderInUse"
            await store.create(BOOK, make("persuasion"))
        async with opened(tmp_path) as third:
            assert len((await third.list(BOOK)).items) == 2

    run(body)


def test_a_damaged_row_is_set_aside_and_the_rest_is_served(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            for name in ("a", "b", "c", "d"):
                await store.create(BOOK, make(name))
        connection = sqlite3.connect(tmp_path / "store.db")
        connection.execute("update objects set data = cast(replace(data, 'spec', 'spek') as blob) where name = 'b'")
        connection.execute("update objects set name = 'z' where name = 'c'")
        connection.execute("update objects set namespace = cast(x'ff' as text) where name = 'd'")
        connection.commit()
        connection.close()
        async with opened(tmp_path) as store:
            assert names((await store.list(BOOK)).items) == ["default/a"]
            assert [row.name for row in store.damaged] == ["b", "z", "d"]
            assert store.damaged[0] == DamagedRow("books.test.dev", "default", "b")
            await store.create(BOOK, make("b"))
        async with opened(tmp_path) as store:
            assert names((await store.list(BOOK)).items) == ["default/a", "default/b"]
            assert store.damaged == []
        connection = sqlite3.connect(tmp_path / "store.db")
        assert connection.execute("select count(*) from damaged").fetchone() == (3,)
        connection.close()

    run(body)


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    async def body() -> None:
        (tmp_path / "store.db").write_bytes(b"these are my memoirs\n" * 1000)
        with pytest.raises(PermanentError, match="cannot be read"):
            async with opened(tmp_path):
                pass
        assert (tmp_path / "store.db").read_bytes().startswith(b"these are my memoirs")

    run(body)


def test_a_file_of_a_newer_platform_is_refused(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path):
            pass
        connection = sqlite3.connect(tmp_path / "store.db")
        connection.execute("pragma user_version = 99")
        connection.close()
        with pytest.raises(PermanentError, match="newer Pilotlight"):
            async with opened(tmp_path):
                pass

    run(body)


def test_objects_of_unknown_kinds_are_kept(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            await store.create(BOOK, make("emma"))
        older = SqliteStore(tmp_path / "store.db", [GLANCE], FakeClock())
        await older.open()
        await older.close()
        async with opened(tmp_path) as store:
            assert names((await store.list(BOOK)).items) == ["default/emma"]

    run(body)


def test_owners_are_known_after_a_restart(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as store:
            owner = await store.create(BOOK, make("owner"))
            await store.create(BOOK, make("part", ownerReferences=[owned_by(BOOK, owner)]))
        async with opened(tmp_path) as store:
            (found,) = store.dependents(owner["metadata"]["uid"])
            assert found[1].name == "part"

    run(body)


def test_the_range_is_wide_enough_for_a_busy_day() -> None:
    assert VERSION_RANGE // 2 / 1000 > 3600, "an hour of a full disk at 1,000 ephemeral writes/s"
