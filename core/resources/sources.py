"""`sources.knative.dev`: PingSource, ContainerSource, SinkBinding, ApiServerSource.

A source sends events to its sink: by a schedule, from containers of the user's, or from what happens to objects; a
SinkBinding tells containers that run anyway where to send. Types, kinds and condition sets; rules and defaults are in
`sources_validation`. Sources that read from brokers of others are in `sources_kafka` and `sources_rabbitmq`.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from pydantic import Field

from core.resources import sources_validation as rules
from core.resources.conditions import ConditionSet
from core.resources.core_v1 import AGE
from core.resources.duck_v1 import CloudEventOverrides, Destination, SourceStatus
from core.resources.eventing import READY
from core.resources.eventing_filters import SubscriptionsAPIFilter
from core.resources.eventing_labels import SOURCES_GROUP, WEBHOOK
from core.resources.eventing_options import PingOptions
from core.resources.eventing_rules import warn_of
from core.resources.fields import doc
from core.resources.meta import Column, Conversion, Kind, Model, Resource
from core.resources.pods import PodTemplate
from core.resources.selectors import LabelSelectorModel

CATEGORIES: Final = ("all", "knative", "sources")
SINK_COLUMN: Final = Column("Sink", "status.sinkUri")
SINK_PROVIDED: Final = "SinkProvided"
OIDC_IDENTITY_CREATED: Final = "OIDCIdentityCreated"

PING_SOURCE_CONDITIONS: Final = ConditionSet((SINK_PROVIDED, "Deployed", OIDC_IDENTITY_CREATED))
CONTAINER_SOURCE_CONDITIONS: Final = ConditionSet(("ReceiveAdapterReady", "SinkBindingReady"))
SINK_BINDING_CONDITIONS: Final = ConditionSet((SINK_PROVIDED, OIDC_IDENTITY_CREATED))
API_SERVER_SOURCE_CONDITIONS: Final = ConditionSet(
    (SINK_PROVIDED, "Deployed", "SufficientPermissions", OIDC_IDENTITY_CREATED)
)


class SourceSpec(Model):
    """What every source says (duck/v1.SourceSpec)."""

    sink: Destination | None = doc("Where events are sent.")
    ce_overrides: CloudEventOverrides | None = doc("What is changed in each event.")


class PingSourceSpec(SourceSpec):
    schedule: str | None = doc("When, as a cron schedule of five fields, or six with seconds in front; every minute.")
    timezone: str | None = doc("Whose clock the schedule goes by, such as Europe/Berlin; UTC.")
    content_type: str | None = doc("Media type of the data.")
    data: str | None = doc("Data of each event.")
    data_base64: str | None = doc("The same in base64, for data that is no text.", alias="dataBase64")


class PingSource(Resource):
    """Sends an event by a schedule."""

    spec: PingSourceSpec = Field(default_factory=PingSourceSpec, description="When, what, and whereto.")
    status: SourceStatus | None = doc("Whereto events go, and how it is.")


class ContainerSourceSpec(SourceSpec):
    template: PodTemplate = Field(default_factory=PodTemplate, description="The containers that send events.")


class ContainerSource(Resource):
    """Runs containers that send events; they are told where by K_SINK."""

    spec: ContainerSourceSpec = Field(default_factory=ContainerSourceSpec, description="What runs, and whereto.")
    status: SourceStatus | None = doc("Whereto events go, and how it is.")


class Subject(Model):
    """Objects, by name or by labels (pkg/tracker.Reference)."""

    api_version: str | None = doc("API version of the objects.")
    kind: str | None = doc("Their kind.")
    namespace: str | None = doc("Their namespace; that of the binding.")
    name: str | None = doc("Name of the one object.")
    selector: LabelSelectorModel | None = doc("Labels of the objects.")


class SinkBindingSpec(SourceSpec):
    subject: Subject = Field(default_factory=Subject, description="Whose containers are told where to send events.")


class SinkBinding(Resource):
    """Tells the containers of an object where to send events, by K_SINK and K_CE_OVERRIDES."""

    spec: SinkBindingSpec = Field(default_factory=SinkBindingSpec, description="Whose containers, and whereto.")
    status: SourceStatus | None = doc("Whereto events go, and how it is.")


class ResourceSelector(Model):
    api_version: str | None = doc("API version of the objects.")
    kind: str | None = doc("Their kind.")
    selector: LabelSelectorModel | None = doc("Their labels.")


class ResourceOwner(Model):
    api_version: str | None = doc("API version of the owner.")
    kind: str | None = doc("Kind of the owner.")


class ApiServerSourceSpec(SourceSpec):
    resources: list[ResourceSelector] | None = doc("Objects whose changes are told.")
    owner: ResourceOwner | None = doc("Whose objects they must be.")
    mode: str | None = doc("Reference sends a reference to the object, Resource the object; Reference.")
    service_account_name: str | None = doc("Who watches; default.")
    namespace_selector: LabelSelectorModel | None = doc("Labels of namespaces; its own.")
    filters: list[SubscriptionsAPIFilter] | None = doc("Filters that must all hold.")


class ApiServerSourceStatus(SourceStatus):
    namespaces: list[str] | None = doc("Namespaces that are watched.")


class ApiServerSource(Resource):
    """Sends an event for what happens to objects of the API."""

    spec: ApiServerSourceSpec = Field(default_factory=ApiServerSourceSpec, description="Which objects, and whereto.")
    status: ApiServerSourceStatus | None = doc("Whereto events go, and how it is.")


PING_SOURCE: Kind[PingSource] = Kind(
    group=SOURCES_GROUP,
    version="v1",
    kind="PingSource",
    plural="pingsources",
    model=PingSource,
    categories=CATEGORIES,
    columns=(SINK_COLUMN, Column("Schedule", "spec.schedule"), AGE, *READY),
    default=rules.default_ping_source,
    validate=rules.validate_ping_source,
    warn=warn_of(PingOptions),
    merge_patch_only=True,
    webhook=WEBHOOK,
)
PING_SOURCE_V1BETA2: Kind[PingSource] = dataclasses.replace(
    PING_SOURCE, version="v1beta2", conversion=Conversion(PING_SOURCE)
)
"""As `kn` writes it: the same in all but its name."""
CONTAINER_SOURCE: Kind[ContainerSource] = Kind(
    group=SOURCES_GROUP,
    version="v1",
    kind="ContainerSource",
    plural="containersources",
    model=ContainerSource,
    categories=CATEGORIES,
    columns=(SINK_COLUMN, AGE, *READY),
    default=rules.default_container_source,
    validate=rules.validate_container_source,
    warn=rules.warn_container_source,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
SINK_BINDING: Kind[SinkBinding] = Kind(
    group=SOURCES_GROUP,
    version="v1",
    kind="SinkBinding",
    plural="sinkbindings",
    model=SinkBinding,
    categories=(*CATEGORIES, "bindings"),
    columns=(SINK_COLUMN, AGE, *READY),
    default=rules.default_sink_binding,
    validate=rules.validate_sink_binding,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
API_SERVER_SOURCE: Kind[ApiServerSource] = Kind(
    group=SOURCES_GROUP,
    version="v1",
    kind="ApiServerSource",
    plural="apiserversources",
    model=ApiServerSource,
    categories=CATEGORIES,
    columns=(SINK_COLUMN, AGE, *READY),
    default=rules.default_api_server_source,
    validate=rules.validate_api_server_source,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
