"""What holds of decisions whatever is read: over any series, of any documents, with any failures.

Each property is judged from what was given and what came out, with its own arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.triggers.decide import Observed, Outcome, begin, decide
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import (
    Behavior,
    Fallback,
    FallbackBehavior,
    Policy,
    PolicyType,
    ScalingRules,
    ScalingSpec,
    SelectPolicy,
)
from scalers.readings import Quality, Reading, Target

PODS = PolicyType.PODS
STATICALLY = [each for each in FallbackBehavior if each is not FallbackBehavior.SCALING_MODIFIERS]

policies = st.builds(Policy, st.sampled_from(PolicyType), st.integers(1, 120), st.sampled_from([10.0, 60.0, 300.0]))
scaling_rules = st.builds(
    ScalingRules,
    st.sampled_from([0.0, 30.0, 300.0]),
    st.sampled_from(SelectPolicy),
    st.lists(policies, max_size=2).map(tuple),
    st.sampled_from([None, 0.0, 0.1, 0.5]),
)


@st.composite
def specs(draw: st.DrawFn, fallbacks: bool = True) -> ScalingSpec:
    least = draw(st.integers(0, 4))
    fallback = st.builds(Fallback, st.integers(0, 3), st.integers(0, 12), st.sampled_from(STATICALLY))
    return ScalingSpec(
        min_replicas=least,
        max_replicas=least + draw(st.integers(1, 60)),
        idle=draw(st.none() | st.integers(0, least - 1)) if least else None,
        cooldown_s=draw(st.sampled_from([0.0, 30.0, 300.0])),
        initial_cooldown_s=draw(st.sampled_from([0.0, 60.0])),
        behavior=draw(st.builds(Behavior, scaling_rules, scaling_rules)),
        fallback=draw(st.none() | fallback) if fallbacks else None,
        drain_time_s=draw(st.sampled_from([None, None, 20.0])),
    )


@dataclass(frozen=True)
class Metric:
    """What is read of one metric at a step; `failures` above 0: nothing."""

    lag: int
    failures: int
    partial: bool
    replicas_max: int | None
    shares: bool
    activation: int
    in_flight: int

    def sample(self, place: int, now: float) -> Sample:
        target = Target("kafka-orders", 10.0, float(self.activation))
        most = self.replicas_max
        reading = Reading(
            float(self.lag),
            quality=Quality.PARTIAL if self.partial else Quality.WHOLE,
            replicas_max=most,
            shares=most if self.shares else None,
            in_flight=float(self.in_flight),
            produced=now * 30.0,
            consumed=max(0.0, now * 30.0 - self.lag),
        )
        error = "connection refused" if self.failures else ""
        return Sample(f"s{place}-m", f"m{place}", "kafka", target, reading, now, self.failures, error)

    @property
    def proves_rest(self) -> bool:
        return not (self.failures or self.partial or self.in_flight) and self.lag <= self.activation


def metrics(failures: st.SearchStrategy[int] | None = None) -> st.SearchStrategy[Metric]:
    return st.builds(
        Metric,
        lag=st.integers(0, 800) | st.just(0),
        failures=st.sampled_from([0, 0, 0, 1, 5]) if failures is None else failures,
        partial=st.sampled_from([False, False, False, True]),
        replicas_max=st.none() | st.integers(1, 30),
        shares=st.booleans(),
        activation=st.sampled_from([0, 0, 25]),
        in_flight=st.sampled_from([0, 0, 0, 3]),
    )


gaps = st.sampled_from([1.0, 5.0, 15.0, 60.0, 300.0])
in_flights = st.sampled_from([None, None, 0, 2])
steps = st.lists(st.tuples(st.lists(metrics(), min_size=2, max_size=2), gaps, in_flights), max_size=15)
counts = st.integers(0, 70)
outages = st.lists(st.tuples(metrics(st.integers(1, 9)), metrics(), gaps), max_size=12)


class Series:
    """A target from decision to decision; each is written at once."""

    def __init__(self, spec: ScalingSpec, replicas: int) -> None:
        self.spec, self.now, self.replicas = spec, 0.0, replicas
        self.state = begin(spec, replicas, 0.0)
        self.scales = [(0.0, replicas)]

    def decide(self, seen: list[Metric], after_s: float, in_flight: int | None = None) -> Outcome:
        self.now += after_s
        outcome = decide(self.spec, self.state, self.observed(seen, in_flight), self.now)
        self.state, self.replicas = outcome.state, outcome.desired
        self.scales.append((self.now, self.replicas))
        return outcome

    def observed(self, seen: list[Metric], in_flight: int | None = None) -> Observed:
        samples = [metric.sample(place, self.now) for place, metric in enumerate(seen)]
        return Observed(self.replicas, self.replicas, samples, in_flight)

    def scale_at(self, time: float) -> int:
        return [scale for at, scale in self.scales if at <= max(time, 0.0)][-1]


@given(specs(), counts, steps, st.lists(metrics(), min_size=2, max_size=2), st.integers(1, 500), gaps)
def test_more_work_never_asks_for_fewer(
    spec: ScalingSpec,
    replicas: int,
    before: list[tuple[list[Metric], float, int | None]],
    seen: list[Metric],
    more: int,
    gap: float,
) -> None:
    series = Series(spec, replicas)
    for step in before:
        series.decide(*step)
    series.now += gap
    less = decide(spec, series.state, series.observed(seen), series.now)
    heavier = [replace(seen[0], lag=seen[0].lag + more), *seen[1:]]
    greater = series.observed(heavier)
    same_counters = [
        replace(each, reading=replace(each.reading, consumed=old.reading.consumed))
        for each, old in zip(greater.samples, series.observed(seen).samples, strict=True)
        if each.reading is not None and old.reading is not None
    ]
    assert decide(spec, series.state, replace(greater, samples=same_counters), series.now).desired >= less.desired


@given(specs(), counts, steps)
def test_never_above_the_maximum_nor_raised_above_every_cap(
    spec: ScalingSpec, replicas: int, all_steps: list[tuple[list[Metric], float, int | None]]
) -> None:
    series = Series(spec, replicas)
    for seen, gap, in_flight in all_steps:
        current = series.replicas
        outcome = series.decide(seen, gap, in_flight)
        assert outcome.desired <= spec.max_replicas
        caps = [spec.max_replicas if each.replicas_max is None else each.replicas_max for each in seen]
        fallback = max(spec.fallback.replicas, current) if spec.fallback else 0
        if outcome.desired > current:
            assert outcome.desired <= max(1, spec.min_replicas, spec.idle or 0, fallback, *caps)


@given(
    specs(fallbacks=False), counts, steps, st.lists(st.tuples(metrics(st.integers(1, 9)), metrics(), gaps), max_size=15)
)
def test_no_sequence_of_errors_lowers_anything(
    spec: ScalingSpec,
    replicas: int,
    before: list[tuple[list[Metric], float, int | None]],
    broken: list[tuple[Metric, Metric, float]],
) -> None:
    series = Series(spec, replicas)
    for step in before:
        series.decide(*step)
    series.replicas = min(series.replicas, spec.max_replicas)  # the maximum has the last word even so
    for failing, other, gap in broken:
        current = series.replicas
        assert series.decide([failing, other], gap).desired >= current


@given(specs(), counts, steps, outages)
def test_no_error_ends_the_last_one_whatever_the_fallback(
    spec: ScalingSpec,
    replicas: int,
    before: list[tuple[list[Metric], float, int | None]],
    broken: list[tuple[Metric, Metric, float]],
) -> None:
    series = Series(spec, replicas)
    for step in before:
        series.decide(*step)
    for failing, other, gap in broken:
        alive = series.replicas > 0
        assert (series.decide([failing, other], gap).desired > 0) or not alive


@given(specs(), counts, steps)
def test_to_rest_only_with_proof_of_all_and_after_the_cooldown(
    spec: ScalingSpec, replicas: int, all_steps: list[tuple[list[Metric], float, int | None]]
) -> None:
    series = Series(spec, replicas)
    last_active: float | None = None
    for seen, gap, in_flight in all_steps:
        current = series.replicas
        outcome = series.decide(seen, gap, in_flight)
        given_up = spec.fallback is not None and spec.fallback.replicas > 0
        known = [not each.failures for each in seen]
        if any(ok and each.lag > each.activation for ok, each in zip(known, seen, strict=True)) or (
            given_up and any(each.failures > (spec.fallback.failure_threshold if spec.fallback else 0) for each in seen)
        ):
            last_active = series.now
        if current > 0 and outcome.desired == 0:
            assert all(each.proves_rest for each in seen)
            assert not in_flight
            if last_active is None:
                assert series.now >= spec.initial_cooldown_s
            else:
                assert series.now >= last_active + spec.cooldown_s


@settings(max_examples=200)
@given(specs(), counts, steps)
def test_the_limits_of_behavior_hold_over_any_series(
    spec: ScalingSpec, replicas: int, all_steps: list[tuple[list[Metric], float, int | None]]
) -> None:
    """Against the scale that there was when each policy's period began; what activation and bounds bring is exempt."""
    series = Series(spec, min(replicas, spec.max_replicas))
    up, down = spec.behavior.up, spec.behavior.down
    least = max(1, spec.min_replicas)
    for seen, gap, in_flight in all_steps:
        current = series.replicas
        to = series.decide(seen, gap, in_flight).desired
        begun = series.scales[:-1]

        def start(policy: Policy, now: float = series.now, begun: list[tuple[float, int]] = begun) -> int:
            return [scale for at, scale in begun if at <= max(now - policy.period_s, 0.0)][-1]

        if to > max(current, least) and up.select is SelectPolicy.DISABLED:
            raise AssertionError("scaleUp is disabled")
        if to > max(current, least) and up.policies:
            allowed = [_most(policy, max(least, start(policy))) for policy in up.policies]
            assert to <= (min if up.select is SelectPolicy.MIN else max)(allowed)
        resting = all(each.proves_rest for each in seen) and not in_flight
        if to < current and down.select is SelectPolicy.DISABLED:
            assert resting, "what is busy stays, where scaleDown is disabled"
        elif to < current and down.policies:
            kept = [_least(policy, start(policy)) for policy in down.policies]
            assert to >= (max if down.select is SelectPolicy.MIN else min)(kept)


def _most(policy: Policy, start: int) -> float:
    return start + policy.value if policy.type is PODS else start * (1 + policy.value / 100) + 1


def _least(policy: Policy, start: int) -> float:
    return start - policy.value if policy.type is PODS else start * (1 - policy.value / 100) - 1


@given(specs(), counts, steps)
def test_the_same_again_is_the_same(
    spec: ScalingSpec, replicas: int, all_steps: list[tuple[list[Metric], float, int | None]]
) -> None:
    """Deterministic; and asked again at once, with what it has written, it writes nothing."""
    series = Series(spec, replicas)
    for seen, gap, in_flight in all_steps:
        before, was = series.state, series.replicas
        outcome = series.decide(seen, gap, in_flight)
        first = replace(series.observed(seen, in_flight), replicas=was, ready=was)
        assert decide(spec, before, first, series.now) == outcome
        again = decide(spec, series.state, series.observed(seen, in_flight), series.now)
        assert (again.desired, again.scale, again.active) == (outcome.desired, None, outcome.active)


@given(specs(), counts, steps)
def test_the_next_change_is_foretold(
    spec: ScalingSpec, replicas: int, all_steps: list[tuple[list[Metric], float, int | None]]
) -> None:
    """Until `next_at` the same readings, read anew, lead to the same; where there is none, they always do."""
    series = Series(spec, replicas)
    for seen, gap, in_flight in all_steps:
        outcome = series.decide(seen, gap, in_flight)
        if spec.drain_time_s is not None:
            continue  # it learns from each reading
        now, next_at = series.now, outcome.next_at
        for after_s in (0.5, 7.0, 100.0, 1000.0):
            if next_at is not None and now + after_s >= next_at:
                break
            series.now = now + after_s
            later = decide(spec, series.state, series.observed(seen, in_flight), series.now)
            assert later.desired == outcome.desired
        series.now = now
