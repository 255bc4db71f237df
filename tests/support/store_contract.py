"""What every store on this machine must do: one suite, subclassed once per implementation."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import AlreadyExists, BadRequest, Conflict, Expired, Invalid, NotFound
from core.resources.meta import Json
from core.store.base import ByteLister, DeleteOptions, EventType, LocalStore, Propagation, Store, Watch, WatchEvent
from core.store.feed import RING_CHANGES_MAX
from core.store.memory import MemoryStore
from tests.support.clock import FakeClock
from tests.support.kinds import BOOK, GLANCE, LOAN, PLAIN, READER, TOWN, make, make_kind, owned_by

DEADLINE_S = 10.0


def with_store(test: Callable[[Any, MemoryStore], Awaitable[None]]) -> Callable[[Any, Path], None]:
    """Runs an async test on a fresh, open store."""

    @functools.wraps(test)
    def run(self: Any, tmp_path: Path) -> None:
        async def body() -> None:
            async with asyncio.timeout(DEADLINE_S), self.opened(tmp_path) as store:
                await test(self, store)

        asyncio.run(body())

    del run.__wrapped__  # type: ignore[attr-defined]  # pytest would look for a fixture called `store`
    return run


async def take(watch: Watch, count: int) -> list[WatchEvent]:
    return [await anext(watch) for _ in range(count)]


def names(items: list[Json]) -> list[str]:
    return [f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}" for obj in items]


def version_of(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


class StoreContract:
    """Subclasses say how to open one."""

    clock: FakeClock

    def opened(self, folder: Path) -> AbstractAsyncContextManager[MemoryStore]:
        raise NotImplementedError

    @with_store
    async def test_it_is_what_it_says(self, store: MemoryStore) -> None:
        as_store: Store = store
        assert isinstance(as_store, ByteLister)
        assert isinstance(as_store, LocalStore)

    # -- create ------------------------------------------------------------------------------------------------------

    @with_store
    async def test_create_gives_identity(self, store: MemoryStore) -> None:
        made = await store.create(BOOK, make("emma", spec={"pages": 300}, labels={"a": "b"}))
        metadata = made["metadata"]
        assert (made["apiVersion"], made["kind"]) == ("test.dev/v1", "Book")
        assert metadata["creationTimestamp"] == "2023-11-14T22:13:20Z"
        assert metadata["generation"] == 1
        assert len(metadata["uid"]) == 36
        assert version_of(made) >= 1
        assert await store.get(BOOK, "emma", "default") == made

    @with_store
    async def test_create_leaves_what_it_was_given_alone(self, store: MemoryStore) -> None:
        given = make("emma", spec={"pages": 300})
        before = orjson.dumps(given)
        await store.create(BOOK, given)
        assert orjson.dumps(given) == before

    @with_store
    async def test_what_is_kept_is_no_longer_the_callers(self, store: MemoryStore) -> None:
        given = make("emma", spec={"pages": [1]}, labels={"a": "b"})
        status = {"conditions": [1]}
        await store.create(BOOK, given)
        given["spec"]["pages"].append(2)
        given["metadata"]["labels"]["a"] = "c"
        await store.modify(BOOK, "emma", "default", lambda obj: {**obj, "status": status}, "status")
        status["conditions"].append(2)
        kept = await store.get(BOOK, "emma", "default")
        assert kept["spec"] == {"pages": [1]}
        assert kept["metadata"]["labels"] == {"a": "b"}
        assert kept["status"] == {"conditions": [1]}
        after = await store.modify(BOOK, "emma", "default", lambda obj: {**obj, "status": status}, "status")
        assert after["status"] == {"conditions": [1, 2]}, "a change in place is a change"

    @with_store
    async def test_create_drops_what_only_the_store_may_say(self, store: MemoryStore) -> None:
        made = await store.create(
            BOOK, make("a", uid="mine", generation=7, selfLink="/x", deletionTimestamp="2020-01-01T00:00:00Z")
        )
        assert made["metadata"]["uid"] != "mine"
        assert made["metadata"]["generation"] == 1
        assert "selfLink" not in made["metadata"]
        assert "deletionTimestamp" not in made["metadata"]

    @with_store
    async def test_create_twice_is_refused(self, store: MemoryStore) -> None:
        await store.create(BOOK, make("emma"))
        with pytest.raises(AlreadyExists, match=r'books\.test\.dev "emma" already exists') as caught:
            await store.create(BOOK, make("emma"))
        assert caught.value.about == ("test.dev", "books", "emma")
        await store.create(BOOK, make("emma", namespace="other"))

    @with_store
    async def test_of_many_creations_at_once_one_wins(self, store: MemoryStore) -> None:
        results = await asyncio.gather(*(store.create(BOOK, make("emma")) for _ in range(20)), return_exceptions=True)
        assert sum(isinstance(result, dict) for result in results) == 1
        assert sum(isinstance(result, AlreadyExists) for result in results) == 19

    @with_store
    async def test_create_with_a_resource_version_is_refused(self, store: MemoryStore) -> None:
        with pytest.raises(BadRequest, match="resourceVersion should not be set"):
            await store.create(BOOK, make("emma", resourceVersion="3"))

    @with_store
    async def test_create_without_a_name_or_namespace_is_refused(self, store: MemoryStore) -> None:
        with pytest.raises(Invalid, match=r"metadata\.name"):
            await store.create(BOOK, make(""))
        with pytest.raises(Invalid, match=r"metadata\.namespace"):
            await store.create(BOOK, make("emma", namespace=""))

    @with_store
    async def test_generated_names(self, store: MemoryStore) -> None:
        made = [await store.create(BOOK, make("", generateName="book-")) for _ in range(20)]
        assert len(set(names(made))) == 20
        for obj in made:
            base, suffix = obj["metadata"]["name"].split("-")
            assert base == "book"
            assert len(suffix) == 5
            assert set(suffix) <= set("bcdfghjklmnpqrstvwxz2456789")
        long = await store.create(BOOK, make("", generateName="x" * 80))
        assert len(long["metadata"]["name"]) == 63

    @with_store
    async def test_cluster_scoped_objects_have_no_namespace(self, store: MemoryStore) -> None:
        made = await store.create(TOWN, make("bath", namespace="ignored"))
        assert "namespace" not in made["metadata"]
        assert await store.get(TOWN, "bath") == made

    @with_store
    async def test_an_unknown_kind_is_not_found(self, store: MemoryStore) -> None:
        stranger = make_kind("Stranger", BOOK.lifetime)
        with pytest.raises(NotFound, match="could not find the requested resource"):
            await store.list(stranger)

    # -- read --------------------------------------------------------------------------------------------------------

    @with_store
    async def test_what_is_not_there_is_not_found(self, store: MemoryStore) -> None:
        await store.create(BOOK, make("emma"))
        for attempt in (
            store.get(BOOK, "emma", "other"),
            store.get(LOAN, "emma", "default"),
            store.update(BOOK, make("persuasion")),
            store.modify(BOOK, "persuasion", "default", dict),
            store.delete(BOOK, "persuasion", "default"),
        ):
            with pytest.raises(NotFound, match="not found"):
                await attempt

    @with_store
    async def test_lists_are_ordered_and_selected(self, store: MemoryStore) -> None:
        for namespace, name, color in (("b", "x", "red"), ("a", "z", "blue"), ("a", "y", "red"), ("b", "w", "blue")):
            await store.create(BOOK, make(name, namespace, labels={"color": color, "size": "1"}))
        assert names((await store.list(BOOK)).items) == ["a/y", "a/z", "b/w", "b/x"]
        assert names((await store.list(BOOK, "b")).items) == ["b/w", "b/x"]
        assert names((await store.list(BOOK, labels={"color": "red", "size": "1"})).items) == ["a/y", "b/x"]
        assert names((await store.list(BOOK, "b", {"color": "red"})).items) == ["b/x"]
        assert (await store.list(BOOK, "none")).items == []

    @with_store
    async def test_a_label_must_be_a_label(self, store: MemoryStore) -> None:
        await store.create(BOOK, make("a", spec={"template": {"color": "red"}}, annotations={"color": "red"}))
        assert (await store.list(BOOK, labels={"color": "red"})).items == []

    @with_store
    async def test_a_list_is_of_one_moment(self, store: MemoryStore) -> None:
        for index in range(600):
            await store.create(GLANCE, make(f"g{index:04}"))
        before = store.resource_version
        listing = asyncio.ensure_future(store.list(GLANCE))
        await asyncio.sleep(0)
        await store.create(GLANCE, make("late"))
        await store.delete(GLANCE, "g0599", "default")
        assert len((await listing).items) == 600
        assert (await listing).resource_version == before

    @with_store
    async def test_texts_are_the_objects(self, store: MemoryStore) -> None:
        for name in "ba":
            await store.create(BOOK, make(name))
        listing, texts = await store.list(BOOK, "default"), await store.list_bytes(BOOK, "default")
        assert [orjson.loads(text) for text in texts.items] == listing.items
        assert texts.resource_version == listing.resource_version

    # -- update ------------------------------------------------------------------------------------------------------

    @with_store
    async def test_generation_counts_changes_of_what_is_wanted(self, store: MemoryStore) -> None:
        made = await store.create(BOOK, make("emma", spec={"pages": 1}))
        changes: list[tuple[str, Callable[[Json], Json], str, int]] = [
            ("label", lambda o: {**o, "metadata": {**o["metadata"], "labels": {"a": "b"}}}, "", 1),
            ("spec", lambda o: {**o, "spec": {"pages": 2}}, "", 2),
            ("status", lambda o: {**o, "status": {"read": True}}, "status", 2),
            ("another field", lambda o: {**o, "data": {"x": "y"}}, "", 3),
            ("same spec", lambda o: {**o, "spec": {"pages": 2}}, "", 3),
        ]
        for label, change, subresource, generation in changes:
            made = await store.modify(BOOK, "emma", "default", change, subresource)
            assert made["metadata"]["generation"] == generation, label
        assert made["status"] == {"read": True}

    @with_store
    async def test_a_kind_without_generation_has_none(self, store: MemoryStore) -> None:
        made = await store.create(PLAIN, make("a", spec={"x": 1}))
        made = await store.modify(PLAIN, "a", "default", lambda o: {**o, "spec": {"x": 2}})
        assert "generation" not in made["metadata"]

    @with_store
    async def test_status_and_the_rest_do_not_touch_each_other(self, store: MemoryStore) -> None:
        made = await store.create(BOOK, make("emma", spec={"pages": 1}))
        both = {**made, "spec": {"pages": 2}, "status": {"read": True}}
        both["metadata"] = {**made["metadata"], "labels": {"a": "b"}}
        after = await store.update(BOOK, both, "status")
        assert (after["spec"], after["status"]) == ({"pages": 1}, {"read": True})
        assert "labels" not in after["metadata"]
        both["metadata"]["resourceVersion"] = after["metadata"]["resourceVersion"]
        after = await store.update(BOOK, {**both, "status": {"read": False}})
        assert (after["spec"], after["status"]) == ({"pages": 2}, {"read": True})
        assert after["metadata"]["labels"] == {"a": "b"}

    @with_store
    async def test_where_there_is_no_status_subresource_status_is_a_field(self, store: MemoryStore) -> None:
        await store.create(PLAIN, {**make("a"), "status": {"x": 1}})
        after = await store.update(PLAIN, {**make("a"), "status": {"x": 2}})
        assert after["status"] == {"x": 2}

    @with_store
    async def test_an_unknown_subresource_is_refused(self, store: MemoryStore) -> None:
        made = await store.create(BOOK, make("a"))
        with pytest.raises(BadRequest):
            await store.update(BOOK, made, "scale")

    @with_store
    async def test_an_update_keeps_identity(self, store: MemoryStore) -> None:
        made = await store.create(BOOK, make("emma"))
        after = await store.update(BOOK, make("emma", spec={"a": 1}, generation=99, selfLink="/x"))
        for field in ("uid", "creationTimestamp", "name", "namespace"):
            assert after["metadata"][field] == made["metadata"][field]
        assert after["metadata"]["generation"] == 2
        assert "selfLink" not in after["metadata"]

    @with_store
    async def test_a_stale_update_conflicts(self, store: MemoryStore) -> None:
        old = await store.create(BOOK, make("emma"))
        new = await store.update(BOOK, {**old, "spec": {"a": 1}})
        message = r'Operation cannot be fulfilled on books\.test\.dev "emma": the object has been modified'
        with pytest.raises(Conflict, match=message):
            await store.update(BOOK, {**old, "spec": {"a": 2}})
        with pytest.raises(Conflict):
            await store.update(BOOK, {**old, "status": {"a": 2}}, "status")
        with pytest.raises(Conflict, match="UID in precondition"):
            await store.update(BOOK, make("emma", uid="another"))
        assert await store.get(BOOK, "emma", "default") == new
        assert (await store.update(BOOK, make("emma", spec={"a": 3})))["spec"] == {"a": 3}

    @with_store
    async def test_of_many_updates_of_one_version_one_wins(self, store: MemoryStore) -> None:
        made = await store.create(BOOK, make("emma"))
        writes = (store.update(BOOK, {**made, "spec": {"n": n}}) for n in range(20))
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert sum(isinstance(result, dict) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 19

    @with_store
    async def test_no_modification_is_lost(self, store: MemoryStore) -> None:
        await store.create(BOOK, make("emma", spec={"n": 0}))

        def add_one(obj: Json) -> Json:
            obj["spec"]["n"] += 1
            return obj

        await asyncio.gather(*(store.modify(BOOK, "emma", "default", add_one) for _ in range(100)))
        made = await store.get(BOOK, "emma", "default")
        assert made["spec"]["n"] == 100
        assert made["metadata"]["generation"] == 101

    @with_store
    async def test_a_change_of_nothing_writes_nothing(self, store: MemoryStore) -> None:
        made = await store.create(BOOK, make("emma", spec={"a": {"b": 1}}))
        before = store.resource_version
        async with store.watch(BOOK) as watch:
            assert await store.update(BOOK, made) == made
            assert await store.modify(BOOK, "emma", "default", lambda obj: obj) == made
            assert await store.modify(BOOK, "emma", "default", lambda obj: obj, "status") == made
            assert store.resource_version == before
            await store.create(BOOK, make("next"))
            assert (await anext(watch)).object["metadata"]["name"] == "next"

    # -- delete ------------------------------------------------------------------------------------------------------

    @with_store
    async def test_delete_removes(self, store: MemoryStore) -> None:
        made = await store.create(BOOK, make("emma"))
        gone = await store.delete(BOOK, "emma", "default")
        assert gone["metadata"]["uid"] == made["metadata"]["uid"]
        assert version_of(gone) > version_of(made)
        with pytest.raises(NotFound):
            await store.get(BOOK, "emma", "default")
        again = await store.create(BOOK, make("emma"))
        assert again["metadata"]["uid"] != made["metadata"]["uid"]

    @with_store
    async def test_delete_has_preconditions(self, store: MemoryStore) -> None:
        old = await store.create(BOOK, make("emma"))
        new = await store.update(BOOK, {**old, "spec": {"a": 1}})
        version = old["metadata"]["resourceVersion"]
        for options in (DeleteOptions(uid="another"), DeleteOptions(resource_version=version)):
            with pytest.raises(Conflict):
                await store.delete(BOOK, "emma", "default", options)
        right = DeleteOptions(uid=new["metadata"]["uid"], resource_version=new["metadata"]["resourceVersion"])
        await store.delete(BOOK, "emma", "default", right)

    @with_store
    async def test_a_finalizer_holds_what_is_deleted(self, store: MemoryStore) -> None:
        await store.create(BOOK, make("emma", finalizers=["a.dev/x", "a.dev/y"]))
        marked = await store.delete(BOOK, "emma", "default")
        assert marked["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:20Z"
        assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
        assert marked["metadata"]["generation"] == 2
        assert await store.delete(BOOK, "emma", "default") == marked, "asked again, nothing new"

        def without(name: str) -> Callable[[Json], Json]:
            def change(obj: Json) -> Json:
                obj["metadata"]["finalizers"].remove(name)
                return obj

            return change

        def with_another(obj: Json) -> Json:
            obj["metadata"]["finalizers"].append("a.dev/z")
            return obj

        with pytest.raises(Invalid, match="no new finalizers can be added"):
            await store.modify(BOOK, "emma", "default", with_another)
        await store.modify(BOOK, "emma", "default", without("a.dev/x"))
        async with store.watch(BOOK) as watch:
            await store.modify(BOOK, "emma", "default", without("a.dev/y"))
            assert (await anext(watch)).type is EventType.DELETED
        with pytest.raises(NotFound):
            await store.get(BOOK, "emma", "default")

    @with_store
    async def test_a_grace_period_holds_what_is_deleted(self, store: MemoryStore) -> None:
        await store.create(READER, make("ann", spec={"grace": 30}))
        marked = await store.delete(READER, "ann", "default")
        assert marked["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:50Z", "when it will be over"
        assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
        longer = await store.delete(READER, "ann", "default", DeleteOptions(grace_period_s=60))
        assert longer == marked, "never made longer"
        shorter = await store.delete(READER, "ann", "default", DeleteOptions(grace_period_s=5))
        assert shorter["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:25Z"
        await store.delete(READER, "ann", "default", DeleteOptions(grace_period_s=0))
        with pytest.raises(NotFound):
            await store.get(READER, "ann", "default")

    @with_store
    async def test_a_grace_period_and_a_finalizer_both_hold(self, store: MemoryStore) -> None:
        await store.create(READER, make("ann", spec={"grace": 30}, finalizers=["a.dev/x"]))
        await store.delete(READER, "ann", "default")

        def without(obj: Json) -> Json:
            del obj["metadata"]["finalizers"]
            return obj

        after = await store.modify(READER, "ann", "default", without)
        assert after["metadata"]["deletionGracePeriodSeconds"] == 30, "its grace still runs"
        await store.delete(READER, "ann", "default", DeleteOptions(grace_period_s=0))
        assert (await store.list(READER)).items == []

    @with_store
    async def test_a_namespace_like_object_is_held_by_its_spec(self, store: MemoryStore) -> None:
        await store.create(TOWN, make("bath", spec={"finalizers": ["kubernetes"]}))
        marked = await store.delete(TOWN, "bath")
        assert "deletionTimestamp" in marked["metadata"]
        await store.modify(TOWN, "bath", "", lambda obj: {**obj, "spec": {}})
        assert (await store.list(TOWN)).items == []

    @with_store
    async def test_propagation_is_kept_as_a_finalizer(self, store: MemoryStore) -> None:
        for propagation, finalizers in (
            (Propagation.FOREGROUND, ["a.dev/x", "foregroundDeletion"]),
            (Propagation.ORPHAN, ["a.dev/x", "orphan"]),
            (None, ["a.dev/x", "orphan"]),
            (Propagation.BACKGROUND, ["a.dev/x"]),
        ):
            if propagation is Propagation.FOREGROUND:
                await store.create(BOOK, make("emma", finalizers=["a.dev/x"]))
            marked = await store.delete(BOOK, "emma", "default", DeleteOptions(propagation=propagation))
            assert marked["metadata"]["finalizers"] == finalizers

    # -- owners ------------------------------------------------------------------------------------------------------

    @with_store
    async def test_dependents_are_found_by_the_owners_uid(self, store: MemoryStore) -> None:
        owner = await store.create(BOOK, make("emma"))
        uid = owner["metadata"]["uid"]
        assert store.dependents(uid) == []
        reference = owned_by(BOOK, owner)
        await store.create(LOAN, make("one", ownerReferences=[reference]))
        await store.create(GLANCE, make("two", ownerReferences=[reference]))
        await store.create(GLANCE, make("three"))
        found = {(kind.kind, key.name) for kind, key in store.dependents(uid)}
        assert found == {("Loan", "one"), ("Glance", "two")}

        def let_go(obj: Json) -> Json:
            del obj["metadata"]["ownerReferences"]
            return obj

        await store.modify(LOAN, "one", "default", let_go)
        await store.delete(GLANCE, "two", "default")
        assert store.dependents(uid) == []

    # -- watch -------------------------------------------------------------------------------------------------------

    @with_store
    async def test_watch_tells_every_change_in_order(self, store: MemoryStore) -> None:
        start = store.resource_version
        made = await store.create(BOOK, make("emma"))
        changed = await store.update(BOOK, {**made, "spec": {"a": 1}})
        with_status = await store.update(BOOK, {**changed, "status": {"s": 1}}, "status")
        gone = await store.delete(BOOK, "emma", "default")
        async with store.watch(BOOK, since=start) as watch:
            events = await take(watch, 4)
        assert [event.type.value for event in events] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
        assert [event.object for event in events] == [made, changed, with_status, gone]
        assert [event.old for event in events] == [None, made, changed, with_status]
        assert [event.resource_version for event in events] == [version_of(event.object) for event in events]

    @with_store
    async def test_watch_can_start_anywhere(self, store: MemoryStore) -> None:
        versions = [version_of(await store.create(BOOK, make(f"b{n}"))) for n in range(5)]
        for index, version in enumerate(versions[:-1]):
            async with store.watch(BOOK, since=version) as watch:
                assert (await anext(watch)).object["metadata"]["name"] == f"b{index + 1}"

    @with_store
    async def test_watch_without_a_start_tells_what_comes(self, store: MemoryStore) -> None:
        await store.create(BOOK, make("before"))
        async with store.watch(BOOK) as watch:
            await store.create(BOOK, make("after"))
            assert (await anext(watch)).object["metadata"]["name"] == "after"

    @with_store
    async def test_watch_of_a_namespace_and_a_kind(self, store: MemoryStore) -> None:
        async with store.watch(BOOK, "mine") as watch:
            await store.create(BOOK, make("a", "other"))
            await store.create(LOAN, make("b", "mine"))
            await store.create(BOOK, make("c", "mine"))
            assert (await anext(watch)).object["metadata"]["name"] == "c"

    @with_store
    async def test_a_waiting_watcher_is_woken(self, store: MemoryStore) -> None:
        async with store.watch(BOOK) as watch:
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0)
            assert not waiting.done()
            await store.create(BOOK, make("a"))
            assert (await waiting).object["metadata"]["name"] == "a"

    @with_store
    async def test_giving_up_a_wait_loses_nothing(self, store: MemoryStore) -> None:
        async with store.watch(BOOK) as watch:
            for name in "abc":
                waiting = asyncio.ensure_future(anext(watch))
                await asyncio.sleep(0)
                waiting.cancel()
                await store.create(BOOK, make(name))
                assert (await anext(watch)).object["metadata"]["name"] == name

    @with_store
    async def test_a_bookmark_never_runs_ahead(self, store: MemoryStore) -> None:
        async with store.watch(BOOK, "mine") as watch:
            assert watch.resource_version == store.resource_version
            await store.create(GLANCE, make("elsewhere"))
            assert watch.resource_version == store.resource_version, "nothing of this kind is outstanding"
            first = await store.create(BOOK, make("a", "mine"))
            assert watch.resource_version < version_of(first)
            await store.create(BOOK, make("b", "mine"))
            await anext(watch)
            assert watch.resource_version == version_of(first)
            await anext(watch)
            assert watch.resource_version == store.resource_version

    @with_store
    async def test_a_start_too_far_back_has_expired(self, store: MemoryStore) -> None:
        start = store.resource_version
        made = await store.create(GLANCE, make("a", spec={"n": 0}))
        for n in range(RING_CHANGES_MAX + 10):
            await store.update(GLANCE, make("a", spec={"n": n + 1}))
        await asyncio.sleep(0)
        for since in (start, version_of(made), version_of(made) + 1):
            with pytest.raises(Expired, match="too old resource version"):
                async with store.watch(GLANCE, since=since):
                    pass
        listing = await store.list(GLANCE)
        async with store.watch(GLANCE, since=listing.resource_version) as watch:
            await store.delete(GLANCE, "a", "default")
            assert (await anext(watch)).type is EventType.DELETED

    @with_store
    async def test_a_start_that_never_was_has_expired(self, store: MemoryStore) -> None:
        with pytest.raises(Expired, match="unknown resource version"):
            async with store.watch(GLANCE, since=store.resource_version + 1_000_000_000):
                pass

    @with_store
    async def test_a_watcher_that_falls_behind_has_expired(self, store: MemoryStore) -> None:
        async with store.watch(GLANCE) as watch:
            await store.create(GLANCE, make("a", spec={"n": 0}))
            assert (await anext(watch)).type is EventType.ADDED
            for n in range(RING_CHANGES_MAX + 200):
                await store.update(GLANCE, make("a", spec={"n": n + 1}))
            with pytest.raises(Expired, match="fell behind"):
                await anext(watch)

    @with_store
    async def test_a_watcher_that_runs_never_falls_behind_a_busy_writer(self, store: MemoryStore) -> None:
        seen = 0

        async def follow() -> None:
            nonlocal seen
            async with store.watch(GLANCE) as watch:
                async for event in watch:
                    seen += 1
                    if event.object["metadata"]["name"] == "last":
                        return

        follower = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        for n in range(3 * RING_CHANGES_MAX):
            await store.create(GLANCE, make(f"g{n}"))
        await store.create(GLANCE, make("last"))
        await follower
        assert seen == 3 * RING_CHANGES_MAX + 1

    @with_store
    async def test_what_is_no_longer_fresh_reads_the_same(self, store: MemoryStore) -> None:
        start = store.resource_version
        made = [await store.create(GLANCE, make(f"g{n}", spec={"n": n})) for n in range(400)]
        changed = [await store.update(GLANCE, {**obj, "spec": {"n": -1}}) for obj in made]
        async with store.watch(GLANCE, since=start) as watch:
            events = await take(watch, 800)
        assert [event.object for event in events] == made + changed
        assert [event.old for event in events] == [None] * 400 + made

    @with_store
    async def test_closing_ends_every_watch(self, store: MemoryStore) -> None:
        async with store.watch(BOOK) as idle, store.watch(BOOK) as behind:
            waiting = asyncio.ensure_future(anext(idle, None))
            await asyncio.sleep(0)
            await store.create(BOOK, make("a"))
            assert await waiting is not None
            waiting = asyncio.ensure_future(anext(idle, None))
            await asyncio.sleep(0)
            await store.close()
            assert await waiting is None
            assert [event.object["metadata"]["name"] async for event in behind] == ["a"]
