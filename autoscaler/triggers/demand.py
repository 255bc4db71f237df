"""How many replicas one metric asks for, by what was read of it. Knows nothing of other metrics, of bounds, of history.

pkg/controller/podautoscaler/replica_calculator.go: AverageValue asks for value / target; Value and Utilization for the
same share more or less than are ready. All rounded up, but for the noise of binary fractions. What is not known asks
for nothing, and lets nobody ask for fewer. Pure.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, NamedTuple

from autoscaler.triggers.reasons import Reason, Rule
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import ScalingSpec
from core.resources.keda_annotations import RESOURCE_TRIGGERS
from scalers.readings import MetricType, Quality, Reading, Target

NOISE: Final = 1e-9
"""30.000000000000004 / 10 is 3."""


class Basis(StrEnum):
    """Where a demand's number comes from."""

    READING = "reading"
    DRAIN_TIME = "drainTime"
    FORMULA = "formula"
    FALLBACK = "fallback"
    UNKNOWN = "unknown"


class Demand(NamedTuple):
    """What one metric asks for, with the numbers that it comes from.

    `replicas` None: not known, so it raises nothing and forbids every lowering. `at_least`: a part was not read, so it
    may raise and forbids lowering. `active` None: not known. `counts` False: a formula speaks for it.
    """

    metric: str
    replicas: int | None
    active: bool | None
    basis: Basis = Basis.READING
    value: float | None = None
    target: float = 0.0
    metric_type: MetricType = MetricType.AVERAGE_VALUE
    ready: int = 0  # that Value and Utilization are multiplied by
    wanted: int | None = None  # before its own bounds
    most: int | None = None  # its own bound: more would have nothing to do
    shares: int | None = None
    tolerated: bool = False  # wanted is near enough to what there is
    at_least: bool = False
    wakes: bool = True
    counts: bool = True
    in_flight: float = 0.0
    detail: str = ""  # of a formula or a fallback
    rates: tuple[float, ...] = ()  # of a drain time: waiting, seconds, arrival, service
    error: str = ""
    note: str = ""
    remarks: tuple[Reason, ...] = ()  # rules that had a word before any other metric was looked at


def demand_of(spec: ScalingSpec, sample: Sample, current: int, ready: int, now: float) -> Demand:
    """What a sample asks for where there are `current` replicas, of which `ready` are ready."""
    target, reading = sample.target, sample.reading
    error = what_is_not_known(spec, sample, now)
    if error or target is None or reading is None:
        return _unknown(sample, error)
    partial = reading.quality is Quality.PARTIAL
    active = _is_active(reading, target) or sample.pushed or (None if partial else False)
    wanted = replicas_of(reading.value, target.value, target.metric_type, ready)
    starting = not target.wakes and wanted < current and _is_over(reading, target, ready)
    if starting:
        wanted = current
    most = reading.replicas_max
    asked = wanted if most is None else min(wanted, most)
    if reading.shares:
        asked = evenly(reading.shares, asked)
    tolerated = _near_enough(spec, reading, target, current, asked)
    remarks: tuple[Reason, ...] = ()
    if starting:
        remarks = (Reason(Rule.STARTING, (sample.metric, current - ready)),)
    elif asked != wanted or tolerated:
        remarks = _remarks(sample.metric, wanted, asked, reading, tolerated)
    return Demand(
        metric=sample.metric,
        replicas=current if tolerated else asked,
        active=active,
        value=reading.value,
        target=target.value,
        metric_type=target.metric_type,
        ready=ready,
        wanted=wanted,
        most=most,
        shares=reading.shares,
        tolerated=tolerated,
        at_least=partial or sample.pushed,
        wakes=target.wakes,
        in_flight=reading.in_flight or 0.0,
        note=reading.note,
        remarks=remarks,
    )


def what_is_not_known(spec: ScalingSpec, sample: Sample, now: float) -> str:
    """Why a sample says nothing of what is; empty where it does."""
    if sample.error:
        return sample.error
    if sample.target is None or sample.reading is None:
        return "nothing was read yet"
    reading = sample.reading
    if not math.isfinite(reading.value if reading.activation is None else reading.value + reading.activation):
        return "what was read is not a number"
    age = now - sample.read_at
    if age > longest_age(spec):
        return f"it was read {age:.0f}s ago, three polling intervals or more"
    return ""


def longest_age(spec: ScalingSpec) -> float:
    """Seconds after which a reading says nothing any more: whoever should have read again has stopped."""
    return 3.0 * spec.polling_interval_s + 30.0


def replicas_of(value: float, target: float, metric_type: MetricType, ready: int) -> int:
    """Before any bound. Less than nothing is nothing; with none ready a ratio is taken of one."""
    ratio = max(0.0, value) / target
    if metric_type is not MetricType.AVERAGE_VALUE and ready > 0:
        ratio *= ready
    return rounded_up(ratio)


def rounded_up(ratio: float) -> int:
    """To the next whole number; what is off one by binary noise alone, is it. Anything at all is 1."""
    above = math.ceil(ratio)
    below = above - 1
    return below if below > 0 and ratio - below <= NOISE * below and ratio - below < 0.01 else above


def evenly(shares: int, replicas: int) -> int:
    """The fewest among whom the largest share is as small as among so many."""
    if replicas <= 0:
        return 0
    return -(-shares // -(-shares // replicas))


def is_resource(sample: Sample) -> bool:
    """cpu and memory: read of the instances themselves, so that they cannot wake, and have no fallback."""
    return sample.type in RESOURCE_TRIGGERS


def _unknown(sample: Sample, error: str) -> Demand:
    target = sample.target
    return Demand(
        metric=sample.metric,
        replicas=None,
        active=True if sample.pushed else None,
        basis=Basis.UNKNOWN,
        target=0.0 if target is None else target.value,
        metric_type=MetricType.AVERAGE_VALUE if target is None else target.metric_type,
        wakes=not is_resource(sample) if target is None else target.wakes,
        error=error,
    )


def _remarks(metric: str, wanted: int, asked: int, reading: Reading, tolerated: bool) -> tuple[Reason, ...]:
    found = []
    capped = wanted if reading.replicas_max is None else min(wanted, reading.replicas_max)
    if capped < wanted:
        found.append(Reason(Rule.METRIC_CAP, (metric, capped, wanted)))
    if asked < capped:
        found.append(Reason(Rule.EVEN_SHARES, (metric, asked, capped, reading.shares)))
    if tolerated:
        found.append(Reason(Rule.TOLERANCE, (metric, asked)))
    return tuple(found)


def _is_over(reading: Reading, target: Target, ready: int) -> bool:
    """Whether those that are ready use more than they shall. Then those that are still starting count as using nothing,
    which may ask for fewer than there are: but never so that what was too much becomes too little."""
    each = reading.value if target.metric_type is MetricType.UTILIZATION else reading.value / max(1, ready)
    return ready > 0 and each > target.value


def _is_active(reading: Reading, target: Target) -> bool:
    return reading.activity > target.activation


def near_enough(spec: ScalingSpec, current: int, asked: int, ratio: float, most: int) -> bool:
    """Whether the tolerance of that direction keeps what there is; never the last step to a bound.

    `ratio` is of the value to what it is to be held at by what there is.
    """
    if asked == current or current <= 0:
        return False
    tolerance = (spec.behavior.up if asked > current else spec.behavior.down).tolerance
    if tolerance is None or current > most or most <= asked:
        return False
    return abs(ratio - 1.0) <= tolerance + NOISE


def _near_enough(spec: ScalingSpec, reading: Reading, target: Target, current: int, asked: int) -> bool:
    if spec.behavior.up.tolerance is None and spec.behavior.down.tolerance is None:
        return False
    if reading.shares and evenly(reading.shares, current) != current:
        return False
    most = spec.max_replicas if reading.replicas_max is None else min(spec.max_replicas, reading.replicas_max)
    ratio = max(0.0, reading.value) / target.value
    held_by = current if target.metric_type is MetricType.AVERAGE_VALUE else 1
    return near_enough(spec, current, asked, ratio / max(1, held_by), most)
