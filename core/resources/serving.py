"""`serving.knative.dev`: Service, Configuration, Revision, Route, DomainMapping.

A Service is a Configuration (`template`) and a Route (`traffic`) in one document. The Configuration stamps a Revision
for every generation of its template; a Revision never changes. Types and kinds only: defaults are in
`serving_defaults`, rules in `serving_validation`, label and annotation names in `serving_labels`.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from core.resources import serving_defaults as defaults
from core.resources import serving_validation as rules
from core.resources.duck_v1 import Addressable, Reference, Status
from core.resources.fields import doc
from core.resources.meta import Column, Kind, Model, ObjectMeta, Resource
from core.resources.pods import PodSpec
from core.resources.serving_labels import CONFIGURATION_GENERATION_LABEL, CONFIGURATION_LABEL, GROUP

CATEGORIES: Final = ("all", "knative", "serving")
WEBHOOK: Final = "validation.webhook.serving.knative.dev"


class RevisionSpec(PodSpec):
    """A Pod, and how requests reach it. Only some of a Pod's fields may be set: see `serving_fields`."""

    container_concurrency: int | None = doc("Requests at a time per instance; 0 is unlimited.")
    timeout_seconds: int | None = doc("Seconds a request may take in all.")
    response_start_timeout_seconds: int | None = doc("Seconds until the first byte of the answer must be there.")
    idle_timeout_seconds: int | None = doc("Seconds between two writes of the answer.")


class RevisionTemplate(Model):
    metadata: ObjectMeta = Field(default_factory=ObjectMeta, description="Name, labels and annotations of Revisions.")
    spec: RevisionSpec = Field(default_factory=RevisionSpec, description="What the Revisions run.")


class TrafficTarget(Model):
    """A share of a Route's requests, and with `tag` a host of its own. `url` is in a status only."""

    tag: str | None = doc("Name of the target; gives it the host `<tag>-<route>`.")
    revision_name: str | None = doc("The Revision that serves; or else the latest ready one.")
    configuration_name: str | None = doc("Whose latest ready Revision serves.")
    latest_revision: bool | None = doc("Whether the target follows the latest ready Revision.")
    percent: int | None = doc("Share of the requests; all shares sum to 100.")
    url: str | None = doc("Where the target answers; set by the platform.")


class ConfigurationStatus(Status):
    latest_created_revision_name: str | None = doc("The Revision of the present template.")
    latest_ready_revision_name: str | None = doc("The newest Revision that is ready.")


class RouteStatus(Status):
    url: str | None = doc("Where the Route answers.")
    address: Addressable | None = doc("Where the Route answers from inside.")
    traffic: list[TrafficTarget] | None = doc("The split in force, by Revision.")


class ServiceStatus(Status):
    latest_created_revision_name: str | None = doc("The Revision of the present template.")
    latest_ready_revision_name: str | None = doc("The newest Revision that is ready.")
    url: str | None = doc("Where the Service answers.")
    address: Addressable | None = doc("Where the Service answers from inside.")
    traffic: list[TrafficTarget] | None = doc("The split in force, by Revision.")


class ContainerDigest(Model):
    name: str | None = doc("Name of the container.")
    image_digest: str | None = doc("Its image, by digest.")


class RevisionStatus(Status):
    log_url: str | None = doc("Where its logs are shown.")
    container_statuses: list[ContainerDigest] | None = doc("The images in force.")
    init_container_statuses: list[ContainerDigest] | None = doc("The images of init containers in force.")
    actual_replicas: int | None = doc("Instances that are ready.")
    desired_replicas: int | None = doc("Instances that are wanted.")


class ServiceSpec(Model):
    template: RevisionTemplate = Field(default_factory=RevisionTemplate, description="The next Revision.")
    traffic: list[TrafficTarget] | None = doc("Which Revisions serve; the latest ready one.")


class ConfigurationSpec(Model):
    template: RevisionTemplate = Field(default_factory=RevisionTemplate, description="The next Revision.")


class RouteSpec(Model):
    traffic: list[TrafficTarget] | None = doc("Which Revisions serve.")


class SecretTls(Model):
    secret_name: str = Field(description="Secret of type kubernetes.io/tls, in the same namespace.")


class DomainMappingSpec(Model):
    ref: Reference = Field(default_factory=Reference, description="What answers on the domain.")
    tls: SecretTls | None = doc("The certificate of the domain.")


class DomainMappingStatus(Status):
    url: str | None = doc("Where the mapping answers.")
    address: Addressable | None = doc("Where the mapping answers.")


class Service(Resource):
    spec: ServiceSpec = Field(default_factory=ServiceSpec, description="Template and traffic.")
    status: ServiceStatus | None = doc("What the platform has made of it.")


class Configuration(Resource):
    spec: ConfigurationSpec = Field(default_factory=ConfigurationSpec, description="The template.")
    status: ConfigurationStatus | None = doc("What the platform has made of it.")


class Revision(Resource):
    spec: RevisionSpec = Field(default_factory=RevisionSpec, description="What it runs; never changes.")
    status: RevisionStatus | None = doc("How it is.")


class Route(Resource):
    spec: RouteSpec = Field(default_factory=RouteSpec, description="The traffic.")
    status: RouteStatus | None = doc("What the platform has made of it.")


class DomainMapping(Resource):
    spec: DomainMappingSpec = Field(default_factory=DomainMappingSpec, description="What answers on the domain.")
    status: DomainMappingStatus | None = doc("What the platform has made of it.")


_URL = Column("URL", "status.url")
_LATEST = (
    Column("LatestCreated", "status.latestCreatedRevisionName"),
    Column("LatestReady", "status.latestReadyRevisionName"),
)
_READY = (
    Column("Ready", "status.conditions[type=Ready].status"),
    Column("Reason", "status.conditions[type=Ready].reason"),
)


def _label(name: str, label: str) -> Column:
    return Column(name, "metadata.labels", value=lambda obj: (obj["metadata"].get("labels") or {}).get(label))


SERVICE: Kind[Service] = Kind(
    group=GROUP,
    version="v1",
    kind="Service",
    plural="services",
    model=Service,
    short_names=("kservice", "ksvc"),
    categories=CATEGORIES,
    columns=(_URL, *_LATEST, *_READY),
    default=defaults.default_service,
    validate=rules.validate_service,
    warn=rules.warn_service,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
CONFIGURATION: Kind[Configuration] = Kind(
    group=GROUP,
    version="v1",
    kind="Configuration",
    plural="configurations",
    model=Configuration,
    short_names=("config", "cfg"),
    categories=CATEGORIES,
    columns=(*_LATEST, *_READY),
    default=defaults.default_configuration,
    validate=rules.validate_configuration,
    warn=rules.warn_service,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
REVISION: Kind[Revision] = Kind(
    group=GROUP,
    version="v1",
    kind="Revision",
    plural="revisions",
    model=Revision,
    short_names=("rev",),
    categories=CATEGORIES,
    columns=(
        _label("Config Name", CONFIGURATION_LABEL),
        _label("Generation", CONFIGURATION_GENERATION_LABEL),
        *_READY,
        Column("Actual Replicas", "status.actualReplicas", "integer"),
        Column("Desired Replicas", "status.desiredReplicas", "integer"),
    ),
    default=defaults.default_revision,
    validate=rules.validate_revision,
    warn=rules.warn_revision,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
ROUTE: Kind[Route] = Kind(
    group=GROUP,
    version="v1",
    kind="Route",
    plural="routes",
    model=Route,
    short_names=("rt",),
    categories=CATEGORIES,
    columns=(_URL, *_READY),
    default=defaults.default_route,
    validate=rules.validate_route,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
DOMAIN_MAPPING: Kind[DomainMapping] = Kind(
    group=GROUP,
    version="v1beta1",
    kind="DomainMapping",
    plural="domainmappings",
    model=DomainMapping,
    short_names=("dm",),
    categories=CATEGORIES,
    columns=(_URL, *_READY),
    default=defaults.default_domain_mapping,
    validate=rules.validate_domain_mapping,
    warn=rules.warn_domain_mapping,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
