"""Bounds and the way to zero: reference section 2.6 and section 9's traps about it, row by row; then invariants."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.decide import Observation, Outcome, Phase, Reason, ScaleState, begin, decide
from autoscaler.kpa import KpaReason, KpaSpec, KpaState
from autoscaler.spec import Metric, ScaleSpec

SPEC = ScaleSpec(kpa=KpaSpec(total=10, target=10))
NOW = 10_000.0
OLD = 0.0  # proxied for long

ASLEEP = ScaleState(OLD, Phase.INACTIVE, since=NOW - 500, initialized=True, want=0, desired=0)
WAKING = ScaleState(OLD, Phase.ACTIVATING, since=NOW - 5, initialized=True, want=1, desired=1)
AWAKE = ScaleState(OLD, Phase.ACTIVE, since=NOW - 500, initialized=True, want=1, desired=1)
FRESH = ScaleState(NOW - 5, Phase.ACTIVATING, since=NOW - 5)


def seen(load: float | None, ready: int = 0, replicas: int = 0) -> Observation:
    return Observation(ready, load, load, replicas)


Row = tuple[str, ScaleSpec, ScaleState, Observation, int | None, int | None, Phase]
ROWS: list[Row] = [
    # label, spec, state, observation, desired, written, phase
    ("asleep and silent", SPEC, ASLEEP, seen(0.0), 0, None, Phase.INACTIVE),
    ("woken", SPEC, ASLEEP, seen(1.0), 1, 1, Phase.ACTIVATING),
    ("woken by many", SPEC, ASLEEP, seen(35.0), 4, 4, Phase.ACTIVATING),
    ("waking, still none ready", SPEC, WAKING, seen(1.0, 0, 1), 1, None, Phase.ACTIVATING),
    ("waking, ready", SPEC, WAKING, seen(1.0, 1, 1), 1, None, Phase.ACTIVE),
    ("waking, the caller left: wait", SPEC, WAKING, seen(0.0, 0, 1), None, None, Phase.ACTIVATING),
    ("waking, the caller left, ready", SPEC, WAKING, seen(0.0, 1, 1), None, None, Phase.ACTIVE),
    (
        "waking for longer than the deadline and 30 s: given up",
        SPEC,
        replace(WAKING, since=NOW - 630.5),
        seen(0.0, 0, 1),
        0,
        0,
        Phase.INACTIVE,
    ),
    ("waking, not yet given up", SPEC, replace(WAKING, since=NOW - 630), seen(0.0, 0, 1), None, None, Phase.ACTIVATING),
    ("awake", SPEC, AWAKE, seen(5.0, 1, 1), 1, None, Phase.ACTIVE),
    ("awake, more asked", SPEC, AWAKE, seen(35.0, 1, 1), 4, 4, Phase.ACTIVE),
    ("awake, instance lost", SPEC, AWAKE, seen(5.0, 0, 1), 1, None, Phase.ACTIVATING),
    ("awake, someone else scaled", SPEC, AWAKE, seen(5.0, 1, 7), 1, 1, Phase.ACTIVE),
    ("trap: inactive first, zero only behind the buffer", SPEC, AWAKE, seen(0.0, 1, 1), 0, 0, Phase.INACTIVE),
    (
        "inactive, but not buffered for the grace yet",
        SPEC,
        replace(AWAKE, proxied_since=NOW - 29),
        seen(0.0, 1, 1),
        0,
        None,
        Phase.INACTIVE,
    ),
    (
        "buffered for the grace",
        SPEC,
        replace(AWAKE, proxied_since=NOW - 30),
        seen(0.0, 1, 1),
        0,
        0,
        Phase.INACTIVE,
    ),
    (
        "active for less than the stable window: one stays",
        SPEC,
        replace(AWAKE, since=NOW - 59),
        seen(0.0, 1, 1),
        1,
        None,
        Phase.ACTIVE,
    ),
    (
        "active for less than the stable window: many become one",
        SPEC,
        replace(AWAKE, since=NOW - 59),
        seen(0.0, 1, 5),
        1,
        1,
        Phase.ACTIVE,
    ),
    (
        "retention keeps the last one",
        replace(SPEC, retention_s=90),
        AWAKE,
        seen(0.0, 1, 1),
        0,
        None,
        Phase.INACTIVE,
    ),
    (
        "retention over",
        replace(SPEC, retention_s=90),
        replace(ASLEEP, since=NOW - 90),
        seen(0.0, 1, 1),
        0,
        0,
        Phase.INACTIVE,
    ),
    (
        "scale to zero disabled",
        replace(SPEC, enable_scale_to_zero=False),
        AWAKE,
        seen(0.0, 1, 1),
        1,
        None,
        Phase.ACTIVE,
    ),
    ("min-scale", replace(SPEC, min_scale=2), AWAKE, seen(0.0, 2, 2), 2, None, Phase.ACTIVE),
    ("min-scale raises", replace(SPEC, min_scale=2), ASLEEP, seen(0.0, 0, 0), 2, 2, Phase.ACTIVATING),
    (
        "min-scale needs all of them ready",
        replace(SPEC, min_scale=2),
        AWAKE,
        seen(0.0, 1, 2),
        2,
        None,
        Phase.ACTIVATING,
    ),
    ("max-scale", replace(SPEC, max_scale=3), AWAKE, seen(90.0, 1, 1), 3, 3, Phase.ACTIVE),
    ("max-scale 0 is none", replace(SPEC, max_scale=0), AWAKE, seen(90.0, 1, 1), 9, 9, Phase.ACTIVE),
    ("fresh: waits for its first instance", SPEC, FRESH, seen(0.0, 0, 1), None, None, Phase.ACTIVATING),
    ("fresh: first instance ready", SPEC, FRESH, seen(0.0, 1, 1), None, None, Phase.ACTIVE),
    (
        "trap: initial-scale > 1 is a minimum",
        replace(SPEC, initial_scale=3),
        FRESH,
        seen(0.0, 2, 3),
        3,
        None,
        Phase.ACTIVATING,
    ),
    ("initial-scale reached", replace(SPEC, initial_scale=3), FRESH, seen(0.0, 3, 3), 3, None, Phase.ACTIVE),
    (
        "initial-scale no longer a minimum",
        replace(SPEC, initial_scale=3),
        replace(FRESH, initialized=True, phase=Phase.ACTIVE),
        seen(0.0, 3, 3),
        1,
        1,
        Phase.ACTIVE,
    ),
    (
        "initial-scale does not hold an unreachable revision",
        replace(SPEC, initial_scale=3, kpa=replace(SPEC.kpa, reachable=False)),
        FRESH,
        seen(0.0, 2, 3),
        None,
        None,
        Phase.ACTIVATING,
    ),
    (
        "initial-scale 0: asleep at once",
        replace(SPEC, initial_scale=0),
        FRESH,
        seen(0.0, 0, 0),
        0,
        None,
        Phase.INACTIVE,
    ),
    ("trap: unknown keeps what was wanted", SPEC, AWAKE, seen(None, 1, 1), 1, None, Phase.ACTIVE),
    ("never known, asleep: nothing", SPEC, replace(ASLEEP, want=None), seen(None), None, None, Phase.INACTIVE),
    (
        "another class: at least one",
        replace(SPEC, metric=Metric.NONE, min_scale=1),
        ASLEEP,
        seen(None),
        1,
        1,
        Phase.ACTIVATING,
    ),
]


@pytest.mark.parametrize(
    ("label", "spec", "state", "observed", "desired", "written", "phase"), ROWS, ids=[row[0] for row in ROWS]
)
def test_decide(
    label: str,
    spec: ScaleSpec,
    state: ScaleState,
    observed: Observation,
    desired: int | None,
    written: int | None,
    phase: Phase,
) -> None:
    outcome = decide(spec, state, observed, NOW)
    assert (outcome.desired, outcome.scale, outcome.state.phase) == (desired, written, phase), label


def test_giving_up_is_told_apart_from_no_traffic() -> None:
    given_up = decide(SPEC, replace(WAKING, since=NOW - 700), seen(0.0, 0, 1), NOW)
    assert given_up.state.timed_out
    assert Reason.ACTIVATION_TIMED_OUT in given_up.reasons
    woken = decide(SPEC, given_up.state, seen(1.0, 0, 0), NOW + 1)
    assert not woken.state.timed_out


def test_a_revision_that_is_met_asleep_has_been_ready_before() -> None:
    asleep = begin(0, KpaState(), NOW)
    assert (asleep.phase, asleep.initialized, asleep.desired) == (Phase.INACTIVE, True, 0)
    starting = begin(1, KpaState(), NOW)
    assert (starting.phase, starting.initialized, starting.desired) == (Phase.ACTIVATING, False, None)
    assert begin(None, KpaState(), NOW).phase is Phase.ACTIVATING


def test_the_bound_that_bit_is_named() -> None:
    def reasons(spec: ScaleSpec, state: ScaleState, observed: Observation) -> tuple[KpaReason | Reason, ...]:
        return decide(spec, state, observed, NOW).reasons

    assert reasons(replace(SPEC, max_scale=3), AWAKE, seen(90.0, 9, 9)) == (Reason.MAX_SCALE,)
    assert reasons(replace(SPEC, min_scale=3), AWAKE, seen(5.0, 3, 3)) == (Reason.MIN_SCALE,)
    assert reasons(SPEC, AWAKE, seen(None, 1, 1)) == (KpaReason.NO_DATA,)
    assert reasons(SPEC, AWAKE, seen(0.0, 1, 1)) == (Reason.ZERO,)
    assert reasons(SPEC, AWAKE, seen(20.0, 1, 1)) == (KpaReason.PANIC_BEGINS,)


def run(spec: ScaleSpec, ticks: list[tuple[float | None, int]]) -> list[Outcome]:
    """Two-second ticks over a world in which what was written is there, and ready, one tick later."""
    state, replicas, now, outcomes = begin(0, KpaState(), NOW), 0, NOW, []
    for load, late in ticks:
        now += 2.0
        outcome = decide(spec, state, Observation(max(0, replicas - late), load, load, replicas), now)
        state = outcome.state
        replicas = replicas if outcome.scale is None else outcome.scale
        outcomes.append(outcome)
    return outcomes


bounds = st.tuples(st.integers(0, 5), st.integers(0, 9)).filter(lambda b: b[1] == 0 or b[0] <= b[1])
worlds = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(0, 300).map(lambda load: round(load, 6))), st.integers(0, 3)), max_size=80
)


@given(bounds, worlds, st.booleans())
def test_bounds_are_respected_always(bound: tuple[int, int], world: list[tuple[float | None, int]], zero: bool) -> None:
    minimum, maximum = bound
    spec = replace(SPEC, min_scale=minimum, max_scale=maximum, enable_scale_to_zero=zero)
    for outcome in run(spec, world):
        if outcome.scale is not None:
            assert outcome.scale >= minimum
            assert maximum == 0 or outcome.scale <= max(maximum, minimum)


@given(worlds)
def test_zero_is_written_only_while_inactive_and_known_to_be_idle(world: list[tuple[float | None, int]]) -> None:
    for outcome, (load, _) in zip(run(SPEC, world), world, strict=True):
        if outcome.scale == 0:
            assert outcome.state.phase is Phase.INACTIVE
            assert load == 0.0 or outcome.state.want == 0
        if load is not None and load > 0:
            assert outcome.desired != 0
