"""What a Broker's events look like in Kafka: its topic, and the groups of its Triggers, as Knative names them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.clients.kafka_access import Access


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a Broker's events are. `own_topic`: it is made and deleted with the Broker."""

    access: Access
    topic: str
    partitions: int = 10
    replication: int = 3
    own_topic: bool = True
    configuration: Mapping[str, str] = field(default_factory=dict)


def topic_of(namespace: str, name: str) -> str:
    return f"knative-broker-{namespace}-{name}"


def group_of(subscription: str) -> str:
    """`knative-trigger-NAMESPACE-NAME`."""
    return "knative-" + subscription.replace("/", "-")
