"""HorizontalPodAutoscaler in version v1, as `kubectl autoscale` writes it: by processors' time alone.

Other metrics, `behavior` and conditions are not seen, and lost by a write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pydantic import Field

from core.errors import FieldError
from core.resources.fields import doc
from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER, CrossVersionObjectReference
from core.resources.hpa_columns import COLUMNS
from core.resources.hpa_rules import DEFAULT_UTILIZATION, validate_hpa, warn_hpa
from core.resources.meta import AdmissionContext, Column, Conversion, Json, Kind, Model, Resource, controller_of

_TARGET: Final = "targetCPUUtilizationPercentage"
_CURRENT: Final = "currentCPUUtilizationPercentage"
_TARGET_PATH: Final = "spec.metrics[0].resource.target.averageUtilization"


class HpaSpecV1(Model):
    scale_target_ref: CrossVersionObjectReference = Field(
        default_factory=CrossVersionObjectReference, description="What is scaled."
    )
    min_replicas: int | None = doc("Least replicas; 1.")
    max_replicas: int = Field(default=0, description="Most replicas.")
    target_cpu: int | None = doc("Percent of the requested processors' time that is held; 80.", alias=_TARGET)


class HpaStatusV1(Model):
    observed_generation: int | None = doc("Generation this status is about.")
    last_scale_time: str | None = doc("When the number of replicas was last changed.")
    current_replicas: int = Field(default=0, description="Replicas there are asked for.")
    desired_replicas: int = Field(default=0, description="Replicas as they were last computed.")
    current_cpu: int | None = doc("Percent of the requested processors' time that is used.", alias=_CURRENT)


class HorizontalPodAutoscalerV1(Resource):
    """How many replicas a workload has, by processors' time."""

    spec: HpaSpecV1 = Field(default_factory=HpaSpecV1, description="What is scaled.")
    status: HpaStatusV1 | None = doc("How it is.")


def to_stored(obj: Json) -> Json:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    target, current = spec.pop(_TARGET, None), status.pop(_CURRENT, None)
    if target is not None:
        said = {"type": "Utilization", "averageUtilization": target}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": said}}]
    if current is not None:
        used = {"averageUtilization": current}
        status["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": used}}]
    return {**obj, "spec": spec} | ({"status": status} if "status" in obj else {})


def from_stored(obj: Json) -> Json:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    spec.pop("behavior", None)
    status.pop("conditions", None)
    target = _of_cpu(spec.pop("metrics", None), "target")
    current = _of_cpu(status.pop("currentMetrics", None), "current")
    spec |= {} if target is None else {_TARGET: target}
    status |= {} if current is None else {_CURRENT: current}
    return {**obj, "spec": spec} | ({"status": status} if "status" in obj else {})


def _of_cpu(metrics: Sequence[Json] | None, part: str) -> int | None:
    """Percent, of the Pods' processors' time."""
    for metric in metrics or ():
        resource = metric.get("resource") or {}
        if resource.get("name") == "cpu":
            percent: int | None = resource[part].get("averageUtilization")
            return percent
    return None


def default_hpa_v1(obj: Json, context: AdmissionContext) -> None:
    if controller_of(obj) is None:
        spec = obj.setdefault("spec", {})
        for field, value in (("minReplicas", 1), (_TARGET, DEFAULT_UTILIZATION)):
            if spec.get(field) is None:
                spec[field] = value


def validate_hpa_v1(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    errors = validate_hpa(to_stored(obj), context)
    return [replace(each, path=f"spec.{_TARGET}") if each.path == _TARGET_PATH else each for each in errors]


def _column(column: Column) -> Column:
    """Of the object as it is stored."""
    value = column.value
    return column if value is None else replace(column, value=lambda obj: value(to_stored(obj)))


HORIZONTAL_POD_AUTOSCALER_V1: Kind[HorizontalPodAutoscalerV1] = Kind(
    group=HORIZONTAL_POD_AUTOSCALER.group,
    version="v1",
    kind=HORIZONTAL_POD_AUTOSCALER.kind,
    plural=HORIZONTAL_POD_AUTOSCALER.plural,
    model=HorizontalPodAutoscalerV1,
    short_names=HORIZONTAL_POD_AUTOSCALER.short_names,
    categories=HORIZONTAL_POD_AUTOSCALER.categories,
    lifetime=HORIZONTAL_POD_AUTOSCALER.lifetime,
    columns=tuple(map(_column, COLUMNS)),
    default=default_hpa_v1,
    validate=validate_hpa_v1,
    warn=warn_hpa,
    conversion=Conversion(HORIZONTAL_POD_AUTOSCALER, to_stored, from_stored),
)
