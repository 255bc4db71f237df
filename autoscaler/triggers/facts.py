"""What there is to tell of one ScaledObject: everything that its status and its events are made of. Pure.

`loop` gathers it after each decision; `status` and `announcements` put it into words, and nothing is written while it
stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from autoscaler.triggers.circuit import State
from autoscaler.triggers.documents import TargetKey
from autoscaler.triggers.reasons import Rule
from autoscaler.triggers.scaled import Scaled
from autoscaler.triggers.sources import Source
from core.resources.keda_annotations import RESOURCE_TRIGGERS


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """One metric. `failures` and `circuit` change by themselves all the time: alone they are no difference."""

    name: str
    type: str
    active: bool | None
    error: str = ""
    caveat: str = ""
    built: bool = True  # its scaler stands, whatever it answers
    circuit: State = field(default=State.CLOSED, compare=False)
    failures: int = field(default=0, compare=False)

    @property
    def is_resource(self) -> bool:
        return self.type in RESOURCE_TRIGGERS


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. Where two differ, somebody wants to know now; what drifts meanwhile is told by the way. `active_at` is
    in wall seconds."""

    target: TargetKey
    problem: str = ""
    metrics: tuple[MetricFacts, ...] = ()
    decided: bool = False
    active: bool | None = None
    forced: bool = False
    cooling: bool = False
    fallback: bool = False
    has_fallback: bool = False
    composite: bool = False
    paused: bool = False
    paused_replicas: int | None = None
    original: int | None = None
    types: str = ""
    authentications: str = ""
    hpa_name: str = ""
    active_at: float | None = field(default=None, compare=False)

    @property
    def failing(self) -> Sequence[MetricFacts]:
        return [metric for metric in self.metrics if metric.error]

    @property
    def built(self) -> Sequence[str]:
        """Types of triggers whose scalers stand."""
        return list(dict.fromkeys(metric.type for metric in self.metrics if metric.built))

    @property
    def begun(self) -> bool:
        """Whether of every trigger something is known, be it an error."""
        return bool(self.metrics) and all(metric.built or metric.error for metric in self.metrics)

    @property
    def drift(self) -> tuple[object, ...]:
        return (self.active_at, *((metric.failures, metric.circuit) for metric in self.metrics))


def gather(scaled: Scaled, sources: Sequence[Source], now: float, wall: float) -> Facts:
    """As of now (monotonic, and the same moment as people have it)."""
    plan, outcome, state = scaled.plan, scaled.outcome, scaled.state
    spec, pause = plan.spec, plan.spec.pause
    activity = {demand.metric: demand.active for demand in outcome.demands} if outcome else {}
    last_active = state.last_active if state is not None else plan.last_active
    return Facts(
        target=plan.target,
        problem=plan.problem,
        metrics=tuple(
            MetricFacts(
                name=sample.metric,
                type=sample.type,
                active=activity.get(sample.metric),
                error=sample.error,
                caveat=sample.reading.caveat if sample.reading is not None else "",
                built=source.scaler is not None,
                circuit=source.circuit.state,
                failures=sample.failures,
            )
            for source in sources
            for sample in source.samples(now)
        ),
        decided=outcome is not None,
        active=outcome.active if outcome else None,
        forced=spec.forced,
        cooling=outcome is not None
        and any(reason.rule in (Rule.COOLDOWN, Rule.INITIAL_COOLDOWN) for reason in outcome.reasons),
        fallback=outcome is not None and outcome.in_fallback,
        has_fallback=spec.fallback is not None,
        composite=spec.modifiers is not None,
        paused=scaled.paused,
        paused_replicas=pause.replicas if pause.replicas is not None and scaled.has == pause.replicas else None,
        original=plan.original,
        types=plan.types,
        authentications=plan.authentications,
        hpa_name="" if plan.hpa is None else plan.hpa["metadata"]["name"],
        active_at=None if last_active is None else wall - (now - last_active),
    )
