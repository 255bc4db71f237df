"""The composite in a decision; the language has tests of its own."""

from __future__ import annotations

import pytest

from autoscaler.triggers.formula import COMPOSITE, values_of
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import Fallback, FallbackBehavior, Modifiers, ScalingSpec
from scalers.readings import MetricType, Reading
from tests.autoscaler.triggers.cases import LAG, cpu, failing, once, partly_read, read, rules

NIL = Fallback(3, 4, FallbackBehavior.SCALING_MODIFIERS)


def formula(text: str, fallback: Fallback | None = None, **more: object) -> ScalingSpec:
    return ScalingSpec(modifiers=Modifiers(text, 5.0, **more), fallback=fallback)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "samples", "desired", "active"),
    [
        pytest.param(formula("a + b"), [read(10, name="a"), read(5, name="b")], 3, True, id="sum"),
        pytest.param(formula("a - b"), [read(10, name="a"), read(15, name="b")], 0, False, id="below zero is zero"),
        pytest.param(
            formula("a", activation_target=10.0), [read(10, name="a")], 0, False, id="not above activationTarget"
        ),
        pytest.param(formula("a", activation_target=9.0), [read(10, name="a")], 2, True, id="above it"),
        pytest.param(formula("a", metric_type=MetricType.VALUE), [read(10, name="a")], 4, True, id="Value"),
        pytest.param(formula("a"), [read(10, name="a"), cpu(200.0)], 8, True, id="cpu goes on asking beside it"),
        pytest.param(formula("a"), [read(10, name="a", replicas_max=1)], 2, True, id="a cap caps the value"),
        pytest.param(formula("a / b"), [read(10, name="a"), read(0, name="b")], 2, None, id="division by zero"),
        pytest.param(formula("a + b"), [read(50, name="a"), failing(name="b")], 2, None, id="not known"),
        pytest.param(
            formula("max(a, 15) > 20 ? a : b"), [read(50, name="a"), failing(name="b")], 10, True, id="unneeded"
        ),
        pytest.param(formula("a"), [partly_read(50, name="a")], 10, True, id="a part raises"),
        pytest.param(formula("a"), [partly_read(5, name="a")], 2, True, id="a part lowers nothing"),
        pytest.param(formula("a ?? b", NIL), [failing(4, "a"), read(15, name="b")], 3, True, id="given up is nil"),
        pytest.param(formula("a ?? b", NIL), [failing(3, "a"), read(15, name="b")], 2, None, id="not yet given up"),
        pytest.param(formula("a ?? b", NIL), [failing(4, "a"), failing(4, "b")], 4, True, id="all nil"),
        pytest.param(formula("a + b", Fallback(3, 7)), [failing(4, "a"), read(1, name="b")], 7, True, id="static"),
        pytest.param(formula("a", Fallback(3, 7)), [read(15, name="a"), failing(4, "b")], 3, True, id="not of a part"),
    ],
)
def test_composite(spec: ScalingSpec, samples: list[Sample], desired: int, active: bool | None) -> None:
    outcome = once(spec, 2, *samples)
    assert (outcome.desired, outcome.active) == (desired, active)


def test_a_fractional_target_has_a_fallback_too() -> None:
    """In KEDA the target must be an integer, or the fallback is silently off."""
    spec = ScalingSpec(modifiers=Modifiers("a", 2.5), fallback=Fallback(3, 7))
    assert once(spec, 2, failing(4, "a")).desired == 7


def test_zero_needs_every_trigger_even_one_that_the_formula_did_not_look_at() -> None:
    spec = formula("a > 5 ? b : 0")
    assert once(spec, 2, read(0, name="a"), failing(name="b")).desired == 2
    assert once(spec, 2, read(0, name="a"), read(0, name="b")).desired == 0


def test_several_metrics_of_a_trigger_have_numbers() -> None:
    twice = [Sample(f"s0-m{n}", "orders", "external", LAG, Reading(float(n)), 0.0) for n in (1, 2, 3)]
    outcome = once(formula("orders + orders01 * 10 + orders02 * 100"), 0, *twice)
    assert outcome.demands[-1].metric == COMPOSITE
    assert outcome.demands[-1].value == 321.0


def test_triggers_without_a_name_have_no_value() -> None:
    outcome = once(formula("1"), 0, Sample("s0-m", "", "kafka", LAG, Reading(3.0), 0.0))
    assert values_of(formula("1"), [], []) == {}
    assert outcome.desired == 1


def test_the_decision_tells_of_the_triggers_and_of_the_composite() -> None:
    outcome = once(formula("a + b"), 2, read(50, name="a"), failing(name="b"))
    assert [(each.metric, each.active, each.counts) for each in outcome.demands] == [
        ("s0-a", True, False),
        ("s0-b", None, False),
        (COMPOSITE, None, True),
    ]
    assert rules(outcome) == ["Unknown"]
