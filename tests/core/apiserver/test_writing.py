"""core.apiserver.writing and core.apiserver.identity: create, replace, patch, status, dry run."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from core.apiserver.backend import Verdict
from core.errors import FieldError
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json
from tests.support.api import Api, config_map, deployment, pod

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/apis/serving.knative.dev/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def ksvc(name: str, **container: Any) -> Json:
    spec = {"template": {"spec": {"containers": [{"image": "docker.io/library/nginx:1", **container}]}}}
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


async def test_create_answers_with_the_object_as_it_is_stored(api: Api) -> None:
    answer = await api.post(MAPS, config_map("a", k="v"))
    assert answer.code == 201
    metadata = answer.json["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("default", "a")
    assert metadata["uid"]
    assert int(metadata["resourceVersion"]) > 0
    assert (await api.get(f"{MAPS}/a")).json == answer.json


async def test_the_status_of_a_new_object_is_not_the_writers_to_set(api: Api) -> None:
    answer = await api.post(SERVICES, ksvc("s") | {"status": {"url": "http://evil"}})
    assert answer.code == 201, answer.body
    assert answer.json.get("status", {}).get("url") is None


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        (MAPS, config_map("taken"), 409, 'configmaps "taken" already exists'),
        ("/api/v1/namespaces/gone/configmaps", config_map("a"), 404, 'namespaces "gone" not found'),
        ("/api/v1/configmaps", config_map("a"), 400, "an empty namespace may not be set during creation"),
        (MAPS, config_map("a") | {"metadata": {"name": "a", "resourceVersion": "5"}}, 400, "resourceVersion"),
        (MAPS, config_map("Not_A_Name"), 422, 'ConfigMap "Not_A_Name" is invalid: metadata.name'),
        (f"{MAPS}?dryRun=Some", config_map("a"), 400, "dryRun"),
        (f"{MAPS}?fieldValidation=Perhaps", config_map("a"), 422, "fieldValidation"),
        (f"{MAPS}?fieldValidation=Strict", config_map("a") | {"dota": {}}, 400, 'unknown field "dota"'),
    ],
)
async def test_create_refuses(api: Api, path: str, body: Json, code: int, message: str) -> None:
    await api.post(MAPS, config_map("taken"))
    answer = await api.post(path, body)
    assert answer.code == code, answer.body
    assert message in answer.json["message"]


async def test_a_misspelt_field_is_named(api: Api) -> None:
    strict = await api.post(f"{SERVICES}?fieldValidation=Strict", ksvc("s", imagePullPolice="Always"))
    path = 'unknown field "spec.template.spec.containers[0].imagePullPolice"'
    assert (strict.code, strict.json["message"]) == (400, f"strict decoding error: {path}")
    warned = await api.post(SERVICES, ksvc("s", imagePullPolice="Always"))
    assert warned.code == 201
    assert any("imagePullPolice" in text for text in warned.warnings)
    silent = await api.post(f"{SERVICES}?fieldValidation=Ignore", ksvc("t", imagePullPolice="Always"))
    assert (silent.code, silent.warnings) == (201, [])


async def test_a_field_given_twice_is_named(api: Api) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"k":"1","k":"2"}}'
    strict = await api.post(f"{MAPS}?fieldValidation=Strict", body)
    assert (strict.code, strict.json["message"]) == (400, 'strict decoding error: duplicate field "data.k"')
    warned = await api.post(MAPS, body)
    assert (warned.code, warned.json["data"]) == (201, {"k": "2"})
    assert warned.warnings == ['299 - "duplicate field \\"data.k\\""']


async def test_names_are_made_up_where_only_a_beginning_is_given(api: Api) -> None:
    body = config_map("") | {"metadata": {"generateName": "made-"}}
    names = {(await api.post(MAPS, body)).json["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("made-") and len(name) == 10 for name in names)


async def test_a_dry_run_changes_nothing(api: Api) -> None:
    assert (await api.post(f"{MAPS}?dryRun=All", config_map("a"))).json["metadata"]["uid"]
    assert (await api.get(f"{MAPS}/a")).code == 404
    kept = (await api.post(MAPS, config_map("a", k="1"))).json
    assert (await api.post(f"{MAPS}?dryRun=All", config_map("a"))).code == 409
    assert (await api.patch(f"{MAPS}/a?dryRun=All", {"data": {"k": "2"}})).json["data"] == {"k": "2"}
    assert (await api.put(f"{MAPS}/a?dryRun=All", config_map("a", k="3"))).json["data"] == {"k": "3"}
    assert (await api.delete(f"{MAPS}/a?dryRun=All")).json["status"] == "Success"
    assert (await api.get(f"{MAPS}/a")).json == kept


async def test_replace_with_an_old_version_is_a_conflict(api: Api) -> None:
    old = (await api.post(MAPS, config_map("a", k="1"))).json
    new = await api.put(f"{MAPS}/a", old | {"data": {"k": "2"}})
    assert (new.code, new.json["data"], new.json["metadata"]["uid"]) == (200, {"k": "2"}, old["metadata"]["uid"])
    late = await api.put(f"{MAPS}/a", old | {"data": {"k": "3"}})
    assert (late.code, late.json["reason"]) == (409, "Conflict")
    assert late.json["message"].startswith(
        'Operation cannot be fulfilled on configmaps "a": the object has been modified'
    )


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        (f"{MAPS}/none", config_map("none"), 404, 'configmaps "none" not found'),
        (f"{MAPS}/a", config_map("b"), 400, "does not match the name on the URL"),
        (f"{MAPS}/a", config_map("a") | {"metadata": {"name": "a", "uid": "other"}}, 409, "UID"),
        (f"{SERVICES}/s", ksvc("s"), 422, "must be specified for an update"),
    ],
)
async def test_replace_refuses(api: Api, path: str, body: Json, code: int, message: str) -> None:
    await api.post(MAPS, config_map("a"))
    answer = await api.put(path, body)
    assert answer.code == code, answer.body
    assert message in answer.json["message"]


async def test_replace_without_a_version_wins_where_kubernetes_lets_it(api: Api) -> None:
    await api.post(MAPS, config_map("a"))
    assert (await api.put(f"{MAPS}/a", config_map("a", k="v"))).json["data"] == {"k": "v"}


@pytest.mark.parametrize(
    ("form", "body", "data"),
    [
        ("json", [{"op": "replace", "path": "/data/k", "value": "2"}], {"k": "2", "l": "1"}),
        ("merge", {"data": {"k": None, "m": "2"}}, {"l": "1", "m": "2"}),
        ("strategic", {"data": {"k": "2"}}, {"k": "2", "l": "1"}),
        ("strategic", {"data": {"$patch": "replace", "m": "2"}}, {"m": "2"}),
    ],
)
async def test_patches(api: Api, form: str, body: Any, data: Json) -> None:
    await api.post(MAPS, config_map("a", k="1", l="1"))
    answer = await api.patch(f"{MAPS}/a", body, form)
    assert answer.code == 200, answer.body
    assert answer.json["data"] == data


async def test_a_strategic_patch_merges_containers_by_name(api: Api) -> None:
    await api.post(DEPLOYMENTS, deployment("d"))
    side = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "docker.io/library/busybox:1"}]}}}}
    answer = await api.patch(f"{DEPLOYMENTS}/d", side, "strategic")
    assert sorted(c["name"] for c in answer.json["spec"]["template"]["spec"]["containers"]) == ["c", "side"]


@pytest.mark.parametrize(
    ("path", "form", "body", "code", "message"),
    [
        (f"{MAPS}/none", "merge", {}, 404, "not found"),
        (f"{MAPS}/a", "merge", [], 400, "not an object"),
        (f"{MAPS}/a", "json", {}, 400, "list of operations"),
        (f"{MAPS}/a", "json", [{"op": "test", "path": "/data/k", "value": "x"}], 422, "test"),
        (
            f"{MAPS}/a",
            "json",
            [{"op": "add", "path": "/data/x", "value": "y"}] * 10_001,
            413,
            "operations",
        ),
        (f"{MAPS}/a", "json", [{"op": "replace", "path": "", "value": 1}], 400, "not an object"),
        (f"{MAPS}/a", "merge", {"metadata": {"name": "b"}}, 400, "does not match the name"),
        (f"{MAPS}/a", "merge", {"metadata": {"resourceVersion": "1"}, "data": {"k": "2"}}, 409, "modified"),
        (f"{MAPS}/a", "merge", {"data": {"k": 2}}, 400, "data.k"),
        (f"{MAPS}/a?force=true", "merge", {}, 422, "force"),
        (f"{MAPS}/a", "apply-patch+cbor", {}, 415, "apply-patch+yaml"),
        (f"{MAPS}/a", "nonsense", {}, 415, "merge-patch+json"),
        (f"{SERVICES}/s", "strategic", {}, 415, "merge-patch+json"),
    ],
)
async def test_patches_that_are_refused(api: Api, path: str, form: str, body: Any, code: int, message: str) -> None:
    await api.post(MAPS, config_map("a", k="1"))
    await api.post(SERVICES, ksvc("s"))
    answer = await api.patch(path, body, form)
    assert answer.code == code, answer.body
    assert message in answer.json["message"]


async def test_a_patch_of_nothing_writes_nothing(api: Api) -> None:
    before = (await api.post(MAPS, config_map("a", k="1"))).json
    assert (await api.patch(f"{MAPS}/a", {"data": {"k": "1"}})).json == before
    assert (await api.put(f"{MAPS}/a", before)).json == before


async def test_status_and_the_rest_are_written_apart(api: Api) -> None:
    created = (await api.post(PODS, pod("p"))).json
    answer = await api.patch(
        f"{PODS}/p/status",
        {"status": {"phase": "Running"}, "metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "x"}},
    )
    assert answer.code == 200, answer.body
    assert answer.json["status"]["phase"] == "Running"
    assert answer.json["spec"] == created["spec"]
    assert "labels" not in answer.json["metadata"]
    plain = await api.patch(f"{PODS}/p", {"status": {"phase": "Failed"}, "metadata": {"labels": {"a": "b"}}})
    assert plain.json["status"]["phase"] == "Running"
    assert plain.json["metadata"]["labels"] == {"a": "b"}
    stale = await api.put(f"{PODS}/p/status", answer.json)
    assert (stale.code, stale.json["reason"]) == (409, "Conflict")
    assert (await api.get(f"{PODS}/p/status")).json == plain.json


async def test_the_answer_can_be_a_table(api: Api) -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    answer = await api.post(MAPS, config_map("a", k="v"), accept=table)
    assert answer.json["kind"] == "Table"
    assert answer.json["rows"][0]["cells"][:2] == ["a", 1]


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ({"op": "replace", "path": "/data/x/y", "value": "1"}, "/data/x/y"),
        ({"op": "test", "path": "/data/a", "value": "2"}, "/data/a"),
    ],
)
async def test_a_json_patch_that_does_not_fit_names_the_path(api: Api, operation: Json, path: str) -> None:
    await api.post(MAPS, config_map("m", a="1"))
    answer = await api.patch(f"{MAPS}/m", [operation], "json")
    assert answer.code == 422
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == [path]


async def test_who_judges_objects_of_a_kind_refuses_and_warns(api: Api) -> None:
    asked: list[tuple[str, bool]] = []

    async def judge(obj: Json, dry_run: bool) -> Verdict:
        asked.append((obj["data"]["k"], dry_run))
        if obj["data"]["k"] == "bad":
            return Verdict([FieldError("data.k", "is bad")])
        return Verdict(warnings=["is well"])

    judged = Api(dataclasses.replace(api.backend, judges={CONFIG_MAP: judge}))
    refused = await judged.post(MAPS, config_map("a", k="bad"))
    assert (refused.code, refused.json["message"]) == (422, 'ConfigMap "a" is invalid: data.k: is bad')
    made = await judged.post(f"{MAPS}?dryRun=All", config_map("a", k="good"))
    assert (made.code, made.warnings) == (201, ['299 - "is well"'])
    assert (await judged.get(f"{MAPS}/a")).code == 404
    await judged.post(MAPS, config_map("a", k="good"))
    merge = {"content-type": "application/merge-patch+json"}
    assert (await judged.request("PATCH", f"{MAPS}/a", {"data": {"k": "bad"}}, merge)).code == 422
    changed = await judged.request("PATCH", f"{MAPS}/a", {"data": {"k": "better"}}, merge)
    assert (changed.json["data"], changed.warnings) == ({"k": "better"}, ['299 - "is well"'])
    finalizers = {"metadata": {"finalizers": ["example.com/f"]}}
    assert (await judged.request("PATCH", f"{MAPS}/a", finalizers, merge)).warnings == []
    assert (await judged.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})).warnings == []
    assert asked == [("bad", False), ("good", True), ("good", False), ("bad", False), ("better", False)]
