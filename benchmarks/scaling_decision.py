"""What one decision of a ScaledObject costs: three triggers, windows and rates of both directions, and its record.

The lags move, so that demands, histories and records differ from one to the next. In CPU time of this process, several
rounds, the best: others on the machine only ever add to it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from autoscaler.triggers.decide import Observed, begin, decide
from autoscaler.triggers.decisions import Decision, DecisionLog, in_words
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import (
    Behavior,
    Fallback,
    Modifiers,
    Policy,
    PolicyType,
    ScalingRules,
    ScalingSpec,
)
from benchmarks.report import Row
from scalers.readings import Reading, Target

BAR_US = 50.0
DECISIONS = 2000
ROUNDS = 7

LADDER = (Policy(PolicyType.PODS, 4, 15.0), Policy(PolicyType.PERCENT, 100, 15.0))
SPEC = ScalingSpec(
    max_replicas=100,
    fallback=Fallback(3, 5),
    behavior=Behavior(
        ScalingRules(30.0, policies=LADDER, tolerance=0.1),
        ScalingRules(300.0, policies=LADDER, tolerance=0.1),
    ),
)
FORMULA = replace(SPEC, modifiers=Modifiers("max([t0, t1]) > 100 ? t0 + t1 + t2 : (t0 + t1) / 2", 10.0))
DRAIN = replace(SPEC, drain_time_s=30.0)


def series(every_s: float) -> list[tuple[float, list[Sample]]]:
    """Three lags that rise and fall, read together."""
    seen = []
    for number in range(DECISIONS):
        now = number * every_s
        samples = []
        for trigger in range(3):
            lag = float(round(200 * (1 + math.sin(number / 37 + trigger)) + number % 7))
            reading = Reading(lag, replicas_max=64, produced=now * 40.0, consumed=max(0.0, now * 40.0 - lag))
            target = Target(f"kafka-orders-{trigger}", 10.0)
            samples.append(Sample(f"s{trigger}-kafka-orders-{trigger}", f"t{trigger}", "kafka", target, reading, now))
        seen.append((now, samples))
    return seen


def microseconds(spec: ScalingSpec, seen: Sequence[tuple[float, list[Sample]]]) -> float:
    """Of one decision and its record."""
    state, replicas, log = begin(spec, 0, 0.0), 0, DecisionLog()
    began = time.process_time()
    for now, samples in seen:
        observed = Observed(replicas, replicas, samples)
        outcome = decide(spec, state, observed, now)
        log.append(Decision(now, now, spec, observed, outcome))
        state, replicas = outcome.state, outcome.desired
    return (time.process_time() - began) / len(seen) * 1e6


def words_us(seen: Sequence[tuple[float, list[Sample]]]) -> float:
    """Of telling one, which is done only when somebody asks."""
    now, samples = seen[100]
    observed = Observed(0, 0, samples)
    decision = Decision(now, now, SPEC, observed, decide(SPEC, begin(SPEC, 0, now), observed, now))
    began = time.process_time()
    for _ in range(1000):
        in_words(decision)
    return (time.process_time() - began) / 1000 * 1e6


def measure() -> list[Row]:
    slow, fast = series(15.0), series(0.2)
    rounds = [
        (microseconds(SPEC, slow), microseconds(SPEC, fast), microseconds(FORMULA, slow), microseconds(DRAIN, slow))
        for _ in range(ROUNDS)
    ]
    plain, often, formula, drain = (min(column) for column in zip(*rounds, strict=True))
    worst = max(plain, often)
    return [
        Row(
            "a scaling decision: 3 triggers, windows, policies, record",
            f"≤ {BAR_US:.0f} µs",
            f"{worst:.1f} µs",
            worst <= BAR_US,
            note=f"polled every 15 s {plain:.1f} µs, every 0.2 s {often:.1f} µs; "
            f"with a formula {formula:.1f} µs, with a drain time {drain:.1f} µs; its words {words_us(slow):.1f} µs",
            numbers={"us": worst, "slow_us": plain, "fast_us": often, "formula_us": formula, "drain_us": drain},
        )
    ]
