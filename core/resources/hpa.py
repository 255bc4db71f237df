"""HorizontalPodAutoscaler (autoscaling/v2): what a ScaledObject asks for and does, as Kubernetes' own tools know it.

`autoscaler` keeps one per ScaledObject, a view that nothing reads back. One that a user writes is kept, with a warning:
nothing acts on it, but KEDA's admission counts it. Rules are in `hpa_rules`, columns in `hpa_columns`.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from core.resources.containers import Quantity
from core.resources.fields import doc, keyed
from core.resources.hpa_columns import COLUMNS
from core.resources.hpa_rules import default_hpa, validate_hpa, warn_hpa
from core.resources.meta import Kind, Lifetime, Model, Resource
from core.resources.selectors import LabelSelectorModel

ABLE_TO_SCALE, SCALING_ACTIVE, SCALING_LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"


class ScalingPolicy(Model):
    """HPAScalingPolicy."""

    type: str = Field(description="Pods or Percent.")
    value: int = Field(description="How many replicas, or percent of them, in a period.")
    period_seconds: int = Field(description="The period, in seconds; at most 1800.")


class ScalingRules(Model):
    """HPAScalingRules."""

    stabilization_window_seconds: int | None = doc(
        "Seconds over which the most cautious recommendation counts; 0 to 3600."
    )
    select_policy: str | None = doc("Max, Min or Disabled; Max.")
    policies: list[ScalingPolicy] | None = doc("Limits of the rate.")
    tolerance: Quantity | None = doc("How far off the target nothing changes yet, such as 0.05.")


class HpaBehavior(Model):
    """HorizontalPodAutoscalerBehavior; also a part of KEDA's ScaledObject."""

    scale_up: ScalingRules | None = doc("How fast replicas are added.")
    scale_down: ScalingRules | None = doc("How fast they are taken away.")


class CrossVersionObjectReference(Model):
    kind: str = Field(default="", description="Kind of the object.")
    name: str = Field(default="", description="Its name, in this namespace.")
    api_version: str | None = doc("Its API version.")


class MetricIdentifier(Model):
    name: str = Field(description="Name of the metric.")
    selector: LabelSelectorModel | None = doc("Which of its series.")


class MetricTarget(Model):
    type: str = Field(description="Utilization, Value or AverageValue.")
    value: Quantity | None = doc("What the whole is held at.")
    average_value: Quantity | None = doc("What the share of each replica is held at.")
    average_utilization: int | None = doc("Percent of what replicas request that their average is held at.")


class MetricValue(Model):
    """MetricValueStatus."""

    value: Quantity | None = doc("The whole.")
    average_value: Quantity | None = doc("The share of each replica.")
    average_utilization: int | None = doc("Percent of what replicas request.")


class ResourceSource(Model):
    name: str = Field(description="cpu or memory.")
    target: MetricTarget = Field(description="What it is held at.")


class ContainerResourceSource(ResourceSource):
    container: str = Field(description="The one container that is measured.")


class PodsSource(Model):
    metric: MetricIdentifier = Field(description="Which metric.")
    target: MetricTarget = Field(description="What it is held at.")


class ObjectSource(PodsSource):
    described_object: CrossVersionObjectReference = Field(description="The object that the metric is of.")


class MetricSpec(Model):
    type: str = Field(description="Which of the following: Resource, ContainerResource, External, Object or Pods.")
    resource: ResourceSource | None = doc("cpu or memory of the Pods.")
    container_resource: ContainerResourceSource | None = doc("cpu or memory of one container of each.")
    external: PodsSource | None = doc("A metric of something outside.")
    object: ObjectSource | None = doc("A metric of one object.")
    pods: PodsSource | None = doc("A metric of each Pod.")


class ResourceValue(Model):
    name: str = Field(description="cpu or memory.")
    current: MetricValue = Field(description="What it is.")


class ContainerResourceValue(ResourceValue):
    container: str = Field(description="The one container that is measured.")


class PodsValue(Model):
    metric: MetricIdentifier = Field(description="Which metric.")
    current: MetricValue = Field(description="What it is.")


class ObjectValue(PodsValue):
    described_object: CrossVersionObjectReference = Field(description="The object that the metric is of.")


class MetricStatus(Model):
    type: str = Field(default="", description="As in the spec; empty where the metric could not be read.")
    resource: ResourceValue | None = doc("cpu or memory of the Pods.")
    container_resource: ContainerResourceValue | None = doc("cpu or memory of one container of each.")
    external: PodsValue | None = doc("A metric of something outside.")
    object: ObjectValue | None = doc("A metric of one object.")
    pods: PodsValue | None = doc("A metric of each Pod.")


class HpaSpec(Model):
    scale_target_ref: CrossVersionObjectReference = Field(
        default_factory=CrossVersionObjectReference, description="What is scaled."
    )
    min_replicas: int | None = doc("Least replicas; 1.")
    max_replicas: int = Field(default=0, description="Most replicas.")
    metrics: list[MetricSpec] | None = doc("What replicas are counted by; the largest number wins.")
    behavior: HpaBehavior | None = doc("How fast replicas may come and go.")


class HpaCondition(Model):
    type: str = Field(description="AbleToScale, ScalingActive or ScalingLimited.")
    status: str = Field(description="True, False or Unknown.")
    last_transition_time: str | None = doc("When its status last changed.")
    reason: str | None = doc("Why, in one word.")
    message: str | None = doc("Why, in a sentence.")
    observed_generation: int | None = doc("Generation that it is about.")


class HpaStatus(Model):
    observed_generation: int | None = doc("Generation this status is about.")
    last_scale_time: str | None = doc("When the number of replicas was last changed.")
    current_replicas: int | None = doc("Replicas there are asked for.")
    desired_replicas: int = Field(default=0, description="Replicas as they were last computed.")
    current_metrics: list[MetricStatus] | None = doc("What was last read, in the order of spec.metrics.")
    conditions: list[HpaCondition] | None = keyed("AbleToScale, ScalingActive, ScalingLimited.", "type")


class HorizontalPodAutoscaler(Resource):
    """How many replicas a workload has, and by what."""

    spec: HpaSpec = Field(default_factory=HpaSpec, description="What is scaled, by what.")
    status: HpaStatus | None = doc("How it is.")


HORIZONTAL_POD_AUTOSCALER: Final[Kind[HorizontalPodAutoscaler]] = Kind(
    group="autoscaling",
    version="v2",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    model=HorizontalPodAutoscaler,
    short_names=("hpa",),
    categories=("all",),
    lifetime=Lifetime.OWNED,
    columns=COLUMNS,
    default=default_hpa,
    validate=validate_hpa,
    warn=warn_hpa,
)
