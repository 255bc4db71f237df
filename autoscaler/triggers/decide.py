"""From what was read to the number of replicas: one decision from 0 to N. Called by `loop` with each new reading.

What metrics ask for (`demand`), whether there is work at all, the way to zero, then bounds. Unknown is not zero: what
could not be read raises nothing, and forbids every lowering. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoscaler.triggers.demand import Demand, demand_of
from autoscaler.triggers.reasons import Reason, Rule
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import ScalingSpec


@dataclass(frozen=True, slots=True)
class Observed:
    """What is. `replicas` is what the target is asked to have, `in_flight` what instances report (None: none does)."""

    replicas: int
    ready: int
    samples: Sequence[Sample]
    in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class ScalingState:
    """What is remembered between two decisions. Times are monotonic seconds."""

    since: float  # since when the object exists
    last_active: float | None = None  # None: it was never seen to have work
    was_active: bool = False  # what was last known of that


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to do. `scale` None: write nothing. `active` None: not known."""

    state: ScalingState
    desired: int
    scale: int | None
    active: bool | None
    in_fallback: bool
    demands: Sequence[Demand]
    reasons: tuple[Reason, ...]
    next_at: float | None  # when the same samples would lead to another decision


def begin(
    spec: ScalingSpec, replicas: int, now: float, created: float | None = None, last_active: float | None = None
) -> ScalingState:
    """For an object that was created at `created` (None: now) and had work last at `last_active` (None: never)."""
    return ScalingState(now if created is None else created, last_active)


def decide(spec: ScalingSpec, state: ScalingState, observed: Observed, now: float) -> Outcome:
    """One decision. Called again with the state that it returned."""
    demands = tuple(demand_of(sample, observed.ready) for sample in observed.samples)
    active = _activity(spec, demands)
    if active or (active is None and state.was_active):
        state = replace(state, last_active=now)
    if active is not None:
        state = replace(state, was_active=active)
    course = _course(spec, state, observed, demands, active, now)
    return Outcome(
        state=state,
        desired=course.replicas,
        scale=course.replicas if course.replicas != observed.replicas else None,
        active=active,
        in_fallback=False,
        demands=demands,
        reasons=tuple(course.reasons),
        next_at=course.next_at,
    )


def _activity(spec: ScalingSpec, demands: Sequence[Demand]) -> bool | None:
    """Any that has work; no, where none has; else nobody knows. Where none can say, there is always work."""
    asked = [demand for demand in demands if demand.wakes]
    if spec.forced or any(demand.active for demand in asked) or (demands and not asked):
        return True
    return None if any(demand.active is None for demand in asked) else False


@dataclass(slots=True)
class _Course:
    """The number on its way through the rules."""

    replicas: int
    reasons: list[Reason]
    next_at: float | None = None

    def turn(self, replicas: int, rule: Rule, *numbers: object) -> None:
        self.replicas = replicas
        self.reasons.append(Reason(rule, numbers))


def _course(
    spec: ScalingSpec,
    state: ScalingState,
    observed: Observed,
    demands: Sequence[Demand],
    active: bool | None,
    now: float,
) -> _Course:
    current = observed.replicas
    course = _Course(max((demand.replicas or 0 for demand in demands), default=0), [])
    unknown = [demand.metric for demand in demands if demand.replicas is None or demand.at_least]
    if active:
        if course.replicas < max(1, spec.min_replicas):
            course.turn(max(1, spec.min_replicas), Rule.ACTIVATION, max(1, spec.min_replicas))
    elif current <= _rest(spec):
        course.turn(_rest(spec), Rule.INACTIVE)
    elif active is False and not unknown:
        _toward_rest(spec, state, observed, course, now)
    if unknown and course.replicas < current:
        course.turn(current, Rule.UNKNOWN, current, ", ".join(unknown))
    if course.replicas < spec.min_replicas and (active or spec.idle is None):
        course.turn(spec.min_replicas, Rule.MIN_REPLICAS, spec.min_replicas)
    if course.replicas > spec.max_replicas:
        course.turn(spec.max_replicas, Rule.MAX_REPLICAS, course.replicas, spec.max_replicas)
    _hold_paused(spec, current, course)
    return course


def _rest(spec: ScalingSpec) -> int:
    """How many there are while there is nothing to do."""
    return spec.min_replicas if spec.idle is None else spec.idle


def _toward_rest(spec: ScalingSpec, state: ScalingState, observed: Observed, course: _Course, now: float) -> None:
    """From some to the fewest: nothing in flight, and cooldown over."""
    rest, stay = _rest(spec), max(1, spec.min_replicas, course.replicas)
    in_flight = (observed.in_flight or 0) + sum(s.reading.in_flight or 0 for s in observed.samples if s.reading)
    if state.last_active is None:
        rule, until = Rule.INITIAL_COOLDOWN, state.since + spec.initial_cooldown_s
    else:
        rule, until = Rule.COOLDOWN, state.last_active + spec.cooldown_s
    if in_flight > 0:
        course.turn(stay, Rule.IN_FLIGHT, stay, in_flight)
    elif now < until:
        course.turn(stay, rule, stay, until - now)
        course.next_at = until
    elif rest == 0:
        course.turn(0, Rule.ZERO)
    else:
        course.turn(rest, Rule.IDLE, rest)


def _hold_paused(spec: ScalingSpec, current: int, course: _Course) -> None:
    pause, wanted = spec.pause, course.replicas
    if pause.replicas is not None or pause.all:
        held = current if pause.replicas is None else pause.replicas
        course.turn(held, Rule.PAUSED, held, wanted)
    elif pause.scale_in and wanted < current:
        course.turn(current, Rule.PAUSED_SCALE_IN, current, wanted)
    elif pause.scale_out and wanted > current:
        course.turn(current, Rule.PAUSED_SCALE_OUT, current, wanted)
