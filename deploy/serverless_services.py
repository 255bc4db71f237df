"""The ServerlessService of a revision, and where its ready instances are listed (knative.dev/serving/pkg/reconciler/
serverlessservice).

Upstream a ServerlessService puts the activator between requests and Pods, or takes it out. Here the gateway is always
in between: the mode is always `Proxy`, behind the public name stand the addresses of the gateway, and behind the
private one the instances. There are no Services of these names, for nobody should go around the gateway: clients read
the lists. `deploy/controllers/serverless_services` writes what this makes. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.child_names import child_name
from core.resources.conditions import ConditionSet
from core.resources.discovery_v1 import SERVICE_NAME_LABEL
from core.resources.meta import Json, owner_reference
from core.resources.networking import SERVERLESS_SERVICE
from deploy.endpoints import PodAddress, addresses_of, make_endpoints, make_slices
from deploy.revision_workloads import USER_PORT_NAME

SKS_LABEL: Final = "networking.internal.knative.dev/serverlessservice"
SERVICE_TYPE_LABEL: Final = "networking.internal.knative.dev/serviceType"
POPULATED: Final = "EndpointsPopulated"
BY_GATEWAY: Final = "ActivatorEndpointsPopulated"
_CONDITIONS: Final = ConditionSet((POPULATED,))


def private_service_name(revision: str) -> str:
    return child_name(revision, "-private")


def make_serverless_service(scaler: Json) -> Json:
    """Of the revision that the PodAutoscaler scales, without a status."""
    metadata, spec = scaler["metadata"], scaler["spec"]
    return {
        "apiVersion": SERVERLESS_SERVICE.api_version,
        "kind": SERVERLESS_SERVICE.kind,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": metadata.get("labels") or {},
            "ownerReferences": [owner_reference(POD_AUTOSCALER, scaler).to_json()],
        },
        "spec": {
            "mode": "Proxy",
            "objectRef": spec["scaleTargetRef"],
            "protocolType": spec["protocolType"],
            "numActivators": 1,
        },
    }


def decide_status(serverless: Json, instances: Sequence[PodAddress], now: str) -> Json:
    conditions = _CONDITIONS.manage(serverless.get("status"), now)
    conditions.mark_true(BY_GATEWAY)
    if any(each.ready and not each.terminating for each in instances):
        conditions.mark_true(POPULATED)
    else:
        conditions.mark_unknown(POPULATED, "NoHealthyBackends", "No instance of the revision is ready.")
    metadata = serverless["metadata"]
    return {
        "observedGeneration": metadata.get("generation", 1),
        "conditions": conditions.to_json(),
        "serviceName": metadata["name"],
        "privateServiceName": private_service_name(metadata["name"]),
    }


def instances_of(serverless: Json, pods: Sequence[Json]) -> list[PodAddress]:
    """Those that have an address."""
    return addresses_of(_private_service(serverless), pods)


def make_endpoints_lists(serverless: Json, instances: Sequence[PodAddress], gateway: Json | None) -> list[Json]:
    """The Endpoints of both names, owned by the ServerlessService; `gateway` is the gateway's own Endpoints."""
    public = {"metadata": {**_public(serverless), "name": serverless["metadata"]["name"]}, "subsets": _subsets(gateway)}
    return _owned(serverless, [public, make_endpoints(_private_service(serverless), instances)])


def make_slices_lists(serverless: Json, instances: Sequence[PodAddress], gateway: Json | None) -> list[Json]:
    """The EndpointSlices of both names, likewise."""
    name, public = serverless["metadata"]["name"], _public(serverless)
    slices = [
        {
            "metadata": {
                **public,
                "name": f"{name}-gateway-{index}",
                "labels": {**public["labels"], SERVICE_NAME_LABEL: name},
            },
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": [each["ip"]], "conditions": {"ready": True}} for each in subset.get("addresses") or ()
            ],
            "ports": subset.get("ports") or [],
        }
        for index, subset in enumerate(_subsets(gateway))
    ]
    return _owned(serverless, [*slices, *make_slices(_private_service(serverless), instances)])


def _subsets(endpoints: Json | None) -> list[Json]:
    return list((endpoints or {}).get("subsets") or ())


def _owned(serverless: Json, lists: Sequence[Json]) -> list[Json]:
    owners = [owner_reference(SERVERLESS_SERVICE, serverless).to_json()]
    return [{**each, "metadata": {**each["metadata"], "ownerReferences": owners}} for each in lists]


def _public(serverless: Json) -> Json:
    """Metadata without a name."""
    return {"namespace": serverless["metadata"]["namespace"], "labels": _labels(serverless, "Public")}


def _private_service(serverless: Json) -> Json:
    """As it would be."""
    metadata = serverless["metadata"]
    name, labels = private_service_name(metadata["name"]), _labels(serverless, "Private")
    return {
        "metadata": {**metadata, "name": name, "labels": labels},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": USER_PORT_NAME}]},
    }


def _labels(serverless: Json, service_type: str) -> dict[str, str]:
    metadata = serverless["metadata"]
    return {**(metadata.get("labels") or {}), SKS_LABEL: metadata["name"], SERVICE_TYPE_LABEL: service_type}
