from __future__ import annotations

import pytest

from autoscaler.triggers import reasons
from autoscaler.triggers.decide import Observed, begin, decide
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import ScalingSpec
from scalers.readings import MetricType, Reading, Target

TARGET = Target("kafka-orders", 10.0)


def sample(value: float | None, error: str = "") -> Sample:
    reading = None if value is None else Reading(value)
    return Sample("s0-kafka-orders", "", "kafka", TARGET, reading, 0.0, error=error)


@pytest.mark.parametrize(
    ("spec", "replicas", "value", "error", "desired", "rule"),
    [
        pytest.param(ScalingSpec(), 0, 0.0, "", 0, reasons.Rule.INACTIVE, id="asleep"),
        pytest.param(ScalingSpec(), 0, 500.0, "", 50, None, id="from zero in one step"),
        pytest.param(ScalingSpec(max_replicas=20), 0, 500.0, "", 20, reasons.Rule.MAX_REPLICAS, id="max"),
        pytest.param(ScalingSpec(min_replicas=3), 3, 0.0, "", 3, reasons.Rule.INACTIVE, id="min"),
        pytest.param(ScalingSpec(), 5, None, "down", 5, reasons.Rule.UNKNOWN, id="unknown holds"),
    ],
)
def test_decide(
    spec: ScalingSpec, replicas: int, value: float | None, error: str, desired: int, rule: reasons.Rule | None
) -> None:
    outcome = decide(spec, begin(spec, replicas, 0.0), Observed(replicas, replicas, [sample(value, error)]), 0.0)
    assert outcome.desired == desired
    assert rule is None or rule in [reason.rule for reason in outcome.reasons]
    assert all(str(reason) for reason in outcome.reasons)


def test_cooldown() -> None:
    spec = ScalingSpec()
    state = decide(spec, begin(spec, 1, 0.0), Observed(1, 1, [sample(5.0)]), 0.0).state
    held = decide(spec, state, Observed(1, 1, [sample(0.0)]), 299.0)
    assert (held.desired, held.next_at) == (1, 300.0)
    assert decide(spec, held.state, Observed(1, 1, [sample(0.0)]), 300.0).desired == 0


def test_cpu_says_how_many_and_never_whether() -> None:
    """Where nothing else can say, there is always work; where something can, it alone does."""
    cpu = Sample(
        "s1-cpu", "", "cpu", Target("cpu", 50.0, metric_type=MetricType.UTILIZATION, wakes=False), Reading(80.0)
    )
    alone = ScalingSpec(min_replicas=1)
    outcome = decide(alone, begin(alone, 5, 0.0), Observed(5, 5, [cpu]), 1000.0)
    assert (outcome.desired, outcome.active) == (8, True)
    beside = ScalingSpec()
    outcome = decide(beside, begin(beside, 5, 0.0), Observed(5, 5, [sample(0.0), cpu]), 1000.0)
    assert (outcome.desired, outcome.active) == (0, False)
    outcome = decide(beside, begin(beside, 5, 0.0), Observed(5, 5, [sample(1.0), cpu]), 1000.0)
    assert (outcome.desired, outcome.active) == (8, True)
