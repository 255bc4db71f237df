"""What a document asks of the data plane: a Trigger or Subscription as a `Subscription` that a dispatcher can run.

The controllers call these with everything that had to be looked up. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.resources.eventing_options import (
    BrokerOptions,
    DeliveryOptions,
    Order,
    StartRule,
    SubscriptionOptions,
    read_options,
)
from core.resources.meta import Json, ObjectKey
from eventing.brokers.base import Interest
from eventing.delivery import Policy, merge, part_of
from eventing.filters.clauses import Filter
from eventing.log.base import Origin, Retention, Start
from eventing.subscriptions import ReplyRule, Subscription

_ORIGINS = {
    StartRule.NOW: Origin.NOW,
    StartRule.EARLIEST: Origin.EARLIEST,
    StartRule.TIME: Origin.TIME,
    StartRule.OFFSET: Origin.OFFSET,
}


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a subscription's events go, as URLs. `subscriber` None: straight to the reply rule."""

    subscriber: str | None
    reply: ReplyRule
    dead_letter_sink: str | None = None


def broker_stream(key: ObjectKey) -> str:
    return f"broker/{key.namespace}/{key.name}"


def channel_stream(key: ObjectKey) -> str:
    return f"channel/{key.namespace}/{key.name}"


def trigger_name(key: ObjectKey) -> str:
    return f"trigger/{key.namespace}/{key.name}"


def subscription_name(key: ObjectKey) -> str:
    return f"subscription/{key.namespace}/{key.name}"


def start_of(options: SubscriptionOptions) -> Start:
    return Start(_ORIGINS[options.start.rule], options.start.at)


def retention_of(options: BrokerOptions) -> Retention:
    """What the annotations say nothing of stays at the default."""
    default = Retention()
    return Retention(options.retention_age_s or default.age_s, options.retention_bytes or default.bytes_max)


def policy_of(obj: Json, behind: Json | None) -> Policy:
    """The policy of an object, filled up field by field from what stands behind it: its broker or channel."""
    parts = []
    for each in (obj, behind):
        if each is not None:
            options = read_options(DeliveryOptions, each["metadata"].get("annotations") or {})
            parts.append(part_of(each["spec"].get("delivery"), options.backoff_jitter))
    return merge(*parts)


def filter_source(spec: Mapping[str, Any]) -> str:
    """What a filter is compiled from, as text: the same text, the same filter."""
    return json.dumps([spec.get("filters") or None, spec.get("filter")], sort_keys=True)


def plan_subscription(name: str, obj: Json, wanted: Filter, ends: Ends, policy: Policy) -> Subscription:
    """`obj` is the Trigger or Subscription; its annotations say the rest."""
    options = read_options(SubscriptionOptions, obj["metadata"].get("annotations") or {})
    return Subscription(
        interest=Interest(name, wanted, filter_source(obj["spec"]), start_of(options)),
        namespace=obj["metadata"]["namespace"],
        subscriber=ends.subscriber,
        reply=ends.reply,
        policy=policy,
        dead_letter_sink=ends.dead_letter_sink,
        order_key=options.order_key if options.order is Order.ORDERED else None,
        rate_per_s=options.rate_limit,
        backlog_max=options.backlog_max,
        **({"parallelism": options.parallelism} if options.parallelism else {}),
    )
