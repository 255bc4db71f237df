"""Revisions stamped, named, found again (also deploy/revision_workloads.py)."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.autoscaling import Reachability
from core.resources.conditions import find_condition
from core.resources.meta import Json
from deploy.revision_workloads import (
    deployment_name,
    initial_scale,
    make_deployment,
    make_pod_autoscaler,
    make_pod_spec,
    progress_deadline_s,
    reachability,
    serving_container,
)
from deploy.revisions import (
    NameState,
    check_name,
    choose_latest_ready,
    decide_failed_creation,
    decide_status,
    make_revision,
    revision_name,
)

NOW = "2026-01-01T00:00:00Z"


def configuration(generation: int = 1, name: str = "hello", given: str = "", **fields: Any) -> Json:
    template: Json = {
        "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {"containers": [{"image": "i"}]},
    }
    if given:
        template["metadata"]["name"] = given
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": "conf-uid",
        "generation": generation,
        "labels": {"serving.knative.dev/service": "svc", "serving.knative.dev/serviceUID": "svc-uid"},
        "annotations": {"serving.knative.dev/lastModifier": "bob", "serving.knative.dev/routes": "hello"},
    }
    return {"metadata": metadata, "spec": {"template": template}, **fields}


def revision(name: str, generation: int, ready: str = "True", message: str = "") -> Json:
    labels = {
        "serving.knative.dev/configuration": "hello",
        "serving.knative.dev/configurationGeneration": str(generation),
    }
    condition = {"type": "Ready", "status": ready, "message": message}
    return {
        "metadata": {"name": name, "generation": 1, "labels": labels},
        "spec": {"containers": [{"image": "i"}]},
        "status": {"observedGeneration": 1, "conditions": [condition]},
    }


def test_a_stamp() -> None:
    made = make_revision(configuration(7), NOW)
    metadata = made["metadata"]
    assert metadata["name"] == "hello-00007"
    assert metadata["labels"] == {
        "a": "b",
        "serving.knative.dev/configuration": "hello",
        "serving.knative.dev/configurationGeneration": "7",
        "serving.knative.dev/configurationUID": "conf-uid",
        "serving.knative.dev/service": "svc",
        "serving.knative.dev/serviceUID": "svc-uid",
        "serving.knative.dev/routingState": "active",
    }
    assert metadata["annotations"] == {
        "c": "d",
        "serving.knative.dev/creator": "bob",
        "serving.knative.dev/routes": "hello",
        "serving.knative.dev/routingStateModified": NOW,
    }
    assert metadata["ownerReferences"][0]["uid"] == "conf-uid"
    assert made["spec"] == {"containers": [{"image": "i"}]}


def test_a_stamp_that_no_route_asked_for_is_pending() -> None:
    parent = configuration()
    parent["metadata"].update(annotations={}, labels={})
    labels = make_revision(parent, NOW)["metadata"]["labels"]
    assert labels["serving.knative.dev/routingState"] == "pending"
    assert "serving.knative.dev/service" not in labels


@pytest.mark.parametrize(
    ("parent", "name"),
    [
        (configuration(1), "hello-00001"),
        (configuration(123456), "hello-123456"),
        (configuration(1, given="hello-mine"), "hello-mine"),
    ],
)
def test_names(parent: Json, name: str) -> None:
    assert revision_name(parent) == name


def test_a_long_name_still_fits() -> None:
    name = revision_name(configuration(name="x" * 63))
    assert len(name) == 63
    assert name.endswith("-00001")


def owned(obj: Json, uid: str = "conf-uid") -> Json:
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Configuration", "name": "hello", "uid": uid}
    obj["metadata"]["ownerReferences"] = [{**reference, "controller": True}]
    return obj


@pytest.mark.parametrize(
    ("existing", "state"),
    [
        pytest.param(None, NameState.FREE, id="no such revision"),
        pytest.param(owned(revision("hello-x", 2)), NameState.OURS, id="of this generation"),
        pytest.param(owned(revision("hello-x", 1)), NameState.OURS, id="older, same spec"),
        pytest.param(
            owned({**revision("hello-x", 1), "spec": {"containers": [{"image": "other"}]}}),
            NameState.TAKEN,
            id="older, other spec",
        ),
        pytest.param(owned(revision("hello-x", 2), "other"), NameState.TAKEN, id="another's"),
        pytest.param(revision("hello-x", 2), NameState.TAKEN, id="nobody's"),
    ],
)
def test_a_name_that_the_user_brings(existing: Json | None, state: NameState) -> None:
    assert check_name(configuration(2, given="hello-x"), existing) is state


@pytest.mark.parametrize(
    ("present", "states", "latest"),
    [
        pytest.param("", ["Unknown"], "", id="none yet"),
        pytest.param("", ["True"], "r1", id="the first"),
        pytest.param("r1", ["True", "Unknown"], "r1", id="the newest is not ready"),
        pytest.param("r1", ["True", "True", "False"], "r2", id="the newest that is ready"),
        pytest.param("r2", ["True", "False", "Unknown"], "r2", id="never backwards"),
        pytest.param("r2", ["True", "True", "True"], "r3", id="forwards"),
        pytest.param("gone", ["True", "Unknown"], "r1", id="the present one was deleted"),
    ],
)
def test_latest_ready(present: str, states: list[str], latest: str) -> None:
    revisions = [revision(f"r{i}", i, ready) for i, ready in enumerate(states, 1)]
    parent = configuration(len(states), status={"latestReadyRevisionName": present} if present else {})
    assert choose_latest_ready(parent, revisions[-1], revisions) == latest


@pytest.mark.parametrize(
    ("created", "latest", "ready"),
    [
        (revision("r1", 1), "r1", ("True", "", "")),
        (revision("r2", 2, "Unknown"), "r1", ("Unknown", "", "")),
        (
            revision("r2", 2, "False", "boom"),
            "r1",
            ("False", "RevisionFailed", 'Revision "r2" failed with message: boom.'),
        ),
        (
            revision("r1", 1, "False", "boom"),
            "r1",
            ("False", "RevisionFailed", 'Revision "r1" failed with message: boom.'),
        ),
        (revision("r2", 2, "Unknown"), "", ("Unknown", "", "")),
    ],
)
def test_status_of_the_configuration(created: Json, latest: str, ready: tuple[str, str, str]) -> None:
    before = {"conditions": [{"type": "Ready", "status": "True"}], "latestReadyRevisionName": "r1"}
    status = decide_status(configuration(2, status=before), created, latest, NOW)
    condition = find_condition({"status": status}) or {}
    assert (condition["status"], condition.get("reason", ""), condition.get("message", "")) == ready
    assert status["latestCreatedRevisionName"] == created["metadata"]["name"]
    assert status.get("latestReadyRevisionName", "") == latest
    assert status["observedGeneration"] == 2


def test_a_revision_that_cannot_be_made() -> None:
    status = decide_failed_creation(configuration(3, status={"latestReadyRevisionName": "r1"}), "name taken", NOW)
    condition = find_condition({"status": status}) or {}
    assert (condition["reason"], condition["message"]) == (
        "RevisionFailed",
        "Revision creation failed with message: name taken.",
    )
    assert (status["observedGeneration"], status["latestReadyRevisionName"]) == (3, "r1")


def stamped(spec: Json | None = None, **annotations: str) -> Json:
    made = make_revision(configuration(), NOW)
    made["metadata"]["uid"] = "rev-uid"
    made["metadata"]["annotations"].update(
        {f"autoscaling.knative.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}
    )
    made["spec"] = spec or {"containers": [{"name": "user-container", "image": "i"}], "timeoutSeconds": 42}
    return made


def test_the_deployment() -> None:
    deployment = make_deployment(stamped(min_scale="1"), 3)
    spec = deployment["spec"]
    assert deployment["metadata"]["name"] == "hello-00001-deployment"
    assert spec["replicas"] == 3
    assert spec["selector"] == {"matchLabels": {"serving.knative.dev/revisionUID": "rev-uid"}}
    labels = spec["template"]["metadata"]["labels"]
    assert labels["app"] == labels["serving.knative.dev/revision"] == "hello-00001"
    assert labels["serving.knative.dev/service"] == "svc"
    assert "serving.knative.dev/routingState" not in labels
    annotations = spec["template"]["metadata"]["annotations"]
    assert annotations["kubectl.kubernetes.io/default-container"] == "user-container"
    assert not any(key.startswith("autoscaling.") or "rout" in key for key in annotations)
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 42
    assert "timeoutSeconds" not in spec["template"]["spec"]


def test_a_users_own_app_label_is_kept() -> None:
    made = stamped()
    made["metadata"]["labels"]["app"] = "shop"
    assert make_deployment(made, 1)["metadata"]["labels"]["app"] == "shop"


def test_a_changed_routing_state_changes_no_deployment() -> None:
    before = stamped()
    after = stamped()
    after["metadata"]["labels"]["serving.knative.dev/routingState"] = "reserve"
    after["metadata"]["annotations"].pop("serving.knative.dev/routes")
    assert make_deployment(before, 1) == make_deployment(after, 1)


@pytest.mark.parametrize(("state", "action"), [("pending", "pause"), ("active", "pause"), ("reserve", "stop")])
def test_only_a_revision_that_is_routed_to_keeps_a_frozen_instance(state: str, action: str) -> None:
    made = stamped()
    made["metadata"]["annotations"]["pilotlight.dev/idle-action"] = "pause"
    made["metadata"]["labels"]["serving.knative.dev/routingState"] = state
    deployment = make_deployment(made, 1)
    assert deployment["metadata"]["annotations"]["pilotlight.dev/idle-action"] == action
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["pilotlight.dev/idle-action"] == "pause", "the template, and so every Pod, stays what it was"


def test_the_pod_of_several_containers() -> None:
    spec = {
        "containers": [
            {"name": "side", "image": "s", "livenessProbe": {"tcpSocket": {"port": 9}}},
            {
                "name": "main",
                "image": "m",
                "env": [{"name": "A", "value": "1"}],
                "ports": [{"containerPort": 99, "name": "h2c"}],
                "readinessProbe": {"httpGet": {"path": "/", "port": "h2c"}, "successThreshold": 1},
                "livenessProbe": {"grpc": {"service": ""}},
                "startupProbe": {"tcpSocket": {"port": 0}},
            },
        ],
        "initContainers": [{"name": "first", "image": "f"}],
        "runtimeClassName": "container",
    }
    made = stamped(spec)
    made["status"] = {
        "containerStatuses": [{"name": "side", "imageDigest": "s@1"}, {"name": "main", "imageDigest": "m@1"}],
        "initContainerStatuses": [{"name": "first", "imageDigest": "f@1"}],
    }
    pod = make_pod_spec(made)
    side, main = pod["containers"]
    assert [c["image"] for c in (side, main, *pod["initContainers"])] == ["s@1", "m@1", "f@1"]
    assert main["ports"] == [{"name": "user-port", "containerPort": 99, "protocol": "TCP"}]
    assert [e["name"] for e in main["env"]] == ["A", "K_SERVICE", "K_CONFIGURATION", "K_REVISION", "PORT"]
    assert [e["name"] for e in side["env"]] == ["K_SERVICE", "K_CONFIGURATION", "K_REVISION"]
    ports = (
        main["readinessProbe"]["httpGet"]["port"],
        main["livenessProbe"]["grpc"]["port"],
        main["startupProbe"]["tcpSocket"]["port"],
    )
    assert ports == (99, 99, 99)
    assert side["livenessProbe"]["tcpSocket"]["port"] == 9
    assert main["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert pod["runtimeClassName"] == "container"
    assert spec["containers"][1]["env"] == [{"name": "A", "value": "1"}], "the Revision itself is not touched"
    assert serving_container(spec)["name"] == "main"
    assert make_pod_autoscaler(made, None)["spec"]["protocolType"] == "h2c"


def test_the_pod_autoscaler() -> None:
    made = stamped({"containers": [{"name": "c", "image": "i"}], "containerConcurrency": 7}, target="5")
    scaler = make_pod_autoscaler(made, None)
    assert scaler["spec"]["containerConcurrency"] == 7
    assert scaler["spec"]["reachability"] == "Reachable"
    assert scaler["metadata"]["annotations"]["autoscaling.knative.dev/target"] == "5"
    assert scaler["metadata"]["name"] == "hello-00001"
    assert deployment_name(made) == scaler["spec"]["scaleTargetRef"]["name"]


@pytest.mark.parametrize(
    ("state", "healthy", "replicas", "ready", "expected"),
    [
        ("active", "True", 1, 1, Reachability.REACHABLE),
        ("reserve", "True", 1, 1, Reachability.UNREACHABLE),
        ("pending", "True", 0, 0, Reachability.UNKNOWN),
        ("active", "False", 1, 0, Reachability.UNREACHABLE),
        ("active", "False", 1, 1, Reachability.REACHABLE),
        ("active", "False", 0, 0, Reachability.REACHABLE),
        ("active", "Unknown", 1, 0, Reachability.REACHABLE),
    ],
)
def test_reachability(state: str, healthy: str, replicas: int, ready: int, expected: Reachability) -> None:
    made = stamped()
    made["metadata"]["labels"]["serving.knative.dev/routingState"] = state
    made["status"] = {"conditions": [{"type": "ContainerHealthy", "status": healthy}]}
    deployment = {"spec": {"replicas": replicas}, "status": {"readyReplicas": ready}}
    assert reachability(made, deployment) is expected


@pytest.mark.parametrize(
    ("annotation", "default", "zero", "expected"),
    [
        (None, 1, False, 1),
        ("3", 1, False, 3),
        ("0", 1, True, 0),
        ("0", 1, False, 1),
        (None, 0, True, 0),
        (None, 0, False, 1),
    ],
)
def test_initial_scale(annotation: str | None, default: int, zero: bool, expected: int) -> None:
    made = stamped(**({"initial_scale": annotation} if annotation else {}))
    assert initial_scale(made, default, zero) == expected


def test_progress_deadline() -> None:
    made = stamped()
    assert progress_deadline_s(made) == 600
    made["metadata"]["annotations"]["serving.knative.dev/progress-deadline"] = "1m30s"
    assert progress_deadline_s(made) == 90
