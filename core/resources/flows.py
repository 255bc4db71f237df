"""`flows.knative.dev`: Sequence and Parallel.

A Sequence hands an event from step to step, each getting the answer of the one before; a Parallel hands it to every
branch whose filter lets it pass. Types, kinds and condition sets; rules and defaults are in `flows_validation`.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from core.resources import flows_validation as rules
from core.resources.conditions import ConditionSet
from core.resources.core_v1 import AGE, ObjectReference
from core.resources.duck_v1 import AddressStatus, Destination
from core.resources.eventing import ADDRESSABLE, EVENT_POLICIES_READY, READY, URL, AppliedEventPolicy
from core.resources.eventing_delivery import DeliverySpec
from core.resources.eventing_labels import FLOWS_GROUP, WEBHOOK
from core.resources.eventing_options import DeliveryOptions
from core.resources.eventing_rules import warn_of
from core.resources.fields import doc
from core.resources.messaging import ChannelTemplate
from core.resources.meta import Condition, Kind, Model, Resource

CATEGORIES: Final = ("all", "knative", "eventing", "flows")

SEQUENCE_CONDITIONS: Final = ConditionSet(("ChannelsReady", "SubscriptionsReady", ADDRESSABLE, EVENT_POLICIES_READY))
PARALLEL_CONDITIONS: Final = SEQUENCE_CONDITIONS


class FlowChannelStatus(Model):
    channel: ObjectReference | None = doc("The channel; there is none of its own here.")
    ready: Condition | None = doc("Whether it takes events.")


class FlowSubscriptionStatus(Model):
    subscription: ObjectReference | None = doc("The subscription; there is none of its own here.")
    ready: Condition | None = doc("Whether it delivers.")


class SequenceStep(Destination):
    delivery: DeliverySpec | None = doc("How events are delivered to this step.")


class SequenceSpec(Model):
    steps: list[SequenceStep] | None = doc("Who gets the event, one after the other.")
    channel_template: ChannelTemplate | None = doc("The channel between steps; never changes.")
    reply: Destination | None = doc("Where the answer of the last step goes.")


class SequenceStatus(AddressStatus):
    subscription_statuses: list[FlowSubscriptionStatus] | None = doc("How each step is.")
    channel_statuses: list[FlowChannelStatus] | None = doc("How the way to each step is.")
    policies: list[AppliedEventPolicy] | None = doc("Policies that apply.")


class Sequence(Resource):
    """Hands an event from step to step; each step gets the answer of the one before."""

    spec: SequenceSpec = Field(default_factory=SequenceSpec, description="The steps.")
    status: SequenceStatus | None = doc("Where it takes events, and how it is.")


class ParallelBranch(Model):
    filter: Destination | None = doc("Who decides: an event passes if it answers with one.")
    subscriber: Destination | None = doc("Who gets the event.")
    reply: Destination | None = doc("Where its answer goes; where the reply of the Parallel says.")
    delivery: DeliverySpec | None = doc("How events are delivered on this branch.")


class ParallelSpec(Model):
    branches: list[ParallelBranch] | None = doc("Who gets the event, side by side.")
    channel_template: ChannelTemplate | None = doc("The channel of each branch; never changes.")
    reply: Destination | None = doc("Where the answers of branches go that do not say it themselves.")


class ParallelBranchStatus(Model):
    filter_subscription_status: FlowSubscriptionStatus | None = doc("How the filter is.")
    filter_channel_status: FlowChannelStatus | None = doc("How the way to the filter is.")
    subscriber_subscription_status: FlowSubscriptionStatus | None = doc("How the subscriber is.")


class ParallelStatus(AddressStatus):
    ingress_channel_status: FlowChannelStatus | None = doc("How the way in is.")
    branch_statuses: list[ParallelBranchStatus] | None = doc("How each branch is.")
    policies: list[AppliedEventPolicy] | None = doc("Policies that apply.")


class Parallel(Resource):
    """Hands an event to every branch whose filter lets it pass."""

    spec: ParallelSpec = Field(default_factory=ParallelSpec, description="The branches.")
    status: ParallelStatus | None = doc("Where it takes events, and how it is.")


SEQUENCE: Kind[Sequence] = Kind(
    group=FLOWS_GROUP,
    version="v1",
    kind="Sequence",
    plural="sequences",
    model=Sequence,
    categories=CATEGORIES,
    columns=(URL, AGE, *READY),
    default=rules.default_sequence,
    validate=rules.validate_sequence,
    warn=warn_of(DeliveryOptions),
    merge_patch_only=True,
    webhook=WEBHOOK,
)
PARALLEL: Kind[Parallel] = Kind(
    group=FLOWS_GROUP,
    version="v1",
    kind="Parallel",
    plural="parallels",
    model=Parallel,
    categories=CATEGORIES,
    columns=(URL, AGE, *READY),
    default=rules.default_parallel,
    validate=rules.validate_parallel,
    warn=warn_of(DeliveryOptions),
    merge_patch_only=True,
    webhook=WEBHOOK,
)
