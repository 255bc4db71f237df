"""What holds where a ScaledObject or ScaledJob does not say, and what of it is read in several places. Pure."""

from __future__ import annotations

from typing import Final

from core.resources.keda_annotations import HPA_PREFIX, RESOURCE_TRIGGERS
from core.resources.meta import Json

POLLING_INTERVAL_S: Final = 30
COOLDOWN_PERIOD_S: Final = 300
INITIAL_COOLDOWN_PERIOD_S: Final = 0
MIN_REPLICAS: Final = 0
MAX_REPLICAS: Final = 100
JOBS_HISTORY_LIMIT: Final = 100
TARGET_API_VERSION, TARGET_KIND = "apps/v1", "Deployment"
SERVICE_API_VERSION, SERVICE_KIND = "serving.knative.dev/v1", "Service"
AUTHENTICATION_KIND, CLUSTER_AUTHENTICATION_KIND = "TriggerAuthentication", "ClusterTriggerAuthentication"
COMPOSITE_METRIC: Final = "composite-metric"


def or_else(value: int | None, default: int) -> int:
    return default if value is None else value


def hpa_name(obj: Json) -> str:
    """What KEDA would call the HorizontalPodAutoscaler of a ScaledObject."""
    config = (obj["spec"].get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}
    return config.get("name") or f"{HPA_PREFIX}{obj['metadata'].get('name', '')}"


def target_of(spec: Json) -> tuple[str, str, str]:
    """apiVersion, kind and name of what a ScaledObject scales."""
    target = spec.get("scaleTargetRef") or {}
    return target.get("apiVersion") or TARGET_API_VERSION, target.get("kind") or TARGET_KIND, target.get("name", "")


def may_rest(spec: Json) -> bool:
    """Whether a ScaledObject ever goes to zero or to its idle count: what cooldown periods are about."""
    return spec.get("idleReplicaCount") is not None or or_else(spec.get("minReplicaCount"), MIN_REPLICAS) == 0


def only_resources(triggers: list[Json]) -> bool:
    """Whether nothing but cpu and memory is measured, which says nothing while nothing runs."""
    return bool(triggers) and all(trigger.get("type") in RESOURCE_TRIGGERS for trigger in triggers)
