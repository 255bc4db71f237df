"""The addresses behind a core Service: its Pods, grouped by the ports that they really have. Pure.

On one machine each Pod may have a port of its own (`pilotlight.dev/address`), so one port of a Service can stand for
many numbers: there is one EndpointSlice, and one subset of the Endpoints, for each set of them.
`deploy/controllers/endpoints` writes what this makes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import SERVICE_NAME_LABEL
from core.resources.meta import Json, owner_reference
from core.resources.pilotlight import ADDRESS, PORTS

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"


@dataclass(frozen=True, slots=True)
class PodAddress:
    """One Pod behind a Service; `ports` are (name, number, application protocol) in the Service's order."""

    pod: str
    uid: str
    ip: str
    node: str
    ports: tuple[tuple[str, int, str], ...]
    ready: bool
    terminating: bool


def addresses_of(service: Json, pods: Sequence[Json]) -> list[PodAddress]:
    """The Pods that have an address, in the order of their names."""
    publish_all = bool(service["spec"].get("publishNotReadyAddresses"))
    found = [_address(service, pod, publish_all) for pod in pods if (pod.get("status") or {}).get("podIP")]
    return sorted(found, key=lambda each: each.pod)


def make_endpoints(service: Json, addresses: Sequence[PodAddress]) -> Json:
    """The Endpoints object of the Service's name."""
    subsets = []
    for ports, members in _by_ports(addresses):
        subset: Json = {}
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            chosen = [_endpoint_address(service, each) for each in members if _takes_traffic(each) is ready]
            if chosen:
                subset[field] = chosen
        subsets.append({**subset, "ports": _ports(ports)})
    metadata = {**_metadata(service, service["metadata"]["name"]), "labels": service["metadata"].get("labels") or {}}
    return {"metadata": metadata, "subsets": subsets}


def make_slices(service: Json, addresses: Sequence[PodAddress]) -> list[Json]:
    """One EndpointSlice for each set of port numbers."""
    name = service["metadata"]["name"]
    return [
        {
            "metadata": {
                **_metadata(service, f"{name}-{_digest(ports)}"),
                "labels": {
                    **(service["metadata"].get("labels") or {}),
                    SERVICE_NAME_LABEL: name,
                    MANAGED_BY_LABEL: MANAGER,
                },
            },
            "addressType": "IPv4",
            "endpoints": [_endpoint(service, each) for each in members],
            "ports": _ports(ports),
        }
        for ports, members in _by_ports(addresses)
    ]


def _address(service: Json, pod: Json, publish_all: bool) -> PodAddress:
    status, metadata = pod["status"], pod["metadata"]
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
    return PodAddress(
        pod=metadata["name"],
        uid=metadata["uid"],
        ip=status["podIP"],
        node=pod["spec"].get("nodeName", ""),
        ports=tuple(
            (port.get("name", ""), number, port.get("appProtocol", ""))
            for port in service["spec"].get("ports") or ()
            if (number := _target(port, pod)) is not None
        ),
        ready=ready or publish_all,
        terminating="deletionTimestamp" in metadata,
    )


def _target(port: Mapping[str, Any], pod: Json) -> int | None:
    """The number on this Pod; the node has written down the numbers of those that are elsewhere, the first one's
    by itself."""
    declared = [each for container in pod["spec"]["containers"] for each in container.get("ports") or ()]
    target = port.get("targetPort") or port["port"]
    if isinstance(target, str) and not target.isdigit():
        named = [each["containerPort"] for each in declared if each.get("name") == target]
        if not named:
            return None
        target = named[0]
    told = pod["metadata"].get("annotations") or {}
    further = dict(each.split("=") for each in told.get(PORTS, "").split(",") if each)
    if (elsewhere := further.get(str(target))) is not None:
        return int(elsewhere)
    real = told.get(ADDRESS, "").rpartition(":")[2]
    if real and (not declared or int(target) == declared[0]["containerPort"]):
        return int(real)
    return int(target)


def _takes_traffic(address: PodAddress) -> bool:
    return address.ready and not address.terminating


def _by_ports(
    addresses: Sequence[PodAddress],
) -> list[tuple[tuple[tuple[str, int, str], ...], list[PodAddress]]]:
    groups: dict[tuple[tuple[str, int, str], ...], list[PodAddress]] = {}
    for address in addresses:
        groups.setdefault(address.ports, []).append(address)
    return sorted(groups.items())


def _ports(ports: Sequence[tuple[str, int, str]]) -> list[Json]:
    return [
        {"name": name, "port": number, "protocol": "TCP", **({"appProtocol": app} if app else {})}
        for name, number, app in ports
    ]


def _endpoint(service: Json, address: PodAddress) -> Json:
    return {
        "addresses": [address.ip],
        "conditions": {
            "ready": _takes_traffic(address),
            "serving": address.ready,
            "terminating": address.terminating,
        },
        "targetRef": _reference(service, address),
        "nodeName": address.node,
    }


def _endpoint_address(service: Json, address: PodAddress) -> Json:
    return {"ip": address.ip, "nodeName": address.node, "targetRef": _reference(service, address)}


def _reference(service: Json, address: PodAddress) -> Json:
    return {
        "kind": "Pod",
        "namespace": service["metadata"]["namespace"],
        "name": address.pod,
        "uid": address.uid,
    }


def _metadata(service: Json, name: str) -> Json:
    return {
        "name": name,
        "namespace": service["metadata"]["namespace"],
        "ownerReferences": [owner_reference(CORE_SERVICE, service).to_json()],
    }


def _digest(ports: tuple[tuple[str, int, str], ...]) -> str:
    return hashlib.sha256(repr(ports).encode()).hexdigest()[:5]
