"""From what was read and the Jobs there are to how many more are made. Called by `loop`. Pure.

Only triggers that are known to be active count; what could not be read makes no Job and ends none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from autoscaler.jobs.census import Census
from autoscaler.jobs.strategies import Calculation, StrategySpec, Waiting, combine, jobs_to_make, worth
from autoscaler.triggers.samples import Sample


@dataclass(frozen=True, slots=True)
class JobsSpec:
    """What is asked of a ScaledJob. `least` run in any case; `most` at a time, those included."""

    least: int = 0
    most: int = 100
    strategy: StrategySpec = field(default_factory=StrategySpec)
    calculation: Calculation = Calculation.MAX
    paused: bool = False


@dataclass(frozen=True, slots=True)
class JobsOutcome:
    """`make` so many. `active` None: not known. `words` say why, for people."""

    make: int
    active: bool | None
    waiting: Waiting
    words: str


def decide(spec: JobsSpec, samples: Sequence[Sample], census: Census) -> JobsOutcome:
    """How many Jobs are made now."""
    active, waiting = _waiting(spec, samples)
    if spec.paused:
        return JobsOutcome(0, active, waiting, "paused: no Job is made")
    below = max(0, spec.least - census.running)
    beyond = max(0, census.running - spec.least)
    room = max(0, spec.most - spec.least)
    wanted = jobs_to_make(spec.strategy, waiting, beyond, min(census.pending, beyond), room)
    # No strategy passes the bound, whatever it takes running Jobs for.
    make = min(below + wanted, max(0, spec.most - census.running))
    return JobsOutcome(make, active, waiting, _words(spec, samples, census, waiting, below, make))


def _waiting(spec: JobsSpec, samples: Sequence[Sample]) -> tuple[bool | None, Waiting]:
    found: list[Waiting] = []
    unknown = False
    for _, group in groupby(samples, key=lambda sample: sample.metric.partition("-")[0]):
        metrics = [(each.target, each.reading) for each in group if each.fresh]
        known = [(target, reading) for target, reading in metrics if target is not None and reading is not None]
        if not known:
            unknown = True
        elif any(reading.activity > target.activation for target, reading in known):
            queue = max(0.0, sum(reading.value for _, reading in known))
            mean = sum(target.value for target, _ in known) / len(known)
            caps = [reading.replicas_max for _, reading in known if reading.replicas_max is not None]
            found.append(worth(queue, mean, min(caps, default=None)))
    active = True if found or spec.least > 0 else None if unknown else False
    return active, combine(spec.calculation, found)


def _words(spec: JobsSpec, samples: Sequence[Sample], census: Census, waiting: Waiting, below: int, make: int) -> str:
    unknown = samples and not any(sample.fresh for sample in samples)
    counted = "what waits is not known" if unknown else f"{waiting.queue:g} wait, worth {waiting.jobs:g} Jobs"
    parts = [f"{counted}; {census.running} run, {census.pending} of them pending"]
    parts += [
        f"{sample.metric} is not known: {sample.error or 'not read yet'}" for sample in samples if not sample.fresh
    ]
    if below:
        parts.append(f"{below} of them to have minReplicaCount {spec.least}")
    if make and census.running + make >= spec.most:
        parts.append(f"limited by maxReplicaCount {spec.most}")
    verb = f"make {make}" if make else "make none"
    return f"{verb} ({spec.strategy.kind}): {'; '.join(parts)}"
