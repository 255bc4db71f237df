from __future__ import annotations

import pytest

from autoscaler.triggers.samples import Sample
from scalers.readings import Reading, Target

TARGET = Target("kafka-orders", 10.0)


@pytest.mark.parametrize(
    ("sample", "fresh"),
    [
        pytest.param(Sample("s0-kafka-orders", "", "kafka", TARGET), False, id="never read"),
        pytest.param(Sample("s0-kafka-orders", "", "kafka", TARGET, Reading(0.0), 1.0), True, id="read"),
        pytest.param(
            Sample("s0-kafka-orders", "", "kafka", TARGET, Reading(0.0), 1.0, failures=1, error="down"),
            False,
            id="read, and failed since",
        ),
    ],
)
def test_fresh(sample: Sample, fresh: bool) -> None:
    assert sample.fresh is fresh
