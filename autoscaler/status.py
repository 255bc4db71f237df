"""What a PodAutoscaler's status says of a scale state: `kubectl get kpa`, and the Revision's Active condition.

    phase        Active    reason      message
    Activating   Unknown   Queued      requests are being buffered
    Active       True
    Active       True      NotScaled   of a class that is not served here: the bounds alone decide
    Inactive     False     NoTraffic   not receiving traffic
    Inactive     False     TimedOut    could not be activated within its progress deadline

ScaleTargetInitialized is True once the initial scale has been ready. Ready follows from both, as upstream: False while
asleep. Called by `loop`, which writes it where it changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from autoscaler.decide import Phase, ScaleState
from core.resources.conditions import ConditionSet
from core.resources.meta import Json

ACTIVE: Final = "Active"
INITIALIZED: Final = "ScaleTargetInitialized"
NO_TRAFFIC: Final = "NoTraffic"
QUEUED: Final = "Queued"
TIMED_OUT: Final = "TimedOut"
NOT_SCALED: Final = "NotScaled"
_CONDITIONS: Final = ConditionSet(dependents=(ACTIVE, INITIALIZED))


@dataclass(frozen=True, slots=True)
class Told:
    """All that a status is made from: nothing is written while it stays the same."""

    generation: int | None
    desired: int | None
    actual: int
    phase: Phase
    timed_out: bool
    initialized: bool
    scaled: bool = True  # by what it does


def told(state: ScaleState, actual: int, generation: int | None, *, scaled: bool = True) -> Told:
    return Told(generation, state.desired, actual, state.phase, state.timed_out, state.initialized, scaled)


def status_of(facts: Told, name: str, before: Json, now: str) -> Json:
    """The new status; `before` the old one, `now` RFC 3339."""
    conditions = _CONDITIONS.manage(before, now)
    if facts.phase is Phase.ACTIVE and not facts.scaled:
        message = "Its autoscaler class does not scale here: instances stay at min-scale, one at least."
        conditions.mark_true(ACTIVE, NOT_SCALED, message)
    elif facts.phase is Phase.ACTIVE:
        conditions.mark_true(ACTIVE)
    elif facts.phase is Phase.ACTIVATING:
        message = "Requests to the target are being buffered as resources are provisioned."
        conditions.mark_unknown(ACTIVE, QUEUED, message)
    elif facts.timed_out:
        conditions.mark_false(ACTIVE, TIMED_OUT, "The target could not be activated.")
    else:
        conditions.mark_false(ACTIVE, NO_TRAFFIC, "The target is not receiving traffic.")
    if facts.initialized:
        conditions.mark_true(INITIALIZED)
    else:
        conditions.mark_unknown(INITIALIZED)
    status: Json = {
        **before,
        "conditions": conditions.to_json(),
        "serviceName": name,
        "actualScale": facts.actual,
        "desiredScale": -1 if facts.desired is None else facts.desired,
    }
    if facts.generation is not None:
        status["observedGeneration"] = facts.generation
    return status
