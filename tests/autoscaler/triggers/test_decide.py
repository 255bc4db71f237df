"""One decision: the table of phases, what bit, and why.

Series of decisions are in tests/scenarios/test_scaling_tables.py, what holds over any series in test_properties.py.
"""

from __future__ import annotations

import pytest

from autoscaler.triggers import reasons
from autoscaler.triggers.reasons import Reason, Rule
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import Behavior, Pause, Policy, PolicyType, ScalingRules, ScalingSpec, SelectPolicy
from scalers.readings import Reading, Target
from tests.autoscaler.triggers.cases import LAG, Run, cpu, failing, once, partly_read, read, rules

S = ScalingSpec
NO_WINDOW = Behavior(down=ScalingRules())
IDLE = ScalingSpec(min_replicas=3, idle=0)
IDLE_ONE = ScalingSpec(min_replicas=3, idle=1)
QUIET = Target("kafka-orders", 10.0, activation=50.0)


@pytest.mark.parametrize(
    ("spec", "replicas", "samples", "desired", "active", "said"),
    [
        pytest.param(S(), 0, [read(0)], 0, False, [Rule.NO_WORK], id="asleep"),
        pytest.param(S(), 0, [read(500)], 50, True, [], id="0 → N in one decision"),
        pytest.param(S(), 0, [read(5000)], 100, True, [Rule.MAX_REPLICAS], id="maxReplicaCount"),
        pytest.param(S(), 120, [read(5000)], 100, True, [Rule.MAX_REPLICAS], id="above maxReplicaCount"),
        pytest.param(S(min_replicas=3), 3, [read(0)], 3, False, [Rule.NO_WORK], id="minReplicaCount"),
        pytest.param(S(min_replicas=3), 1, [read(0)], 3, False, [Rule.NO_WORK], id="below it, no work"),
        pytest.param(S(min_replicas=3), 1, [read(5)], 3, True, [Rule.ACTIVATION], id="below it, some"),
        pytest.param(S(min_replicas=3), 1, [failing()], 3, None, [Rule.UNKNOWN], id="below it, not known"),
        pytest.param(S(), 0, [read(0, activation=1)], 1, True, [Rule.ACTIVATION], id="active by another value"),
        pytest.param(S(), 0, [read(40, target=QUIET)], 0, False, [Rule.NO_WORK], id="not above activation"),
        pytest.param(S(), 4, [read(40, target=QUIET)], 0, False, [Rule.ZERO], id="activation has priority"),
        pytest.param(S(), 0, [read(0), read(20, name="b")], 2, True, [], id="any trigger"),
        pytest.param(S(), 0, [read(90), read(20, name="b")], 9, True, [], id="the greatest"),
        pytest.param(S(), 0, [failing()], 0, None, [Rule.UNKNOWN], id="asleep, not known"),
        pytest.param(S(), 0, [failing(), read(20, name="b")], 2, True, [], id="woken beside a failure"),
        pytest.param(S(), 5, [failing()], 5, None, [Rule.UNKNOWN], id="unknown holds"),
        pytest.param(S(), 5, [failing(), read(20, name="b")], 5, True, [Rule.UNKNOWN], id="and lowers nothing"),
        pytest.param(S(), 5, [failing(), read(90, name="b")], 9, True, [], id="and others raise"),
        pytest.param(S(), 5, [partly_read(90)], 9, True, [], id="a part raises"),
        pytest.param(S(), 5, [partly_read(20)], 5, True, [Rule.AT_LEAST], id="a part lowers nothing"),
        pytest.param(S(), 5, [partly_read(0)], 5, None, [Rule.AT_LEAST], id="nothing in a part"),
        pytest.param(S(), 5, [read(0)], 0, False, [Rule.ZERO], id="never active, so no cooldown"),
        pytest.param(S(), 5, [read(0, in_flight=2.0)], 5, False, [Rule.IN_FLIGHT, Rule.STABILIZED_DOWN]),
        pytest.param(S(), 5, [read(0), failing(name="b")], 5, None, [Rule.UNKNOWN], id="zero needs all"),
        pytest.param(S(), 5, [], 5, None, [Rule.UNKNOWN], id="nothing read yet"),
        pytest.param(S(), 0, [], 0, None, [Rule.UNKNOWN], id="nothing read yet, asleep"),
        pytest.param(IDLE, 0, [read(0)], 0, False, [Rule.NO_WORK], id="idle 0"),
        pytest.param(IDLE, 0, [read(5)], 3, True, [Rule.ACTIVATION], id="idle 0 → min"),
        pytest.param(IDLE, 4, [read(0)], 0, False, [Rule.ZERO], id="→ idle 0"),
        pytest.param(IDLE_ONE, 0, [read(0)], 1, False, [Rule.NO_WORK], id="→ idle 1 from below"),
        pytest.param(IDLE_ONE, 1, [read(0)], 1, False, [Rule.NO_WORK], id="idle 1 stays: no flapping (keda#2314)"),
        pytest.param(IDLE_ONE, 1, [read(5)], 3, True, [Rule.ACTIVATION], id="idle 1 → min"),
        pytest.param(IDLE_ONE, 4, [read(0)], 1, False, [Rule.IDLE], id="→ idle 1"),
        pytest.param(IDLE_ONE, 4, [failing()], 4, None, [Rule.UNKNOWN], id="idle 1, not known"),
        pytest.param(S(forced=True), 0, [read(0)], 1, True, [Rule.FORCED], id="forced"),
        pytest.param(S(forced=True), 0, [failing()], 1, True, [Rule.FORCED], id="forced, not known"),
        pytest.param(S(min_replicas=1), 5, [cpu(80)], 8, True, [], id="cpu"),
        pytest.param(S(), 5, [read(0), cpu(80)], 0, False, [Rule.ZERO], id="cpu never says whether"),
        pytest.param(S(), 5, [read(1), cpu(80)], 8, True, [], id="cpu says how many"),
        pytest.param(S(), 0, [read(1), cpu(0)], 1, True, [], id="cpu of nobody"),
        pytest.param(S(), 0, [read(51, replicas_max=5)], 5, True, [Rule.METRIC_CAP], id="exact cap"),
        pytest.param(
            S(),
            0,
            [read(51, replicas_max=5), read(70, name="b")],
            7,
            True,
            [Rule.METRIC_CAP],
            id="its own cap",
        ),
        pytest.param(S(pause=Pause(all=True)), 2, [read(90)], 2, True, [Rule.PAUSED], id="paused"),
        pytest.param(S(pause=Pause(all=True)), 2, [read(0)], 2, False, [Rule.ZERO, Rule.PAUSED], id="paused, none"),
        pytest.param(S(pause=Pause(replicas=4)), 2, [read(90)], 4, True, [Rule.PAUSED], id="paused at 4"),
        pytest.param(S(pause=Pause(replicas=0)), 2, [read(90)], 0, True, [Rule.PAUSED], id="paused at 0"),
        pytest.param(S(pause=Pause(all=True, replicas=4)), 2, [read(90)], 4, True, [Rule.PAUSED], id="a count wins"),
        pytest.param(
            S(pause=Pause(scale_in=True)),
            2,
            [read(0)],
            2,
            False,
            [Rule.ZERO, Rule.PAUSED_SCALE_IN],
            id="no in",
        ),
        pytest.param(S(pause=Pause(scale_in=True)), 2, [read(90)], 9, True, [], id="no in, out"),
        pytest.param(S(pause=Pause(scale_out=True)), 0, [read(90)], 0, True, [Rule.PAUSED_SCALE_OUT], id="no out"),
        pytest.param(S(pause=Pause(scale_out=True), behavior=NO_WINDOW), 9, [read(10)], 1, True, [], id="no out, in"),
    ],
)
def test_the_table(
    spec: ScalingSpec, replicas: int, samples: list[Sample], desired: int, active: bool | None, said: list[Rule]
) -> None:
    """What has just been met, without history: it never was active, so no cooldown is running."""
    outcome = once(spec, replicas, *samples)
    assert (outcome.desired, outcome.active) == (desired, active)
    assert outcome.scale == (None if desired == replicas else desired)
    assert rules(outcome) == said


def test_cooldown() -> None:
    run = Run(ScalingSpec(), 1)
    run.step(5)
    assert run.step(0, 299.0) == 1
    assert run.outcome is not None
    assert run.outcome.next_at == 300.0
    assert str(run.outcome.reasons[0]) == "not yet at rest: cooldownPeriod 300s ends in 1s"
    assert run.step(0, 1.0) == 0


def test_the_initial_cooldown_begins_with_the_object() -> None:
    spec = ScalingSpec(initial_cooldown_s=60.0)
    run = Run(spec, 1)
    assert [run.step(0, 30.0), run.step(0, 29.0), run.step(0, 1.0)] == [1, 1, 0]


def test_in_flight_work_holds_the_last_one() -> None:
    run = Run(ScalingSpec(cooldown_s=10.0), 1)
    run.step(5)
    assert run.step(0, 20.0, in_flight=3) == 1
    assert run.step(0, 1.0, in_flight=0) == 0


def test_a_partial_failure_does_not_make_the_last_activity_stale() -> None:
    """In KEDA last-active is not refreshed beside an error: when both end at once, the cooldown counts as over."""
    run = Run(ScalingSpec(), 2)
    run.step([read(20, 0.0), failing(name="b")])
    run.step([read(20, 1000.0), failing(name="b")], 1000.0)
    assert run.step([read(0, 1001.0), read(0, 1001.0, name="b")], 1.0) > 0


def test_a_source_that_was_away_while_there_was_work_begins_the_cooldown_when_it_is_back() -> None:
    run = Run(ScalingSpec(), 1)
    run.step(5)
    run.step([failing()], 1000.0)
    assert run.step(0, 1.0) == 1
    assert run.step(0, 300.0) == 0


def test_a_failure_while_there_was_none_does_not_begin_it_anew() -> None:
    run = Run(ScalingSpec(cooldown_s=100.0), 1)
    run.step(5)
    run.step(0, 50.0)
    run.step([failing()], 40.0)
    assert run.step(0, 10.0) == 0


def test_policies_bind_on_the_way_to_zero() -> None:
    """KEDA writes 0 past every policy (keda#7770)."""
    down = ScalingRules(policies=(Policy(PolicyType.PODS, 2, 60.0),))
    run = Run(ScalingSpec(cooldown_s=0.0, behavior=Behavior(down=down)), 5)
    assert [run.step(0, 60.0) for _ in range(4)] == [3, 1, 0, 0]


def test_disabled_holds_what_is_busy_and_lets_the_idle_rest() -> None:
    down = ScalingRules(select=SelectPolicy.DISABLED)
    run = Run(ScalingSpec(cooldown_s=60.0, behavior=Behavior(down=down)), 0)
    assert [run.step(50), run.step(10, 60.0), run.step(0, 59.0), run.step(0, 1.0)] == [5, 5, 5, 0]


def test_a_short_cooldown_is_not_lengthened_by_the_window() -> None:
    run = Run(ScalingSpec(cooldown_s=30.0), 0)
    assert [run.step(50), run.step(10, 5.0), run.step(0, 25.0), run.step(0, 30.0)] == [5, 5, 5, 0]


def test_what_was_not_written_is_no_change() -> None:
    up = ScalingRules(policies=(Policy(PolicyType.PODS, 4, 60.0),))
    run = Run(ScalingSpec(behavior=Behavior(up=up)), 2)
    assert run.step(500, writes=False) == 2
    assert run.step(500, 1.0) == 6
    assert run.step(500, 1.0) == 6
    assert run.outcome is not None
    assert run.outcome.next_at == 61.0


def test_a_count_of_a_pause_is_written_once() -> None:
    run = Run(ScalingSpec(pause=Pause(replicas=4)), 2)
    assert run.step(90) == 4
    assert run.step(90, 1.0) == 4
    run.replicas = 6  # somebody scales it by hand
    assert run.step(90, 1.0) == 6


def test_the_mark_of_a_paused_decision_is_what_it_would_have_been() -> None:
    outcome = once(ScalingSpec(pause=Pause(all=True)), 2, read(90))
    assert outcome.wanted == 9
    assert outcome.next_at is None
    assert str(outcome.reasons[-1]) == "paused at 2; it would be 9"


def test_a_push_wakes_before_anything_was_read() -> None:
    pushed = Sample("s0-orders", "orders", "external-push", None, pushed=True)
    assert once(ScalingSpec(), 0, pushed).desired == 1
    known = Sample("s0-orders", "orders", "external-push", LAG, Reading(0.0), 0.0, pushed=True)
    assert once(ScalingSpec(), 0, known).desired == 1
    assert once(ScalingSpec(behavior=NO_WINDOW), 5, known).desired == 5, "what was read before says nothing of now"


def test_every_rule_has_its_sentence() -> None:
    for rule in Rule:
        assert str(Reason(rule, (1, 2, 3, 4)))
    assert set(reasons.Rule) == set(reasons._SENTENCES)
