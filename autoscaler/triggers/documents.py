"""A ScaledObject's document as what the loop works with: its spec in numbers, its triggers, its target.

Called by `controller` once per change. Admission has refused what is wrong, so what does not parse here counts as not
said. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from autoscaler.triggers.spec import (
    DOWN_WINDOW_S,
    Behavior,
    Fallback,
    FallbackBehavior,
    Modifiers,
    Pause,
    Policy,
    PolicyType,
    ScalingRules,
    ScalingSpec,
    SelectPolicy,
)
from core.resources import keda_defaults as defaults
from core.resources.keda_annotations import RESOURCE_TRIGGERS
from core.resources.keda_options import read_options
from core.resources.meta import Json, key_of
from core.resources.quantities import parse_quantity
from core.resources.serving import CONFIGURATION, REVISION, SERVICE
from core.resources.workloads import DEPLOYMENT
from scalers.readings import MetricType, TargetRef, Trigger

_REQUEST_DRIVEN: Final = {(kind.api_version, kind.kind) for kind in (SERVICE, CONFIGURATION, REVISION)}


@dataclass(frozen=True, slots=True)
class TargetKey:
    """What is scaled: a Deployment, or a kind of Serving, whose latest ready revision it is then."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def is_deployment(self) -> bool:
        return (self.api_version, self.kind) == (DEPLOYMENT.api_version, DEPLOYMENT.kind)

    @property
    def is_request_driven(self) -> bool:
        return (self.api_version, self.kind) in _REQUEST_DRIVEN

    @property
    def gvk(self) -> str:
        """As `status.scaleTargetKind` has it: `apps/v1.Deployment`."""
        return f"{self.api_version}.{self.kind}"

    def __str__(self) -> str:
        return f"{self.gvk} {self.namespace}/{self.name}"


def target_key(obj: Json) -> TargetKey:
    api_version, kind, name = defaults.target_of(obj["spec"])
    return TargetKey(api_version, kind, obj["metadata"].get("namespace", ""), name)


def scaling_spec(obj: Json) -> ScalingSpec:
    """All that is asked for, with the defaults for what is not said."""
    spec, options = obj["spec"], read_options(obj)
    advanced = spec.get("advanced") or {}
    return ScalingSpec(
        min_replicas=defaults.or_else(spec.get("minReplicaCount"), defaults.MIN_REPLICAS),
        max_replicas=defaults.or_else(spec.get("maxReplicaCount"), defaults.MAX_REPLICAS),
        idle=spec.get("idleReplicaCount"),
        polling_interval_s=options.polling_interval_s,
        cooldown_s=float(defaults.or_else(spec.get("cooldownPeriod"), defaults.COOLDOWN_PERIOD_S)),
        initial_cooldown_s=float(
            defaults.or_else(spec.get("initialCooldownPeriod"), defaults.INITIAL_COOLDOWN_PERIOD_S)
        ),
        fallback=_fallback(spec.get("fallback")),
        behavior=_behavior((advanced.get("horizontalPodAutoscalerConfig") or {}).get("behavior")),
        modifiers=_modifiers(advanced.get("scalingModifiers")),
        pause=Pause(options.paused, options.paused_replicas, options.paused_scale_in, options.paused_scale_out),
        forced=options.forced,
        drain_time_s=options.drain_time_s,
    )


def triggers_of(obj: Json) -> list[Trigger]:
    """Without what they refer to: authentication and environment are empty yet."""
    target = target_key(obj)
    formula = ((obj["spec"].get("advanced") or {}).get("scalingModifiers") or {}).get("formula")
    container = (obj["spec"].get("scaleTargetRef") or {}).get("envSourceContainerName") or None
    return [
        Trigger(
            owner=key_of(obj),
            index=index,
            type=trigger["type"],
            metadata=trigger.get("metadata") or {},
            name=trigger.get("name") or "",
            owner_kind=obj.get("kind", "ScaledObject"),
            metric_type=_metric_type(trigger.get("metricType")),
            target=TargetRef(target.kind, target.name, container),
            cached=bool(trigger.get("useCachedMetrics")),
            feeds_formula=bool(formula) and trigger["type"] not in RESOURCE_TRIGGERS,
        )
        for index, trigger in enumerate(obj["spec"].get("triggers") or ())
    ]


def authentication_of(obj: Json, index: int) -> Json | None:
    """The authenticationRef of a trigger."""
    reference: Json | None = obj["spec"]["triggers"][index].get("authenticationRef")
    return reference


def _metric_type(text: str | None) -> MetricType | None:
    return MetricType(text) if text else None


def _fallback(said: Json | None) -> Fallback | None:
    if not said:
        return None
    behavior = said.get("behavior") or FallbackBehavior.STATIC
    return Fallback(said["failureThreshold"], said["replicas"], FallbackBehavior(behavior))


def _behavior(said: Json | None) -> Behavior:
    said = said or {}
    return Behavior(_rules(said.get("scaleUp"), 0.0), _rules(said.get("scaleDown"), DOWN_WINDOW_S))


def _rules(said: Json | None, window_s: float) -> ScalingRules:
    said = said or {}
    window = said.get("stabilizationWindowSeconds")
    tolerance = said.get("tolerance")
    return ScalingRules(
        stabilization_window_s=window_s if window is None else float(window),
        select=SelectPolicy(said.get("selectPolicy") or SelectPolicy.MAX),
        policies=tuple(_policies(said.get("policies") or ())),
        tolerance=None if tolerance is None else float(parse_quantity(str(tolerance))),
    )


def _policies(said: Sequence[Json]) -> list[Policy]:
    return [Policy(PolicyType(each["type"]), each["value"], float(each["periodSeconds"])) for each in said]


def _modifiers(said: Json | None) -> Modifiers | None:
    if not said or not said.get("formula"):
        return None
    return Modifiers(
        formula=said["formula"],
        target=float(said["target"]),
        activation_target=float(said.get("activationTarget") or 0.0),
        metric_type=MetricType(said.get("metricType") or MetricType.AVERAGE_VALUE),
    )
