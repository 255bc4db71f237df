"""What a ScaledObject's status says: conditions with KEDA's reasons, health, activity (pkg/scaling/executor, fallback).

    Ready     False    ScaledObjectCheckFailed  its target is missing or wrong: nothing is scaled
              Unknown  PartialTriggerError      some triggers cannot be read, others have work, or a fallback holds
              False    TriggerError             some triggers cannot be read, none has work: replicas are not lowered
              True     ScaledObjectReady
    Active    True     ScalerActive
              False    ScalerCooldown           no work; replicas stay until the cooldown period is over
              False    ScalerNotActive
              Unknown  UnknownState             what there is cannot be read, or nothing was decided yet
    Fallback  True     FallbackExists
              False    NoFallbackFound
    Paused    True     ScaledObjectPaused
              False    ScaledObjectUnpaused

Messages are KEDA's, with what is wrong after them. Pure.
"""

from __future__ import annotations

from typing import Final

from autoscaler.triggers.circuit import State
from autoscaler.triggers.facts import Facts
from core.resources.conditions import FALSE, TRUE, UNKNOWN
from core.resources.keda import ACTIVE, FAILING, FALLBACK, HAPPY, PAUSED_CONDITION, READY
from core.resources.keda_defaults import COMPOSITE_METRIC
from core.resources.meta import Json
from core.resources.timestamps import rfc3339

CHECK_FAILED: Final = "ScaledObjectCheckFailed"
WRONG_TARGET: Final = "ScaledObject doesn't have correct scaleTargetRef specification"
NO_TARGET: Final = "Target resource doesn't exist"
NO_SCALE: Final = "Target resource doesn't expose /scale subresource"
READY_REASON: Final = "ScaledObjectReady"
READY_MESSAGE: Final = "ScaledObject is defined correctly and is ready for scaling"
PARTIAL_ERROR: Final = "PartialTriggerError"
PARTIAL_MESSAGE: Final = "Some triggers defined in ScaledObject are not working correctly"
TRIGGER_ERROR: Final = "TriggerError"
ERROR_MESSAGE: Final = "Triggers defined in ScaledObject are not working correctly"
SCALER_ACTIVE: Final = "ScalerActive"
ACTIVE_MESSAGE: Final = "Scaling is performed because triggers are active"
FORCED_MESSAGE: Final = "Scaling is performed because activation is being forced by annotation"
NOT_ACTIVE: Final = "ScalerNotActive"
NOT_ACTIVE_MESSAGE: Final = "Scaling is not performed because triggers are not active"
COOLING: Final = "ScalerCooldown"
COOLING_MESSAGE: Final = "Scaler cooling down because triggers are not active"
UNKNOWN_STATE: Final = "UnknownState"
CHECK_FAILED_MESSAGE: Final = "ScaledObject check failed"
PAUSED: Final = "ScaledObjectPaused"
PAUSED_MESSAGE: Final = "ScaledObject is paused"
UNPAUSED: Final = "ScaledObjectUnpaused"

Told = tuple[str, str, str]
"""Status, reason, message of a condition."""


def ready(facts: Facts) -> Told:
    if facts.problem:
        return FALSE, CHECK_FAILED, facts.problem
    if not facts.failing:
        caveats = "; ".join(f"{metric.name}: {metric.caveat}" for metric in facts.metrics if metric.caveat)
        return TRUE, READY_REASON, f"{READY_MESSAGE}, but {caveats}" if caveats else READY_MESSAGE
    wrong = "; ".join(f"{metric.name}: {metric.error}" + _circuit(metric.circuit) for metric in facts.failing)
    if facts.active or facts.has_fallback:
        return UNKNOWN, PARTIAL_ERROR, f"{PARTIAL_MESSAGE}: {wrong}"
    return FALSE, TRIGGER_ERROR, f"{ERROR_MESSAGE}: {wrong}"


def active(facts: Facts) -> Told:
    if facts.problem:
        return UNKNOWN, UNKNOWN_STATE, CHECK_FAILED_MESSAGE
    if not facts.decided:
        return UNKNOWN, UNKNOWN_STATE, "No trigger has been read yet"
    if facts.active is None:
        return UNKNOWN, UNKNOWN_STATE, "Whether there is work is not known: not every trigger can be read"
    if facts.active:
        by_triggers = any(metric.active for metric in facts.metrics)
        return TRUE, SCALER_ACTIVE, FORCED_MESSAGE if facts.forced and not by_triggers else ACTIVE_MESSAGE
    return (FALSE, COOLING, COOLING_MESSAGE) if facts.cooling else (FALSE, NOT_ACTIVE, NOT_ACTIVE_MESSAGE)


def fallback(facts: Facts) -> Told:
    if facts.fallback:
        return TRUE, "FallbackExists", "At least one trigger is falling back on this scaled object"
    return FALSE, "NoFallbackFound", "No fallbacks are active on this scaled object"


def paused(facts: Facts) -> Told:
    return (TRUE, PAUSED, PAUSED_MESSAGE) if facts.paused else (FALSE, UNPAUSED, "ScaledObject is not paused")


def status_of(facts: Facts, before: Json) -> Json:
    """The new status; `before` is the old one."""
    status = {name: value for name, value in before.items() if name not in _OURS}
    group, _, version = facts.target.api_version.rpartition("/")
    status["conditions"] = [
        _condition(READY, ready(facts)),
        _condition(ACTIVE, active(facts)),
        _condition(FALLBACK, fallback(facts)),
        _condition(PAUSED_CONDITION, paused(facts)),
    ]
    status["scaleTargetKind"] = facts.target.gvk
    plural = f"{facts.target.kind.lower()}s"
    status["scaleTargetGVKR"] = {"group": group, "version": version, "kind": facts.target.kind, "resource": plural}
    names = [metric.name for metric in facts.metrics if not metric.is_resource]
    told: Json = {
        "originalReplicaCount": facts.original,
        "pausedReplicaCount": facts.paused_replicas,
        "triggersTypes": facts.types or None,
        "authenticationsTypes": facts.authentications or None,
        "externalMetricNames": names or None,
        "resourceMetricNames": [metric.type for metric in facts.metrics if metric.is_resource] or None,
        "compositeScalerName": COMPOSITE_METRIC if facts.composite else None,
        "hpaName": facts.hpa_name or None,
        "lastActiveTime": rfc3339(facts.active_at) if facts.active_at is not None else before.get("lastActiveTime"),
        "health": {metric.name: _health(metric.failures, metric.error) for metric in facts.metrics} or None,
        "triggersActivity": {metric.name: {"isActive": bool(metric.active)} for metric in facts.metrics} or None,
    }
    return status | {name: value for name, value in told.items() if value is not None}


_OURS: Final = (
    "pausedReplicaCount",
    "externalMetricNames",
    "resourceMetricNames",
    "compositeScalerName",
    "hpaName",
    "health",
    "triggersActivity",
    "triggersTypes",
    "authenticationsTypes",
)
"""What is left out where there is nothing to say."""


def _condition(kind: str, told: Told) -> Json:
    status, reason, message = told
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _circuit(state: State) -> str:
    return "" if state is State.CLOSED else f" (circuit {state.value})"


def _health(failures: int, error: str) -> Json:
    return {"numberOfFailures": failures, "status": FAILING if error else HAPPY}
