"""`eventing.knative.dev`: Broker, Trigger, EventType.

A Broker takes events in at its address and keeps them; a Trigger has those that pass its filters delivered to a
subscriber; an EventType says what passes through a Broker. Types, kinds and condition sets: defaults and rules are in
`eventing_validation`, names of annotations in `eventing_labels`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic import Field

from core.resources import eventing_validation as rules
from core.resources.conditions import ConditionSet
from core.resources.core_v1 import AGE
from core.resources.duck_v1 import AddressStatus, AuthStatus, Destination, Reference, Status
from core.resources.eventing_delivery import DeliverySpec, DeliveryStatus
from core.resources.eventing_filters import SubscriptionsAPIFilter, TriggerFilter
from core.resources.eventing_labels import BROKER_CLASS_ANNOTATION, GROUP, WEBHOOK
from core.resources.eventing_options import BrokerOptions, SubscriptionOptions
from core.resources.eventing_rules import warn_of
from core.resources.fields import doc
from core.resources.meta import Column, Json, Kind, Model, Resource

CATEGORIES: Final = ("all", "knative", "eventing")
SCHEMA_DATA: Final = "schemadata"
DATA_SCHEMA: Final = "dataschema"
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:|/)[^\s{}]*")

URL = Column("URL", "status.address.url")
READY = (
    Column("Ready", "status.conditions[type=Ready].status"),
    Column("Reason", "status.conditions[type=Ready].reason"),
)
DEAD_LETTER_SINK_RESOLVED: Final = "DeadLetterSinkResolved"
EVENT_POLICIES_READY: Final = "EventPoliciesReady"
ADDRESSABLE: Final = "Addressable"

BROKER_CONDITIONS: Final = ConditionSet(
    ("IngressReady", "TriggerChannelReady", "FilterReady", ADDRESSABLE, DEAD_LETTER_SINK_RESOLVED, EVENT_POLICIES_READY)
)
KAFKA_BROKER_CONDITIONS: Final = ConditionSet(
    (ADDRESSABLE, "DataPlaneAvailable", "ConfigParsed", "TopicReady", DEAD_LETTER_SINK_RESOLVED, EVENT_POLICIES_READY)
)
RABBITMQ_BROKER_CONDITIONS: Final = ConditionSet(
    ("ExchangeReady", "DLXReady", "DeadLetterSinkReady", "SecretReady", "IngressReady", ADDRESSABLE)
)
TRIGGER_CONDITIONS: Final = ConditionSet(
    (
        "BrokerReady",
        "SubscriptionReady",
        "DependencyReady",
        "SubscriberResolved",
        DEAD_LETTER_SINK_RESOLVED,
        "OIDCIdentityCreated",
    )
)
EVENT_TYPE_CONDITIONS: Final = ConditionSet(("ReferenceExists", "SchemaCompiles"))


class AppliedEventPolicy(Model):
    api_version: str | None = doc("API version of the policy.")
    name: str | None = doc("Name of the policy.")


class BrokerSpec(Model):
    config: Reference | None = doc("Settings of the Broker's class; never changes.")
    delivery: DeliverySpec | None = doc("How Triggers deliver that do not say it themselves, field by field.")


class BrokerStatus(AddressStatus, DeliveryStatus):
    policies: list[AppliedEventPolicy] | None = doc("Policies that apply.")


class Broker(Resource):
    """Takes events in, keeps them, and hands them to the Triggers that want them."""

    spec: BrokerSpec = Field(default_factory=BrokerSpec, description="Settings and delivery.")
    status: BrokerStatus | None = doc("Where it takes events, and how it is.")


class TriggerSpec(Model):
    broker: str | None = doc("The Broker whose events it gets; never changes.")
    broker_ref: Reference | None = doc("The same as a reference, which may name another namespace.")
    filter: TriggerFilter | None = doc("Attributes that an event must have; not used where filters are.")
    filters: list[SubscriptionsAPIFilter] | None = doc("Filters that must all hold.")
    subscriber: Destination = Field(default_factory=Destination, description="Where the events are delivered.")
    delivery: DeliverySpec | None = doc("How they are delivered; what is not said here the Broker says.")


class TriggerStatus(Status, DeliveryStatus):
    subscriber_uri: str | None = doc("Where events are delivered.")
    subscriber_ca_certs: str | None = doc("Its certificates.", alias="subscriberCACerts")
    subscriber_audience: str | None = doc("Its OIDC audience.")
    auth: AuthStatus | None = doc("Identity that events are sent under.")


class Trigger(Resource):
    """Has the events of a Broker that pass its filters delivered to a subscriber."""

    spec: TriggerSpec = Field(default_factory=TriggerSpec, description="Which events, and whereto.")
    status: TriggerStatus | None = doc("Whereto they go, and how it is.")


class EventAttributeDefinition(Model):
    name: str = Field(default="", description="Name of the attribute.")
    required: bool | None = doc("Whether every event has it.")
    value: str | None = doc("Its value; a part in braces may be anything.")


class EventTypeSpec(Model):
    reference: Reference | None = doc("Where such events can be had: a Broker, channel or source.")
    description: str | None = doc("What such an event means.")
    attributes: list[EventAttributeDefinition] | None = doc("Attributes of such events; type, source, id at least.")


class EventType(Resource):
    """A type of event that can be had from a Broker, a channel or a source."""

    spec: EventTypeSpec = Field(default_factory=EventTypeSpec, description="What such events look like.")
    status: Status | None = doc("Whether they can be had.")


def _broker_class(obj: Json) -> str | None:
    return (obj["metadata"].get("annotations") or {}).get(BROKER_CLASS_ANNOTATION)


def attribute_values(obj: Json) -> dict[str, str]:
    """What an EventType says of attributes, by name."""
    attributes = (obj.get("spec") or {}).get("attributes") or ()
    return {each["name"]: each["value"] for each in attributes if each.get("name") and each.get("value") is not None}


def schema_uri(values: Mapping[str, str]) -> str | None:
    """Where the schema is, if that is what an EventType says: `schemadata` may also hold the schema itself."""
    return next((values[name] for name in (SCHEMA_DATA, DATA_SCHEMA) if is_uri(values.get(name, ""))), None)


def is_uri(text: str) -> bool:
    return _URI.fullmatch(text) is not None


def _attribute(column: str, name: str) -> Column:
    return Column(column, f"spec.attributes[name={name}].value", value=lambda obj: attribute_values(obj).get(name))


BROKER: Kind[Broker] = Kind(
    group=GROUP,
    version="v1",
    kind="Broker",
    plural="brokers",
    model=Broker,
    categories=CATEGORIES,
    columns=(URL, AGE, *READY, Column("Class", "metadata.annotations", priority=1, value=_broker_class)),
    default=rules.default_broker,
    validate=rules.validate_broker,
    warn=warn_of(BrokerOptions),
    merge_patch_only=True,
    webhook=WEBHOOK,
)
TRIGGER: Kind[Trigger] = Kind(
    group=GROUP,
    version="v1",
    kind="Trigger",
    plural="triggers",
    model=Trigger,
    categories=CATEGORIES,
    columns=(Column("Broker", "spec.broker"), Column("Subscriber_URI", "status.subscriberUri"), AGE, *READY),
    default=rules.default_trigger,
    validate=rules.validate_trigger,
    warn=warn_of(SubscriptionOptions),
    merge_patch_only=True,
    webhook=WEBHOOK,
)
EVENT_TYPE: Kind[EventType] = Kind(
    group=GROUP,
    version="v1beta3",
    kind="EventType",
    plural="eventtypes",
    model=EventType,
    categories=CATEGORIES,
    columns=(
        _attribute("Type", "type"),
        _attribute("Source", "source"),
        Column("Schema", "spec.attributes", value=lambda obj: schema_uri(attribute_values(obj))),
        Column("Reference Name", "spec.reference.name"),
        Column("Reference Kind", "spec.reference.kind"),
        Column("Description", "spec.description"),
        *READY,
    ),
    default=rules.default_event_type,
    validate=rules.validate_event_type,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
