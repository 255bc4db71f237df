"""What is filled into a ScaledObject, refused in it, and warned of (apis/keda/v1alpha1/scaledobject_webhook.go).

What other objects or a trigger's scaler have to do with it is judged elsewhere, by the roof. Contradictions that KEDA
lets through are warnings where the document still means something, refusals where it cannot. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from core.errors import FieldError, FieldProblem
from core.resources.formulas.formula import check_formula
from core.resources.hpa_behavior import check_behavior
from core.resources.keda_annotations import DRAIN_TIME, RESOURCE_TRIGGERS, SCALED_OBJECT_NAME
from core.resources.keda_defaults import (
    COOLDOWN_PERIOD_S,
    MAX_REPLICAS,
    MIN_REPLICAS,
    SERVICE_API_VERSION,
    SERVICE_KIND,
    TARGET_API_VERSION,
    TARGET_KIND,
    hpa_name,
    may_rest,
    only_resources,
    or_else,
    target_of,
)
from core.resources.keda_options import check_options, read_options, warn_options
from core.resources.keda_trigger_rules import AVERAGE_VALUE, VALUE, check_least, check_triggers, warn_triggers
from core.resources.meta import AdmissionContext, Json
from core.resources.problems import check_allowed, forbidden, invalid, required

STATIC, BY_FORMULA = "static", "scalingModifiers"
FALLBACK_BEHAVIORS: Final = (
    STATIC,
    "currentReplicas",
    "currentReplicasIfHigher",
    "currentReplicasIfLower",
    BY_FORMULA,
)
_AT_LEAST_CURRENT: Final = ("currentReplicas", "currentReplicasIfHigher")
NAME_CHARS_MAX: Final = 63
_HPA_CONFIG: Final = "spec.advanced.horizontalPodAutoscalerConfig"
_LEAST: Final = {
    "pollingInterval": 1,
    "initialCooldownPeriod": 0,
    "cooldownPeriod": 0,
    "idleReplicaCount": 0,
    "minReplicaCount": 0,
    "maxReplicaCount": 1,
}
_SCALABLE: Final = (
    (TARGET_API_VERSION, TARGET_KIND),
    *((SERVICE_API_VERSION, kind) for kind in (SERVICE_KIND, "Configuration", "Revision")),
)
_CANNOT_WAKE: Final = ("Deployment", "StatefulSet")


def default_scaled_object(obj: Json, context: AdmissionContext) -> None:
    """What KEDA's CRD fills in, and no more: its columns show what a user wrote."""
    fallback = (obj.get("spec") or {}).get("fallback")
    if fallback:
        fallback["behavior"] = fallback.get("behavior") or STATIC


def validate_scaled_object(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj.get("spec") or {}
    obj = {**obj, "spec": spec}
    errors = _check_names(obj) + check_options(obj)
    if not (spec.get("scaleTargetRef") or {}).get("name"):
        errors.append(required("spec.scaleTargetRef.name", "what is to be scaled"))
    errors += check_least(spec, _LEAST, "spec") + _check_bounds(spec)
    errors += check_triggers(spec.get("triggers") or [])
    advanced = spec.get("advanced") or {}
    behavior = (advanced.get("horizontalPodAutoscalerConfig") or {}).get("behavior")
    if behavior:
        errors += check_behavior(behavior, f"{_HPA_CONFIG}.behavior")
    return errors + _check_modifiers(spec) + _check_fallback(spec)


def _check_names(obj: Json) -> list[FieldError]:
    """Upstream makes a label of the name, and an object of the other; documents shall still fit there."""
    name, derived = obj["metadata"].get("name", ""), hpa_name(obj)
    if len(name) > NAME_CHARS_MAX:
        why = f"must be no more than {NAME_CHARS_MAX} characters: it is the value of the label {SCALED_OBJECT_NAME}"
        return [FieldError("metadata.name", f'Invalid value: "{name}": {why}', FieldProblem.TOO_LONG)]
    if len(derived) <= NAME_CHARS_MAX:
        return []
    given = ((obj["spec"].get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}).get("name")
    path = f"{_HPA_CONFIG}.name" if given else "metadata.name"
    why = (
        f"the HorizontalPodAutoscaler's name {derived} has {len(derived)} characters, which must be no more than "
        f"{NAME_CHARS_MAX}; shorten the name, or set {_HPA_CONFIG}.name"
    )
    return [FieldError(path, f'Invalid value: "{given or name}": {why}', FieldProblem.TOO_LONG)]


def _check_bounds(spec: Json) -> list[FieldError]:
    least, most = spec.get("minReplicaCount"), or_else(spec.get("maxReplicaCount"), MAX_REPLICAS)
    errors = []
    if least is not None and least > most:
        why = f"must be less than or equal to maxReplicaCount, which is {most}"
        errors.append(invalid("spec.minReplicaCount", least, why))
    idle, above = spec.get("idleReplicaCount"), 0 if least is None else max(1, least)
    if idle is not None and idle >= above:
        said = "is not set" if least is None else f"is {least}"
        errors.append(invalid("spec.idleReplicaCount", idle, f"must be less than minReplicaCount, which {said}"))
    return errors


def check_waking(spec: Json) -> list[FieldError]:
    """Said by whoever looks at the target, as upstream, where containers that request nothing come first."""
    least = spec.get("minReplicaCount")
    if least or not only_resources(spec.get("triggers") or []) or target_of(spec)[1] not in _CANNOT_WAKE:
        return []
    why = "must be at least 1 where all triggers are cpu or memory: nothing could wake it from zero"
    return [invalid("spec.minReplicaCount", least or 0, why)]


def _check_modifiers(spec: Json) -> list[FieldError]:
    modifiers, path = (spec.get("advanced") or {}).get("scalingModifiers"), "spec.advanced.scalingModifiers"
    if not modifiers:
        return []
    errors = check_allowed(modifiers.get("metricType") or None, (AVERAGE_VALUE, VALUE), f"{path}.metricType")
    if not modifiers.get("formula"):
        return [*errors, required(f"{path}.formula", "scalingModifiers are about a formula")]
    target, activation = modifiers.get("target"), modifiers.get("activationTarget")
    if not target:
        errors.append(required(f"{path}.target", "what the formula's number is held at for each replica"))
    elif not _number(target) > 0:
        errors.append(invalid(f"{path}.target", target, "must be a number greater than 0"))
    if activation and math.isnan(_number(activation)):
        errors.append(invalid(f"{path}.activationTarget", activation, "must be a number"))
    return errors + _check_formula(modifiers["formula"], spec.get("triggers") or [], f"{path}.formula")


def _check_formula(formula: str, triggers: Sequence[Json], path: str) -> list[FieldError]:
    """Over the names of all triggers but cpu and memory, which a formula cannot see."""
    names = [trigger["name"] for trigger in triggers if trigger.get("name")]
    seen = [trigger["name"] for trigger in triggers if trigger.get("name") and trigger["type"] not in RESOURCE_TRIGGERS]
    if not seen:
        found = ", but cpu and memory are none that it sees" if names else ""
        return [required("spec.triggers[0].name", f"a formula refers to triggers by their names{found}")]
    problem = check_formula(formula, seen)
    return [invalid(path, formula, problem)] if problem else []


def _number(text: str) -> float:
    """Not a number where it is none."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _check_fallback(spec: Json) -> list[FieldError]:
    fallback = spec.get("fallback")
    if fallback is None:
        return []
    errors = check_least(fallback, {"failureThreshold": 0, "replicas": 0}, "spec.fallback")
    behavior = fallback.get("behavior") or STATIC
    errors += check_allowed(behavior, FALLBACK_BEHAVIORS, "spec.fallback.behavior")
    formula = ((spec.get("advanced") or {}).get("scalingModifiers") or {}).get("formula")
    if behavior == BY_FORMULA and not formula:
        errors.append(
            invalid("spec.fallback.behavior", behavior, "needs a formula in spec.advanced.scalingModifiers.formula")
        )
    if not formula and only_resources(spec.get("triggers") or []):
        errors.append(forbidden("spec.fallback", "needs a trigger other than cpu and memory: these never fall back"))
    return errors


def warn_scaled_object(obj: Json, context: AdmissionContext) -> Sequence[str]:
    spec = obj["spec"]
    warnings = [*warn_options(obj), *warn_triggers(spec["triggers"]), *_warn_target(spec), *_warn_periods(obj)]
    return [*warnings, *_warn_counts(obj)]


def _warn_target(spec: Json) -> list[str]:
    api_version, kind, _ = target_of(spec)
    if (api_version, kind) in _SCALABLE:
        return []
    scalable = f"{TARGET_KIND} of {TARGET_API_VERSION} and {SERVICE_KIND} of {SERVICE_API_VERSION}"
    return [f"spec.scaleTargetRef: {kind} of {api_version} cannot be scaled here; what can is {scalable}"]


def _warn_periods(obj: Json) -> list[str]:
    """Periods that cannot matter, and those that are over before anybody looks."""
    spec, options = obj["spec"], read_options(obj)
    interval_s, cooldown_s = options.polling_interval_s, or_else(spec.get("cooldownPeriod"), COOLDOWN_PERIOD_S)
    warnings = []
    if not may_rest(spec):
        warnings += [
            f"spec.{field}: has no effect, minReplicaCount is {spec['minReplicaCount']} without an idleReplicaCount"
            for field in ("cooldownPeriod", "initialCooldownPeriod")
            if spec.get(field)
        ]
    elif 0 < cooldown_s < interval_s:
        warnings.append(
            f"spec.cooldownPeriod: {cooldown_s} s is shorter than the polling interval of {interval_s:g} s: triggers "
            "are read no more often than that, so it lasts until the next reading"
        )
    if options.drain_time_s is not None and options.drain_time_s < interval_s:
        warnings.append(
            f"metadata.annotations[{DRAIN_TIME}]: {options.drain_time_s:g} s is shorter than the polling interval of "
            f"{interval_s:g} s: what comes just after a reading waits longer than that to be seen"
        )
    return warnings


def _warn_counts(obj: Json) -> list[str]:
    """Counts that the bounds do not allow."""
    spec, paused = obj["spec"], read_options(obj).paused_replicas
    least, most = or_else(spec.get("minReplicaCount"), MIN_REPLICAS), or_else(spec.get("maxReplicaCount"), MAX_REPLICAS)
    fallback = spec.get("fallback") or {}
    warnings = []
    if fallback.get("replicas", 0) > most:
        warnings.append(f"spec.fallback.replicas: {fallback['replicas']} is above maxReplicaCount, so {most} it is")
    if fallback and fallback["replicas"] < least:
        warnings.append(f"spec.fallback.replicas: {fallback['replicas']} is below minReplicaCount, so {least} it is")
    if fallback and fallback["replicas"] == 0 and fallback.get("behavior") not in _AT_LEAST_CURRENT:
        warnings.append("spec.fallback.replicas: is 0, but an error never ends the last replica: one stays")
    if paused is not None and paused > most:
        warnings.append(f"metadata.annotations: a pause at {paused} replicas is above maxReplicaCount, which is {most}")
    return warnings
