"""Stories about Routes: splits, tags, rollouts, visibility, domains, labels, garbage.

Covers deploy/controllers/route.py, deploy/controllers/placeholders.py, deploy/controllers/labeler.py,
deploy/controllers/domain_mapping.py, deploy/controllers/collector.py, deploy/controllers/config.py and
deploy/controllers/references.py.
"""

from __future__ import annotations

from typing import Any

from core.resources.core_services import CORE_SERVICE
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json
from core.resources.networking import CLUSTER_DOMAIN_CLAIM, INGRESS
from core.resources.serving import CONFIGURATION, DOMAIN_MAPPING, REVISION, ROUTE, SERVICE
from tests.support.serving import NAMESPACE, Platform, story, waiting

HOST = "hello.default.localhost"


async def routing_state(platform: Platform, revision: str) -> str:
    labels = (await platform.get(REVISION, revision))["metadata"]["labels"]
    return str(labels["serving.knative.dev/routingState"])


async def hosts(platform: Platform, visibility: str, name: str = "hello") -> list[list[str]]:
    rules = (await platform.get(INGRESS, name))["spec"]["rules"]
    return [rule["hosts"] for rule in rules if rule["visibility"] == visibility]


@story
async def test_a_split_with_tags(platform: Platform) -> None:
    await platform.service("v1")
    await platform.service("v2")
    traffic = [
        {"revisionName": "hello-00001", "percent": 90, "tag": "old"},
        {"latestRevision": True, "percent": 10},
        {"latestRevision": True, "percent": 0, "tag": "next"},
    ]
    service = await platform.service("v2", traffic=traffic)
    assert service["spec"]["traffic"][2]["percent"] == 0
    assert await platform.condition(SERVICE, "hello") == ("True", "")
    assert await platform.split(HOST) == {"hello-00001": 90, "hello-00002": 10}
    assert await platform.split("old-hello.default.localhost") == {"hello-00001": 100}
    assert await platform.split("next-hello.default.svc.cluster.local") == {"hello-00002": 100}
    entries = (await platform.get(SERVICE, "hello"))["status"]["traffic"]
    assert [entry.get("url") for entry in entries] == [
        "http://old-hello.default.localhost:8080",
        None,
        "http://next-hello.default.localhost:8080",
    ]
    assert await platform.names(CORE_SERVICE) == ["hello", "next-hello", "old-hello"]
    assert await routing_state(platform, "hello-00001") == "active"

    await platform.service("v2")
    assert await platform.names(CORE_SERVICE) == ["hello"]
    assert await platform.split("old-hello.default.localhost") == {}
    assert await routing_state(platform, "hello-00001") == "reserve"


@story
async def test_a_rollback(platform: Platform) -> None:
    await platform.service("v1")
    await platform.service("v2")
    await platform.service("v2", traffic=[{"revisionName": "hello-00001", "percent": 100}])
    assert await platform.split(HOST) == {"hello-00001": 100}
    assert await platform.condition(SERVICE, "hello") == ("True", "")
    assert await platform.names(REVISION) == ["hello-00001", "hello-00002"]


@story
async def test_a_target_that_is_not_there_leaves_the_old_split(platform: Platform) -> None:
    await platform.service("v1")
    await platform.service("v1", traffic=[{"revisionName": "hello-00009", "percent": 100}])
    assert await platform.condition(ROUTE, "hello", "AllTrafficAssigned") == ("False", "RevisionMissing")
    assert await platform.condition(SERVICE, "hello", "RoutesReady") == ("False", "RevisionMissing")
    assert await platform.split(HOST) == {"hello-00001": 100}
    for generation in range(2, 10):
        await platform.service(f"v{generation}", traffic=[{"revisionName": "hello-00009", "percent": 100}])
    assert await platform.split(HOST) == {"hello-00009": 100}, "the Route heard of it when it came"


@story
async def test_revisions_of_another_service(platform: Platform) -> None:
    await platform.service(name="other")
    await platform.service("v1", traffic=[{"revisionName": "other-00001", "percent": 100}])
    assert await platform.condition(ROUTE, "hello", "AllTrafficAssigned") == ("False", "RevisionNotOwned")
    own = {"metadata": {"name": "free"}, "spec": {"traffic": [{"revisionName": "other-00001", "percent": 100}]}}
    await platform.apply(ROUTE, own)
    assert await platform.condition(ROUTE, "free") == ("True", "")
    routes = (await platform.get(REVISION, "other-00001"))["metadata"]["annotations"]["serving.knative.dev/routes"]
    assert routes == "free,hello,other", "who asks for it holds it, too"


@story
async def test_a_route_and_a_configuration_without_a_service(platform: Platform) -> None:
    route = {"metadata": {"name": "r"}, "spec": {"traffic": [{"configurationName": "c", "percent": 100}]}}
    await platform.apply(ROUTE, route)
    assert await platform.condition(ROUTE, "r") == ("False", "ConfigurationMissing")
    template = {"spec": {"containers": [{"image": "v1"}]}}
    await platform.apply(CONFIGURATION, {"metadata": {"name": "c"}, "spec": {"template": template}})
    assert await platform.condition(ROUTE, "r") == ("True", "")
    assert await platform.split("r.default.localhost", "r") == {"c-00001": 100}
    assert await routing_state(platform, "c-00001") == "active"
    await platform.memory.delete(ROUTE, "r", NAMESPACE)
    await platform.settle()
    assert await routing_state(platform, "c-00001") == "reserve"


@story
async def test_labels_of_a_route_that_went_while_nobody_looked(platform: Platform) -> None:
    await platform.service("v1")
    await platform.stop()
    await platform.memory.delete(ROUTE, "hello", NAMESPACE)
    await platform.memory.delete(SERVICE, "hello", NAMESPACE)
    for kind, name in ((CONFIGURATION, "hello"), (REVISION, "hello-00001")):
        await platform.memory.modify(kind, name, NAMESPACE, _orphaned)
    await platform.start()
    assert await routing_state(platform, "hello-00001") == "reserve"


def _orphaned(obj: Json) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": []}}


@story
async def test_cluster_local(platform: Platform) -> None:
    await platform.service(labels={"networking.knative.dev/visibility": "cluster-local"})
    assert await hosts(platform, "ExternalIP") == []
    assert await hosts(platform, "ClusterLocal") == [
        ["hello.default", "hello.default.svc", "hello.default.svc.cluster.local"]
    ]
    assert (await platform.get(SERVICE, "hello"))["status"]["url"] == "http://hello.default.svc.cluster.local"

    def unlabel(service: Json) -> Json:
        del service["metadata"]["labels"]["networking.knative.dev/visibility"]
        return service

    await platform.memory.modify(SERVICE, "hello", NAMESPACE, unlabel)
    await platform.settle()
    assert await hosts(platform, "ExternalIP") == [[HOST]]
    assert (await platform.get(SERVICE, "hello"))["status"]["url"] == f"http://{HOST}:8080"


@story
async def test_one_tag_made_cluster_local(platform: Platform) -> None:
    await platform.service(traffic=[{"percent": 100, "latestRevision": True, "tag": "inside"}])
    assert ["inside-hello.default.localhost"] in await hosts(platform, "ExternalIP")

    def label(placeholder: Json) -> Json:
        placeholder["metadata"]["labels"]["networking.knative.dev/visibility"] = "cluster-local"
        return placeholder

    await platform.memory.modify(CORE_SERVICE, "inside-hello", NAMESPACE, label)
    await platform.settle()
    inside = "http://inside-hello.default.svc.cluster.local"
    for _ in range(2):
        assert await hosts(platform, "ExternalIP") == [[HOST]]
        assert (await platform.get(SERVICE, "hello"))["status"]["traffic"][0]["url"] == inside
        await platform.restart()


@story
async def test_a_placeholder_carries_the_marks_of_its_service(platform: Platform) -> None:
    await platform.service(annotations={"juicy": "yes"}, labels={"sweet": "yes"})
    for _ in range(2):
        metadata = (await platform.get(CORE_SERVICE, "hello"))["metadata"]
        assert (
            metadata["labels"]["serving.knative.dev/service"]
            == metadata["labels"]["serving.knative.dev/route"]
            == "hello"
        )
        assert metadata["annotations"]["serving.knative.dev/creator"] == "ann"
        assert (metadata["annotations"]["juicy"], metadata["labels"]["sweet"]) == ("yes", "yes")
        await platform.service(annotations={"more": "yes"}, labels={"sour": "yes"})
    metadata = (await platform.get(CORE_SERVICE, "hello"))["metadata"]
    assert (metadata["annotations"]["more"], metadata["labels"]["sour"]) == ("yes", "yes")


@story
async def test_a_placeholder_that_is_anothers(platform: Platform) -> None:
    await platform.apply(CORE_SERVICE, {"metadata": {"name": "hello"}, "spec": {"ports": [{"port": 80}]}})
    await platform.service()
    assert await platform.condition(ROUTE, "hello", "IngressReady") == ("False", "NotOwned")
    await platform.memory.delete(CORE_SERVICE, "hello", NAMESPACE)
    await platform.settle(60)
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_settings_take_effect_at_once(platform: Platform) -> None:
    await platform.service(labels={"app": "shop"}, traffic=[{"percent": 100, "latestRevision": True, "tag": "t"}])
    await platform.configure("config-domain", **{"example.com": "", "shop.com": "selector: {app: shop}"})
    assert (await platform.get(ROUTE, "hello"))["status"]["url"] == "http://hello.default.shop.com:8080"
    await platform.configure(
        "config-network", domain_template="{{.Name}}.{{.Domain}}", tag_template="{{.Name}}-{{.Tag}}"
    )
    assert await platform.split("hello-t.shop.com") == {"hello-00001": 100}
    await platform.configure("config-network", http_protocol="Redirected")
    assert (await platform.get(INGRESS, "hello"))["spec"]["httpOption"] == "Redirected"


@story
async def test_settings_that_are_not_valid_leave_the_last_ones(platform: Platform) -> None:
    await platform.configure("config-network", domain_template="{{.Name}}.example.com")
    await platform.service()
    broken = {"rollout-duration": "soon"}
    where = (CONFIG_MAP, "config-network", "knative-serving")
    await platform.memory.modify(*where, lambda old: {**old, "data": broken})
    await platform.settle()
    assert (await platform.get(ROUTE, "hello"))["status"]["url"] == "http://hello.example.com:8080"


@story
async def test_a_host_that_cannot_be(platform: Platform) -> None:
    tag = "t" * 60
    await platform.service(traffic=[{"percent": 100, "latestRevision": True, "tag": tag}])
    assert await platform.condition(ROUTE, "hello", "AllTrafficAssigned") == ("False", "ErrorConfig")
    assert f'invalid domain name "{tag}-hello.default' in await platform.message(ROUTE, "hello")


@story
async def test_routing_by_tag_header(platform: Platform) -> None:
    await platform.configure("config-features", tag_header_based_routing="Enabled")
    await platform.service("v1", traffic=[{"percent": 100, "latestRevision": True, "tag": "t"}])
    rules = (await platform.get(INGRESS, "hello"))["spec"]["rules"]
    main = next(rule for rule in rules if HOST in rule["hosts"])["http"]["paths"]
    assert main[0]["headers"] == {"Knative-Serving-Tag": {"exact": "t"}}
    assert main[1]["appendHeaders"] == {"Knative-Serving-Default-Route": "true"}
    tagged = next(rule for rule in rules if "t-hello.default.localhost" in rule["hosts"])["http"]["paths"]
    assert tagged[0]["appendHeaders"] == {"Knative-Serving-Tag": "t"}
    assert main[1]["splits"][0]["appendHeaders"] == {
        "Knative-Serving-Revision": "hello-00001",
        "Knative-Serving-Namespace": NAMESPACE,
    }


ROLLOUT = {"serving.knative.dev/rollout-duration": "100s"}


@story
async def test_a_gradual_rollout(platform: Platform) -> None:
    await platform.service("v1", annotations=ROLLOUT)
    await platform.service("v2", annotations=ROLLOUT)
    first = await platform.split(HOST)
    assert first["hello-00001"] >= 97
    assert await platform.condition(ROUTE, "hello", "IngressReady") == ("Unknown", "RolloutInProgress")
    assert await platform.condition(SERVICE, "hello", "RoutesReady") == ("Unknown", "RolloutInProgress")
    assert sorted(r for _, r, _ in await platform.traffic()) == ["hello-00001", "hello-00002"]
    assert await routing_state(platform, "hello-00001") == "active"
    await platform.settle(50)
    half = await platform.split(HOST)
    assert 40 <= half["hello-00002"] <= 60
    assert sum(half.values()) == 100
    await platform.settle(60)
    assert await platform.split(HOST) == {"hello-00002": 100}
    assert await platform.condition(SERVICE, "hello") == ("True", "")
    assert await routing_state(platform, "hello-00001") == "reserve"


@story
async def test_a_rollout_goes_on_after_a_restart(platform: Platform) -> None:
    await platform.service("v1", annotations=ROLLOUT)
    await platform.service("v2", annotations=ROLLOUT)
    await platform.settle(30)
    before = await platform.split(HOST)
    await platform.restart()
    after = await platform.split(HOST)
    assert before["hello-00002"] <= after["hello-00002"] <= before["hello-00002"] + 3
    await platform.settle(100)
    assert await platform.split(HOST) == {"hello-00002": 100}
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_the_rollout_duration_for_all(platform: Platform) -> None:
    await platform.configure("config-network", rollout_duration="60")
    await platform.service("v1")
    await platform.service("v2")
    assert len(await platform.split(HOST)) == 2
    await platform.settle(80)
    assert await platform.split(HOST) == {"hello-00002": 100}


def mapping(name: str, kind: str = "Service", api: str = "serving.knative.dev/v1", **fields: Any) -> Json:
    namespace = fields.pop("namespace", NAMESPACE)
    ref = {"kind": kind, "apiVersion": api, "name": "hello"}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"ref": ref, **fields}}


@story
async def test_a_domain(platform: Platform) -> None:
    await platform.apply(DOMAIN_MAPPING, mapping("www.example.com"))
    assert await platform.condition(DOMAIN_MAPPING, "www.example.com", "ReferenceResolved") == (
        "False",
        "ResolveFailed",
    )
    await platform.service()
    assert await platform.condition(DOMAIN_MAPPING, "www.example.com") == ("True", "")
    status = (await platform.get(DOMAIN_MAPPING, "www.example.com"))["status"]
    assert status["url"] == status["address"]["url"] == "http://www.example.com:8080"
    rule = (await platform.get(INGRESS, "www.example.com"))["spec"]["rules"][0]
    assert rule["hosts"] == ["www.example.com"]
    assert rule["http"]["paths"][0]["rewriteHost"] == "hello.default.svc.cluster.local"
    await platform.apply(DOMAIN_MAPPING, mapping("tls.example.com", tls={"secretName": "mine"}))
    assert await platform.condition(DOMAIN_MAPPING, "tls.example.com", "CertificateProvisioned") == (
        "True",
        "TLS certificate was provided externally",
    )
    status = (await platform.get(DOMAIN_MAPPING, "tls.example.com"))["status"]
    assert (status["url"], status["address"]["url"]) == ("https://tls.example.com", "http://tls.example.com:8080")
    await platform.memory.delete(DOMAIN_MAPPING, "www.example.com", NAMESPACE)
    await platform.settle(3)
    assert not await platform.exists(INGRESS, "www.example.com")


@story
async def test_a_domain_of_a_core_service_and_of_a_route(platform: Platform) -> None:
    await platform.service()
    await platform.apply(DOMAIN_MAPPING, mapping("a.example.com", "Route"))
    await platform.apply(DOMAIN_MAPPING, mapping("b.example.com", "Service", "v1"))
    for name in ("a.example.com", "b.example.com"):
        assert await platform.condition(DOMAIN_MAPPING, name) == ("True", "")
    await platform.apply(DOMAIN_MAPPING, mapping("c.example.com", "Gizmo", "example.com/v1"))
    assert await platform.message(DOMAIN_MAPPING, "c.example.com") == (
        'failed to get object default/hello: Gizmo "hello" not found'
    )


@story
async def test_a_domain_belongs_to_one(platform: Platform) -> None:
    await platform.service()
    await platform.apply(DOMAIN_MAPPING, mapping("www.example.com"))
    await platform.settle(2)
    await platform.apply(DOMAIN_MAPPING, mapping("www.example.com", "Service", "v1", namespace="elsewhere"))
    await platform.apply(
        CORE_SERVICE, {"metadata": {"name": "hello", "namespace": "elsewhere"}, "spec": {"ports": [{"port": 80}]}}
    )

    async def claimed(namespace: str) -> str:
        obj = await platform.get(DOMAIN_MAPPING, "www.example.com", namespace)
        return next(c["status"] for c in obj["status"]["conditions"] if c["type"] == "DomainClaimed")

    assert (await claimed(NAMESPACE), await claimed("elsewhere")) == ("True", "False")
    await platform.memory.delete(DOMAIN_MAPPING, "www.example.com", NAMESPACE)
    await platform.settle(3)
    assert await claimed("elsewhere") == "True"


async def claimant(platform: Platform, domain: str) -> str | None:
    """The namespace that has the domain."""
    claims = (await platform.memory.list(CLUSTER_DOMAIN_CLAIM)).items
    return next((claim["spec"]["namespace"] for claim in claims if claim["metadata"]["name"] == domain), None)


@story
async def test_a_claim_comes_and_goes_with_its_mapping(platform: Platform) -> None:
    await platform.service()
    await platform.apply(DOMAIN_MAPPING, mapping("www.example.com"))
    await platform.settle(2)
    assert await claimant(platform, "www.example.com") == NAMESPACE
    await platform.memory.delete(CLUSTER_DOMAIN_CLAIM, "www.example.com")
    await platform.settle(2)
    assert await claimant(platform, "www.example.com") == NAMESPACE, "made again"
    await platform.memory.delete(DOMAIN_MAPPING, "www.example.com", NAMESPACE)
    await platform.settle(3)
    assert await claimant(platform, "www.example.com") is None


@story
async def test_a_claim_that_somebody_made_decides_and_stays(platform: Platform) -> None:
    await platform.service()
    claim = {"metadata": {"name": "www.example.com"}, "spec": {"namespace": "elsewhere"}}
    await platform.apply(CLUSTER_DOMAIN_CLAIM, claim)
    await platform.apply(DOMAIN_MAPPING, mapping("www.example.com"))
    assert await platform.condition(DOMAIN_MAPPING, "www.example.com", "DomainClaimed") == (
        "False",
        "DomainAlreadyClaimed",
    )
    assert not await platform.exists(INGRESS, "www.example.com")
    await platform.memory.delete(CLUSTER_DOMAIN_CLAIM, "www.example.com")
    await platform.memory.create(CLUSTER_DOMAIN_CLAIM, {**claim, "spec": {"namespace": NAMESPACE}})
    await platform.settle(2)
    assert await platform.condition(DOMAIN_MAPPING, "www.example.com") == ("True", "")
    await platform.memory.delete(DOMAIN_MAPPING, "www.example.com", NAMESPACE)
    await platform.settle(3)
    assert await claimant(platform, "www.example.com") == NAMESPACE


@story
async def test_without_leave_to_claim_a_claim_comes_first(platform: Platform) -> None:
    await platform.configure("config-network", autocreate_cluster_domain_claims="false")
    await platform.service()
    await platform.apply(DOMAIN_MAPPING, mapping("www.example.com"))
    assert await platform.condition(DOMAIN_MAPPING, "www.example.com", "DomainClaimed") == (
        "False",
        "DomainClaimFailed",
    )
    message = 'no ClusterDomainClaim found for domain "www.example.com"'
    assert await platform.message(DOMAIN_MAPPING, "www.example.com") == message
    claim = {"metadata": {"name": "www.example.com"}, "spec": {"namespace": NAMESPACE}}
    await platform.apply(CLUSTER_DOMAIN_CLAIM, claim)
    assert await platform.condition(DOMAIN_MAPPING, "www.example.com") == ("True", "")


@story
async def test_old_revisions_are_collected(platform: Platform) -> None:
    await platform.configure(
        "config-gc",
        min_non_active_revisions="1",
        retain_since_create_time="1h",
        retain_since_last_active_time="1h",
    )
    for generation in range(1, 6):
        await platform.service(f"v{generation}")
    assert len(await platform.names(REVISION)) == 5
    await platform.settle(2 * 3600)
    assert await platform.names(REVISION) == ["hello-00004", "hello-00005"]
    assert await platform.condition(SERVICE, "hello") == ("True", "")


@story
async def test_too_many_revisions_are_collected_at_once(platform: Platform) -> None:
    for generation in range(1, 6):
        await platform.service(f"v{generation}")
    await platform.configure("config-gc", min_non_active_revisions="0", max_non_active_revisions="2")
    assert await platform.names(REVISION) == ["hello-00003", "hello-00004", "hello-00005"]


@story
async def test_the_latest_revision_is_active_before_it_is_ready(platform: Platform) -> None:
    platform.node.states["hello-00002"] = waiting("ContainerCreating")
    await platform.service("v1")
    await platform.service("v2")
    assert await routing_state(platform, "hello-00002") == "active"
