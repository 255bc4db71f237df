"""What a metric asks for that has failed too often: what the user has said for that case.

pkg/fallback/fallback.go, with these differences. Polls are counted, and not questions. A count says what it says: no
value is pretended, so it holds for a source that never said its target, and for Value with none ready. And an error
never ends the last replica: a fallback of 0 leaves one where there is one. Pure.
"""

from __future__ import annotations

from autoscaler.triggers.demand import Basis, Demand, is_resource
from autoscaler.triggers.reasons import Reason, Rule
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import Fallback, FallbackBehavior


def is_given_up(fallback: Fallback | None, sample: Sample) -> bool:
    """Whether a sample that is not known has failed so often that the fallback speaks for it."""
    return fallback is not None and sample.failures > fallback.failure_threshold and not is_resource(sample)


def fallen_back(fallback: Fallback, demand: Demand, failures: int, current: int) -> Demand:
    """The demand in place of one that is not known."""
    replicas = fallback_replicas(fallback, current)
    return demand._replace(
        replicas=max(replicas, 1) if current > 0 else replicas,
        active=demand.active or (True if replicas > 0 else None),
        basis=Basis.FALLBACK,
        wanted=replicas,
        remarks=(Reason(Rule.FALLBACK, (demand.metric, fallback.behavior, fallback.replicas, failures)),),
        detail=f"{fallback.behavior} {fallback.replicas} after {failures} failures",
    )


def fallback_replicas(fallback: Fallback, current: int) -> int:
    match fallback.behavior:
        case FallbackBehavior.CURRENT_REPLICAS:
            return current
        case FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER:
            return max(current, fallback.replicas)
        case FallbackBehavior.CURRENT_REPLICAS_IF_LOWER:
            return min(current, fallback.replicas)
    return fallback.replicas
