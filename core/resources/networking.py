"""`networking.internal.knative.dev/v1alpha1`: the Route controller's programme for the gateway, claims, what is awake.

Ingress is Knative's own meeting point between Routes, DomainMappings and an ingress implementation (KIngress). `deploy`
writes it; `activator/routing` compiles all of them into one table. Each split names a *revision*: there is no hop in
between. A ClusterDomainClaim says which namespace may map a domain; it is kept like all that a user writes. A
ServerlessService tells where the ready instances of a revision are listed.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from core.errors import FieldError
from core.resources.autoscaling import ScaleTarget
from core.resources.knative_errors import missing
from core.resources.meta import AdmissionContext, Column, Condition, Json, Kind, Lifetime, Model, Resource


class Visibility(StrEnum):
    EXTERNAL_IP = "ExternalIP"
    CLUSTER_LOCAL = "ClusterLocal"


class HTTPOption(StrEnum):
    ENABLED = "Enabled"
    REDIRECTED = "Redirected"


class IngressSplit(Model):
    """A share of the traffic. `service_name` is the revision's name; percents of a path sum to 100."""

    service_namespace: str
    service_name: str
    service_port: int = 80
    percent: int = 100
    append_headers: dict[str, str] | None = None


class HeaderMatch(Model):
    exact: str


class IngressPath(Model):
    """Where requests go. A path with `headers` wins over one without when all of them match."""

    splits: list[IngressSplit]
    headers: dict[str, HeaderMatch] | None = None
    path: str | None = None
    rewrite_host: str | None = None
    append_headers: dict[str, str] | None = None


class IngressHttp(Model):
    paths: list[IngressPath]


class IngressRule(Model):
    hosts: list[str]
    visibility: Visibility = Visibility.EXTERNAL_IP
    http: IngressHttp


class IngressSpec(Model):
    rules: list[IngressRule] = Field(default_factory=list)
    http_option: HTTPOption = HTTPOption.ENABLED


class IngressStatus(Model):
    observed_generation: int | None = None
    conditions: list[Condition] | None = None


class Ingress(Resource):
    spec: IngressSpec = Field(default_factory=IngressSpec)
    status: IngressStatus | None = None


INGRESS: Kind[Ingress] = Kind(
    group="networking.internal.knative.dev",
    version="v1alpha1",
    kind="Ingress",
    plural="ingresses",
    model=Ingress,
    short_names=("kingress", "king"),
    categories=("knative-internal", "networking"),
    merge_patch_only=True,
    columns=(
        Column("Ready", "status.conditions[type=Ready].status"),
        Column("Reason", "status.conditions[type=Ready].reason"),
    ),
)


class ClusterDomainClaimSpec(Model):
    namespace: str = Field(default="", description="Whose DomainMapping may use the domain.")


class ClusterDomainClaim(Resource):
    """Named after the domain."""

    spec: ClusterDomainClaimSpec = Field(default_factory=ClusterDomainClaimSpec)


def validate_claim(obj: Json, context: AdmissionContext) -> list[FieldError]:
    """As its CRD and Knative's webhook do."""
    namespace = (obj.get("spec") or {}).get("namespace")
    if not namespace:
        return missing("spec.namespace")
    return []


CLUSTER_DOMAIN_CLAIM: Kind[ClusterDomainClaim] = Kind(
    group="networking.internal.knative.dev",
    version="v1alpha1",
    kind="ClusterDomainClaim",
    plural="clusterdomainclaims",
    model=ClusterDomainClaim,
    short_names=("cdc",),
    categories=("knative-internal", "networking"),
    namespaced=False,
    merge_patch_only=True,
    status=False,
    validate=validate_claim,
)


class ServerlessServiceSpec(Model):
    mode: str = "Proxy"
    object_ref: ScaleTarget = Field(default_factory=ScaleTarget)
    protocol_type: str = "http1"
    num_activators: int = 1


class ServerlessServiceStatus(Model):
    observed_generation: int | None = None
    conditions: list[Condition] | None = None
    service_name: str | None = None
    private_service_name: str | None = None


class ServerlessService(Resource):
    """Named after the revision. Its private Service is the one whose EndpointSlices list the instances."""

    spec: ServerlessServiceSpec = Field(default_factory=ServerlessServiceSpec)
    status: ServerlessServiceStatus | None = None


SERVERLESS_SERVICE: Kind[ServerlessService] = Kind(
    group="networking.internal.knative.dev",
    version="v1alpha1",
    kind="ServerlessService",
    plural="serverlessservices",
    model=ServerlessService,
    short_names=("sks",),
    categories=("knative-internal", "networking"),
    lifetime=Lifetime.EPHEMERAL,
    merge_patch_only=True,
    columns=(
        Column("Mode", "spec.mode"),
        Column("Activators", "spec.numActivators", "integer"),
        Column("ServiceName", "status.serviceName"),
        Column("PrivateServiceName", "status.privateServiceName"),
        Column("Ready", "status.conditions[type=Ready].status"),
        Column("Reason", "status.conditions[type=Ready].reason"),
    ),
)
