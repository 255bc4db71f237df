"""From what one instance can take to the number that is written: bounds, activation, and the way to zero.

Step three of a decision, called by `loop`. knative.dev/serving/pkg/reconciler/autoscaling/kpa/{kpa,scaler}.go as one
function of (spec, state, observation, now). On one machine every request passes the activator, so what upstream has to
find out (the revision's public address answers as the buffer) is true by construction, and a revision has been
"proxied" since it exists. docs/autoscaling.md has the state table.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from autoscaler.kpa import KpaReason, KpaResult, KpaState, want_instances
from autoscaler.spec import Metric, ScaleSpec

ACTIVATION_BUFFER_S: Final = 30.0
"""Beyond the progress deadline, before an activation that never succeeded is given up."""


class Phase(StrEnum):
    """The PodAutoscaler's Active condition: Unknown, True, False."""

    ACTIVATING = "Activating"
    ACTIVE = "Active"
    INACTIVE = "Inactive"


class Reason(StrEnum):
    """The bound or rule that had the last word, beyond those of the formula."""

    MIN_SCALE = "MinScale"
    MAX_SCALE = "MaxScale"
    INITIAL_SCALE = "InitialScale"
    SCALE_TO_ZERO_DISABLED = "ScaleToZeroDisabled"
    WAITS_FOR_ACTIVATION = "WaitsForActivation"
    ACTIVATION_TIMED_OUT = "ActivationTimedOut"
    ACTIVE_TOO_SHORTLY = "ActiveTooShortly"
    RETENTION = "Retention"
    GRACE = "Grace"
    ZERO = "Zero"
    NOT_REQUEST_DRIVEN = "NotRequestDriven"
    TRIGGERS = "Triggers"


@dataclass(frozen=True, slots=True)
class ScaleState:
    """What is remembered between two decisions. Times are monotonic seconds."""

    proxied_since: float  # since when requests reach the buffer: since the revision has been known
    phase: Phase = Phase.ACTIVATING
    since: float = 0.0  # when the phase began
    timed_out: bool = False  # inactive because it could not be activated
    initialized: bool = False  # the initial scale has been reached once
    want: int | None = None  # the formula's last valid word
    desired: int | None = None  # what was last decided
    kpa: KpaState = field(default_factory=KpaState)


@dataclass(frozen=True, slots=True)
class Observation:
    """What is. `stable` and `panic` are averages, None where nobody knows; `replicas` is the Deployment's; `floor` is
    what triggers of a ScaledObject ask for beside requests."""

    ready: int
    stable: float | None
    panic: float | None
    replicas: int
    floor: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to write: `scale` None writes none. `desired` is what the status says; None: unknown."""

    state: ScaleState
    kpa: KpaResult
    desired: int | None
    scale: int | None
    reasons: tuple[KpaReason | Reason, ...]


def begin(replicas: int | None, kpa: KpaState, now: float) -> ScaleState:
    """A revision that is met with nothing running has been ready before (else its Deployment had begun with the
    initial scale), or was asked to begin at zero: either way it sleeps."""
    if replicas == 0:
        return ScaleState(now, Phase.INACTIVE, since=now, initialized=True, want=0, desired=0, kpa=kpa)
    return ScaleState(now, phase=Phase.ACTIVATING, since=now, kpa=kpa)


def decide(spec: ScaleSpec, state: ScaleState, observed: Observation, now: float) -> Outcome:
    """One decision. Called again with the state that it returned."""
    if spec.metric is Metric.NONE:
        return conclude(spec, state, KpaResult(state.kpa, 0), observed, now)
    averages = (observed.stable, observed.panic)
    return conclude(spec, state, want_instances(spec.kpa, state.kpa, observed.ready, averages, now), observed, now)


def conclude(spec: ScaleSpec, state: ScaleState, kpa: KpaResult, observed: Observation, now: float) -> Outcome:
    """What follows from the formula's result; with one that wants nothing (None), from its last word."""
    want = state.want if kpa.want is None else kpa.want
    state = replace(state, kpa=kpa.state, want=want)
    if want is None and state.phase is not Phase.ACTIVATING:
        if observed.floor <= observed.replicas:
            return Outcome(state, kpa, None, None, kpa.reasons)
        want = observed.replicas  # of requests nothing is known, of triggers it is
    bounded, bit = _bounded(spec, state, want or 0, observed.floor)
    state, desired, applied, why = _toward(spec, state, observed, bounded, now)
    return Outcome(
        state=state if desired is None else replace(state, desired=desired),
        kpa=kpa,
        desired=desired,
        scale=desired if applied and desired != observed.replicas else None,
        reasons=(*kpa.reasons, *bit, *why),
    )


def _bounded(spec: ScaleSpec, state: ScaleState, want: int, floor: int) -> tuple[int, tuple[Reason, ...]]:
    minimum, name = spec.min_scale, Reason.MIN_SCALE
    if spec.metric is Metric.NONE:
        name = Reason.NOT_REQUEST_DRIVEN
    if spec.initial_scale > max(1, minimum) and not state.initialized and spec.kpa.reachable:
        minimum, name = spec.initial_scale, Reason.INITIAL_SCALE  # 1 does not act: scale to zero waits for it anyway
    bit: tuple[Reason, ...] = ()
    if floor > max(want, minimum):
        want, bit = floor, (Reason.TRIGGERS,)
    if want < minimum:
        return minimum, (name,)
    if 0 < spec.max_scale < want:
        return spec.max_scale, (*bit, Reason.MAX_SCALE)
    return want, bit


def _toward(
    spec: ScaleSpec, state: ScaleState, observed: Observation, want: int, now: float
) -> tuple[ScaleState, int | None, bool, tuple[Reason, ...]]:
    """(state, desired, whether it is written, why). Zero is reached in two steps: inactive first, then zero."""
    if want > 0:
        return _settle(spec, state, observed, want, now), want, True, ()
    if not spec.enable_scale_to_zero:
        return _settle(spec, state, observed, 1, now), 1, True, (Reason.SCALE_TO_ZERO_DISABLED,)
    if state.phase is Phase.ACTIVATING:
        if needed(spec, state) > 0 and now - state.since > spec.progress_deadline_s + ACTIVATION_BUFFER_S:
            return _asleep(state, now, timed_out=True), 0, True, (Reason.ACTIVATION_TIMED_OUT,)
        state = _settle(spec, state, observed, None, now)
        if state.phase is not Phase.INACTIVE:
            return state, None, False, (Reason.WAITS_FOR_ACTIVATION,)
    if state.phase is Phase.ACTIVE:
        if now - state.since < spec.stable_window_s:
            return _settle(spec, state, observed, 1, now), 1, True, (Reason.ACTIVE_TOO_SHORTLY,)
        state = _asleep(state, now)
    if now - state.since < spec.retention_s:
        return state, 0, False, (Reason.RETENTION,)
    if now - state.proxied_since < spec.grace_s:
        return state, 0, False, (Reason.GRACE,)
    return state, 0, True, (Reason.ZERO,)


def needed(spec: ScaleSpec, state: ScaleState) -> int:
    """How many must be ready for the revision to be active."""
    return max(spec.min_scale, 1 if state.initialized else spec.initial_scale)


def _asleep(state: ScaleState, now: float, *, timed_out: bool = False) -> ScaleState:
    if state.phase is Phase.INACTIVE:
        return state
    return replace(state, phase=Phase.INACTIVE, since=now, timed_out=timed_out)


def _settle(spec: ScaleSpec, state: ScaleState, observed: Observation, desired: int | None, now: float) -> ScaleState:
    """The phase that follows from how many are ready, when none is asked to go (kpa.go, computeActiveCondition)."""
    least = needed(spec, state)
    if observed.ready >= least and not state.initialized:
        state = replace(state, initialized=True)
    if least == 0:
        return _asleep(state, now)
    phase = Phase.ACTIVE if observed.ready >= least else Phase.ACTIVATING
    if phase is state.phase or (state.phase is Phase.INACTIVE and not desired):
        return state
    return replace(state, phase=phase, since=now, timed_out=False)
