"""All scalers: a literal table, loaded on use. A test compares it with the folder."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from core.errors import PermanentError
from scalers.base import AnyDefinition

SCALERS: Final[Mapping[str, str]] = {
    "apache-kafka": "scalers.kafka",
    "aws-sqs-queue": "scalers.aws_sqs_queue",
    "cpu": "scalers.cpu_memory",
    "cron": "scalers.cron",
    "external": "scalers.external",
    "external-push": "scalers.external",
    "http": "scalers.http",
    "kafka": "scalers.kafka",
    "kubernetes-resource": "scalers.kubernetes_resource",
    "kubernetes-workload": "scalers.kubernetes_workload",
    "memory": "scalers.cpu_memory",
    "mongodb": "scalers.mongodb",
    "mysql": "scalers.mysql",
    "pilotlight-backlog": "scalers.backlog",
    "metrics-api": "scalers.metrics_api",
    "nats-jetstream": "scalers.nats_jetstream",
    "postgresql": "scalers.postgresql",
    "prometheus": "scalers.prometheus",
    "rabbitmq": "scalers.rabbitmq",
    "redis": "scalers.redis",
    "redis-cluster": "scalers.redis",
    "redis-cluster-streams": "scalers.redis",
    "redis-sentinel": "scalers.redis",
    "redis-sentinel-streams": "scalers.redis",
    "redis-streams": "scalers.redis",
}
"""Type, as triggers name it → the module whose `DEFINITION` it is (`DEFINITIONS[type]` where it has several)."""


def definition_of(type_: str) -> AnyDefinition:
    """PermanentError: there is none of that type."""
    module = SCALERS.get(type_)
    if module is None:
        raise PermanentError(f"type {type_!r} is not known; known are {', '.join(SCALERS)}", "UnknownTrigger")
    loaded = import_module(module)
    found: AnyDefinition = loaded.DEFINITIONS[type_] if hasattr(loaded, "DEFINITIONS") else loaded.DEFINITION
    return found
