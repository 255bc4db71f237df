"""What is filled into a HorizontalPodAutoscaler, refused in it, and said of it (pkg/apis/autoscaling). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.errors import FieldError
from core.resources.hpa_behavior import check_behavior
from core.resources.meta import AdmissionContext, Json, controller_of
from core.resources.problems import check_allowed, forbidden, invalid, required
from core.resources.quantities import parse_quantity

SOURCES: Final = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_TARGETS: Final = {"Utilization": "averageUtilization", "Value": "value", "AverageValue": "averageValue"}
DEFAULT_UTILIZATION: Final = 80


def default_hpa(obj: Json, context: AdmissionContext) -> None:
    """As Kubernetes does: one replica at least, by 80 % of the requested processors' time. Quantities become text."""
    if controller_of(obj) is not None:
        return  # a view: what it does not say, is not so
    spec = obj.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": DEFAULT_UTILIZATION}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    for metric in spec["metrics"]:
        target = (metric.get(SOURCES.get(metric["type"], "")) or {}).get("target") or {}
        for field in ("value", "averageValue"):
            if isinstance(target.get(field), int | float):
                target[field] = str(target[field])


def validate_hpa(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    errors = [required(f"spec.scaleTargetRef.{field}") for field in ("kind", "name") if not target.get(field)]
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        errors.append(invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most < 1:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than 0"))
    elif least is not None and most < least:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    for index, metric in enumerate(spec.get("metrics") or ()):
        errors += _check_metric(metric, f"spec.metrics[{index}]")
    return errors + (check_behavior(spec["behavior"], "spec.behavior") if spec.get("behavior") else [])


def _check_metric(metric: Json, path: str) -> list[FieldError]:
    field = SOURCES.get(metric["type"])
    if field is None:
        return check_allowed(metric["type"], SOURCES, f"{path}.type")
    others = [each for each in SOURCES.values() if each != field and metric.get(each) is not None]
    errors = [forbidden(f"{path}.{each}", "must populate the given metric source only") for each in others]
    source = metric.get(field)
    if source is None:
        return [*errors, required(f"{path}.{field}", "must populate information for the given metric source")]
    return errors + _check_target(source["target"], f"{path}.{field}.target")


def _check_target(target: Json, path: str) -> list[FieldError]:
    field = _TARGETS.get(target["type"])
    if field is None:
        return check_allowed(target["type"], _TARGETS, f"{path}.type")
    value = target.get(field)
    if value is None:
        return [required(f"{path}.{field}", f"a target of type {target['type']} says it")]
    try:
        positive = parse_quantity(value) > 0
    except ValueError as error:
        return [invalid(f"{path}.{field}", value, str(error))]
    return [] if positive else [invalid(f"{path}.{field}", value, "must be positive")]


def warn_hpa(obj: Json, context: AdmissionContext) -> Sequence[str]:
    owner = controller_of(obj)
    if owner is not None:
        return (
            f"spec: shows what the {owner['kind']} {owner['name']} does; what is written here has no effect and does "
            "not last: change that instead",
        )
    target = obj["spec"]["scaleTargetRef"]
    return (
        "spec: is kept and not acted upon, only ScaledObjects scale here: make a ScaledObject of keda.sh/v1alpha1 for "
        f"{target['kind']} {target['name']}, with a trigger of type cpu or memory for a metric of type Resource",
    )
