"""Ingress, placeholders, hosts and status of a Route (also deploy/hostnames.py and deploy/route_status.py)."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.hosts import Hosts
from core.resources.meta import Json
from core.resources.networking import INGRESS, Visibility
from core.settings.domain import DomainSettings
from core.settings.network import NetworkSettings, parse_network
from deploy import route_status
from deploy.hostnames import HostnameError, Naming, local_forms, visibilities
from deploy.rollout import Rollout, Share, TargetRollout, make_rollout
from deploy.routes import (
    Program,
    http_option,
    make_ingress,
    make_placeholder,
    make_status_traffic,
    rollout_duration_s,
)
from deploy.traffic import Target, Traffic, TrafficProblem, arrange

NOW = "2026-01-01T00:00:00Z"
PUBLIC, LOCAL = Visibility.EXTERNAL_IP, Visibility.CLUSTER_LOCAL


def route(labels: dict[str, str] | None = None, **fields: Any) -> Json:
    annotations = fields.pop("annotations", {})
    metadata = {"name": "hello", "namespace": "default", "uid": "u", "generation": 1}
    return {"metadata": {**metadata, "labels": labels or {}, "annotations": annotations}, "spec": {}, **fields}


def naming(domains: dict[str, dict[str, str]] | None = None, **network: str) -> Naming:
    settings = parse_network({key.replace("_", "-"): value for key, value in network.items()})
    assert isinstance(settings, NetworkSettings)
    return Naming(settings, DomainSettings(domains or {"example.com": {}}), Hosts(public_port=8080))


def traffic(*targets: Target) -> Traffic:
    return arrange(list(targets))


MAIN = Target("", "r2", "hello", 90, True)
OLD = Target("old", "r1", "hello", 10, False)


def program(found: Traffic, rollout: Rollout | None = None, by_header: bool = False, **local: Visibility) -> Program:
    visible = {tag: local.get(tag or "main", PUBLIC) for tag in found.by_tag}
    return Program(found, rollout or found.rollout(), visible, naming(), by_header)


def rules(made: Json) -> dict[tuple[str, ...], list[tuple[str, int]]]:
    return {
        tuple(rule["hosts"]): [
            (split["serviceName"], split["percent"]) for path in rule["http"]["paths"] for split in path["splits"]
        ]
        for rule in made["spec"]["rules"]
    }


INSIDE = ("hello.default", "hello.default.svc", "hello.default.svc.cluster.local")
INSIDE_OLD = tuple(f"old-{host}" for host in INSIDE)


def test_every_host_of_every_tag() -> None:
    made = make_ingress(route(), program(traffic(MAIN, OLD)))
    assert rules(made) == {
        INSIDE: [("r2", 90), ("r1", 10)],
        ("hello.default.example.com",): [("r2", 90), ("r1", 10)],
        INSIDE_OLD: [("r1", 100)],
        ("old-hello.default.example.com",): [("r1", 100)],
    }
    INGRESS.parse(made)


def test_what_is_cluster_local_has_no_public_host() -> None:
    made = make_ingress(route(), program(traffic(MAIN, OLD), old=LOCAL))
    assert set(rules(made)) == {INSIDE, ("hello.default.example.com",), INSIDE_OLD}


def test_a_target_without_traffic_has_no_share() -> None:
    found = traffic(Target("", "r2", "hello", 100, True), Target("", "r1", "hello", 0, False))
    assert rules(make_ingress(route(), program(found)))[INSIDE] == [("r2", 100)]


def test_a_rollout_splits_what_follows_the_latest() -> None:
    found = traffic(MAIN, OLD)
    moving = make_rollout([TargetRollout("hello", "", 90, (Share("r1", 60), Share("r2", 30)))])
    made = make_ingress(route(), program(found, moving))
    assert rules(made)[INSIDE] == [("r1", 60), ("r2", 30), ("r1", 10)]
    entries = make_status_traffic(route(), program(found, moving))
    assert [(e["revisionName"], e["percent"], e.get("tag"), e["latestRevision"]) for e in entries] == [
        ("r1", 60, None, True),
        ("r2", 30, None, True),
        ("r1", 10, "old", False),
    ]


def test_urls_of_tags_follow_their_visibility() -> None:
    found = traffic(MAIN, OLD)
    assert make_status_traffic(route(), program(found))[1]["url"] == "http://old-hello.default.example.com:8080"
    local = make_status_traffic(route(), program(found, old=LOCAL))[1]["url"]
    assert local == "http://old-hello.default.svc.cluster.local"


def test_marks_of_the_ingress() -> None:
    own = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
    metadata = make_ingress(route({"l": "m"}, annotations=own), program(traffic(MAIN)))["metadata"]
    assert metadata["labels"] == {
        "l": "m",
        "serving.knative.dev/route": "hello",
        "serving.knative.dev/routeNamespace": "default",
    }
    assert set(metadata["annotations"]) == {"a", "networking.internal.knative.dev/rollout"}


@pytest.mark.parametrize(
    ("labels", "tag", "settings", "domains", "host"),
    [
        ({}, "", {}, None, "hello.default.example.com"),
        ({}, "v1", {}, None, "v1-hello.default.example.com"),
        ({}, "v1", {"tag_template": "{{.Name}}-{{.Tag}}"}, None, "hello-v1.default.example.com"),
        ({}, "", {"domain_template": "{{.Name}}-{{.Namespace}}.{{.Domain}}"}, None, "hello-default.example.com"),
        ({"app": "shop"}, "", {}, {"example.com": {}, "shop.com": {"app": "shop"}}, "hello.default.shop.com"),
        (
            {"sub": "x"},
            "",
            {"domain_template": '{{.Name}}.{{index .Labels "sub"}}.{{.Domain}}'},
            None,
            "hello.x.example.com",
        ),
    ],
)
def test_public_hosts(labels: dict[str, str], tag: str, settings: dict[str, str], domains: Any, host: str) -> None:
    assert naming(domains, **settings).public_host(route(labels), tag) == host


@pytest.mark.parametrize("tag", ["t" * 60, "UPPER"])
def test_a_host_that_cannot_be(tag: str) -> None:
    with pytest.raises(HostnameError, match="invalid domain name"):
        naming().public_host(route(), tag)


def test_the_scheme_can_be_set() -> None:
    assert naming(default_external_scheme="https").url(route(), "", PUBLIC) == "https://hello.default.example.com"
    assert naming(default_external_scheme="https").url(route(), "", LOCAL).startswith("http://hello.default.svc")


def test_short_forms() -> None:
    assert local_forms("a.b.svc.cluster.local") == ["a.b", "a.b.svc", "a.b.svc.cluster.local"]


LABEL = {"networking.knative.dev/visibility": "cluster-local"}


@pytest.mark.parametrize(
    ("labels", "placeholders", "domains", "expected"),
    [
        ({}, {}, None, {"": PUBLIC, "t": PUBLIC}),
        (LABEL, {}, None, {"": LOCAL, "t": LOCAL}),
        ({}, {"t-hello": LABEL}, None, {"": PUBLIC, "t": LOCAL}),
        ({}, {"hello": LABEL}, None, {"": LOCAL, "t": PUBLIC}),
        ({}, {}, {"svc.cluster.local": {}}, {"": LOCAL, "t": LOCAL}),
    ],
)
def test_visibility(labels: Any, placeholders: dict[str, Any], domains: Any, expected: dict[str, Visibility]) -> None:
    services = {name: {"metadata": {"labels": marks}} for name, marks in placeholders.items()}
    assert visibilities(route(labels), ["t"], services, naming(domains)) == expected


def test_a_placeholder() -> None:
    made = make_placeholder(route({**LABEL, "a": "b"}), "t", naming())
    assert made["metadata"]["name"] == "t-hello"
    assert made["metadata"]["labels"] == {"a": "b", "serving.knative.dev/route": "hello"}
    assert made["spec"]["type"] == "ExternalName"


@pytest.mark.parametrize(
    ("annotations", "settings", "option"),
    [
        ({}, {}, "Enabled"),
        ({}, {"http_protocol": "Redirected"}, "Redirected"),
        ({"networking.knative.dev/http-protocol": "redirected"}, {}, "Redirected"),
        ({"networking.knative.dev/httpOption": "Enabled"}, {"http_protocol": "Redirected"}, "Enabled"),
    ],
)
def test_http_option(annotations: dict[str, str], settings: dict[str, str], option: str) -> None:
    assert http_option(route(annotations=annotations), naming(**settings).network) == option


@pytest.mark.parametrize(
    ("annotations", "settings", "seconds"),
    [
        ({}, {}, 0),
        ({}, {"rollout_duration": "30"}, 30),
        ({"serving.knative.dev/rollout-duration": "2m"}, {"rollout_duration": "30"}, 120),
        ({"serving.knative.dev/rolloutDuration": "0s"}, {"rollout_duration": "30"}, 30),
        ({"serving.knative.dev/rollout-duration": "soon"}, {}, 0),
    ],
)
def test_rollout_duration(annotations: dict[str, str], settings: dict[str, str], seconds: float) -> None:
    assert rollout_duration_s(route(annotations=annotations), naming(**settings).network) == seconds


def test_a_new_generation_is_not_ready_before_its_ingress() -> None:
    ready = [{"type": kind, "status": "True"} for kind in ("Ready", *route_status.CONDITIONS.dependents)]
    stale = route(status={"observedGeneration": 0, "conditions": ready})
    assert route_status.begin(stale, NOW).get()["reason"] == "IngressNotConfigured"
    current = route(status={"observedGeneration": 1, "conditions": ready})
    assert route_status.begin(current, NOW).is_true()


def test_a_problem_is_told_as_it_is() -> None:
    conditions = route_status.begin(route(), NOW)
    route_status.mark_problem(conditions, TrafficProblem("Unknown", "RevisionMissing", "soon"))
    assert conditions.get("AllTrafficAssigned")["status"] == "Unknown"
    route_status.mark_problem(conditions, TrafficProblem("False", "RevisionMissing", "never"))
    assert conditions.get()["message"] == "never"


def test_what_the_status_tells_of_placeholders() -> None:
    changes = {
        "url": "http://hello.default.svc.cluster.local",
        "traffic": make_status_traffic(route(), program(traffic(MAIN, OLD))),
    }
    conditions = route_status.begin(route(), NOW)
    stored = route(status=route_status.make_status(route(), conditions, changes))
    assert route_status.remembered_tags(stored) == {"", "old"}
    assert route_status.remembered_local_tags(stored) == {""}
    assert route_status.remembered_tags(route()) == set()

    done = route_status.make_status(stored, conditions, {})
    assert done["traffic"] == changes["traffic"], "what is not said anew stands"
