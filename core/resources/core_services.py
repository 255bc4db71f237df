"""Service and Endpoints (core/v1): a stable name over Pods, or an alias of an outside one.

The activator answers for a Service by its cluster-local name; `deploy` keeps its Endpoints and EndpointSlices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from core.errors import FieldError
from core.resources.containers import IntOrString
from core.resources.core_v1 import AGE, ObjectReference
from core.resources.fields import doc, key_default, keyed, unhonored, whole
from core.resources.meta import (
    AdmissionContext,
    Column,
    Condition,
    Json,
    Kind,
    Lifetime,
    Model,
    Resource,
    controller_of,
)
from core.resources.names import (
    check_dns1035_label,
    check_dns1123_label,
    check_dns1123_subdomain,
    check_port,
    check_port_name,
)
from core.resources.problems import check_allowed, duplicate, invalid, required
from core.resources.selectors import check_labels

TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")


class ServicePort(Model):
    port: int = Field(description="Port of the Service.")
    name: str | None = doc("Name; needed where there are several.")
    protocol: str | None = key_default("TCP, UDP or SCTP; TCP.", "TCP")
    target_port: IntOrString | None = doc("Number or name of the Pods' port; the same number.")
    node_port: int | None = doc("Port of the machine.")
    app_protocol: str | None = doc("Protocol spoken, such as http or kubernetes.io/h2c.")


class ServiceSpec(Model):
    type: str | None = doc("ClusterIP, NodePort, LoadBalancer or ExternalName; ClusterIP.")
    selector: dict[str, str] | None = whole("Labels of the Pods it stands for.")
    ports: list[ServicePort] | None = keyed("Ports it offers.", "port", "protocol")
    external_name: str | None = doc("Host name that an ExternalName is an alias of.")
    cluster_ip: str | None = doc("Address, or None for a headless one.", alias="clusterIP")
    cluster_ips: list[str] | None = doc("Addresses.", alias="clusterIPs")
    publish_not_ready_addresses: bool | None = doc("Whether Pods count before they are ready.")
    external_ips: list[str] | None = unhonored("Further addresses.", alias="externalIPs")
    load_balancer_ip: str | None = unhonored("Address asked of a load balancer.", alias="loadBalancerIP")
    load_balancer_class: str | None = unhonored("Kind of load balancer.")
    load_balancer_source_ranges: list[str] | None = unhonored("Clients that are let in.")
    allocate_load_balancer_node_ports: bool | None = unhonored("Whether node ports are taken.")
    external_traffic_policy: str | None = unhonored("Cluster or Local.")
    internal_traffic_policy: str | None = unhonored("Cluster or Local.")
    health_check_node_port: int | None = unhonored("Port of the load balancer's health check.")
    ip_families: list[str] | None = unhonored("IPv4, IPv6.")
    ip_family_policy: str | None = unhonored("SingleStack and the like.")
    session_affinity: str | None = unhonored("None or ClientIP.")
    session_affinity_config: dict[str, Any] | None = unhonored("Details of sessionAffinity.")
    traffic_distribution: str | None = unhonored("Which endpoints are preferred.")


class LoadBalancerIngress(Model):
    ip: str | None = doc("Address.")
    hostname: str | None = doc("Host name.")
    ip_mode: str | None = doc("VIP or Proxy.")
    ports: list[dict[str, Any]] | None = doc("State of its ports.")


class LoadBalancerStatus(Model):
    ingress: list[LoadBalancerIngress] | None = doc("Where it can be reached from outside.")


class ServiceStatus(Model):
    load_balancer: LoadBalancerStatus | None = doc("Where it can be reached from outside.")
    conditions: list[Condition] | None = keyed("State of the Service.", "type")


class CoreService(Resource):
    spec: ServiceSpec = Field(default_factory=ServiceSpec, description="What it stands for.")
    status: ServiceStatus | None = doc("Where it can be reached.")


class EndpointAddress(Model):
    ip: str = Field(default="", description="Address.")
    hostname: str | None = doc("Host name.")
    node_name: str | None = doc("Machine.")
    target_ref: ObjectReference | None = whole("The Pod.")


class EndpointPort(Model):
    port: int | None = doc("Port number.")
    name: str | None = doc("Name of the Service's port.")
    protocol: str | None = doc("TCP, UDP or SCTP; TCP.")
    app_protocol: str | None = doc("Protocol spoken.")


class EndpointSubset(Model):
    addresses: list[EndpointAddress] | None = doc("Those that are ready.")
    not_ready_addresses: list[EndpointAddress] | None = doc("Those that are not.")
    ports: list[EndpointPort] | None = doc("Ports of every address.")


class Endpoints(Resource):
    subsets: list[EndpointSubset] | None = doc("Addresses and ports.")


def default_service(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    spec["type"] = spec.get("type") or "ClusterIP"
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if spec["type"] != "ExternalName":
        spec["internalTrafficPolicy"] = spec.get("internalTrafficPolicy") or "Cluster"
    for port in spec.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port")
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def validate_service(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = check_allowed(spec.get("type"), TYPES, "spec.type")
    if (name := obj["metadata"].get("name")) and (problem := check_dns1035_label(name)):
        errors.append(invalid("metadata.name", name, problem))
    errors += check_labels(spec.get("selector") or {}, "spec.selector")
    ports = spec.get("ports") or ()
    if spec["type"] == "ExternalName":
        name = (spec.get("externalName") or "").rstrip(".")
        if not name:
            errors.append(required("spec.externalName"))
        elif problem := check_dns1123_subdomain(name):
            errors.append(invalid("spec.externalName", name, problem))
    elif not ports and spec.get("clusterIP") != "None":
        errors.append(required("spec.ports"))
    names: set[str] = set()
    pairs: set[tuple[int, str]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        errors += _check_port(port, path, several=len(ports) > 1)
        if (name := port.get("name", "")) in names and name:
            errors.append(duplicate(f"{path}.name", name))
        if (pair := (port["port"], port["protocol"])) in pairs:
            errors.append(duplicate(path, {"port": pair[0], "protocol": pair[1]}))
        names.add(name)
        pairs.add(pair)
    return errors


def _check_port(port: Json, path: str, *, several: bool) -> list[FieldError]:
    errors = []
    name, target = port.get("name", ""), port.get("targetPort")
    if several and not name:
        errors.append(required(f"{path}.name"))
    if name and (problem := check_dns1123_label(name)):
        errors.append(invalid(f"{path}.name", name, problem))
    if problem := check_port(port["port"]):
        errors.append(invalid(f"{path}.port", port["port"], problem))
    errors += check_allowed(port.get("protocol"), ("TCP", "UDP", "SCTP"), f"{path}.protocol")
    problem = check_port_name(target) if isinstance(target, str) else check_port(target or 0)
    return [*errors, invalid(f"{path}.targetPort", target, problem)] if problem else errors


def _external(obj: Json) -> str:
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    found = [i.get("ip") or i.get("hostname") or "" for i in ingress] + list(spec.get("externalIPs") or ())
    return ",".join(found) or ("<pending>" if spec.get("type") == "LoadBalancer" else "<none>")


def _ports(obj: Json) -> str:
    def one(port: Json) -> str:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"

    return ",".join(one(port) for port in obj["spec"].get("ports") or ()) or "<none>"


def _selector(obj: Json) -> str:
    selector: Mapping[str, str] = obj["spec"].get("selector") or {}
    return ",".join(f"{key}={selector[key]}" for key in sorted(selector)) or "<none>"


def _endpoints(obj: Json) -> str:
    """The first three `address:port`, and how many more."""
    found = []
    for subset in obj.get("subsets") or ():
        ports = [port.get("port") for port in subset.get("ports") or ()] or [None]
        addresses = [f"[{a['ip']}]" if ":" in a["ip"] else a["ip"] for a in subset.get("addresses") or ()]
        found += [address if port is None else f"{address}:{port}" for port in ports for address in addresses]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) or "<none>") + more


CORE_SERVICE: Kind[CoreService] = Kind(
    group="",
    version="v1",
    kind="Service",
    plural="services",
    model=CoreService,
    short_names=("svc",),
    categories=("all",),
    lifetime=Lifetime.OWNED,
    generation=False,
    default=default_service,
    validate=validate_service,
    columns=(
        Column("Type", "spec.type"),
        Column("Cluster-IP", "", value=lambda obj: obj["spec"].get("clusterIP") or "<none>"),
        Column("External-IP", "", value=_external),
        Column("Port(s)", "", value=_ports),
        AGE,
        Column("Selector", "", priority=1, value=_selector),
    ),
)

ENDPOINTS: Kind[Endpoints] = Kind(
    group="",
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    model=Endpoints,
    short_names=("ep",),
    lifetime=Lifetime.OWNED,
    status=False,
    generation=False,
    columns=(Column("Endpoints", "", value=_endpoints), AGE),
)


def is_placeholder(service: Json) -> bool:
    """Whether it stands for a host of a Knative Route, which made it (deploy/controllers/placeholders)."""
    return (controller_of(service) or {}).get("kind") == "Route"
