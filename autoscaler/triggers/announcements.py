"""Which events of a ScaledObject follow from what changed, with KEDA's reasons (pkg/eventreason). Pure.

Their messages are KEDA's to the letter where it has one (pkg/common/message): scripts wait for them. What else there is
to say stands in the conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from autoscaler.triggers import status
from autoscaler.triggers.documents import TargetKey
from autoscaler.triggers.facts import Facts
from core.resources.conditions import TRUE

SCALERS_STARTED: Final = "KEDAScalersStarted"
SCALERS_STOPPED: Final = "KEDAScalersStopped"
SCALER_FAILED: Final = "KEDAScalerFailed"
ACTIVATED: Final = "KEDAScaleTargetActivated"
DEACTIVATED: Final = "KEDAScaleTargetDeactivated"
ACTIVATION_FAILED: Final = "KEDAScaleTargetActivationFailed"
DEACTIVATION_FAILED: Final = "KEDAScaleTargetDeactivationFailed"
DELETED: Final = "ScaledObjectDeleted"
FALLBACK_OVER: Final = "ScaledObject fallback is no longer active"


class Announcement(NamedTuple):
    """One Event."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def announce(before: Facts | None, now: Facts) -> Iterator[Announcement]:
    """What is to be said after a change; `before` None: nothing was told yet."""
    if now.problem:
        if before is None or before.problem != now.problem:
            short = [sentence for sentence in (status.NO_TARGET, status.NO_SCALE) if sentence in now.problem]
            yield Announcement("Warning", status.CHECK_FAILED, short[0] if short else now.problem)
            yield Announcement("Warning", status.CHECK_FAILED, status.WRONG_TARGET)
        return
    if not now.begun:
        return
    if before is not None and not before.begun:
        before = None
    yield from _started(before, now)
    known = {metric.name: metric for metric in before.metrics} if before else {}
    for metric in now.failing:
        told = known.get(metric.name)
        if told is None or not told.error:
            yield Announcement("Warning", SCALER_FAILED, f"{metric.name}: {metric.error}")
    if status.ready(now)[0] == TRUE and (before is None or status.ready(before)[0] != TRUE):
        yield Announcement("Normal", status.READY_REASON, "ScaledObject is ready for scaling")
    was_paused, was_falling = (before.paused, before.fallback) if before else (False, False)
    if now.paused and not was_paused:
        yield Announcement("Normal", status.PAUSED, status.PAUSED_MESSAGE)
    elif was_paused and not now.paused:
        yield Announcement("Normal", status.UNPAUSED, "ScaledObject is unpaused")
    if now.fallback and not was_falling:
        yield Announcement("Warning", "ScaledObjectFallbackActivated", "ScaledObject fallback is active")
    elif was_falling and not now.fallback:
        yield Announcement("Normal", "ScaledObjectFallbackDeactivated", FALLBACK_OVER)


def _started(before: Facts | None, now: Facts) -> Iterator[Announcement]:
    """Scalers that have come to stand, and that they are asked from now on."""
    standing = before.built if before else ()
    for type_ in now.built:
        if type_ not in standing:
            yield Announcement("Normal", SCALERS_STARTED, f"Scaler {type_} is built")
    if before is None:
        yield Announcement("Normal", SCALERS_STARTED, "Started scalers watch")


def scaled(target: TargetKey, replicas: int, scale: int, active: list[str], *, forced: bool) -> Announcement | None:
    """What is said of a written scale: of those from nothing to something, and back."""
    what = f"{target.gvk} {target.namespace}/{target.name} from {replicas} to {scale}"
    if replicas == 0:
        why = "caused by forced activation annotation" if forced else f"triggered by {';'.join(active)}"
        return Announcement("Normal", ACTIVATED, f"Scaled {what}, {why}")
    return Announcement("Normal", DEACTIVATED, f"Deactivated {what}") if scale == 0 else None


def not_scaled(target: TargetKey, replicas: int, scale: int, error: str) -> Announcement:
    """A scale could not be written."""
    what = f"{target.gvk} {target.namespace}/{target.name} from {replicas} to {scale}: {error}"
    if scale < replicas:
        return Announcement("Warning", DEACTIVATION_FAILED, f"Failed to deactivate {what}")
    return Announcement("Warning", ACTIVATION_FAILED, f"Failed to scale {what}")
