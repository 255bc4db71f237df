"""`behavior` of a HorizontalPodAutoscaler: stabilization windows and rates. Between what is wanted and what is written.

pkg/controller/podautoscaler/horizontal.go (stabilizeRecommendationWithBehaviors, …WithBehaviorRate)
with whole numbers for percentages, so that ten percent more than 100 are 110, and with a rule for zero, which the
controller never leaves or reaches: policies of scaleUp count from what activation brings. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from autoscaler.triggers.spec import Behavior, Policy, PolicyType, ScalingRules, SelectPolicy

CHANGES_MAX: Final = 256
"""Changes remembered; beyond, the two oldest are counted as one, made when the later of them was."""


class Want(NamedTuple):
    """How many were wanted at a time."""

    at: float
    replicas: int


class Change(NamedTuple):
    """By how many the scale was changed at a time; removals are negative."""

    at: float
    by: int


@dataclass(frozen=True, slots=True)
class History:
    """What the rules look back on, oldest first.

    Of the wants only those that can still become the least (`lows` rise) or the greatest (`highs` fall) of a window.
    """

    lows: tuple[Want, ...]
    highs: tuple[Want, ...]
    changes: tuple[Change, ...] = ()


class Stabilized(NamedTuple):
    """`held` is the want that has the last word instead of the newest one; `until` is when it leaves its window."""

    replicas: int
    held: Want | None = None
    until: float | None = None


class Limited(NamedTuple):
    """`policy` is the one that bit (None: no policy did, or the direction is disabled); `until`, when it gives more."""

    replicas: int
    policy: Policy | None = None
    until: float | None = None


def begin_history(replicas: int, now: float) -> History:
    """As the controller begins: what there is counts as wanted."""
    first = (Want(now, replicas),)
    return History(first, first)


def remember_want(behavior: Behavior, history: History, want: int, now: float) -> History:
    """The history with a raw recommendation more, and without what has left the windows."""
    lows = _since(history.lows, now - behavior.up.stabilization_window_s)
    highs = _since(history.highs, now - behavior.down.stabilization_window_s)
    end = len(lows)
    while end and lows[end - 1].replicas >= want:
        end -= 1
    lows = (*lows[:end], Want(now, want))
    end = len(highs)
    while end and highs[end - 1].replicas <= want:
        end -= 1
    return History(lows, (*highs[:end], Want(now, want)), history.changes)


def stabilize(behavior: Behavior, history: History, current: int, want: int) -> Stabilized:
    """Step one: up to the least that was wanted within scaleUp's window, down to the most within scaleDown's."""
    low, high = history.lows[0], history.highs[0]
    if current < low.replicas:
        up = behavior.up.stabilization_window_s
        return Stabilized(low.replicas) if low.replicas == want else Stabilized(low.replicas, low, low.at + up)
    if current > high.replicas:
        down = behavior.down.stabilization_window_s
        return Stabilized(high.replicas) if high.replicas == want else Stabilized(high.replicas, high, high.at + down)
    if want > current:
        return Stabilized(current, low, low.at + behavior.up.stabilization_window_s)
    if want < current:
        return Stabilized(current, high, high.at + behavior.down.stabilization_window_s)
    return Stabilized(current)


def limit_up(rules: ScalingRules, history: History, current: int, want: int, floor: int, now: float) -> Limited:
    """Step two: at most so many. `floor` is what activation brings at once; policies count from there at least."""
    if rules.select is SelectPolicy.DISABLED:
        return Limited(min(want, max(current, floor)))
    if not rules.policies:
        return Limited(want)
    limits = [(_ceiling(p, max(floor, _start(history, current, p, now))), p) for p in rules.policies]
    choose = min if rules.select is SelectPolicy.MIN else max
    most, policy = choose(limits, key=lambda each: each[0])
    most = max(most, current, floor)
    until = _next_expiry(rules, history, now, most - current)
    return Limited(want) if want <= most else Limited(most, policy, until)


def limit_down(rules: ScalingRules, history: History, current: int, want: int, now: float) -> Limited:
    """Step three: at least so many."""
    if rules.select is SelectPolicy.DISABLED:
        return Limited(max(want, current))
    if not rules.policies:
        return Limited(want)
    limits = [(_bottom(p, _start(history, current, p, now)), p) for p in rules.policies]
    choose = max if rules.select is SelectPolicy.MIN else min
    least, policy = choose(limits, key=lambda each: each[0])
    least = min(least, current)
    until = _next_expiry(rules, history, now, least - current)
    return Limited(want) if want >= least else Limited(least, policy, until)


def remember_change(behavior: Behavior, history: History, by: int, now: float) -> History:
    """The history with a change more, and without what is older than the longest period of any policy."""
    longest = max((p.period_s for rules in (behavior.up, behavior.down) for p in rules.policies), default=0.0)
    if not longest:
        return history
    changes = [*(each for each in history.changes if each.at > now - longest), Change(now, by)]
    if len(changes) > CHANGES_MAX:
        first, second, *rest = changes
        changes = [Change(second.at, first.by + second.by), *rest]
    return History(history.lows, history.highs, tuple(changes))


def forget_last_change(history: History) -> History:
    """For a change that could not be written."""
    return History(history.lows, history.highs, history.changes[:-1])


def _since(wants: tuple[Want, ...], cutoff: float) -> tuple[Want, ...]:
    first = 0
    while first < len(wants) and wants[first].at <= cutoff:
        first += 1
    return wants[first:] if first else wants


def _start(history: History, current: int, policy: Policy, now: float) -> int:
    """How many there were when the policy's period began: changes in either direction are taken back."""
    cutoff = now - policy.period_s
    return current - sum(change.by for change in history.changes if change.at > cutoff)


def _ceiling(policy: Policy, start: int) -> int:
    if policy.type is PolicyType.PODS:
        return start + policy.value
    return -(-start * (100 + policy.value) // 100)


def _bottom(policy: Policy, start: int) -> int:
    if policy.type is PolicyType.PODS:
        return max(0, start - policy.value)
    return max(0, start * (100 - policy.value) // 100)


def _next_expiry(rules: ScalingRules, history: History, now: float, by: int) -> float:
    """When the first change leaves a period, the one that is made now with the others; without any, after a period."""
    expiries: list[float] = [
        change.at + policy.period_s
        for policy in rules.policies
        for change in history.changes
        if change.at + policy.period_s > now
    ]
    if by or not expiries:
        expiries.append(now + min(policy.period_s for policy in rules.policies))
    return min(expiries)
