"""A Service's children and status (also deploy/labeling.py and deploy/domain_mappings.py)."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.conditions import find_condition
from core.resources.meta import Json
from core.settings.network import NetworkSettings
from deploy import domain_mappings, labeling
from deploy.domain_mappings import Unresolved
from deploy.services import decide_status, differs, make_configuration, make_route, with_desired

NOW = "2026-01-01T00:00:00Z"


def service(**status: Any) -> Json:
    annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "serving.knative.dev/rollout-duration": "5s",
        "serving.knative.dev/creator": "ann",
    }
    metadata = {"name": "hello", "namespace": "default", "uid": "u", "generation": 3, "labels": {"a": "b"}}
    traffic = [{"latestRevision": True, "percent": 90}, {"revisionName": "r1", "percent": 10, "tag": "old"}]
    spec = {"template": {"spec": {"containers": [{"image": "i"}]}}, "traffic": traffic}
    return {"metadata": {**metadata, "annotations": annotations}, "spec": spec, "status": status}


def test_its_configuration() -> None:
    made = make_configuration(service(), {"metadata": {"annotations": {"serving.knative.dev/routes": "other"}}})
    assert made["metadata"]["labels"] == {
        "a": "b",
        "serving.knative.dev/service": "hello",
        "serving.knative.dev/serviceUID": "u",
    }
    assert made["metadata"]["annotations"] == {
        "serving.knative.dev/creator": "ann",
        "serving.knative.dev/routes": "hello,other",
    }
    assert made["spec"] == {"template": {"spec": {"containers": [{"image": "i"}]}}}
    assert make_configuration(service(), made)["metadata"]["annotations"] == made["metadata"]["annotations"]


def test_its_route() -> None:
    made = make_route(service())
    assert made["spec"]["traffic"] == [
        {"latestRevision": True, "percent": 90, "configurationName": "hello"},
        {"revisionName": "r1", "percent": 10, "tag": "old"},
    ]
    assert made["metadata"]["annotations"]["serving.knative.dev/rollout-duration"] == "5s"


def test_what_makes_a_difference() -> None:
    desired = make_route(service())
    stored = {**desired, "metadata": {**desired["metadata"], "uid": "x", "resourceVersion": "5"}, "status": {}}
    assert not differs(desired, stored)
    changed = {**stored, "spec": {"traffic": []}}
    assert differs(desired, changed)
    assert differs(desired, {**stored, "metadata": {**stored["metadata"], "labels": {}}})
    assert with_desired(desired, changed) == stored


def child(name: str, ready: Json | None, observed: bool = True, **status: Any) -> Json:
    conditions = {"conditions": [{"type": "Ready", **ready}]} if ready else {}
    return {
        "metadata": {"name": name, "generation": 2},
        "spec": {"traffic": [{"configurationName": "hello", "percent": 100}]},
        "status": {"observedGeneration": 2 if observed else 1, **conditions, **status},
    }


def configuration(ready: Json | None, observed: bool = True, latest: str = "r2") -> Json:
    return child("hello", ready, observed, latestReadyRevisionName=latest, latestCreatedRevisionName="r2")


def route(ready: Json | None, observed: bool = True, revision: str = "r2") -> Json:
    return child(
        "hello",
        ready,
        observed,
        url="http://u",
        address={"url": "http://a"},
        traffic=[{"revisionName": revision, "percent": 100}],
    )


T, U = {"status": "True"}, {"status": "Unknown", "reason": "Why"}
F = {"status": "False", "reason": "RevisionFailed", "message": "boom"}


@pytest.mark.parametrize(
    ("config", "rt", "taken", "configurations", "routes"),
    [
        pytest.param(configuration(T), route(T), "", ("True", ""), ("True", ""), id="all is well"),
        pytest.param(
            configuration(T, False), route(T), "", ("Unknown", "OutOfDate"), ("True", ""), id="configuration behind"
        ),
        pytest.param(configuration(T), route(T, False), "", ("True", ""), ("Unknown", "OutOfDate"), id="route behind"),
        pytest.param(configuration(F), route(T), "", ("False", "RevisionFailed"), ("True", ""), id="revision failed"),
        pytest.param(configuration(U), route(U), "", ("Unknown", "Why"), ("Unknown", "Why"), id="under way"),
        pytest.param(
            configuration(T),
            route(T, True, "r1"),
            "",
            ("True", ""),
            ("Unknown", "TrafficNotMigrated"),
            id="still the old one",
        ),
        pytest.param(
            configuration(F), None, "r9", ("False", "RevisionFailed"), ("False", "RevisionNameTaken"), id="name taken"
        ),
        pytest.param(
            configuration(T, False), None, "", ("Unknown", "OutOfDate"), ("Unknown", ""), id="named, not yet made"
        ),
    ],
)
def test_status(
    config: Json, rt: Json | None, taken: str, configurations: tuple[str, str], routes: tuple[str, str]
) -> None:
    status = {"status": decide_status(service(), config, rt, taken, NOW)}

    def told(kind: str) -> tuple[str, str]:
        condition = find_condition(status, kind) or {}
        return condition["status"], condition.get("reason", "")

    assert (told("ConfigurationsReady"), told("RoutesReady")) == (configurations, routes)
    assert status["status"]["observedGeneration"] == 3


def test_what_a_child_has_not_seen_yet_is_not_taken_over() -> None:
    before = service(latestReadyRevisionName="r1", url="http://old")
    status = decide_status(before, configuration(T, False), route(T, False), "", NOW)
    assert (status["latestReadyRevisionName"], status["url"]) == ("r1", "http://old")
    status = decide_status(before, configuration(T), route(T), "", NOW)
    assert (status["latestReadyRevisionName"], status["url"], status["address"]) == (
        "r2",
        "http://u",
        {"url": "http://a"},
    )


def carrier(state: str = "", *routes: str) -> Json:
    annotations = {"serving.knative.dev/routes": ",".join(routes)} if routes else {}
    return {
        "metadata": {"labels": {"serving.knative.dev/routingState": state} if state else {}, "annotations": annotations}
    }


def test_a_route_puts_its_name_on_what_it_sends_to() -> None:
    marked = labeling.with_route(carrier("pending"), "b", NOW, True)
    assert marked["metadata"]["labels"]["serving.knative.dev/routingState"] == "active"
    assert marked["metadata"]["annotations"]["serving.knative.dev/routingStateModified"] == NOW
    both = labeling.with_route(marked, "a", "later", True)
    assert labeling.routes_of(both) == ["a", "b"]
    assert both["metadata"]["annotations"]["serving.knative.dev/routingStateModified"] == NOW, "it was active before"
    assert labeling.with_route(both, "a", NOW, True) is both


def test_and_takes_it_off() -> None:
    one = labeling.without_route(carrier("active", "a", "b"), "a", NOW, True)
    assert one["metadata"]["labels"]["serving.knative.dev/routingState"] == "active"
    none = labeling.without_route(one, "b", NOW, True)
    assert none["metadata"]["labels"]["serving.knative.dev/routingState"] == "reserve"
    assert labeling.routes_of(none) == []
    assert labeling.without_route(none, "b", NOW, True) is none
    plain = labeling.with_route(carrier(), "a", NOW, False)
    assert plain["metadata"]["labels"] == {}, "a Configuration has no routing state"


@pytest.mark.parametrize(("ready", "expected"), [("True", True), ("False", True), ("Unknown", False)])
def test_old_names_stay_until_the_route_has_decided(ready: str, expected: bool) -> None:
    obj = child("r", {"status": ready})
    assert labeling.may_clear(obj) is expected


def mapping(created: str = NOW, uid: str = "1", **spec: Any) -> Json:
    metadata = {"name": "www.example.com", "namespace": "default", "uid": uid, "creationTimestamp": created}
    return {"metadata": metadata, "spec": {"ref": {"kind": "Service", "name": "hello"}, **spec}}


def addressable(url: str) -> Json:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "status": {"address": {"url": url}} if url else {},
    }


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (addressable("http://hello.default.svc.cluster.local"), "hello.default.svc.cluster.local"),
        (addressable("http://hello.default.svc.cluster.local:8081/"), "hello.default.svc.cluster.local"),
        ({"apiVersion": "v1", "kind": "Service"}, "hello.default.svc.cluster.local"),
        (None, Unresolved('failed to get object default/hello: Service "hello" not found')),
        (addressable(""), Unresolved('address not set for Service "hello"')),
        (
            addressable("http://hello.default.svc.cluster.local/path"),
            Unresolved('resolved URI "http://hello.default.svc.cluster.local/path" contains a path'),
        ),
        (
            addressable("http://example.com"),
            Unresolved('resolved URI "http://example.com" must be of the form {name}.{namespace}.svc.cluster.local'),
        ),
        (
            addressable("http://hello.other.svc.cluster.local"),
            Unresolved(
                'resolved URI "http://hello.other.svc.cluster.local" must be in same namespace as DomainMapping'
            ),
        ),
    ],
)
def test_where_a_domain_leads(target: Json | None, host: str | Unresolved) -> None:
    assert domain_mappings.target_host(mapping(), target) == host


def test_the_oldest_mapping_has_the_domain() -> None:
    old, new = mapping("2026-01-01T00:00:00Z", "9"), mapping("2026-01-02T00:00:00Z", "1")
    assert domain_mappings.oldest([old, new]) is domain_mappings.oldest([new, old]) is old
    assert domain_mappings.oldest([mapping(uid="2"), mapping(uid="1")])["metadata"]["uid"] == "1"


def test_the_ingress_of_a_domain() -> None:
    made = domain_mappings.make_ingress(mapping(), "hello.default.svc.cluster.local", NetworkSettings())
    path = made["spec"]["rules"][0]["http"]["paths"][0]
    assert path["rewriteHost"] == "hello.default.svc.cluster.local"
    assert path["splits"][0]["serviceName"] == "hello"
    assert path["splits"][0]["appendHeaders"] == {"K-Original-Host": "www.example.com"}
    long = mapping()
    long["metadata"]["name"] = "a" * 60 + ".example.com"
    assert len(domain_mappings.ingress_name(long)) <= 63
