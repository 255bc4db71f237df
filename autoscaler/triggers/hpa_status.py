"""What the HorizontalPodAutoscaler of a ScaledObject says of the present: replicas, metrics, conditions.

The reasons and sentences are those of Kubernetes' own controller (pkg/controller/podautoscaler/horizontal.go), for the
decisions of ours:

    AbleToScale     True   ReadyForNewScale       there are as many as are wanted
                    True   SucceededRescale       another number is on its way
                    True   ScaleDownStabilized    a window holds it (ScaleUpStabilized likewise)
    ScalingActive   True   ValidMetricFound       a metric says how many
                    False  ScalingDisabled        there are none, and none are wanted
                    False  FailedGet...Metric     what cannot be read keeps the number
    ScalingLimited  True   TooManyReplicas ...    a bound or a rate holds it
                    False  DesiredWithinRange

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from autoscaler.triggers.decide import Outcome
from autoscaler.triggers.demand import Demand
from autoscaler.triggers.hpa_document import Metric, MetricSource, milli, owner_of
from autoscaler.triggers.reasons import Rule
from core.resources.conditions import FALSE, TRUE
from core.resources.hpa import ABLE_TO_SCALE, SCALING_ACTIVE, SCALING_LIMITED
from core.resources.keda_annotations import SCALED_OBJECT_NAME
from core.resources.meta import Json
from core.resources.timestamps import rfc3339
from scalers.readings import MetricType


class Told(NamedTuple):
    """A condition."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class View:
    """All that there is to show. `current`, what was read of each metric, drifts: alone it is no difference."""

    skeleton: Json
    metrics: Sequence[Metric] = ()
    replicas: int = 0
    desired: int = 0
    conditions: Sequence[Told] = ()
    scaled_at: float | None = None  # in wall seconds
    current: Sequence[Json | None] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        return str(self.skeleton["metadata"]["name"])

    @property
    def document(self) -> tuple[object, ...]:
        """What its metadata and spec are made of."""
        return self.skeleton, self.metrics


_STABILIZED: Final = {
    Rule.STABILIZED_DOWN: (
        "ScaleDownStabilized",
        "recent recommendations were higher than current one, applying the highest recent recommendation",
    ),
    Rule.STABILIZED_UP: (
        "ScaleUpStabilized",
        "recent recommendations were lower than current one, applying the lowest recent recommendation",
    ),
}
_TOO_FEW: Final = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_FASTER_UP: Final = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_FASTER_DOWN: Final = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
_LIMITED: Final = {
    Rule.MAX_REPLICAS: ("TooManyReplicas", "the desired replica count is more than the maximum replica count"),
    Rule.MIN_REPLICAS: _TOO_FEW,
    Rule.ACTIVATION: _TOO_FEW,
    Rule.SCALE_UP_RATE: _FASTER_UP,
    Rule.SCALE_UP_DISABLED: _FASTER_UP,
    Rule.PAUSED_SCALE_OUT: _FASTER_UP,
    Rule.SCALE_DOWN_RATE: _FASTER_DOWN,
    Rule.SCALE_DOWN_DISABLED: _FASTER_DOWN,
    Rule.PAUSED_SCALE_IN: _FASTER_DOWN,
}
"""Of several the first: bounds are drawn last."""


def status_of(view: View, obj: Json, now: str) -> Json:
    """The new status of `obj`, the object as it is stored; `now` is RFC 3339."""
    before = obj.get("status") or {}
    status: Json = {
        "observedGeneration": obj["metadata"].get("generation", 1),
        "currentReplicas": view.replicas,
        "desiredReplicas": view.desired,
    }
    if view.scaled_at is not None:
        status["lastScaleTime"] = rfc3339(view.scaled_at)
    if any(view.current):
        owner = owner_of(view.skeleton)
        found = zip(view.metrics, view.current, strict=True)
        status["currentMetrics"] = [_current(metric, current, owner) for metric, current in found]
    if view.conditions:
        known = {each["type"]: each for each in before.get("conditions") or ()}
        status["conditions"] = [_condition(told, known.get(told.type), now) for told in view.conditions]
    return status


def current_of(metric: Metric, demand: Demand | None, replicas: int) -> Json | None:
    """What was read of it, as its target is said; None where that is not known.

    An average of nobody is the whole: what waits is to be seen while there is no replica, too.
    """
    if demand is None or demand.value is None or demand.error:
        return None
    if metric.type is MetricType.UTILIZATION:
        return {"averageUtilization": round(demand.value)}
    if metric.type is MetricType.VALUE:
        return {"value": milli(demand.value)}
    shared_by = replicas if metric.source is MetricSource.EXTERNAL else demand.ready
    return {"averageValue": milli(demand.value / max(1, shared_by))}


def conditions_of(outcome: Outcome, metrics: Sequence[Metric], replicas: int, owner: str) -> tuple[Told, ...]:
    """By the last decision."""
    rules = [reason.rule for reason in outcome.reasons]
    return (
        Told(ABLE_TO_SCALE, TRUE, *_able(outcome, rules, replicas)),
        *_active(outcome, rules, metrics, replicas, owner),
        _limited(rules),
    )


def _able(outcome: Outcome, rules: Sequence[Rule], replicas: int) -> tuple[str, str]:
    for rule in rules:
        if rule in _STABILIZED:
            return _STABILIZED[rule]
    if outcome.desired == replicas:
        return "ReadyForNewScale", "recommended size matches current size"
    return "SucceededRescale", f"the HPA controller was able to update the target scale to {outcome.desired}"


def _active(
    outcome: Outcome, rules: Sequence[Rule], metrics: Sequence[Metric], replicas: int, owner: str
) -> tuple[Told, ...]:
    if replicas == outcome.desired == 0:
        why = "scaling is disabled since the replica count of the target is zero"
        return (Told(SCALING_ACTIVE, FALSE, "ScalingDisabled", why),)
    known = [each for each in outcome.demands if each.counts and each.replicas is not None]
    unknown = [each for each in outcome.demands if each.counts and each.replicas is None]
    if unknown and (not known or Rule.UNKNOWN in rules):
        reason = "FailedGetExternalMetric" if unknown[0].wakes else "FailedGetResourceMetric"
        why = f"the HPA was unable to compute the replica count: {unknown[0].metric}: {unknown[0].error}"
        return (Told(SCALING_ACTIVE, FALSE, reason, why),)
    most = max(known, key=lambda each: each.replicas or 0, default=None)
    found = next((each for each in metrics if most is not None and each.key == most.metric), None)
    if found is None:
        return ()
    why = f"the HPA was able to successfully calculate a replica count from {_described(found, owner)}"
    return (Told(SCALING_ACTIVE, TRUE, "ValidMetricFound", why),)


def _described(metric: Metric, owner: str) -> str:
    if metric.source is MetricSource.EXTERNAL:
        labels = f"map[string]string{{{SCALED_OBJECT_NAME}: {owner},}}"
        selector = f"&LabelSelector{{MatchLabels:{labels},MatchExpressions:[]LabelSelectorRequirement{{}},}}"
        return f"external metric {metric.name}({selector})"
    utilization = " utilization (percentage of request)" if metric.type is MetricType.UTILIZATION else ""
    return f"{metric.name} resource{utilization}"


def _limited(rules: Sequence[Rule]) -> Told:
    for rule, told in _LIMITED.items():
        if rule in rules:
            return Told(SCALING_LIMITED, TRUE, *told)
    return Told(SCALING_LIMITED, FALSE, "DesiredWithinRange", "the desired count is within the acceptable range")


def _current(metric: Metric, current: Json | None, owner: str) -> Json:
    """Metrics that are not known have an empty type, as there: their place tells which they are."""
    if current is None:
        return {"type": ""}
    return {"type": str(metric.source), metric.field: {**metric.identity(owner), "current": current}}


def _condition(told: Told, before: Json | None, now: str) -> Json:
    """The time is that of the last change of its status."""
    since = before["lastTransitionTime"] if before is not None and before["status"] == told.status else now
    return {**told._asdict(), "lastTransitionTime": since}
