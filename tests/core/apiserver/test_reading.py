"""core.apiserver.reading: get, list, selectors, pages, resource versions, forms."""

from __future__ import annotations

import pytest

from core.apiserver.paging import SNAPSHOT_AGE_MAX_S
from core.resources.core_v1 import CONFIG_MAP
from tests.support.api import Api, config_map, pod
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def make_maps(api: Api, *names: str) -> None:
    for name in names:
        assert (await api.post(MAPS, config_map(name))).code == 201


async def names_of(api: Api, path: str) -> list[str]:
    answer = await api.get(path)
    assert answer.code == 200, answer.body
    return [item["metadata"]["name"] for item in answer.json["items"]]


async def test_a_list_is_in_order_and_says_how_new_it_is(api: Api) -> None:
    await make_maps(api, "b", "a")
    answer = (await api.get(MAPS)).json
    assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
    assert [item["metadata"]["name"] for item in answer["items"]] == ["a", "b"]
    newest = max(int(item["metadata"]["resourceVersion"]) for item in answer["items"])
    assert int(answer["metadata"]["resourceVersion"]) == newest
    assert await names_of(api, "/api/v1/configmaps") == ["a", "b"]
    assert await names_of(api, "/api/v1/namespaces/kube-system/configmaps") == []


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("labelSelector=app%3Dweb", ["p1", "p2"]),
        ("labelSelector=app%20in%20(web,db),tier!=x", ["p2", "p3"]),
        ("labelSelector=!app", ["p4"]),
        ("fieldSelector=metadata.name%3Dp3", ["p3"]),
        ("fieldSelector=metadata.name!%3Dp3&labelSelector=app", ["p1", "p2"]),
        ("fieldSelector=status.phase%3DPending", ["p1", "p2", "p3", "p4"]),
        ("labelSelector=app%3Dweb&limit=1", ["p1"]),
    ],
)
async def test_selectors(api: Api, selector: str, names: list[str]) -> None:
    for each in (pod("p1", app="web", tier="x"), pod("p2", app="web"), pod("p3", app="db"), pod("p4")):
        each_answer = await api.post(PODS, each)
        await api.patch(f"{PODS}/{each_answer.json['metadata']['name']}/status", {"status": {"phase": "Pending"}})
    assert await names_of(api, f"{PODS}?{selector}") == names


@pytest.mark.parametrize(
    "query",
    [
        "labelSelector=a%3D%3D%3Db",
        "fieldSelector=spec.nothing%3D1",
        "limit=x",
        "limit=-1",
        "resourceVersion=abc",
        "continue=nonsense",
        "includeObject=Some",
    ],
)
async def test_questions_that_cannot_be_read(api: Api, query: str) -> None:
    answer = await api.get(f"{PODS}?{query}", accept=TABLE)
    assert (answer.code, answer.json["reason"]) == (400, "BadRequest")


async def test_pages_show_one_moment_whatever_is_written_between(api: Api) -> None:
    await make_maps(api, "a", "b", "c", "d", "e")
    first = (await api.get(f"{MAPS}?limit=2")).json
    assert first["metadata"]["remainingItemCount"] == 3
    await make_maps(api, "bb")
    await api.delete(f"{MAPS}/d")
    names, page = [item["metadata"]["name"] for item in first["items"]], first
    while token := page["metadata"].get("continue"):
        page = (await api.get(f"{MAPS}?limit=2&continue={token}")).json
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [item["metadata"]["name"] for item in page["items"]]
    assert names == ["a", "b", "c", "d", "e"]


async def test_pages_of_a_selection_are_full(api: Api) -> None:
    for index in range(6):
        await api.post(PODS, pod(f"p{index}", odd=str(index % 2)))
    first = (await api.get(f"{PODS}?labelSelector=odd%3D1&limit=2")).json
    assert [item["metadata"]["name"] for item in first["items"]] == ["p1", "p3"]
    assert "remainingItemCount" not in first["metadata"]
    token = first["metadata"]["continue"]
    assert await names_of(api, f"{PODS}?labelSelector=odd%3D1&limit=2&continue={token}") == ["p5"]


async def test_a_page_that_comes_too_late_can_go_on_in_the_present(api: Api) -> None:
    await make_maps(api, "a", "b", "c")
    token = (await api.get(f"{MAPS}?limit=1")).json["metadata"]["continue"]
    await make_maps(api, "bb")
    assert isinstance(api.clock, FakeClock)
    await api.clock.advance(SNAPSHOT_AGE_MAX_S + 1)
    late = await api.get(f"{MAPS}?limit=1&continue={token}")
    assert (late.code, late.json["reason"]) == (410, "Expired")
    token = late.json["metadata"]["continue"]
    assert await names_of(api, f"{MAPS}?continue={token}") == ["b", "bb", "c"]


async def test_how_new_a_list_must_be(api: Api) -> None:
    await make_maps(api, "a")
    old = int((await api.get(MAPS)).json["metadata"]["resourceVersion"])
    await make_maps(api, "b")
    now = old + 1
    for query, code in {
        "resourceVersion=0": 200,
        f"resourceVersion={old}": 200,
        f"resourceVersion={old}&resourceVersionMatch=NotOlderThan": 200,
        f"resourceVersion={now}&resourceVersionMatch=Exact": 200,
        f"resourceVersion={old}&resourceVersionMatch=Exact": 410,
        f"resourceVersion={now + 1}": 504,
        "resourceVersionMatch=Exact": 422,
        "resourceVersion=0&resourceVersionMatch=Exact": 422,
        "resourceVersion=1&resourceVersionMatch=Perhaps": 422,
    }.items():
        answer = await api.get(f"{MAPS}?{query}")
        assert answer.code == code, (query, answer.body)
    early = (await api.get(f"{MAPS}?resourceVersion={now + 1}")).json
    assert early["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_one_and_many_as_tables(api: Api) -> None:
    await make_maps(api, "a", "b")
    many = (await api.get(MAPS, accept=TABLE)).json
    assert [column["name"] for column in many["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [row["cells"] for row in many["rows"]] == [["a", 0, "0s"], ["b", 0, "0s"]]
    assert many["metadata"]["resourceVersion"]
    one = (await api.get(f"{MAPS}/a?includeObject=Object", accept=TABLE)).json
    assert one["rows"][0]["object"]["kind"] == "ConfigMap"


async def test_metadata_alone(api: Api) -> None:
    await make_maps(api, "a")
    listed = await api.get(MAPS, accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    assert listed.json["kind"] == "PartialObjectMetadataList"
    assert set(listed.json["items"][0]) == {"kind", "apiVersion", "metadata"}
    one = await api.get(f"{MAPS}/a", accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    assert one.json["kind"] == "PartialObjectMetadata"


async def test_long_lists_are_whole(api: Api) -> None:
    for index in range(450):
        await api.store.create(CONFIG_MAP, {
            "metadata": {"name": f"m{index:03}", "namespace": "default", "labels": {"n": str(index % 2)}}
        })  # fmt: skip
    assert len(await names_of(api, MAPS)) == 450
    assert len(await names_of(api, f"{MAPS}?labelSelector=n%3D1")) == 225
    yaml = await api.get(MAPS, accept="application/yaml")
    assert yaml.body.count(b"\n- ") == 450
