"""core.apiserver.scale: a number behind a window."""

from __future__ import annotations

from typing import Any

import pytest

from core.apiserver.scale import scale_of, with_replicas
from core.resources.meta import Scale
from tests.support.api import Api, deployment

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.mark.anyio
async def test_the_scale_of_a_deployment(api: Api) -> None:
    await api.post(DEPLOYMENTS, deployment("d", 3))
    scale = (await api.get(f"{DEPLOYMENTS}/d/scale")).json
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 0, "selector": "app=d"})
    scale["spec"]["replicas"] = 5
    assert (await api.put(f"{DEPLOYMENTS}/d/scale", scale)).json["spec"] == {"replicas": 5}
    found = (await api.get(f"{DEPLOYMENTS}/d")).json
    assert found["spec"]["replicas"] == 5
    assert found["metadata"]["generation"] == 2
    late = await api.put(f"{DEPLOYMENTS}/d/scale", scale)
    assert (late.code, late.json["reason"]) == (409, "Conflict")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("merge", {"spec": {"replicas": 0}}),
        ("strategic", {"spec": {"replicas": 0}}),
        ("json", [{"op": "replace", "path": "/spec/replicas", "value": 0}]),
    ],
)
async def test_the_scale_can_be_patched(api: Api, form: str, body: Any) -> None:
    await api.post(DEPLOYMENTS, deployment("d", 3))
    dry = await api.patch(f"{DEPLOYMENTS}/d/scale?dryRun=All", body, form)
    assert dry.json["spec"] == {"replicas": 0}
    assert (await api.get(f"{DEPLOYMENTS}/d")).json["spec"]["replicas"] == 3
    assert (await api.patch(f"{DEPLOYMENTS}/d/scale", body, form)).json["spec"] == {"replicas": 0}
    assert (await api.get(f"{DEPLOYMENTS}/d")).json["spec"]["replicas"] == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("d/scale", {"spec": {"replicas": -1}}, 422),
        ("d/scale", {"spec": {"replicas": "three"}}, 422),
        ("d/scale", {"kind": "Pod"}, 400),
        ("d/scale", {"spec": 5}, 400),
        ("d/scale", {"spec": {"replicas": True}}, 422),
        ("d/scale", {"spec": {"replicas": 1}, "metadata": "x"}, 400),
        ("none/scale", {"spec": {"replicas": 1}}, 404),
    ],
)
async def test_scales_that_are_refused(api: Api, path: str, body: Any, code: int) -> None:
    await api.post(DEPLOYMENTS, deployment("d"))
    assert (await api.patch(f"{DEPLOYMENTS}/{path}", body)).code == code


def test_fields_are_found_where_the_kind_says() -> None:
    declared = Scale("spec.a.count", "status.b", "status.selector")
    obj = {"metadata": {"name": "x"}, "spec": {"a": {"other": 1}}, "status": {"selector": "k=v"}}
    new = with_replicas(obj, declared, 7)
    assert new["spec"] == {"a": {"other": 1, "count": 7}}
    assert obj["spec"] == {"a": {"other": 1}}
    assert scale_of(new, declared)["spec"] == {"replicas": 7}
    assert scale_of(new, declared)["status"] == {"replicas": 0, "selector": "k=v"}
