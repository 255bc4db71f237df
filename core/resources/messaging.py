"""`messaging.knative.dev`: Channel, InMemoryChannel, Subscription.

A channel takes events in and keeps them; each Subscription has all of them delivered to a subscriber, and the answers
to a reply. A Channel becomes the channel that its template names. Types, kinds and condition sets; rules and defaults
are in `messaging_validation`.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from core.resources import messaging_validation as rules
from core.resources.conditions import ConditionSet
from core.resources.core_v1 import AGE
from core.resources.duck_v1 import AddressStatus, AuthStatus, Destination, Reference, Status
from core.resources.eventing import (
    ADDRESSABLE,
    DEAD_LETTER_SINK_RESOLVED,
    EVENT_POLICIES_READY,
    READY,
    URL,
    AppliedEventPolicy,
)
from core.resources.eventing_delivery import DeliverySpec, DeliveryStatus
from core.resources.eventing_labels import MESSAGING_GROUP, WEBHOOK
from core.resources.eventing_options import BrokerOptions, SubscriptionOptions
from core.resources.eventing_rules import warn_of
from core.resources.fields import doc
from core.resources.meta import Kind, Lifetime, Model, Resource

CATEGORIES: Final = ("all", "knative", "messaging")  # upstream's `channel` too would hide `kubectl get channel NAME`

CHANNEL_CONDITIONS: Final = ConditionSet(
    ("BackingChannelReady", ADDRESSABLE, DEAD_LETTER_SINK_RESOLVED, EVENT_POLICIES_READY)
)
IN_MEMORY_CHANNEL_CONDITIONS: Final = ConditionSet(
    (
        "DispatcherReady",
        "ServiceReady",
        "EndpointsReady",
        ADDRESSABLE,
        "ChannelServiceReady",
        DEAD_LETTER_SINK_RESOLVED,
        EVENT_POLICIES_READY,
    )
)
SUBSCRIPTION_CONDITIONS: Final = ConditionSet(
    ("ReferencesResolved", "AddedToChannel", "ChannelReady", "OIDCIdentityCreated")
)


class ChannelTemplate(Model):
    api_version: str | None = doc("API version of the channel.")
    kind: str | None = doc("Its kind.")
    spec: dict[str, Any] | None = doc("Its spec.")


class Subscriber(Model):
    """One Subscription as its channel sees it (duck/v1.SubscriberSpec)."""

    uid: str | None = doc("UID of the Subscription.")
    name: str | None = doc("Its name.")
    generation: int | None = doc("Its generation.")
    subscriber_uri: str | None = doc("Where events are delivered.")
    subscriber_ca_certs: str | None = doc("Certificates of the subscriber.", alias="subscriberCACerts")
    subscriber_audience: str | None = doc("OIDC audience of the subscriber.")
    reply_uri: str | None = doc("Where answers go.")
    reply_ca_certs: str | None = doc("Certificates of the reply.", alias="replyCACerts")
    reply_audience: str | None = doc("OIDC audience of the reply.")
    delivery: DeliverySpec | None = doc("How events are delivered.")
    auth: AuthStatus | None = doc("Identity that events are sent under.")


class SubscriberStatus(Model):
    uid: str | None = doc("UID of the Subscription.")
    observed_generation: int | None = doc("The generation that is served.")
    ready: str | None = doc("True, False or Unknown.")
    message: str | None = doc("Why.")
    auth: AuthStatus | None = doc("Identity that events are sent under.")


class ChannelableStatus(AddressStatus, DeliveryStatus):
    """The status of every channel (duck/v1.ChannelableStatus)."""

    subscribers: list[SubscriberStatus] | None = doc("How each Subscription is.")
    policies: list[AppliedEventPolicy] | None = doc("Policies that apply.")


class ChannelSpec(Model):
    channel_template: ChannelTemplate | None = doc("The channel that it becomes; never changes.")
    delivery: DeliverySpec | None = doc("How Subscriptions deliver that do not say it themselves.")
    subscribers: list[Subscriber] | None = doc("Written by the platform.")


class ChannelStatus(ChannelableStatus):
    channel: Reference | None = doc("The channel that it has become.")


class Channel(Resource):
    """Takes events in, keeps them, and hands each of them to every Subscription."""

    spec: ChannelSpec = Field(default_factory=ChannelSpec, description="Which channel it is.")
    status: ChannelStatus | None = doc("Where it takes events, and how it is.")


class InMemoryChannelSpec(Model):
    delivery: DeliverySpec | None = doc("How Subscriptions deliver that do not say it themselves.")
    subscribers: list[Subscriber] | None = doc("Written by the platform.")


class InMemoryChannel(Resource):
    """A channel of the platform's own log; in spite of its name, it keeps events on disk."""

    spec: InMemoryChannelSpec = Field(default_factory=InMemoryChannelSpec, description="How it delivers.")
    status: ChannelableStatus | None = doc("Where it takes events, and how it is.")


class SubscriptionSpec(Model):
    channel: Reference | None = doc("The channel whose events it gets; never changes.")
    subscriber: Destination | None = doc("Where events are delivered; without it they go to the reply as they are.")
    reply: Destination | None = doc("Where the subscriber's answers go.")
    delivery: DeliverySpec | None = doc("How events are delivered; what is not said here the channel says.")


class PhysicalSubscription(DeliveryStatus):
    subscriber_uri: str | None = doc("Where events are delivered.")
    subscriber_ca_certs: str | None = doc("Certificates of the subscriber.", alias="subscriberCACerts")
    subscriber_audience: str | None = doc("OIDC audience of the subscriber.")
    reply_uri: str | None = doc("Where answers go.")
    reply_ca_certs: str | None = doc("Certificates of the reply.", alias="replyCACerts")
    reply_audience: str | None = doc("OIDC audience of the reply.")


class SubscriptionStatus(Status):
    physical_subscription: PhysicalSubscription | None = doc("The places that its references resolve to.")
    auth: AuthStatus | None = doc("Identity that events are sent under.")


class Subscription(Resource):
    """Has all events of a channel delivered to a subscriber, and its answers to a reply."""

    spec: SubscriptionSpec = Field(default_factory=SubscriptionSpec, description="Which channel, and whereto.")
    status: SubscriptionStatus | None = doc("Whereto events go, and how it is.")


CHANNEL: Kind[Channel] = Kind(
    group=MESSAGING_GROUP,
    version="v1",
    kind="Channel",
    plural="channels",
    model=Channel,
    short_names=("ch",),
    categories=CATEGORIES,
    columns=(URL, AGE, *READY),
    default=rules.default_channel,
    validate=rules.validate_channel,
    warn=warn_of(BrokerOptions),
    merge_patch_only=True,
    webhook=WEBHOOK,
)
IN_MEMORY_CHANNEL: Kind[InMemoryChannel] = Kind(
    group=MESSAGING_GROUP,
    version="v1",
    kind="InMemoryChannel",
    plural="inmemorychannels",
    model=InMemoryChannel,
    short_names=("imc",),
    categories=CATEGORIES,
    lifetime=Lifetime.OWNED,
    columns=(URL, AGE, *READY),
    default=rules.default_in_memory_channel,
    validate=rules.validate_in_memory_channel,
    warn=warn_of(BrokerOptions),
    merge_patch_only=True,
    webhook=WEBHOOK,
)
SUBSCRIPTION: Kind[Subscription] = Kind(
    group=MESSAGING_GROUP,
    version="v1",
    kind="Subscription",
    plural="subscriptions",
    model=Subscription,
    short_names=("sub",),
    categories=CATEGORIES,
    lifetime=Lifetime.OWNED,
    columns=(AGE, *READY),
    default=rules.default_subscription,
    validate=rules.validate_subscription,
    warn=warn_of(SubscriptionOptions),
    merge_patch_only=True,
    webhook=WEBHOOK,
)
