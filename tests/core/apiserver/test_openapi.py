"""core.apiserver.openapi, core.apiserver.openapi_v2 and core.apiserver.schemas."""

from __future__ import annotations

from typing import Any

import pytest

from core.apiserver.openapi import make_document, make_documents, schema_name
from core.apiserver.protobuf import wire_fields
from core.resources.kinds import KINDS
from core.resources.workloads import DEPLOYMENT
from tests.support.api import Api

DOCUMENTS = make_documents(KINDS, "0")


def groups() -> list[list[Any]]:
    return [[k for k in KINDS if (k.group, k.version) == key] for key in sorted({(k.group, k.version) for k in KINDS})]


@pytest.mark.parametrize("kinds", groups(), ids=lambda kinds: kinds[0].api_version)
def test_every_reference_leads_to_a_schema_and_every_kind_is_found(kinds: list[Any]) -> None:
    document = make_document(kinds, "0")
    schemas = document["components"]["schemas"]
    for node in nodes(document):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/components/schemas/") in schemas
        assert "null" not in (node.get("type"), *[branch.get("type") for branch in node.get("anyOf", ())])
    for kind in kinds:
        schema = schemas[schema_name(kind)]
        expected = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        assert schema["x-kubernetes-group-version-kind"] == [expected]
        patches = [path["patch"] for path in document["paths"].values() if "patch" in path]
        patch = next(each for each in patches if each["x-kubernetes-group-version-kind"] == expected)
        assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]


def nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(node for each in value.values() for node in nodes(each))]
    return [node for each in value for node in nodes(each)] if isinstance(value, list) else []


def test_a_field_is_told_as_kubernetes_tells_it() -> None:
    schemas = make_document([DEPLOYMENT], "0")["components"]["schemas"]
    deployment = schemas["io.k8s.api.apps.v1.Deployment"]["properties"]
    assert deployment["metadata"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    ]
    assert deployment["apiVersion"]["description"]
    containers = schemas["io.k8s.api.apps.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["type"] == "array"
    surge = schemas["io.k8s.api.apps.v1.RollingUpdate"]["properties"]["maxSurge"]
    assert (surge["type"], surge["format"]) == ("string", "int-or-string")


@pytest.mark.anyio
async def test_the_index_leads_to_documents_that_may_be_kept(api: Api) -> None:
    index = (await api.get("/openapi/v3")).json["paths"]
    assert set(index) == set(DOCUMENTS)
    for entry in index.values():
        answer = await api.get(entry["serverRelativeURL"])
        assert answer.code == 200
        assert "immutable" in answer.headers["cache-control"]
    stale = await api.get("/openapi/v3/api/v1?hash=OLD")
    assert stale.headers["cache-control"] == "no-cache, private"


@pytest.mark.anyio
async def test_old_kubectl_gets_protobuf(api: Api) -> None:
    proto = await api.get("/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert proto.code == 200
    parts = [(number, value) for number, value in wire_fields(proto.body) if isinstance(value, bytes)]
    assert [number for number, _ in parts] == [1, 2, 8, 9]
    assert parts[0] == (1, b"2.0")
    names = [dict(wire_fields(raw))[1] for _, raw in wire_fields(parts[3][1]) if isinstance(raw, bytes)]
    assert b"dev.knative.serving.v1.Service" in names
    assert b"#/components" not in proto.body
    assert (await api.get("/openapi/v2")).json["swagger"] == "2.0"
