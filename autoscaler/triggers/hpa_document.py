"""The HorizontalPodAutoscaler that KEDA would make of a ScaledObject: metadata and spec (controllers/keda/hpa.go).

A view: nothing reads it back. Paused objects have none. Called by `controller` (`skeleton_of`, once per change) and by
`hpa_writer`. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER
from core.resources.hpa_rules import SOURCES
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_annotations import HPA_EXCLUDED_LABELS, KEDA_RELEASE, SCALED_OBJECT_NAME
from core.resources.keda_defaults import MAX_REPLICAS, MIN_REPLICAS, hpa_name, or_else, target_of
from core.resources.keda_options import ScalingOptions, read_options
from core.resources.meta import Json, owner_reference
from core.resources.quantities import spell_milli
from scalers.readings import MetricType

MANAGER: Final = "keda-operator"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_TARGETS: Final = {MetricType.AVERAGE_VALUE: "averageValue", MetricType.VALUE: "value"}


class MetricSource(StrEnum):
    """Where a metric comes from (autoscaling/v2.MetricSourceType), in the order in which KEDA sorts them."""

    CONTAINER_RESOURCE = "ContainerResource"
    EXTERNAL = "External"
    RESOURCE = "Resource"


class Metric(NamedTuple):
    """One metric. `name` is KEDA's, or cpu or memory; `key` is the name of its demand in a decision."""

    source: MetricSource
    name: str
    key: str
    type: MetricType
    target: float
    container: str = ""

    @property
    def field(self) -> str:
        """Of a metric's spec and status, which holds what its source is."""
        return SOURCES[self.source]

    def identity(self, owner: str) -> Json:
        """What is said of it in spec and status alike; `owner` is the ScaledObject's name."""
        if self.source is MetricSource.EXTERNAL:
            return {"metric": {"name": self.name, "selector": {"matchLabels": {SCALED_OBJECT_NAME: owner}}}}
        return {"name": self.name} | ({"container": self.container} if self.container else {})


def skeleton_of(obj: Json) -> Json | None:
    """Without metrics, which triggers tell; None where there is to be none."""
    options = read_options(obj)
    if options.paused or options.paused_replicas is not None:
        return None
    metadata, spec = obj["metadata"], obj["spec"]
    api_version, kind, target = target_of(spec)
    said: Json = {
        "scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": target},
        "minReplicas": max(1, or_else(spec.get("minReplicaCount"), MIN_REPLICAS)),
        "maxReplicas": or_else(spec.get("maxReplicaCount"), MAX_REPLICAS),
    }
    behavior = _behavior(spec, options)
    name = hpa_name(obj)
    return {
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": _labels(metadata, name),
            "annotations": {
                key: value for key, value in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED
            },
            "ownerReferences": [owner_reference(SCALED_OBJECT, obj).to_json()],
        },
        "spec": {**said, "behavior": behavior} if behavior else said,
    }


def whole(skeleton: Json, metrics: Sequence[Metric]) -> Json:
    """Metadata and spec, with the metrics."""
    kind, owner = HORIZONTAL_POD_AUTOSCALER, owner_of(skeleton)
    specs = [
        {
            "type": str(each.source),
            each.field: {**each.identity(owner), "target": {"type": str(each.type), **_target(each)}},
        }
        for each in metrics
    ]
    spec = {**skeleton["spec"], "metrics": specs} if specs else skeleton["spec"]
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": dict(skeleton["metadata"]), "spec": spec}


def owner_of(skeleton: Json) -> str:
    """The name of the ScaledObject."""
    return str(skeleton["metadata"]["ownerReferences"][0]["name"])


def milli(value: float) -> str:
    """A number as a quantity."""
    return spell_milli(round(value * 1000))


def _target(metric: Metric) -> Json:
    field = _TARGETS.get(metric.type)
    return {field: milli(metric.target)} if field else {"averageUtilization": round(metric.target)}


def _labels(metadata: Json, name: str) -> dict[str, str]:
    excluded = (metadata.get("annotations") or {}).get(HPA_EXCLUDED_LABELS, "").split(",")
    own = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in excluded}
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/version": KEDA_RELEASE,
        "app.kubernetes.io/part-of": metadata["name"],
        "app.kubernetes.io/managed-by": MANAGER,
        **own,
    }


def _behavior(spec: Json, options: ScalingOptions) -> dict[str, Any]:
    """As it is written; a direction that is paused is Disabled."""
    config = (spec.get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}
    behavior = dict(config.get("behavior") or {})
    for direction, paused in (("scaleDown", options.paused_scale_in), ("scaleUp", options.paused_scale_out)):
        if paused:
            behavior[direction] = {**(behavior.get(direction) or {}), "selectPolicy": "Disabled"}
    return behavior
