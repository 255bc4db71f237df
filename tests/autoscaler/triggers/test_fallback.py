from __future__ import annotations

import pytest

from autoscaler.triggers.demand import Demand
from autoscaler.triggers.fallback import fallback_replicas, fallen_back, is_given_up
from autoscaler.triggers.spec import Fallback, FallbackBehavior, ScalingSpec
from scalers.readings import MetricType, Target
from tests.autoscaler.triggers.cases import LAG, failing, once, read

STATIC, CURRENT, HIGHER, LOWER = (
    FallbackBehavior.STATIC,
    FallbackBehavior.CURRENT_REPLICAS,
    FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER,
    FallbackBehavior.CURRENT_REPLICAS_IF_LOWER,
)


@pytest.mark.parametrize(
    ("behavior", "current", "replicas"),
    [(STATIC, 9, 6), (CURRENT, 9, 9), (HIGHER, 9, 9), (HIGHER, 3, 6), (LOWER, 9, 6), (LOWER, 3, 3)],
)
def test_behaviors(behavior: FallbackBehavior, current: int, replicas: int) -> None:
    assert fallback_replicas(Fallback(3, 6, behavior), current) == replicas


@pytest.mark.parametrize(
    ("failures", "type_", "given_up"),
    [(3, "kafka", False), (4, "kafka", True), (9, "cpu", False), (9, "memory", False)],
)
def test_more_failures_than_the_threshold(failures: int, type_: str, given_up: bool) -> None:
    assert is_given_up(Fallback(3, 6), failing(failures, type_=type_)) is given_up


@pytest.mark.parametrize(
    ("fallback", "current", "failures", "desired", "active"),
    [
        pytest.param(Fallback(3, 6), 2, 3, 2, None, id="not yet"),
        pytest.param(Fallback(3, 6), 2, 4, 6, True, id="raised"),
        pytest.param(Fallback(3, 6), 0, 4, 6, True, id="from zero"),
        pytest.param(Fallback(3, 0), 2, 4, 2, None, id="a fallback of zero ends nothing (lowered by its window)"),
        pytest.param(Fallback(3, 0), 1, 4, 1, None, id="nor the last"),
        pytest.param(Fallback(3, 0), 0, 4, 0, None, id="nor begins anything"),
        pytest.param(Fallback(3, 6, CURRENT), 2, 4, 2, True, id="as it is"),
        pytest.param(Fallback(0, 6), 2, 1, 6, True, id="a threshold of zero: at once"),
    ],
)
def test_in_a_decision(fallback: Fallback, current: int, failures: int, desired: int, active: bool | None) -> None:
    outcome = once(ScalingSpec(fallback=fallback), current, failing(failures))
    assert (outcome.desired, outcome.active) == (desired, active)
    assert outcome.in_fallback is (failures > fallback.failure_threshold)


def test_a_fallback_of_zero_asks_for_the_last_one_where_there_is_one() -> None:
    unknown = Demand("s0-orders", None, None)
    assert fallen_back(Fallback(3, 0), unknown, 4, 5).replicas == 1
    assert fallen_back(Fallback(3, 0), unknown, 4, 0).replicas == 0


def test_it_needs_no_target() -> None:
    """In KEDA a source that does not say its target is never counted (keda#8056)."""
    assert once(ScalingSpec(fallback=Fallback(3, 6)), 0, failing(4, target=None)).desired == 6


def test_it_needs_no_ready_replica() -> None:
    value = Target("m", 10.0, metric_type=MetricType.VALUE)
    assert once(ScalingSpec(fallback=Fallback(3, 6)), 2, failing(4, target=value), ready=0).desired == 6


def test_it_speaks_for_the_failing_metric_alone() -> None:
    spec = ScalingSpec(fallback=Fallback(3, 6))
    assert once(spec, 2, failing(4, "a", LAG), read(90.0, name="b")).desired == 9
    assert once(spec, 2, failing(4, "a", LAG), read(10.0, name="b")).desired == 6
