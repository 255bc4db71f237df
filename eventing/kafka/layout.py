"""Where events are in Kafka: the topic of a Broker and the groups of its Triggers, as Knative names them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from core.clients.kafka_access import Access
from eventing.log.base import Origin

PARTITION_BITS: Final = 48
WHERE: Final = {Origin.NOW: "latest", Origin.EARLIEST: "earliest", Origin.TIME: "time", Origin.OFFSET: "offset"}
"""Where a group begins, in the client's words."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a Broker's events are. `own_topic`: it is made and deleted with the Broker."""

    access: Access
    topic: str
    partitions: int = 10
    replication: int = 3
    own_topic: bool = True
    configuration: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """Whose progress it is, in what. `member` names this consumer among those of its group."""

    access: Access
    name: str
    topics: tuple[str, ...]
    member: str


def topic_of(namespace: str, name: str) -> str:
    return f"knative-broker-{namespace}-{name}"


def group_of(subscription: str) -> str:
    """`knative-trigger-NAMESPACE-NAME`."""
    return "knative-" + subscription.replace("/", "-")


def number_of(partition: int, offset: int) -> int:
    """One number for a record of a topic; in the first partition its offset."""
    return (partition << PARTITION_BITS) + offset
