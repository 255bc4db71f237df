"""EndpointSlice (discovery.k8s.io/v1): which addresses stand behind a core Service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from core.errors import FieldError
from core.resources.core_services import EndpointPort
from core.resources.core_v1 import AGE, ObjectReference
from core.resources.fields import doc, unhonored, whole
from core.resources.meta import AdmissionContext, Column, Json, Kind, Lifetime, Model, Resource
from core.resources.problems import check_allowed, invalid, required

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""On an EndpointSlice: the Service it belongs to."""


class EndpointConditions(Model):
    ready: bool | None = doc("Whether it takes traffic.")
    serving: bool | None = doc("Like ready, also while it ends.")
    terminating: bool | None = doc("Whether it ends.")


class Endpoint(Model):
    addresses: list[str] = Field(default_factory=list, description="Addresses; the first one is used.")
    conditions: EndpointConditions | None = doc("Its state.")
    hostname: str | None = doc("Host name.")
    target_ref: ObjectReference | None = whole("The Pod.")
    node_name: str | None = doc("Machine.")
    zone: str | None = unhonored("Zone.")
    hints: dict[str, Any] | None = unhonored("Who should use it.")
    deprecated_topology: dict[str, str] | None = unhonored("Topology of v1beta1.")


class EndpointSlice(Resource):
    address_type: str = Field(default="", description="IPv4, IPv6 or FQDN.")
    endpoints: list[Endpoint] | None = doc("The endpoints.")
    ports: list[EndpointPort] | None = doc("Ports of every endpoint.")


def default_endpoint_slice(obj: Json, context: AdmissionContext) -> None:
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def validate_endpoint_slice(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    found = obj.get("addressType")
    errors = check_allowed(found, ("IPv4", "IPv6", "FQDN"), "addressType") if found else [required("addressType")]
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        if not endpoint.get("addresses"):
            errors.append(required(f"endpoints[{index}].addresses", "must contain at least 1 address"))
    if context.old is not None and context.old.get("addressType") != found:
        errors.append(invalid("addressType", found, "field is immutable"))
    return errors


def _first_three(found: list[str], empty: str) -> str:
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) or empty) + more


def _ports(obj: Json) -> str:
    return _first_three([str(port.get("port", "*")) for port in obj.get("ports") or ()], "<unset>")


def _addresses(obj: Json) -> str:
    return _first_three([a for endpoint in obj.get("endpoints") or () for a in endpoint["addresses"]], "<unset>")


ENDPOINT_SLICE: Kind[EndpointSlice] = Kind(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    model=EndpointSlice,
    lifetime=Lifetime.OWNED,
    status=False,
    default=default_endpoint_slice,
    validate=validate_endpoint_slice,
    columns=(
        Column("AddressType", "addressType"),
        Column("Ports", "", value=_ports),
        Column("Endpoints", "", value=_addresses),
        AGE,
    ),
)
