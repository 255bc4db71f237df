"""How many more Jobs the work that waits is worth: KEDA's four strategies (pkg/scaling/executor/scale_jobs.go). Pure.

They differ in what they take a running Job for: in `default` its message still counts as waiting, in `accurate` it does
not, `custom` takes a share of them, `eager` fills up to the most that may run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil


class Strategy(StrEnum):
    DEFAULT = "default"
    CUSTOM = "custom"
    ACCURATE = "accurate"
    EAGER = "eager"


class Calculation(StrEnum):
    """What several triggers add up to (scalingStrategy.multipleScalersCalculation); only active ones count."""

    MAX = "max"
    MIN = "min"
    AVG = "avg"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class StrategySpec:
    kind: Strategy = Strategy.DEFAULT
    queue_length_deduction: int = 0  # custom
    running_job_percentage: float = 0.0  # custom; 0.5 is half of them


@dataclass(frozen=True, slots=True)
class Waiting:
    """Of one trigger, or of all: how much waits, and how many Jobs that is worth at most."""

    queue: float
    jobs: float


def worth(queue: float, target: float, cap: int | None) -> Waiting:
    """Of one trigger: `target` is how much one Job takes, `cap` the most that could work at it (None: no bound)."""
    jobs = queue / target
    return Waiting(queue, jobs if cap is None else min(jobs, float(cap)))


def combine(calculation: Calculation, active: list[Waiting]) -> Waiting:
    """Of all active triggers; nothing waits where there is none (pkg/scaling/scaledjob/metrics.go)."""
    if not active:
        return Waiting(0.0, 0.0)
    if calculation is Calculation.SUM or calculation is Calculation.AVG:
        count = len(active) if calculation is Calculation.AVG else 1
        return Waiting(sum(each.queue for each in active) / count, sum(each.jobs for each in active) / count)
    pick = min if calculation is Calculation.MIN else max
    return pick(active, key=lambda each: each.queue)


def jobs_to_make(spec: StrategySpec, waiting: Waiting, running: int, pending: int, most: int) -> int:
    """How many more. `most` may run at a time, `running` are not finished, of these `pending` have not begun."""
    queue, jobs = ceil(waiting.queue), ceil(min(waiting.jobs, float(most)))
    if spec.kind is Strategy.EAGER:
        return max(0, min(most - running - pending, jobs))
    if spec.kind is Strategy.ACCURATE:
        room = most - running if jobs + running - pending > most else jobs - pending
    elif spec.kind is Strategy.CUSTOM:
        taken = int(running * spec.running_job_percentage)
        room = min(jobs - spec.queue_length_deduction - taken, most)
    else:
        room = jobs - running
    return max(0, min(queue, room))
