"""Whether there is work at all, and when a target may rest: the table of phases in docs/keda.md. Pure.

pkg/scaling/executor/scale_scaledobjects.go, where an error is a third answer and not the second. What is active is
never let to rest; what cannot be told is left as it is, and while that lasts after activity, activity lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from autoscaler.triggers.demand import Demand
from autoscaler.triggers.reasons import Reason, Rule
from autoscaler.triggers.spec import ScalingSpec

ACTIVE_MIN: Final = 1
"""Replicas of what has work, whatever else is said."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What is remembered of it. Times are monotonic seconds."""

    since: float  # since when the object exists
    last_active: float | None = None  # None: it was never seen to have work
    was_active: bool = False  # what was last known


def activity_of(spec: ScalingSpec, demands: Sequence[Demand]) -> bool | None:
    """Yes where any has work, no where none has, else nobody knows. cpu and memory have no say; where there is nothing
    else, there always is work."""
    if spec.forced:
        return True
    if not demands:
        return None
    answer: bool | None = False
    waking = False
    for demand in demands:
        if not demand.counts or not demand.wakes:
            continue
        waking = True
        if demand.active:
            return True
        if demand.active is None:
            answer = None
    return answer if waking else True


def remember(activity: Activity, active: bool | None, now: float) -> Activity:
    """Unknown after activity goes on being activity: cooldown begins when it is known that there is no work."""
    if active or (active is None and activity.was_active):
        return Activity(activity.since, now, True)
    if active is False and activity.was_active:
        return Activity(activity.since, activity.last_active)
    return activity


def resting_replicas(spec: ScalingSpec) -> int:
    """How many there are while there is no work."""
    return spec.min_replicas if spec.idle is None else spec.idle


def active_replicas(spec: ScalingSpec) -> int:
    """How many there are at least while there is some."""
    return max(ACTIVE_MIN, spec.min_replicas)


def may_rest(spec: ScalingSpec, activity: Activity, in_flight: float, now: float) -> tuple[Reason, float | None] | None:
    """None, or why not yet and until when. For what is known to have no work and has more than it rests with."""
    if in_flight > 0:
        return Reason(Rule.IN_FLIGHT, (in_flight,)), None
    if activity.last_active is None:
        rule, period, until = Rule.INITIAL_COOLDOWN, spec.initial_cooldown_s, activity.since + spec.initial_cooldown_s
    else:
        rule, period, until = Rule.COOLDOWN, spec.cooldown_s, activity.last_active + spec.cooldown_s
    return (Reason(rule, (period, until - now)), until) if now < until else None
