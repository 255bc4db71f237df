"""What is refused in a ScaledJob, and warned of.

KEDA's webhook looks at the triggers alone; a misspelled strategy falls back to `default` there without a word. Here a
document that cannot mean what it says is refused. Its `jobTargetRef` obeys the rules of `batch`. Pure.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Final

from core.errors import FieldError
from core.resources.batch import default_job, validate_job, warn_job
from core.resources.keda_annotations import (
    DRAIN_TIME,
    FORCE_ACTIVATION,
    PAUSED_REPLICAS,
    PAUSED_SCALE_IN,
    PAUSED_SCALE_OUT,
)
from core.resources.keda_defaults import MAX_REPLICAS, MIN_REPLICAS, or_else
from core.resources.keda_options import check_options, warn_options
from core.resources.keda_trigger_rules import check_least, check_triggers, warn_triggers
from core.resources.meta import AdmissionContext, Json
from core.resources.problems import check_allowed, invalid

STRATEGIES: Final = ("default", "custom", "accurate", "eager")
CALCULATIONS: Final = ("max", "min", "avg", "sum")
ROLLOUTS: Final = ("default", "immediate", "gradual")
PROPAGATION_POLICIES: Final = ("background", "foreground")
_LEAST: Final = {
    "pollingInterval": 1,
    "successfulJobsHistoryLimit": 0,
    "failedJobsHistoryLimit": 0,
    "minReplicaCount": 0,
    "maxReplicaCount": 0,
}
_OF_OBJECTS: Final = (PAUSED_REPLICAS, PAUSED_SCALE_IN, PAUSED_SCALE_OUT, FORCE_ACTIVATION, DRAIN_TIME)
_CUSTOM: Final = ("customScalingQueueLengthDeduction", "customScalingRunningJobPercentage")


def job_template(obj: Json) -> Json:
    """The Job that a ScaledJob asks for, with all defaults, under its own name; restarted on failure where not said."""
    spec = copy.deepcopy(obj["spec"].get("jobTargetRef") or {})
    pod = spec.setdefault("template", {}).setdefault("spec", {})
    pod["restartPolicy"] = pod.get("restartPolicy") or "OnFailure"
    job = {"metadata": {"name": obj["metadata"].get("name", "")}, "spec": spec}
    default_job(job, AdmissionContext())
    return job


def validate_scaled_job(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    obj = {**obj, "spec": obj.get("spec") or {}}
    spec = obj["spec"]
    strategy, rollout = spec.get("scalingStrategy") or {}, spec.get("rollout") or {}
    allowed = (
        ("spec.scalingStrategy.strategy", strategy.get("strategy"), STRATEGIES),
        ("spec.scalingStrategy.multipleScalersCalculation", strategy.get("multipleScalersCalculation"), CALCULATIONS),
        ("spec.rollout.strategy", rollout.get("strategy"), ROLLOUTS),
        ("spec.rollout.propagationPolicy", rollout.get("propagationPolicy"), PROPAGATION_POLICIES),
        ("spec.rolloutStrategy", spec.get("rolloutStrategy"), ROLLOUTS),
    )
    errors = check_options(obj) + check_least(spec, _LEAST, "spec")
    for path, value, choices in allowed:
        errors += check_allowed(value or None, choices, path)
    errors += check_least(strategy, {_CUSTOM[0]: 0}, "spec.scalingStrategy") + _check_percentage(strategy)
    return errors + check_triggers(spec.get("triggers") or []) + _check_job(obj)


def _check_percentage(strategy: Json) -> list[FieldError]:
    text = strategy.get("customScalingRunningJobPercentage")
    if not text:
        return []
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if 0.0 <= share < float("inf"):
        return []
    path = "spec.scalingStrategy.customScalingRunningJobPercentage"
    return [invalid(path, text, "must be a number of at least 0 such as 0.5, which is half of them")]


def _check_job(obj: Json) -> list[FieldError]:
    errors = validate_job(job_template(obj), AdmissionContext())
    return [dataclasses.replace(error, path=_inside(error.path)) for error in errors]


def _inside(path: str) -> str:
    return f"spec.jobTargetRef.{path.removeprefix('spec.')}"


def warn_scaled_job(obj: Json, context: AdmissionContext) -> Sequence[str]:
    spec = obj["spec"]
    strategy = spec.get("scalingStrategy") or {}
    said = obj["metadata"].get("annotations") or {}
    warnings = [*warn_options(obj), *warn_triggers(spec["triggers"])]
    warnings += [f"metadata.annotations[{name}]: has no effect on a ScaledJob" for name in _OF_OBJECTS if name in said]
    warnings += [
        f"spec.triggers[{index}].metricType: has no effect, Jobs are counted by the average value"
        for index, trigger in enumerate(spec["triggers"])
        if trigger.get("metricType") not in (None, "", "AverageValue")
    ]
    if (strategy.get("strategy") or "default") != "custom":
        warnings += [
            f"spec.scalingStrategy.{field}: has no effect, the strategy is {strategy.get('strategy') or 'default'}"
            for field in _CUSTOM
            if field in strategy
        ]
    elif not strategy.get(_CUSTOM[1]):
        warnings.append(f"spec.scalingStrategy.strategy: custom without {_CUSTOM[1]} counts as default")
    least, most = or_else(spec.get("minReplicaCount"), MIN_REPLICAS), or_else(spec.get("maxReplicaCount"), MAX_REPLICAS)
    if least > most:
        warnings.append(f"spec.minReplicaCount: {least} is above maxReplicaCount, so {most} it is")
    containers = [each["name"] for each in spec["jobTargetRef"]["template"]["spec"]["containers"]]
    source = spec.get("envSourceContainerName")
    if source and source not in containers:
        warnings.append(
            f"spec.envSourceContainerName: there is no container {source}; there is {', '.join(containers)}"
        )
    if spec.get("rolloutStrategy") and (spec.get("rollout") or {}).get("strategy"):
        warnings.append("spec.rollout.strategy: has no effect, spec.rolloutStrategy, its older name, wins")
    return [*warnings, *(_inside(warning) for warning in warn_job(job_template(obj), context))]
