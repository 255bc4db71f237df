"""Samples and decisions for the tests of this folder, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autoscaler.triggers.decide import Observed, Outcome, ScalingState, begin, decide
from autoscaler.triggers.reasons import Rule
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import ScalingSpec
from scalers.readings import MetricType, Quality, Reading, Target

LAG = Target("kafka-orders", 10.0)
CPU = Target("cpu", 50.0, metric_type=MetricType.UTILIZATION, wakes=False)


def read(value: float, now: float = 0.0, target: Target = LAG, name: str = "orders", **more: Any) -> Sample:
    """A sample that was read just now."""
    return Sample(f"s0-{name}", name, "kafka", target, Reading(value, **more), now)


def partly_read(value: float, now: float = 0.0, name: str = "orders", **more: Any) -> Sample:
    return read(value, now, name=name, quality=Quality.PARTIAL, **more)


def failing(failures: int = 1, name: str = "orders", target: Target | None = LAG, type_: str = "kafka") -> Sample:
    """A sample of a source that answered once, long ago."""
    return Sample(f"s0-{name}", name, type_, target, Reading(500.0), -1e6, failures, "connection refused")


def cpu(percent: float, now: float = 0.0) -> Sample:
    return Sample("s1-cpu", "", "cpu", CPU, Reading(percent), now)


def once(
    spec: ScalingSpec,
    replicas: int,
    *samples: Sample,
    now: float = 0.0,
    state: ScalingState | None = None,
    in_flight: int | None = None,
    ready: int | None = None,
) -> Outcome:
    """One decision for what has just been met, or of a state."""
    state = state or begin(spec, replicas, now)
    observed = Observed(replicas, replicas if ready is None else ready, samples, in_flight)
    return decide(spec, state, observed, now)


def rules(outcome: Outcome) -> list[Rule]:
    return [reason.rule for reason in outcome.reasons]


class Run:
    """A target under decisions, each of which is written at once."""

    def __init__(self, spec: ScalingSpec, replicas: int = 0, now: float = 0.0) -> None:
        self.spec, self.replicas, self.now = spec, replicas, now
        self.state = begin(spec, replicas, now)
        self.outcome: Outcome | None = None

    def step(
        self,
        samples: Sequence[Sample] | float,
        after_s: float = 0.0,
        in_flight: int | None = None,
        *,
        writes: bool = True,
    ) -> int:
        """Decides `after_s` later; a number is the lag that was read then."""
        self.now += after_s
        seen = [read(samples, self.now)] if isinstance(samples, int | float) else samples
        observed = Observed(self.replicas, self.replicas, seen, in_flight)
        self.outcome = decide(self.spec, self.state, observed, self.now)
        self.state = self.outcome.state
        if self.outcome.scale is not None and writes:
            self.replicas = self.outcome.scale
        return self.replicas
