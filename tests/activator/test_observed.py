"""What is read off stored objects (activator/observed.py), and said to clients (problem.py)."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest

from activator import limits, problem
from activator.instances import Endpoint
from activator.ledger import Timeline
from activator.observed import (
    SeenEndpoint,
    SeenPod,
    common_failure,
    newly_failed,
    see_limits,
    see_pod,
    see_service,
    see_slice,
)
from core.resources.meta import Json
from core.resources.pod_failures import Failure
from core.stats import InstanceKey, RevisionKey

READY = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.5"}


def pod(status: Json | None = None, annotations: dict[str, str] | None = None, **metadata: Any) -> Json:
    return {
        "metadata": {
            "name": "p", "namespace": "default", "uid": "u", "annotations": annotations or {},
            "labels": {"serving.knative.dev/revision": "hello-1"}, **metadata,
        },
        "spec": {"containers": [{"name": "side"}, {"name": "c", "ports": [{"containerPort": 9000}]}]},
        "status": READY if status is None else status,
    }  # fmt: skip


KEY = InstanceKey("default", "p", "u")
ADDRESSED = pod(annotations={"pilotlight.dev/address": "127.0.0.1:41234"})
ENDPOINTS = {
    "by annotation": (ADDRESSED, Endpoint(KEY, "127.0.0.1", 41234)),
    "IPv6": (pod(annotations={"pilotlight.dev/address": "[::1]:41234"}), Endpoint(KEY, "::1", 41234)),
    "by Pod IP and container port": (pod(), Endpoint(KEY, "10.0.0.5", 9000)),
    "not ready": (pod({"conditions": [{"type": "Ready", "status": "False"}]}), None),
    "no status": (pod({}), None),
    "on its way out": (pod(deletionTimestamp="2024-01-01T00:00:00Z"), None),
    "frozen": (pod(annotations={"pilotlight.dev/paused": "true"}), None),
    "without an address": (pod({"conditions": READY["conditions"]}), None),
}  # fmt: skip


@pytest.mark.parametrize(("obj", "endpoint"), ENDPOINTS.values(), ids=ENDPOINTS)
def test_endpoints(obj: Json, endpoint: Endpoint | None) -> None:
    seen = see_pod(obj)
    assert seen.revision == RevisionKey("default", "hello-1")
    assert seen.endpoint == endpoint


def test_the_timeline_comes_along() -> None:
    seen = see_pod(pod(annotations={"pilotlight.dev/timeline": "created=1,started=2,ready=3"}))
    assert seen.endpoint is not None
    assert seen.endpoint.timeline == Timeline(1, 2, 3)


def containers(*states: Json, last: Json | None = None) -> Json:
    return pod({"containerStatuses": [{"state": state, "lastState": last or {}} for state in states]})


def seen(failure: Failure | None, live: bool = True) -> SeenPod:
    return SeenPod(None, None, failure, "", live, 80)


BAD = Failure("ContainerHealthy", "ExitCode1", "x")
COMMON = {
    "none": ([], None),
    "one that fails": ([seen(BAD)], BAD),
    "one of two": ([seen(BAD), seen(None)], None),
    "the other is on its way out": ([seen(BAD), seen(None, live=False)], BAD),
    "only those on their way out": ([seen(BAD, live=False)], None),
}


@pytest.mark.parametrize(("pods", "failure"), COMMON.values(), ids=COMMON)
def test_common_failure(pods: list[SeenPod], failure: Failure | None) -> None:
    assert common_failure(pods) == failure


STATES = {
    "Pod p waits: ContainerCreating": containers({"waiting": {"reason": "ContainerCreating"}}),
    "Pod p runs but is not ready; see `kubectl describe pod p`": containers({"running": {}}),
    "Pod p is Pending": pod({}),
}


@pytest.mark.parametrize(("state", "obj"), STATES.items())
def test_the_state_in_words(state: str, obj: Json) -> None:
    assert see_pod(obj).state == state


def test_limits_of_a_revision() -> None:
    spec = {"containerConcurrency": 2, "timeoutSeconds": 10, "responseStartTimeoutSeconds": 5, "idleTimeoutSeconds": 7}
    given = see_limits({"spec": spec})
    assert (given.concurrency, given.first_byte_s, given.last_byte_s) == (2, 5.0, 20.0)
    patient = {"metadata": {"annotations": {"serving.knative.dev/progress-deadline": "5m"}}}
    assert see_limits(patient).ready_s == 300
    assert see_limits({}) == limits.RevisionLimits(0, 300.0, inf, inf)


def conditions(**statuses: str) -> Json:
    return {
        "status": {"conditions": [{"type": t, "status": s, "reason": "R", "message": "m"} for t, s in statuses.items()]}
    }


def test_only_a_change_for_the_worse_counts() -> None:
    good, bad = conditions(ContainerHealthy="True", Ready="False"), conditions(ContainerHealthy="False")
    assert newly_failed(bad, good) == Failure("ContainerHealthy", "R", "m")
    assert newly_failed(bad, bad) is None
    assert newly_failed(good, bad) is None


def test_services_and_slices() -> None:
    service = see_service({"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 81}]}})
    assert service.ports == {80: "http", 81: ""}
    assert see_service({"spec": {}}).ports == {80: ""}
    assert see_service({"spec": {"type": "ExternalName", "externalName": "A.example."}}).external_name == "a.example"
    assert see_service({"spec": {"externalName": "ignored.example"}}).external_name == ""
    part = see_slice(
        {
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "p"}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": True}},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": False}},
                {"addresses": ["10.0.0.4"], "conditions": {"terminating": True}},
            ],
        }
    )
    assert part.ports == {"http": 8080}
    assert part.ready == (SeenEndpoint("10.0.0.1", "p"), SeenEndpoint("10.0.0.2", ""))


def test_a_problem_is_a_whole_response() -> None:
    failed = problem.start_failed("default/hello-1", "ErrImagePull", "no such image", 10)
    head, _, body = failed.response(bodiless=False, close=False).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n")
    assert b"\r\nRetry-After: 10" in head
    assert b"Content-Length: %d" % len(body) in head
    document = json.loads(body)
    assert (document["status"], document["reason"], document["revision"]) == (503, "ErrImagePull", "default/hello-1")
    assert "no such image" in document["detail"]
    assert document["next"] == "kubectl describe revision hello-1 -n default"
    assert failed.response(bodiless=True, close=True).endswith(b"\r\nConnection: close\r\n\r\n")


def test_a_redirect_says_where() -> None:
    assert b"\r\nLocation: https://a.test/x" in problem.redirect("https://a.test/x").response(
        bodiless=False, close=False
    )
