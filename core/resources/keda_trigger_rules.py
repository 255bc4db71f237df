"""What is refused in `spec.triggers`, and in the numbers that ScaledObject and ScaledJob share.

The schema has seen to types; what a scaler says of its parameters is not known here. Sentences of numbers are those of
KEDA's CRDs (apis/keda/v1alpha1/scaletriggers_types.go, ValidateTriggers). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from core.errors import FieldError
from core.resources.keda_annotations import CRON, RESOURCE_TRIGGERS
from core.resources.keda_defaults import AUTHENTICATION_KIND, CLUSTER_AUTHENTICATION_KIND
from core.resources.meta import Json
from core.resources.problems import check_allowed, duplicate, forbidden, invalid, required

AUTHENTICATION_KINDS: Final = (AUTHENTICATION_KIND, CLUSTER_AUTHENTICATION_KIND)
AVERAGE_VALUE, VALUE, UTILIZATION = "AverageValue", "Value", "Utilization"
UNCACHED: Final = (*RESOURCE_TRIGGERS, CRON)
INT32_MAX: Final = 2**31 - 1
NO_TRIGGERS: Final = (
    "no triggers defined in the ScaledObject/ScaledJob: spec.triggers in body should have at least 1 items"
)
"""KEDA's webhook's words, until 2.18, and its CRD's, since then."""
OWN_METRIC_NAME: Final = ("aws-cloudwatch", "huawei-cloudeye", "azure-monitor")


def check_triggers(triggers: Sequence[Json]) -> list[FieldError]:
    """All rules of `spec.triggers`."""
    if not triggers:
        return [required("spec.triggers", NO_TRIGGERS)]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, trigger in enumerate(triggers):
        path = f"spec.triggers[{index}]"
        errors += _check_trigger(trigger, path)
        name = trigger.get("name")
        if name and name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name or "")
    return errors


def _check_trigger(trigger: Json, path: str) -> list[FieldError]:
    kind, metric_type = trigger.get("type") or "", trigger.get("metricType") or None
    errors = [] if kind else [required(f"{path}.type")]
    if trigger.get("useCachedMetrics") and kind in UNCACHED:
        errors.append(forbidden(f"{path}.useCachedMetrics", f"is not supported for the {kind} scaler"))
    measured = kind in RESOURCE_TRIGGERS
    if measured:
        errors += check_allowed(metric_type, (AVERAGE_VALUE, UTILIZATION), f"{path}.metricType")
    elif metric_type == UTILIZATION:
        errors.append(invalid(f"{path}.metricType", metric_type, "is for cpu and memory; use AverageValue or Value"))
    else:
        errors += check_allowed(metric_type, (AVERAGE_VALUE, VALUE), f"{path}.metricType")
    reference = trigger.get("authenticationRef")
    if reference is not None:
        if not reference.get("name"):
            errors.append(required(f"{path}.authenticationRef.name"))
        errors += check_allowed(reference.get("kind") or None, AUTHENTICATION_KINDS, f"{path}.authenticationRef.kind")
    return errors


def warn_triggers(triggers: Sequence[Json]) -> list[str]:
    return [
        f"spec.triggers[{index}].metadata.metricName: has no effect, metrics are named after their trigger"
        for index, trigger in enumerate(triggers)
        if "metricName" in trigger.get("metadata", {}) and trigger.get("type") not in OWN_METRIC_NAME
    ]


def check_least(spec: Json, least: Mapping[str, int], path: str) -> list[FieldError]:
    """Whole numbers of 32 bits with a least value each, where they are there."""
    errors = []
    for field, minimum in least.items():
        value = spec.get(field)
        at = f"{path}.{field}"
        if value is not None and value < minimum:
            errors.append(invalid(at, value, f"{at} in body should be greater than or equal to {minimum}"))
        elif value is not None and value > INT32_MAX:
            errors.append(invalid(at, value, f"{at} in body should be less than or equal to {INT32_MAX}"))
    return errors
