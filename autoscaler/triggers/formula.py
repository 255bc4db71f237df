"""scalingModifiers: one number of all triggers, which then asks in their place. cpu and memory go on asking beside it.

The language is `core.resources.formulas`. A trigger that is not known is missing, which matters only where the result
depends on it; one that the fallback `scalingModifiers` has given up is nil. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from autoscaler.triggers.demand import Basis, Demand, near_enough, replicas_of
from autoscaler.triggers.fallback import fallen_back, is_given_up
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import FallbackBehavior, ScalingSpec
from core.resources.formulas.formula import Unsolved, compile_formula
from scalers.readings import MetricType

COMPOSITE: Final = "composite-metric"


def composite_of(
    spec: ScalingSpec, samples: Sequence[Sample], demands: Sequence[Demand], current: int, ready: int
) -> Demand:
    """What the formula asks for, of samples and of what each of them would ask for alone."""
    modifiers, fallback = spec.modifiers, spec.fallback
    assert modifiers is not None
    values = values_of(spec, samples, demands)
    names = tuple(dict.fromkeys(sample.trigger for sample in samples if sample.trigger))
    formula = compile_formula(modifiers.formula, names)
    result = Unsolved(formula) if isinstance(formula, str) else formula.evaluate(values)
    pushed = any(sample.pushed for sample in samples)
    demand = Demand(
        COMPOSITE,
        replicas=None,
        active=True if pushed else None,
        basis=Basis.FORMULA,
        target=modifiers.target,
        metric_type=modifiers.metric_type,
        ready=ready,
        detail=modifiers.formula,
    )
    if isinstance(result, Unsolved):
        unknown = demand._replace(basis=Basis.UNKNOWN, error=result.message)
        failures = max((each.failures for each in samples if is_given_up(fallback, each)), default=0)
        return fallen_back(fallback, unknown, failures, current) if fallback and failures else unknown
    at_least = any(each.at_least for each in demands if each.wakes)
    wanted = replicas_of(result, modifiers.target, modifiers.metric_type, ready)
    held_by = current if modifiers.metric_type is MetricType.AVERAGE_VALUE else 1
    ratio = result / modifiers.target / max(1, held_by)
    tolerated = near_enough(spec, current, wanted, ratio, spec.max_replicas)
    return demand._replace(
        replicas=current if tolerated else wanted,
        active=result > modifiers.activation_target or pushed or (None if at_least else False),
        value=result,
        wanted=wanted,
        tolerated=tolerated,
        at_least=at_least,
    )


def values_of(spec: ScalingSpec, samples: Sequence[Sample], demands: Sequence[Demand]) -> dict[str, float | None]:
    """By the names that the formula calls them: further metrics of a trigger have numbers, `orders`, `orders01`.

    A value is not more than its own bound in replicas can use, as upstream's scalers report it.
    """
    nil = spec.fallback is not None and spec.fallback.behavior is FallbackBehavior.SCALING_MODIFIERS
    values: dict[str, float | None] = {}
    metrics: dict[str, int] = {}
    for sample, demand in zip(samples, demands, strict=True):
        if not sample.trigger:
            continue
        before = metrics.get(sample.trigger, 0)
        metrics[sample.trigger] = before + 1
        name = f"{sample.trigger}{before:02d}" if before else sample.trigger
        if demand.value is not None:
            most = demand.value if demand.most is None else demand.most * demand.target
            values[name] = max(0.0, min(demand.value, most))
        elif nil and is_given_up(spec.fallback, sample):
            values[name] = None
    return values
