"""From one ScaledObject under the loop to what its HorizontalPodAutoscaler shows. Called by `loop` for `hpa_writer`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autoscaler.triggers.hpa_document import Metric, MetricSource
from autoscaler.triggers.hpa_status import View, conditions_of, current_of
from autoscaler.triggers.scaled import Scaled
from autoscaler.triggers.sources import Source
from core.resources.keda_annotations import RESOURCE_TRIGGERS
from core.resources.keda_defaults import COMPOSITE_METRIC


def look(scaled: Scaled, sources: Sequence[Source], now: float) -> View | None:
    """As of now (monotonic); None: there is to be none."""
    plan, outcome = scaled.plan, scaled.outcome
    if plan.hpa is None:
        return None
    replicas = scaled.replicas or 0
    metrics = tuple(sorted(_metrics(scaled, sources, now), key=lambda metric: metric.source))
    if outcome is None:
        return View(plan.hpa, metrics, replicas, current=(None,) * len(metrics))
    demands = {demand.metric: demand for demand in outcome.demands}
    return View(
        skeleton=plan.hpa,
        metrics=metrics,
        replicas=replicas,
        desired=outcome.desired,
        conditions=conditions_of(outcome, metrics, replicas, plan.key.name),
        scaled_at=scaled.scaled_at,
        current=tuple(current_of(metric, demands.get(metric.key), replicas) for metric in metrics),
    )


def _metrics(scaled: Scaled, sources: Sequence[Source], now: float) -> Iterator[Metric]:
    """Those whose target is known; a formula stands for all that are not cpu and memory."""
    modifiers = scaled.plan.spec.modifiers
    for source in sources:
        for sample in source.samples(now):
            if sample.target is None:
                continue
            target = sample.target
            if sample.type in RESOURCE_TRIGGERS:
                container = source.trigger.metadata.get("containerName", "")
                kind = MetricSource.CONTAINER_RESOURCE if container else MetricSource.RESOURCE
                yield Metric(kind, sample.type, sample.metric, target.metric_type, target.value, container)
            elif modifiers is None:
                yield Metric(MetricSource.EXTERNAL, sample.metric, sample.metric, target.metric_type, target.value)
    if modifiers is not None:
        name = COMPOSITE_METRIC
        yield Metric(MetricSource.EXTERNAL, name, name, modifiers.metric_type, modifiers.target)
