"""How many replicas one metric asks for. The first step of a decision; knows nothing of bounds or of time. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoscaler.triggers.samples import Sample
from scalers.readings import MetricType, Quality, Reading, Target


@dataclass(frozen=True, slots=True)
class Demand:
    """What one metric asks for, with the numbers that it comes from.

    `replicas` None: not known, so it raises nothing and forbids every lowering. `at_least`: a part was not read, so it
    may raise and forbids lowering. `active` None: not known. Where it does not `wake`, others say so.
    """

    metric: str
    replicas: int | None
    active: bool | None
    value: float | None = None
    target: float = 0.0
    metric_type: MetricType = MetricType.AVERAGE_VALUE
    at_least: bool = False
    error: str = ""
    wakes: bool = True


def demand_of(sample: Sample, ready: int) -> Demand:
    """What a sample asks for where `ready` replicas are ready."""
    target, reading = sample.target, sample.reading
    if target is None or reading is None or not sample.fresh:
        active = True if sample.pushed else None
        wakes = target is None or target.wakes
        return Demand(
            sample.metric, None, active, target=target.value if target else 0.0, error=sample.error, wakes=wakes
        )
    at_least = reading.quality is Quality.PARTIAL
    active = reading.activity > target.activation or sample.pushed or (None if at_least else False)
    return Demand(
        sample.metric,
        replicas_of(reading, target, ready),
        active,
        reading.value,
        target.value,
        target.metric_type,
        at_least,
        wakes=target.wakes,
    )


def replicas_of(reading: Reading, target: Target, ready: int) -> int:
    ratio = max(0.0, reading.value) / target.value
    if target.metric_type is not MetricType.AVERAGE_VALUE and ready > 0:
        ratio *= ready
    wanted = whole(ratio)
    return wanted if reading.replicas_max is None else min(wanted, reading.replicas_max)


def whole(ratio: float) -> int:
    """Rounded up, but for the noise of binary fractions: 30.000000000000004 / 10 is 3."""
    return math.ceil(ratio * (1.0 - 1e-9))
