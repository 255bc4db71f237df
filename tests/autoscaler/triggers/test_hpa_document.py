"""autoscaler/triggers/hpa_document.py: the HorizontalPodAutoscaler that KEDA would make of a ScaledObject."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.triggers.hpa_document import Metric, MetricSource, milli, owner_of, skeleton_of, whole
from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER
from core.resources.meta import AdmissionContext, Json
from scalers.readings import MetricType

AVERAGE, VALUE, UTILIZATION = MetricType.AVERAGE_VALUE, MetricType.VALUE, MetricType.UTILIZATION


def scaled(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> Json:
    metadata = {"name": "orders", "namespace": "default", "uid": "u", "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "spec": {"scaleTargetRef": {"name": "w"}, "triggers": [], **spec}}


def skeleton(*args: Any, **spec: Any) -> Json:
    made = skeleton_of(scaled(*args, **spec))
    assert made is not None
    return made


def test_metadata_is_that_of_upstream() -> None:
    annotations = {
        "autoscaling.keda.sh/force-activation": "true",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "scaledobject.keda.sh/hpa-excluded-labels": "team,cost",
    }
    metadata = skeleton({"scaledobject.keda.sh/name": "orders", "team": "x", "tier": "y"}, annotations)["metadata"]
    assert metadata["name"] == "keda-hpa-orders"
    assert metadata["labels"] == {
        "app.kubernetes.io/name": "keda-hpa-orders",
        "app.kubernetes.io/version": "2.20.2",
        "app.kubernetes.io/part-of": "orders",
        "app.kubernetes.io/managed-by": "keda-operator",
        "scaledobject.keda.sh/name": "orders",
        "tier": "y",
    }
    assert set(metadata["annotations"]) == {
        "autoscaling.keda.sh/force-activation",
        "scaledobject.keda.sh/hpa-excluded-labels",
    }
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "name": "orders",
            "uid": "u",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_a_name_of_its_own() -> None:
    made = skeleton(advanced={"horizontalPodAutoscalerConfig": {"name": "mine"}})
    assert (made["metadata"]["name"], owner_of(made)) == ("mine", "orders")


@pytest.mark.parametrize(
    ("spec", "bounds"),
    [
        ({}, (1, 100)),
        ({"minReplicaCount": 0, "maxReplicaCount": 7}, (1, 7)),
        ({"minReplicaCount": 3, "idleReplicaCount": 1}, (3, 100)),
    ],
)
def test_bounds(spec: Json, bounds: tuple[int, int]) -> None:
    made = skeleton(**spec)["spec"]
    assert (made["minReplicas"], made["maxReplicas"]) == bounds
    assert made["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}
    assert "behavior" not in made


def test_behavior_is_copied_and_a_paused_direction_is_disabled() -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 5}}
    advanced = {"horizontalPodAutoscalerConfig": {"behavior": behavior}}
    assert skeleton(advanced=advanced)["spec"]["behavior"] == behavior
    held = {"autoscaling.keda.sh/paused-scale-in": "true", "autoscaling.keda.sh/paused-scale-out": "true"}
    assert skeleton(None, held, advanced=advanced)["spec"]["behavior"] == {
        "scaleDown": {"stabilizationWindowSeconds": 5, "selectPolicy": "Disabled"},
        "scaleUp": {"selectPolicy": "Disabled"},
    }
    assert behavior == {"scaleDown": {"stabilizationWindowSeconds": 5}}


@pytest.mark.parametrize("annotation", ["paused", "paused-replicas"])
def test_a_paused_object_has_none(annotation: str) -> None:
    assert skeleton_of(scaled(None, {f"autoscaling.keda.sh/{annotation}": "1"})) is None


@pytest.mark.parametrize(
    ("metric", "spec"),
    [
        (
            Metric(MetricSource.EXTERNAL, "s0-kafka", "s0-kafka", AVERAGE, 2.5),
            {
                "type": "External",
                "external": {
                    "metric": {
                        "name": "s0-kafka",
                        "selector": {"matchLabels": {"scaledobject.keda.sh/name": "orders"}},
                    },
                    "target": {"type": "AverageValue", "averageValue": "2500m"},
                },
            },
        ),
        (
            Metric(MetricSource.RESOURCE, "cpu", "s1-cpu", UTILIZATION, 60.0),
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
            },
        ),
        (
            Metric(MetricSource.CONTAINER_RESOURCE, "memory", "s1-memory", VALUE, 2000.0, "app"),
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "memory",
                    "container": "app",
                    "target": {"type": "Value", "value": "2k"},
                },
            },
        ),
    ],
    ids=["external", "resource", "container"],
)
def test_metrics(metric: Metric, spec: Json) -> None:
    made = whole(skeleton(), [metric])
    assert made["spec"]["metrics"] == [spec]
    assert HORIZONTAL_POD_AUTOSCALER.validate(made, AdmissionContext()) == []
    HORIZONTAL_POD_AUTOSCALER.parse(made)


def test_without_metrics_it_names_none() -> None:
    assert "metrics" not in whole(skeleton(), [])["spec"]


def test_numbers_as_quantities() -> None:
    assert [milli(value) for value in (0.0, 0.0004, 1 / 3, 10.0, 1e6)] == ["0", "0", "333m", "10", "1M"]
