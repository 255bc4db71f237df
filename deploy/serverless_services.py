"""The ServerlessService of a revision, and where its ready instances are listed (knative.dev/serving/pkg/reconciler/
serverlessservice).

Upstream a ServerlessService puts the activator between requests and Pods, or takes it out. Here the gateway is always
in between, so the mode is always `Proxy`, and what is left is what clients read: the name of the private Service, under
which EndpointSlices list the instances. There is no Service of that name, for nobody should go around the gateway.
`deploy/controllers/serverless_services` writes what this makes. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.child_names import child_name
from core.resources.conditions import ConditionSet
from core.resources.meta import Json, owner_reference
from core.resources.networking import SERVERLESS_SERVICE
from deploy.endpoints import PodAddress, addresses_of, make_slices
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


def make_private_slices(serverless: Json, instances: Sequence[PodAddress]) -> list[Json]:
    """Owned by the ServerlessService."""
    owners = [owner_reference(SERVERLESS_SERVICE, serverless).to_json()]
    slices = make_slices(_private_service(serverless), instances)
    return [{**each, "metadata": {**each["metadata"], "ownerReferences": owners}} for each in slices]


def _private_service(serverless: Json) -> Json:
    """As it would be."""
    metadata = serverless["metadata"]
    labels = {**(metadata.get("labels") or {}), SKS_LABEL: metadata["name"], SERVICE_TYPE_LABEL: "Private"}
    return {
        "metadata": {**metadata, "name": private_service_name(metadata["name"]), "labels": labels},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": USER_PORT_NAME}]},
    }
