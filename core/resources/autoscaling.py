"""PodAutoscaler: where `deploy` says what to scale and `autoscaler` writes what it decided.

The Revision controller writes the spec; the autoscaler writes the status; `kubectl get kpa` shows both. The revision's
`autoscaling.knative.dev/*` annotations are copied onto it unchanged.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from core.resources.meta import Column, Condition, Kind, Lifetime, Model, Resource


class Reachability(StrEnum):
    """Whether any route sends traffic to the revision (pkg/apis/autoscaling/v1alpha1.ReachabilityType)."""

    UNKNOWN = ""
    REACHABLE = "Reachable"
    UNREACHABLE = "Unreachable"


class ScaleTarget(Model):
    api_version: str = "apps/v1"
    kind: str = "Deployment"
    name: str = ""


class PodAutoscalerSpec(Model):
    scale_target_ref: ScaleTarget = Field(default_factory=ScaleTarget)
    container_concurrency: int = 0
    reachability: Reachability = Reachability.UNKNOWN
    protocol_type: str = "http1"


class PodAutoscalerStatus(Model):
    observed_generation: int | None = None
    conditions: list[Condition] | None = None
    service_name: str | None = None
    metrics_service_name: str | None = None
    desired_scale: int | None = None
    actual_scale: int | None = None
    initialized: bool | None = None  # initial scale has been reached once


class PodAutoscaler(Resource):
    spec: PodAutoscalerSpec = Field(default_factory=PodAutoscalerSpec)
    status: PodAutoscalerStatus | None = None


POD_AUTOSCALER: Kind[PodAutoscaler] = Kind(
    group="autoscaling.internal.knative.dev",
    version="v1alpha1",
    kind="PodAutoscaler",
    plural="podautoscalers",
    model=PodAutoscaler,
    short_names=("kpa", "pa"),
    categories=("knative-internal", "autoscaling"),
    lifetime=Lifetime.EPHEMERAL,
    merge_patch_only=True,
    columns=(
        Column("DesiredScale", "status.desiredScale", "integer"),
        Column("ActualScale", "status.actualScale", "integer"),
        Column("Ready", "status.conditions[type=Ready].status"),
        Column("Reason", "status.conditions[type=Ready].reason"),
    ),
)
