"""The gradual rollout: how traffic moves from old revisions to the latest one, a step at a time.

Exactly knative.dev/serving/pkg/reconciler/route/traffic/rollout.go, as functions from state to state. Called by the
Route controller, which keeps the state as JSON in an annotation. Times are wall-clock nanoseconds, because that is
what the annotation holds. Pure.

    new latest revision, percent P > 1      1 % moves at once; start is noted
    the gateway has taken that over         step size and duration follow from how long it took (`observe_ready`)
    each due step                           a step drains from old revisions, newest of them first (`step`)
    one revision left                       done
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from core.resources.meta import Json

NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Share:
    """How many percent of the whole route a revision gets."""

    revision: str
    percent: int


@dataclass(frozen=True, slots=True)
class Steps:
    """Timing of a rollout under way; all zero where there is none or it has not been measured yet."""

    start_ns: int = 0
    next_ns: int = 0
    duration_ns: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class TargetRollout:
    """What one (configuration, tag) gets, by revision, oldest first; `percent` is the sum."""

    configuration: str
    tag: str
    percent: int
    shares: tuple[Share, ...]
    steps: Steps = Steps()

    @property
    def done(self) -> bool:
        return len(self.shares) < 2


@dataclass(frozen=True, slots=True)
class Rollout:
    """All targets that follow a latest revision, sorted by tag, then configuration."""

    targets: tuple[TargetRollout, ...] = ()

    @property
    def done(self) -> bool:
        return all(target.done for target in self.targets)

    def find(self, configuration: str, tag: str) -> TargetRollout | None:
        for target in self.targets:
            if (target.configuration, target.tag) == (configuration, tag):
                return target
        return None


def make_rollout(targets: Iterable[TargetRollout]) -> Rollout:
    return Rollout(tuple(sorted(targets, key=lambda target: (target.tag, target.configuration))))


def step(current: Rollout, previous: Rollout | None, now_ns: int) -> tuple[Rollout, int]:
    """The split to use now, and when the next step is due (0: none is).

    `current` is what the route asks for, one revision per target; `previous` what was in force.
    """
    if previous is None or not previous.targets:
        return current, 0
    known_tags = {target.tag for target in previous.targets}
    stepped = []
    for target in current.targets:
        before = previous.find(target.configuration, target.tag)
        if target.tag in known_tags and target.percent == 0:
            continue
        stepped.append(_step_target(target, before, now_ns) if before and target.percent > 1 else target)
    due = [target.steps.next_ns for target in stepped if target.steps.next_ns > 0]
    return make_rollout(stepped), min(due, default=0)


def observe_ready(rollout: Rollout, now_ns: int, duration_s: float) -> Rollout:
    """The gateway has taken over the first percent: from how long that took follow the steps."""
    return Rollout(
        tuple(
            replace(target, steps=_measure(target, now_ns, duration_s))
            if target.steps.duration_ns == 0 and target.steps.start_ns > 0
            else target
            for target in rollout.targets
        )
    )


def to_json(rollout: Rollout) -> Json:
    """As Knative spells it in the annotation."""
    return {
        "configurations": [
            {
                "configurationName": target.configuration,
                **({"tag": target.tag} if target.tag else {}),
                "percent": target.percent,
                "revisions": [{"revisionName": share.revision, "percent": share.percent} for share in target.shares],
                "stepParams": _steps_to_json(target.steps),
            }
            for target in rollout.targets
        ]
    }


def parse_rollout(text: str | None) -> Rollout | None:
    """None where there is none or it cannot be trusted: then the rollout starts anew, which is always safe."""
    if not text:
        return None
    try:
        targets = [_parse_target(target) for target in json.loads(text).get("configurations") or ()]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return make_rollout(targets) if all(_is_sound(target) for target in targets) else None


def _step_target(goal: TargetRollout, before: TargetRollout, now_ns: int) -> TargetRollout:
    shares = _adjust(before.shares, goal.percent - before.percent)
    latest = goal.shares[0].revision
    if not shares or latest == shares[-1].revision:
        if len(shares) < 2:
            return goal
        carried = replace(goal, shares=shares, steps=before.steps)
        return _advance(carried, now_ns) if before.steps.size > 0 else carried
    return replace(goal, shares=(*_take_one(shares), Share(latest, 1)), steps=Steps(start_ns=now_ns))


def _adjust(shares: tuple[Share, ...], difference: int) -> tuple[Share, ...]:
    """The target's percent was changed: more goes to the newest revision, less comes off the oldest ones."""
    if not shares or difference == 0:
        return shares
    if difference > 0:
        newest = shares[-1]
        return (*shares[:-1], replace(newest, percent=newest.percent + difference))
    missing = -difference
    kept = list(shares)
    while kept and missing > 0:
        oldest = kept.pop(0)
        if oldest.percent > missing:
            kept.insert(0, replace(oldest, percent=oldest.percent - missing))
            break
        missing -= oldest.percent
    return tuple(kept)


def _take_one(shares: tuple[Share, ...]) -> tuple[Share, ...]:
    """One percent less for the newest revision that has any; who has none left is dropped."""
    taken = list(shares)
    for index in range(len(taken) - 1, -1, -1):
        if taken[index].percent > 0:
            taken[index] = replace(taken[index], percent=taken[index].percent - 1)
            break
    return tuple(share for share in taken if share.percent > 0)


def _advance(target: TargetRollout, now_ns: int) -> TargetRollout:
    """One step where it is due: drains the old revisions, newest first, into the latest."""
    if now_ns < target.steps.next_ns or target.done:
        return target
    old, latest = list(target.shares[:-1]), target.shares[-1]
    remaining = target.steps.size
    while old and remaining > 0:
        newest = old.pop()
        if newest.percent > remaining:
            old.append(replace(newest, percent=newest.percent - remaining))
            break
        remaining -= newest.percent
    latest = replace(latest, percent=min(latest.percent + target.steps.size, target.percent))
    shares = (*old, latest)
    if len(shares) == 1:
        return replace(target, shares=shares, steps=Steps())
    return replace(target, shares=shares, steps=replace(target.steps, next_ns=now_ns + target.steps.duration_ns))


def _measure(target: TargetRollout, now_ns: int, duration_s: float) -> Steps:
    min_step_s = max(1.0, math.ceil((now_ns - target.steps.start_ns) / NANOSECONDS))
    remaining_s = max(1.0, duration_s - min_step_s)
    remaining_percent = float(target.percent - 1)
    count = min(remaining_percent, max(1.0, remaining_s / min_step_s))
    duration_ns = int(remaining_s / count * NANOSECONDS)
    return replace(
        target.steps,
        size=_round_half_away(remaining_percent / count),
        duration_ns=duration_ns,
        next_ns=now_ns + duration_ns,
    )


def _round_half_away(value: float) -> int:
    """Go's math.Round, for positive numbers."""
    return math.floor(value + 0.5)


def _steps_to_json(steps: Steps) -> Json:
    named = {
        "starttime": steps.start_ns,
        "nextStepTime": steps.next_ns,
        "stepDuration": steps.duration_ns,
        "stepSize": steps.size,
    }
    return {name: value for name, value in named.items() if value}


def _parse_target(target: dict[str, Any]) -> TargetRollout:
    steps = target.get("stepParams") or {}
    return TargetRollout(
        configuration=target["configurationName"],
        tag=target.get("tag", ""),
        percent=int(target["percent"]),
        shares=tuple(Share(share["revisionName"], int(share["percent"])) for share in target.get("revisions") or ()),
        steps=Steps(
            start_ns=int(steps.get("starttime", 0)),
            next_ns=int(steps.get("nextStepTime", 0)),
            duration_ns=int(steps.get("stepDuration", 0)),
            size=int(steps.get("stepSize", 0)),
        ),
    )


def _is_sound(target: TargetRollout) -> bool:
    total = sum(share.percent for share in target.shares)
    return target.percent <= 100 and 0 <= target.steps.size <= target.percent and total == target.percent
