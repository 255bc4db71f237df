"""core.apiserver.discovery and core.apiserver.reviews, as clients read them."""

from __future__ import annotations

import pytest

from core.apiserver.discovery import VERBS
from tests.support.api import Api

pytestmark = pytest.mark.anyio
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList,application/json"


async def test_groups_and_versions(api: Api) -> None:
    assert (await api.get("/api")).json["versions"] == ["v1"]
    groups = (await api.get("/apis")).json["groups"]
    names = [group["name"] for group in groups]
    assert {"apps", "serving.knative.dev", "authorization.k8s.io", "discovery.k8s.io"} <= set(names)
    assert len(set(names)) == len(names)
    for group in groups:
        assert (await api.get(f"/apis/{group['name']}")).json["preferredVersion"] == group["preferredVersion"]
        for version in group["versions"]:
            assert (await api.get(f"/apis/{version['groupVersion']}")).code == 200


async def test_resources_of_a_version(api: Api) -> None:
    resources = {each["name"]: each for each in (await api.get("/apis/apps/v1")).json["resources"]}
    assert resources["deployments"]["shortNames"] == ["deploy"]
    assert resources["deployments"]["verbs"] == list(VERBS)
    assert resources["deployments/scale"]["group"] == "autoscaling"
    assert resources["deployments/scale"]["kind"] == "Scale"
    assert resources["deployments/status"]["verbs"] == ["get", "patch", "update"]
    core = {each["name"] for each in (await api.get("/api/v1")).json["resources"]}
    assert {"pods/log", "namespaces/finalize", "configmaps"} <= core
    assert "configmaps/status" not in core


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
async def test_aggregated_tells_the_same(api: Api, version: str) -> None:
    found = {}
    for path in ("/api", "/apis"):
        answer = await api.get(path, accept=AGGREGATED.format(version))
        assert answer.headers["content-type"].endswith(f"v={version};as=APIGroupDiscoveryList")
        for group in answer.json["items"]:
            for each in group["versions"]:
                found[group["metadata"]["name"], each["version"]] = each["resources"]
    assert found.keys() >= {("", "v1"), ("apps", "v1"), ("serving.knative.dev", "v1")}
    for (group, name), resources in found.items():
        plain = (await api.get(f"/apis/{group}/{name}" if group else f"/api/{name}")).json["resources"]
        flat = {r["resource"]: r["verbs"] for r in resources}
        for resource in resources:
            subs = resource.get("subresources", ())
            flat |= {f"{resource['resource']}/{sub['subresource']}": sub["verbs"] for sub in subs}
        assert flat == {each["name"]: each["verbs"] for each in plain}
        assert all(r["scope"] in ("Namespaced", "Cluster") and r["singularResource"] for r in resources)


async def test_reviews_say_yes(api: Api) -> None:
    spec = {"resourceAttributes": {"verb": "delete", "resource": "pods"}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = await api.post(path, {"kind": "SelfSubjectAccessReview", "spec": spec})
    assert (answer.code, answer.json["status"]["allowed"], answer.json["spec"]) == (201, True, spec)
    other = await api.post(path.replace("self", ""), {"spec": {"user": "system:serviceaccount:default:a"}})
    assert other.json["status"]["allowed"] is True
    rules = await api.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    assert rules.json["status"]["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    me = await api.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert me.json["status"]["userInfo"]["username"] == "pilotlight-admin"
    assert (await api.get(path)).code == 404
