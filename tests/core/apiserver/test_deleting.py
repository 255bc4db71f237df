"""core.apiserver.deleting and core.apiserver.namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.meta import Json
from tests.support.api import Api, config_map, pod

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


async def test_what_nothing_holds_is_gone_at_once(api: Api) -> None:
    created = (await api.post(MAPS, config_map("a"))).json
    answer = await api.delete(f"{MAPS}/a")
    assert (answer.code, answer.json["status"]) == (200, "Success")
    assert answer.json["details"] == {"name": "a", "kind": "configmaps", "uid": created["metadata"]["uid"]}
    assert (await api.delete(f"{MAPS}/a")).code == 404


async def test_a_finalizer_holds_it_until_it_is_taken_off(api: Api) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.com/mine"]
    await api.post(MAPS, body)
    answer = await api.delete(f"{MAPS}/a")
    assert (answer.code, answer.json["kind"]) == (200, "ConfigMap")
    assert answer.json["metadata"]["deletionTimestamp"]
    more = await api.patch(f"{MAPS}/a", {"metadata": {"finalizers": ["example.com/mine", "example.com/more"]}})
    assert more.code == 422
    await api.patch(f"{MAPS}/a", {"metadata": {"finalizers": None}})
    assert (await api.get(f"{MAPS}/a")).code == 404


async def test_a_pod_has_its_grace(api: Api) -> None:
    await api.post(PODS, pod("p"))
    answer = await api.delete(f"{PODS}/p", {"gracePeriodSeconds": 5})
    assert answer.json["metadata"]["deletionGracePeriodSeconds"] == 5
    assert (await api.delete(f"{PODS}/p?gracePeriodSeconds=0")).json["status"] == "Success"


@pytest.mark.parametrize(
    ("query", "body", "finalizers"),
    [
        ("", {"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        ("?propagationPolicy=Foreground", None, ["foregroundDeletion"]),
        ("", {"propagationPolicy": "Orphan"}, ["orphan"]),
        ("", {"orphanDependents": True}, ["orphan"]),
        ("?orphanDependents=true", None, ["orphan"]),
    ],
)
async def test_the_manner_of_deletion(api: Api, query: str, body: Json | None, finalizers: list[str]) -> None:
    await api.post(MAPS, config_map("a"))
    answer = await api.delete(f"{MAPS}/a{query}", body)
    assert answer.json["metadata"]["finalizers"] == finalizers


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("", {"propagationPolicy": "Sideways"}, 422),
        ("", {"propagationPolicy": ["Orphan"]}, 422),
        ("", {"propagationPolicy": "Orphan", "orphanDependents": True}, 422),
        ("", {"gracePeriodSeconds": -1}, 422),
        ("", {"gracePeriodSeconds": "soon"}, 422),
        ("?gracePeriodSeconds=soon", None, 400),
        ("", {"preconditions": {"uid": "other"}}, 409),
        ("", {"preconditions": {"resourceVersion": "1"}}, 409),
        ("", {"preconditions": 3}, 400),
        ("", {"dryRun": ["Some"]}, 400),
        ("", [], 400),
    ],
)
async def test_options_that_are_refused(api: Api, query: str, body: Any, code: int) -> None:
    await api.post(MAPS, config_map("a"))
    answer = await api.delete(f"{MAPS}/a{query}", body)
    assert answer.code == code, answer.body
    assert (await api.get(f"{MAPS}/a")).code == 200


async def test_a_collection_goes_by_selector(api: Api) -> None:
    for name, labels in {"a": {"x": "1"}, "b": {"x": "2"}, "c": {"x": "1"}}.items():
        body = config_map(name)
        body["metadata"]["labels"] = labels
        await api.post(MAPS, body)
    dry = await api.delete(f"{MAPS}?labelSelector=x%3D1&dryRun=All")
    assert len(dry.json["items"]) == 2
    gone = await api.delete(f"{MAPS}?labelSelector=x%3D1")
    assert [item["metadata"]["name"] for item in gone.json["items"]] == ["a", "c"]
    assert [item["metadata"]["name"] for item in (await api.get(MAPS)).json["items"]] == ["b"]


async def test_a_namespace_goes_when_its_finalizers_are_gone(api: Api) -> None:
    namespace = {"metadata": {"name": "team"}, "spec": {"finalizers": ["kubernetes"]}}
    assert (await api.post("/api/v1/namespaces", namespace)).code == 201
    going = await api.delete("/api/v1/namespaces/team")
    assert going.json["metadata"]["deletionTimestamp"]
    refused = await api.post("/api/v1/namespaces/team/configmaps", config_map("late"))
    assert (refused.code, refused.json["reason"]) == (403, "Forbidden")
    assert "is being terminated" in refused.json["message"]
    done = {"metadata": {"name": "team"}, "spec": {"finalizers": []}}
    assert (await api.put("/api/v1/namespaces/team/finalize", done)).code == 200
    assert (await api.get("/api/v1/namespaces/team")).code == 404


@pytest.mark.parametrize("name", ["default", "kube-system"])
async def test_the_namespaces_that_are_always_there_stay(api: Api, name: str) -> None:
    refused = await api.delete(f"/api/v1/namespaces/{name}")
    assert (refused.code, refused.json["reason"]) == (403, "Forbidden")
    assert refused.json["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    assert (await api.delete("/api/v1/namespaces")).code == 403
    assert (await api.get(f"/api/v1/namespaces/{name}")).json["status"]["phase"] == "Active"
