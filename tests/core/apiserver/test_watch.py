"""core.apiserver.watch: state and changes, selectors, bookmarks, gaps, ends."""

from __future__ import annotations

import pytest

from core.apiserver.reading import Selection
from core.apiserver.selectors import parse_labels
from core.apiserver.watch import BOOKMARK_INTERVAL_S, INITIAL_EVENTS_END, as_seen
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json
from core.store.base import EventType, WatchEvent
from tests.support.api import Api, config_map, pod
from tests.support.clock import FakeClock, settle

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def brief(event: Json) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


async def version(api: Api, path: str = MAPS) -> str:
    found: str = (await api.get(path)).json["metadata"]["resourceVersion"]
    return found


@pytest.mark.anyio
async def test_without_a_version_the_state_comes_first(api: Api) -> None:
    await api.post(MAPS, config_map("a"))
    async with api.open("GET", f"{MAPS}?watch=true") as stream:
        assert stream.headers["content-type"] == "application/json"
        assert brief(await stream.line()) == ("ADDED", "a")
        await api.post(MAPS, config_map("b"))
        assert brief(await stream.line()) == ("ADDED", "b")
        await api.patch(f"{MAPS}/a", {"data": {"k": "v"}})
        assert brief(await stream.line()) == ("MODIFIED", "a")
        await api.delete(f"{MAPS}/a")
        assert brief(await stream.line()) == ("DELETED", "a")


@pytest.mark.anyio
async def test_from_a_version_on_nothing_is_lost_and_nothing_told_twice(api: Api) -> None:
    await api.post(MAPS, config_map("a"))
    since = await version(api)
    await api.post(MAPS, config_map("b"))
    await api.post("/api/v1/namespaces/kube-system/configmaps", config_map("elsewhere"))
    async with api.open("GET", f"{MAPS}?watch=1&resourceVersion={since}") as stream:
        assert brief(await stream.line()) == ("ADDED", "b")
        await api.post(MAPS, config_map("c"))
        assert brief(await stream.line()) == ("ADDED", "c")


@pytest.mark.anyio
async def test_one_object_by_its_name(api: Api) -> None:
    await api.post(MAPS, config_map("a"))
    for path in (f"{MAPS}/a?watch=1", f"{MAPS}?watch=1&fieldSelector=metadata.name%3Da"):
        async with api.open("GET", path) as stream:
            assert brief(await stream.line()) == ("ADDED", "a")
            await api.post(MAPS, config_map("other"))
            await api.patch(f"{MAPS}/a", {"data": {"k": path}})
            assert brief(await stream.line()) == ("MODIFIED", "a")
        await api.delete(f"{MAPS}/other")


@pytest.mark.anyio
async def test_objects_enter_and_leave_the_sight_of_a_selector(api: Api) -> None:
    async with api.open(
        "GET", f"{PODS}?watch=1&labelSelector=app%3Dweb&resourceVersion={await version(api)}"
    ) as stream:
        await api.post(PODS, pod("p"))
        await api.patch(f"{PODS}/p", {"metadata": {"labels": {"app": "web"}}})
        assert brief(await stream.line()) == ("ADDED", "p")
        await api.patch(f"{PODS}/p", {"metadata": {"labels": {"app": "db"}}})
        left = await stream.line()
        assert brief(left) == ("DELETED", "p")
        assert left["object"]["metadata"]["labels"] == {"app": "web"}
        assert left["object"]["metadata"]["resourceVersion"] == await version(api)


BEFORE: Json = {"metadata": {"name": "a", "labels": {"x": "1"}}}
AFTER: Json = {"metadata": {"name": "a", "labels": {"x": "2"}}}


@pytest.mark.parametrize(
    ("type", "old", "new", "selector", "seen"),
    [
        ("ADDED", None, AFTER, "x=2", "ADDED"),
        ("ADDED", None, AFTER, "x=1", None),
        ("MODIFIED", BEFORE, AFTER, "x", "MODIFIED"),
        ("MODIFIED", BEFORE, AFTER, "x=2", "ADDED"),
        ("MODIFIED", BEFORE, AFTER, "x=1", "DELETED"),
        ("MODIFIED", BEFORE, AFTER, "y", None),
        ("MODIFIED", None, AFTER, "x=2", "ADDED"),
        ("DELETED", BEFORE, BEFORE, "x=1", "DELETED"),
        ("DELETED", BEFORE, BEFORE, "x=2", None),
    ],
)
def test_what_someone_sees_who_only_sees_what_matches(
    type: str, old: Json | None, new: Json, selector: str, seen: str | None
) -> None:
    event = WatchEvent(EventType(type), new, 9, old)
    found = as_seen(event, Selection(parse_labels(selector), None))
    assert (found and found[0]) == seen


@pytest.mark.anyio
async def test_initial_events_end_with_a_bookmark(api: Api) -> None:
    await api.post(MAPS, config_map("a"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with api.open("GET", f"{MAPS}?{query}") as stream:
        assert brief(await stream.line()) == ("ADDED", "a")
        end = await stream.line()
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"] == {INITIAL_EVENTS_END: "true"}
        assert end["object"]["metadata"]["resourceVersion"] == await version(api)
        assert (end["object"]["kind"], end["object"]["apiVersion"]) == ("ConfigMap", "v1")


@pytest.mark.anyio
async def test_bookmarks_move_on_with_everything_that_is_written(api: Api) -> None:
    assert isinstance(api.clock, FakeClock)
    async with api.open(
        "GET", f"{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion={await version(api)}"
    ) as stream:
        await api.post(PODS, pod("p"))
        await settle()
        await api.clock.advance(BOOKMARK_INTERVAL_S)
        mark = await stream.line()
        assert (mark["type"], mark["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", await version(api))


@pytest.mark.anyio
async def test_a_version_that_is_too_old_is_an_error_event(api: Api) -> None:
    since = await version(api)
    await api.post(MAPS, config_map("a"))
    await api.post(MAPS, config_map("a"))
    for index in range(1500):
        await api.store.modify(CONFIG_MAP, "a", "default", lambda obj, n=str(index): obj | {"data": {"n": n}})
    async with api.open("GET", f"{MAPS}?watch=1&resourceVersion={since}") as stream:
        error = await stream.line()
        assert stream.code == 200
        assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")


@pytest.mark.anyio
async def test_who_watches_one_object_misses_nothing_of_others(api: Api) -> None:
    """From the version that a GET had, as `kn service delete --wait` does; with an ERROR it would wait for ever."""

    async def write_much() -> None:
        for index in range(1500):
            await api.store.modify(CONFIG_MAP, "busy", "default", lambda obj, n=str(index): obj | {"data": {"n": n}})

    for name in ("a", "busy", "again"):
        await api.post(MAPS, config_map(name))
    versions = {name: (await api.get(f"{MAPS}/{name}")).json["metadata"]["resourceVersion"] for name in ("a", "again")}
    await api.patch(f"{MAPS}/again", {"data": {"k": "changed"}})
    await write_much()
    since = f"watch=1&resourceVersion={versions['a']}&fieldSelector=metadata.name%3D"
    async with api.open("GET", f"{MAPS}?{since}a") as stream:
        await api.patch(f"{MAPS}/a", {"data": {"k": "v"}})
        assert brief(await stream.line()) == ("MODIFIED", "a")
    await api.delete(f"{MAPS}/a")
    async with api.open("GET", f"{MAPS}?{since}a") as stream:
        assert [brief(await stream.line()) for _ in range(2)] == [("MODIFIED", "a"), ("DELETED", "a")]
    for name in ("busy", "again", "nowhere"):  # what they missed is gone, or nobody can know
        async with api.open("GET", f"{MAPS}?{since}{name}") as stream:
            assert (await stream.line())["object"]["code"] == 410, name
    await write_much()
    async with api.open("GET", f"{MAPS}?{since}a") as stream:
        assert (await stream.line())["object"]["code"] == 410, "the deletion itself is gone"


@pytest.mark.anyio
async def test_tables_carry_their_columns_once(api: Api) -> None:
    async with api.open(
        "GET", f"{MAPS}?watch=1&resourceVersion={await version(api)}", None, {"accept": TABLE}
    ) as stream:
        for name in ("a", "b"):
            await api.post(MAPS, config_map(name))
        first, second = await stream.line(), await stream.line()
        assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
        assert second["object"]["columnDefinitions"] == []
        assert second["object"]["rows"][0]["cells"][0] == "b"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("sendInitialEvents=true", 422),
        ("resourceVersionMatch=NotOlderThan", 422),
        ("resourceVersion=x", 400),
        ("timeoutSeconds=x", 400),
        ("labelSelector=%3D", 400),
    ],
)
async def test_options_that_contradict_each_other(api: Api, query: str, code: int) -> None:
    assert (await api.get(f"{MAPS}?watch=1&{query}")).code == code


@pytest.mark.anyio
async def test_a_watch_ends_when_its_time_is_over_or_the_server_closes(api: Api) -> None:
    answer = await api.get(f"{MAPS}?watch=1&timeoutSeconds=1")
    assert (answer.code, answer.body) == (200, b"")
    async with api.open("GET", f"{MAPS}?watch=1") as stream:
        api.backend.closing.set()
        assert [chunk async for chunk in stream] == []
