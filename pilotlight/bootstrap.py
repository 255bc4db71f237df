"""What every platform holds from its first second: namespaces, the config-* maps, the definitions of its kinds, the
default StorageClass, and the gateway as a core Service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from core.apiserver.namespaces import make_namespace
from core.errors import AlreadyExists
from core.resources.core_services import CORE_SERVICE, ENDPOINTS
from core.resources.core_v1 import CONFIG_MAP, NAMESPACE
from core.resources.crds import CUSTOM_RESOURCE_DEFINITION, definitions
from core.resources.discovery_v1 import ENDPOINT_SLICE, SERVICE_NAME_LABEL
from core.resources.kinds import SERVED
from core.resources.meta import Json, Kind
from core.resources.storage import STORAGE_CLASS
from core.settings.config_maps import CONFIG_MAPS, SYSTEM_NAMESPACE, config_map_of
from core.settings.eventing import EVENTING_NAMESPACE
from core.store.base import Store
from deploy.claims import standard_class

NAMESPACES = ("default", "kube-system", "kube-public", SYSTEM_NAMESPACE, EVENTING_NAMESPACE)
GATEWAY_SERVICE = "pilotlight-gateway"
ACTIVATOR_SERVICE = "activator-service"


async def bootstrap(store: Store, gateway_port: int) -> None:
    """Creates what is missing; what a user changed stays as it is. The gateway's Service follows its port."""
    for name in NAMESPACES:
        await _create_once(store, NAMESPACE, make_namespace(name))
    for config_map in config_maps():
        await _create_once(store, CONFIG_MAP, config_map)
    for definition in definitions(SERVED):
        await _create_once(store, CUSTOM_RESOURCE_DEFINITION, definition)
    await _create_once(store, STORAGE_CLASS, standard_class())
    await _create_once(store, CORE_SERVICE, broker_ingress())
    service = gateway_service(gateway_port)
    await _create_once(store, CORE_SERVICE, service)
    await store.modify(
        CORE_SERVICE, GATEWAY_SERVICE, SYSTEM_NAMESPACE, lambda current: {**current, "spec": service["spec"]}
    )
    status = {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}
    await store.modify(
        CORE_SERVICE, GATEWAY_SERVICE, SYSTEM_NAMESPACE, lambda current: {**current, "status": status}, "status"
    )
    for kind, listed in activator_endpoints(gateway_port).items():
        await _create_once(store, kind, listed)
        await store.modify(kind, ACTIVATOR_SERVICE, SYSTEM_NAMESPACE, partial(_with_content, listed))


def config_maps() -> Iterator[Json]:
    """The config-* maps, empty: every key at its default until somebody edits one."""
    for settings in CONFIG_MAPS:
        namespace, name = config_map_of(settings)
        yield {"metadata": {"name": name, "namespace": namespace}, "data": {}}


def gateway_service(port: int) -> Json:
    """Where client-go programs look for the ingress: a node port on the loopback address."""
    return {
        "metadata": {"name": GATEWAY_SERVICE, "namespace": SYSTEM_NAMESPACE},
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "127.0.0.1",
            "clusterIPs": ["127.0.0.1"],
            "ports": [{"name": "http2", "protocol": "TCP", "port": 80, "targetPort": port, "nodePort": port}],
        },
    }


def activator_endpoints(port: int) -> Mapping[Kind[Any], Json]:
    """Where clients look for the activator, whose work the gateway does. The Service itself would be a name that leads
    to the gateway and no further."""
    metadata, ports = {"name": ACTIVATOR_SERVICE, "namespace": SYSTEM_NAMESPACE}, [{"name": "http", "port": port}]
    ready = {"addresses": ["127.0.0.1"], "conditions": {"ready": True}}
    return {
        ENDPOINTS: {"metadata": metadata, "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": ports}]},
        ENDPOINT_SLICE: {
            "metadata": {**metadata, "labels": {SERVICE_NAME_LABEL: ACTIVATOR_SERVICE}},
            "addressType": "IPv4",
            "endpoints": [ready],
            "ports": ports,
        },
    }


def _with_content(new: Json, current: Json) -> Json:
    return {**current, **new, "metadata": current["metadata"]}


def broker_ingress() -> Json:
    """The name that brokers are reached by from inside; the gateway answers to it itself."""
    return {
        "metadata": {"name": "broker-ingress", "namespace": EVENTING_NAMESPACE},
        "spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 80}]},
    }


async def _create_once(store: Store, kind: Kind[Any], obj: Json) -> None:
    try:
        await store.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **obj})
    except AlreadyExists:
        return
