"""A ScaledJob's document as what the loop works with: its spec in numbers, what is kept, what a change ends.

Admission has refused what is wrong, so what does not parse here counts as not said. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from autoscaler.jobs.census import History
from autoscaler.jobs.decide import JobsSpec
from autoscaler.jobs.strategies import Calculation, Strategy, StrategySpec
from core.resources import keda_defaults as defaults
from core.resources.keda_options import read_options
from core.resources.meta import Json, key_of
from core.store.base import Propagation
from scalers.readings import TargetRef, Trigger

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Rollout:
    """What becomes of Jobs that an older document made, while they run."""

    immediate: bool = True
    propagation: Propagation = Propagation.BACKGROUND


def jobs_spec(obj: Json) -> JobsSpec:
    """All that is asked for, with the defaults for what is not said."""
    spec = obj["spec"]
    said = spec.get("scalingStrategy") or {}
    return JobsSpec(
        least=defaults.or_else(spec.get("minReplicaCount"), defaults.MIN_REPLICAS),
        most=defaults.or_else(spec.get("maxReplicaCount"), defaults.MAX_REPLICAS),
        strategy=_strategy(said),
        calculation=_one_of(Calculation, said.get("multipleScalersCalculation"), Calculation.MAX),
        paused=read_options(obj).paused,
    )


def pending_conditions(obj: Json) -> tuple[str, ...]:
    """What a Pod must have to have begun; none: it runs or has run."""
    return tuple((obj["spec"].get("scalingStrategy") or {}).get("pendingPodConditions") or ())


def history_of(obj: Json) -> History:
    spec, limit = obj["spec"], defaults.JOBS_HISTORY_LIMIT
    return History(
        defaults.or_else(spec.get("successfulJobsHistoryLimit"), limit),
        defaults.or_else(spec.get("failedJobsHistoryLimit"), limit),
    )


def rollout_of(obj: Json) -> Rollout:
    """`rolloutStrategy` is the older spelling; upstream lets it win."""
    said = obj["spec"].get("rollout") or {}
    strategy = obj["spec"].get("rolloutStrategy") or said.get("strategy")
    foreground = said.get("propagationPolicy") == "foreground"
    return Rollout(strategy != "gradual", Propagation.FOREGROUND if foreground else Propagation.BACKGROUND)


def triggers_of(obj: Json) -> list[Trigger]:
    """Without what they refer to: authentication and environment are empty yet."""
    container = obj["spec"].get("envSourceContainerName") or None
    return [
        Trigger(
            owner=key_of(obj),
            index=index,
            type=trigger["type"],
            metadata=trigger.get("metadata") or {},
            name=trigger.get("name") or "",
            owner_kind="ScaledJob",
            target=TargetRef("Job", obj["metadata"]["name"], container),
        )
        for index, trigger in enumerate(obj["spec"].get("triggers") or ())
    ]


def pod_spec_of(obj: Json) -> Json:
    """Whose variables `…FromEnv` names."""
    template = obj["spec"]["jobTargetRef"].get("template") or {}
    found: Json = template.get("spec") or {}
    return found


def _strategy(said: Json) -> StrategySpec:
    """Upstream takes `default` for a custom one without a percentage that is a number."""
    kind = _one_of(Strategy, said.get("strategy"), Strategy.DEFAULT)
    if kind is not Strategy.CUSTOM:
        return StrategySpec(kind)
    try:
        percentage = float(said.get("customScalingRunningJobPercentage") or "")
    except ValueError:
        return StrategySpec(Strategy.DEFAULT)
    return StrategySpec(kind, said.get("customScalingQueueLengthDeduction") or 0, percentage)


def _one_of(words: type[E], text: str | None, default: E) -> E:
    try:
        return words(text or "")
    except ValueError:
        return default
