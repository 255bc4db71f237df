"""The formula of reference section 2.5, and section 9's traps about it, each a labelled row; then its invariants."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.kpa import KpaReason, KpaSpec, KpaState, first_state, resolve_target, want_instances

SPEC = KpaSpec(total=100, target=70)
TEN = KpaSpec(total=10, target=10)
CALM = KpaState()
PANICKED = KpaState(panic_since=990.0, max_panic=7)
NOW = 1000.0

Row = tuple[str, KpaSpec, KpaState, int, float, float, int]
ROWS: list[Row] = [
    ("nothing asked, nothing there", SPEC, CALM, 0, 0.0, 0.0, 0),
    ("one request wakes one", SPEC, CALM, 0, 1.0, 1.0, 1),
    ("a fraction of a request is an instance", SPEC, CALM, 0, 0.001, 0.001, 1),
    ("exactly the target is one", SPEC, CALM, 1, 70.0, 70.0, 1),
    ("a little more is two", SPEC, CALM, 1, 70.001, 70.001, 2),
    ("panic takes the larger of both", TEN, CALM, 1, 15.0, 40.0, 4),
    ("trap: panic begins at the threshold, not above it", TEN, CALM, 1, 10.0, 20.0, 2),
    ("below the threshold the stable window decides", TEN, CALM, 2, 20.0, 30.0, 2),
    ("trap: the threshold looks at unclamped demand", replace(TEN, max_scale_up_rate=1.5), CALM, 1, 10.0, 90.0, 2),
    ("up at most rate times ready", replace(TEN, max_scale_up_rate=1.5), CALM, 3, 90.0, 50.0, 5),
    ("trap: rates clamp from max(1, ready)", replace(TEN, max_scale_up_rate=4), CALM, 0, 90.0, 10.0, 4),
    ("down at most by half", TEN, CALM, 10, 10.0, 10.0, 5),
    ("trap: down from one is floor(1/2) = 0", TEN, CALM, 1, 0.0, 0.0, 0),
    ("trap: 3 → 1", TEN, CALM, 3, 1.0, 1.0, 1),
    ("trap: 5 → 2", TEN, CALM, 5, 1.0, 1.0, 2),
    ("trap: unreachable falls at once", replace(TEN, reachable=False), CALM, 10, 0.0, 0.0, 0),
    ("never down in panic", TEN, PANICKED, 7, 10.0, 10.0, 7),
    ("trap: the floor is the most ever wanted, not what is ready", TEN, PANICKED, 3, 10.0, 10.0, 7),
    ("up in panic", TEN, PANICKED, 7, 10.0, 90.0, 9),
    ("activation scale lifts a start", replace(TEN, activation_scale=5), CALM, 0, 1.0, 1.0, 5),
    ("trap: activation scale does not wake", replace(TEN, activation_scale=5), CALM, 0, 0.0, 0.0, 0),
    (
        "trap: activation scale is not rate limited",
        replace(TEN, activation_scale=5, max_scale_up_rate=2),
        CALM,
        0,
        30.0,
        1.0,
        5,
    ),
    ("activation scale also keeps up", replace(TEN, activation_scale=5), CALM, 5, 1.0, 1.0, 5),
    ("activation scale lets go at zero", replace(TEN, activation_scale=5), CALM, 1, 0.0, 0.0, 0),
]


@pytest.mark.parametrize(("label", "spec", "state", "ready", "stable", "panic", "want"), ROWS, ids=[r[0] for r in ROWS])
def test_want(label: str, spec: KpaSpec, state: KpaState, ready: int, stable: float, panic: float, want: int) -> None:
    assert want_instances(spec, state, ready, (stable, panic), NOW).want == want, label


@pytest.mark.parametrize("averages", [(None, 1.0), (1.0, None), (None, None)])
def test_unknown_is_never_zero(averages: tuple[float | None, float | None]) -> None:
    result = want_instances(SPEC, PANICKED, 5, averages, NOW)
    assert result.want is None
    assert result.state == PANICKED
    assert result.reasons == (KpaReason.NO_DATA,)


EBC = [
    ("trap: raw ready and total, with the panic average", KpaSpec(total=100, target=70), 3, 89.0, 0),
    ("below it", KpaSpec(total=100, target=70), 3, 89.5, -1),
    ("none ready", KpaSpec(total=100, target=70), 0, 0.0, -211),
    ("-1 means always buffered", KpaSpec(target_burst_capacity=-1), 9, 0.0, -1),
    ("0 means only from zero", KpaSpec(target_burst_capacity=0), 0, 500.0, 0),
]


@pytest.mark.parametrize(("label", "spec", "ready", "panic", "excess"), EBC, ids=[row[0] for row in EBC])
def test_excess_burst_capacity(label: str, spec: KpaSpec, ready: int, panic: float, excess: float) -> None:
    assert want_instances(spec, CALM, ready, (0.0, panic), NOW).excess_burst == excess, label


def test_panic_ends_strictly_after_a_stable_window_below_the_threshold() -> None:
    state = want_instances(TEN, CALM, 1, (10.0, 40.0), NOW).state
    assert (state.panic_since, state.max_panic) == (NOW, 4)
    at_60 = want_instances(TEN, state, 4, (10.0, 10.0), NOW + 60.0)
    assert at_60.want == 4, "not yet: strictly more than one window"
    after = want_instances(TEN, at_60.state, 4, (10.0, 10.0), NOW + 60.5)
    assert (after.want, after.state.panic_since, after.state.max_panic) == (2, None, 0)
    assert KpaReason.PANIC_ENDS in after.reasons


def test_being_over_the_threshold_again_extends_panic() -> None:
    state = want_instances(TEN, CALM, 1, (10.0, 40.0), NOW).state
    state = want_instances(TEN, state, 4, (10.0, 80.0), NOW + 30.0).state
    assert want_instances(TEN, state, 8, (10.0, 10.0), NOW + 61.0).want == 8


def test_a_formula_that_begins_beside_running_instances_begins_in_panic() -> None:
    state = first_state(ready=4, now=NOW)
    assert want_instances(TEN, state, 4, (0.0, 0.0), NOW + 2.0).want == 4
    assert first_state(ready=1, now=NOW) == CALM


def test_scale_down_delay_keeps_the_most_wanted_for_as_long() -> None:
    spec = replace(TEN, scale_down_delay_s=10.0)
    state, wanted = CALM, []
    for second, load in enumerate([50.0, 10, 10, 10, 10, 10, 10]):
        result = want_instances(spec, state, 5, (load, 1.0), NOW + 2.0 * second)
        state = result.state
        wanted.append(result.want)
    assert wanted == [5, 5, 5, 5, 5, 2, 2], "five slots of two seconds, then the rate limit's floor(5/2)"


def test_scale_down_delay_is_not_for_unreachable_revisions() -> None:
    spec = replace(TEN, scale_down_delay_s=10.0, reachable=False)
    state = replace(CALM, delayed=((500, 9),))
    assert want_instances(spec, state, 5, (0.0, 0.0), NOW).want == 0


def test_a_delay_changed_while_running_counts_at_once() -> None:
    spec = replace(TEN, scale_down_delay_s=60.0)
    state = want_instances(spec, CALM, 5, (50.0, 1.0), NOW).state
    assert want_instances(spec, state, 5, (30.0, 1.0), NOW + 2.0).want == 5
    assert want_instances(replace(spec, scale_down_delay_s=0.0), state, 5, (30.0, 1.0), NOW + 2.0).want == 3


def test_target_has_a_floor() -> None:
    assert resolve_target(0.001, 0.7) == 0.01
    assert resolve_target(100, 0.7) == 70.0


loads = st.floats(0, 5000, allow_nan=False)
specs = st.builds(
    KpaSpec,
    total=st.floats(1, 200),
    target=st.floats(0.01, 200),
    max_scale_up_rate=st.floats(1.01, 1000),
    max_scale_down_rate=st.floats(1.01, 10),
    activation_scale=st.integers(1, 6),
    scale_down_delay_s=st.sampled_from([0.0, 6.0, 30.0]),
    reachable=st.booleans(),
)


@given(specs, st.lists(st.tuples(loads, loads, st.integers(0, 50)), max_size=40))
def test_never_down_in_panic(spec: KpaSpec, ticks: list[tuple[float, float, int]]) -> None:
    state, now, before = KpaState(), NOW, None
    for stable, panic, ready in ticks:
        now += 2.0
        result = want_instances(spec, state, ready, (stable, panic), now)
        assert result.want is not None
        if before is not None and state.panic_since is not None and result.state.panic_since is not None:
            assert result.want >= state.max_panic
        state, before = result.state, result.want


@given(specs, st.integers(0, 100), loads, loads)
def test_rates_bound_every_calm_step(spec: KpaSpec, ready: int, stable: float, panic: float) -> None:
    result = want_instances(spec, CALM, ready, (stable, panic), NOW)
    present = max(1, ready)
    assert result.want is not None
    most = -(-spec.max_scale_up_rate * present // 1)
    assert result.want <= max(most, spec.activation_scale)
    if spec.reachable:
        assert result.want >= present // spec.max_scale_down_rate


@given(specs, st.integers(0, 100), loads, loads, loads, loads)
def test_more_load_never_wants_less(
    spec: KpaSpec, ready: int, stable: float, panic: float, more: float, more_panic: float
) -> None:
    less = want_instances(spec, CALM, ready, (stable, panic), NOW).want
    greater = want_instances(spec, CALM, ready, (stable + more, panic + more_panic), NOW).want
    assert less is not None
    assert greater is not None
    assert greater >= less
