"""autoscaler/triggers/hpa_view.py: which metrics are shown, in which order; the rest is told by the writer's tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.triggers.documents import TargetKey
from autoscaler.triggers.hpa_document import Metric, MetricSource
from autoscaler.triggers.hpa_view import look
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.scaled import Plan, Scaled
from autoscaler.triggers.spec import Modifiers, ScalingSpec
from core.resources.meta import ObjectKey
from scalers.readings import MetricType, Target, Trigger
from tests.autoscaler.triggers.cases import cpu, once, read
from tests.autoscaler.triggers.test_hpa_document import skeleton

KEY = ObjectKey("default", "orders")
SPEC = ScalingSpec()
LAG_SHOWN = Metric(MetricSource.EXTERNAL, "s0-orders", "s0-orders", MetricType.AVERAGE_VALUE, 10.0)
CPU_SHOWN = Metric(MetricSource.RESOURCE, "cpu", "s1-cpu", MetricType.UTILIZATION, 50.0)


@dataclass
class Read:
    """A source that was read."""

    found: Sequence[Sample]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def trigger(self) -> Trigger:
        return Trigger(KEY, 0, "any", self.metadata)

    def samples(self, now: float) -> Sequence[Sample]:
        return self.found


def entry(spec: ScalingSpec = SPEC, **more: Any) -> Scaled:
    plan = Plan(KEY, {}, spec, TargetKey("apps/v1", "Deployment", "default", "orders"), hpa=skeleton())
    scaled = Scaled(replace(plan, **more))
    scaled.replicas = 2
    return scaled


def metrics(scaled: Scaled, *sources: Read) -> Sequence[Metric]:
    view = look(scaled, sources, 0.0)  # type: ignore[arg-type]
    assert view is not None
    return view.metrics


def test_external_ones_stand_before_resources_and_those_of_containers_before_all() -> None:
    of_container = Read([replace(cpu(10.0), metric="s2-cpu")], {"containerName": "app"})
    found = metrics(entry(), Read([cpu(10.0)]), Read([read(20.0)]), of_container)
    assert found == (
        CPU_SHOWN._replace(source=MetricSource.CONTAINER_RESOURCE, key="s2-cpu", container="app"),
        LAG_SHOWN,
        CPU_SHOWN,
    )


def test_a_target_that_is_not_known_is_left_out() -> None:
    unread = Sample("s0-kafka", "", "kafka", None)
    assert metrics(entry(), Read([unread]), Read([cpu(10.0)])) == (CPU_SHOWN,)


def test_a_formula_stands_for_all_but_resources() -> None:
    modifiers = Modifiers("orders", 2.5, metric_type=MetricType.VALUE)
    found = metrics(entry(replace(SPEC, modifiers=modifiers)), Read([read(20.0)]), Read([cpu(10.0)]))
    name = "composite-metric"
    assert found == (Metric(MetricSource.EXTERNAL, name, name, MetricType.VALUE, 2.5), CPU_SHOWN)


def test_each_has_its_own_value() -> None:
    scaled = entry()
    assert look(scaled, [Read([read(20.0)])], 0.0).current == (None,)  # type: ignore[list-item, union-attr]
    scaled.outcome = once(SPEC, 2, read(20.0), cpu(10.0))
    view = look(scaled, [Read([cpu(10.0)]), Read([read(20.0)])], 0.0)  # type: ignore[list-item]
    assert view is not None
    assert view.current == ({"averageValue": "10"}, {"averageUtilization": 10})
    assert (view.replicas, view.desired, view.name) == (2, 2, "keda-hpa-orders")


def test_there_is_none_where_there_is_to_be_none() -> None:
    assert look(entry(hpa=None), [], 0.0) is None


def test_targets_are_those_of_the_samples() -> None:
    other = Target("kafka-orders", 3.0, metric_type=MetricType.VALUE)
    assert metrics(entry(), Read([read(20.0, target=other)])) == (
        LAG_SHOWN._replace(type=MetricType.VALUE, target=3.0),
    )
