"""From what was read to the number of replicas: one decision from 0 to N. Called by the loop with each new reading.

Read down: what each metric asks for (`demand`, `drain_time`, `fallback`, `formula`) → whether there is work at all
(`activation`) → how many are wanted, or none → windows and rates (`behavior`) → bounds → pauses. Unknown is not zero:
what could not be read raises nothing, and forbids every lowering. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.triggers import activation, behavior, drain_time
from autoscaler.triggers.activation import Activity
from autoscaler.triggers.behavior import History, Limited
from autoscaler.triggers.demand import Basis, Demand, demand_of
from autoscaler.triggers.drain_time import Flow
from autoscaler.triggers.fallback import fallen_back, is_given_up
from autoscaler.triggers.formula import composite_of
from autoscaler.triggers.reasons import Reason, Rule
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import FallbackBehavior, ScalingSpec, SelectPolicy


@dataclass(frozen=True, slots=True)
class Observed:
    """What is. `replicas` is what the target is asked to have, `in_flight` what instances report (None: none does)."""

    replicas: int
    ready: int
    samples: Sequence[Sample]
    in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class ScalingState:
    """What is remembered between two decisions."""

    activity: Activity
    history: History
    flows: Mapping[str, Flow] = field(default_factory=dict)  # by metric, where there is a drain time
    was: int = 0  # replicas at the last decision
    wrote: int | None = None  # what it wrote
    paused_at: int | None = None  # paused-replicas that has been reached

    @property
    def last_active(self) -> float | None:
        """Monotonic seconds; None: never."""
        return self.activity.last_active


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to do. `scale` None: write nothing. `active` None: not known. `wanted` is before windows, rates, bounds."""

    state: ScalingState
    desired: int
    scale: int | None
    active: bool | None
    in_fallback: bool
    demands: Sequence[Demand]
    reasons: tuple[Reason, ...]
    next_at: float | None  # monotonic: when the same samples would lead to another decision
    wanted: int = 0


def begin(
    spec: ScalingSpec, replicas: int, now: float, created: float | None = None, last_active: float | None = None
) -> ScalingState:
    """For an object that was created at `created` (None: now) and had work last at `last_active` (None: never)."""
    activity = Activity(now if created is None else created, last_active)
    return ScalingState(activity, behavior.begin_history(replicas, now), was=replicas)


def decide(spec: ScalingSpec, state: ScalingState, observed: Observed, now: float) -> Outcome:
    """One decision. Called again with the state that it returned."""
    current = observed.replicas
    flows, demands = _demands(spec, state, observed, now)
    active = activation.activity_of(spec, demands)
    activity = activation.remember(state.activity, active, now)
    course = _Course(spec, current, _kept_history(state, current), now)
    course.reasons.extend(remark for demand in demands for remark in demand.remarks)
    course.aim(activity, active, demands, observed.in_flight or 0)
    wanted = course.replicas
    course.pace(active)
    course.bound()
    would = course.replicas
    course.pause(state.paused_at)
    scale = course.replicas if course.replicas != current else None
    history = course.history
    if scale is not None:
        history = behavior.remember_change(spec.behavior, history, scale - current, now)
    return Outcome(
        state=ScalingState(activity, history, flows, current, scale, _paused_at(spec, state, current)),
        desired=course.replicas,
        scale=scale,
        active=active,
        in_fallback=any(demand.basis is Basis.FALLBACK for demand in demands),
        demands=demands,
        reasons=tuple(course.reasons),
        next_at=course.next_at if course.replicas == would else None,
        wanted=wanted,
    )


def _demands(
    spec: ScalingSpec, state: ScalingState, observed: Observed, now: float
) -> tuple[Mapping[str, Flow], tuple[Demand, ...]]:
    """What each metric asks for; with a formula those that it speaks for do not count, and it does."""
    current, samples = observed.replicas, observed.samples
    demands = [demand_of(spec, sample, current, observed.ready, now) for sample in samples]
    if spec.modifiers is not None:
        composite = composite_of(spec, samples, demands, current, observed.ready)
        return {}, (*(each._replace(counts=not each.wakes) for each in demands), composite)
    flows: Mapping[str, Flow] = {}
    if spec.drain_time_s is not None:
        flows, demands = drain_time.apply(spec, state.flows, observed.ready, samples, demands)
    fallback = spec.fallback
    if fallback is not None and fallback.behavior is not FallbackBehavior.SCALING_MODIFIERS:
        for place, sample in enumerate(samples):
            if demands[place].replicas is None and is_given_up(fallback, sample):
                demands[place] = fallen_back(fallback, demands[place], sample.failures, current)
    return flows, tuple(demands)


def _kept_history(state: ScalingState, current: int) -> History:
    """Without a change that was decided and is not there: it could not be written."""
    failed = state.wrote is not None and current == state.was
    return behavior.forget_last_change(state.history) if failed else state.history


def _paused_at(spec: ScalingSpec, state: ScalingState, current: int) -> int | None:
    """Whether the count of a pause has been there: from then on it is only held."""
    asked = spec.pause.replicas
    return asked if asked is not None and asked in (current, state.paused_at) else None


class _Course:
    """The number on its way through the rules, each of which says so where it turns it."""

    __slots__ = ("current", "held", "history", "next_at", "now", "reasons", "replicas", "resting", "spec")

    def __init__(self, spec: ScalingSpec, current: int, history: History, now: float) -> None:
        self.spec = spec
        self.current = current
        self.now = now
        self.history = history
        self.replicas = current
        self.resting = False  # for want of work
        self.held = False  # for want of knowledge
        self.reasons: list[Reason] = []
        self.next_at: float | None = None

    def aim(self, activity: Activity, active: bool | None, demands: Sequence[Demand], in_flight: float) -> None:
        """As many as the metric that asks for most; as many as rest, where it is proven that there is no work."""
        self.replicas = max((each.replicas for each in demands if each.counts and each.replicas), default=0)
        rest, least = activation.resting_replicas(self.spec), activation.active_replicas(self.spec)
        if not active and self.current <= rest:
            self.replicas, self.resting = rest, True
            self._say(Rule.NO_WORK) if active is False else self._say_unknown(demands)
            return
        if not demands:
            self.replicas, self.held = max(self.current, least), True
            self._say_unknown(demands)
            return
        unproven = [each for each in demands if each.replicas is None or each.at_least]
        if active is False and not unproven:
            in_flight += sum(each.in_flight for each in demands)
            waits = activation.may_rest(self.spec, activity, in_flight, self.now)
            if waits is None:
                self.resting = True
                self._turn(rest, Rule.IDLE if rest else Rule.ZERO, rest)
                return
            self.reasons.append(waits[0])
            self._until(waits[1])
        if self.replicas < least:
            self.replicas = least
            if active:
                self._say(Rule.FORCED if self.spec.forced else Rule.ACTIVATION, least)
        if self.replicas < self.current and any(each.counts for each in unproven):
            self.replicas, self.held = self.current, True
            self._say_unknown(unproven)
        elif unproven and active is not True:
            self._say_unknown(unproven)

    def pace(self, active: bool | None) -> None:
        """Windows, but not on the way to rest, where cooldown has been the window; rates, there too."""
        rules, want = self.spec.behavior, self.replicas
        if not self.held:
            self.history = behavior.remember_want(rules, self.history, want, self.now)
            if not self.resting:
                self._stabilize(want, activation.active_replicas(self.spec) if active else 0)
        want = self.replicas
        if want > self.current:
            floor = activation.active_replicas(self.spec)
            limited = behavior.limit_up(rules.up, self.history, self.current, want, floor, self.now)
            self._limit(limited, Rule.SCALE_UP_RATE, Rule.SCALE_UP_DISABLED)
        elif want < self.current and not (self.resting and rules.down.select is SelectPolicy.DISABLED):
            limited = behavior.limit_down(rules.down, self.history, self.current, want, self.now)
            self._limit(limited, Rule.SCALE_DOWN_RATE, Rule.SCALE_DOWN_DISABLED)

    def bound(self) -> None:
        """What the document says in so many words, whatever the rates."""
        spec = self.spec
        least = activation.resting_replicas(spec) if self.resting else spec.min_replicas
        if self.replicas < least:
            self._turn(least, Rule.MIN_REPLICAS, least)
        if self.replicas > spec.max_replicas:
            self._turn(spec.max_replicas, Rule.MAX_REPLICAS, spec.max_replicas)

    def pause(self, paused_at: int | None) -> None:
        pause, wanted, current = self.spec.pause, self.replicas, self.current
        if pause.replicas is not None or pause.all:
            held = current if pause.replicas in (None, paused_at) else pause.replicas
            self._turn(current if held is None else held, Rule.PAUSED, held, wanted)
        elif pause.scale_in and wanted < current:
            self._turn(current, Rule.PAUSED_SCALE_IN, wanted)
        elif pause.scale_out and wanted > current:
            self._turn(current, Rule.PAUSED_SCALE_OUT, wanted)

    def _stabilize(self, want: int, floor: int) -> None:
        stable, held, until = behavior.stabilize(self.spec.behavior, self.history, self.current, want)
        if max(stable, floor) == want or held is None:
            self.replicas = max(stable, floor)
            return
        down = stable > want
        rules = self.spec.behavior.down if down else self.spec.behavior.up
        rule = Rule.STABILIZED_DOWN if down else Rule.STABILIZED_UP
        self._turn(max(stable, floor), rule, held.replicas, want, rules.stabilization_window_s)
        self._until(until)

    def _limit(self, limited: Limited, by_rate: Rule, by_switch: Rule) -> None:
        if limited.replicas == self.replicas:
            return
        if limited.policy is None:
            self._turn(limited.replicas, by_switch, self.replicas)
            return
        policy = limited.policy
        self._turn(limited.replicas, by_rate, limited.replicas, policy.type, policy.value, policy.period_s)
        self._until(limited.until)

    def _say_unknown(self, demands: Sequence[Demand]) -> None:
        unknown = [each.metric for each in demands if each.replicas is None] if demands else ["every trigger"]
        partial = [each.metric for each in demands if each.replicas is not None and each.at_least]
        if unknown:
            self._say(Rule.UNKNOWN, self.replicas, ", ".join(unknown))
        if partial:
            self._say(Rule.AT_LEAST, self.replicas, ", ".join(partial))

    def _say(self, rule: Rule, *numbers: object) -> None:
        self.reasons.append(Reason(rule, numbers))

    def _turn(self, replicas: int, rule: Rule, *numbers: object) -> None:
        self.replicas = replicas
        self._say(rule, *numbers)

    def _until(self, at: float | None) -> None:
        if at is not None and (self.next_at is None or at < self.next_at):
            self.next_at = at
