from __future__ import annotations

import pytest

from autoscaler.triggers.demand import replicas_of
from scalers.readings import MetricType, Reading, Target


@pytest.mark.parametrize(
    ("reading", "target", "ready", "replicas"),
    [
        pytest.param(Reading(31.0), Target("m", 10.0), 0, 4, id="rounded up"),
        pytest.param(Reading(30.000000000000004), Target("m", 10.0), 0, 3, id="noise"),
        pytest.param(Reading(51.0, replicas_max=5), Target("m", 10.0), 0, 5, id="exact cap"),
        pytest.param(Reading(30.0), Target("m", 10.0, metric_type=MetricType.VALUE), 2, 6, id="Value"),
        pytest.param(Reading(30.0), Target("m", 10.0, metric_type=MetricType.VALUE), 0, 3, id="Value, none ready"),
    ],
)
def test_replicas(reading: Reading, target: Target, ready: int, replicas: int) -> None:
    assert replicas_of(reading, target, ready) == replicas
