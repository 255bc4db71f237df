"""Where a name inside the platform really answers: documents name core Services, as on a cluster.

For clients that dial by themselves (gRPC, drivers of databases); HTTP goes through the data path, which knows them all.
"""

from __future__ import annotations

from typing import Final

from yarl import URL

from core.errors import NotFound, TemporaryError
from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import ENDPOINT_SLICE, SERVICE_NAME_LABEL
from core.resources.meta import Json
from core.store.base import Store

_SUFFIXES: Final = ("", ".svc", ".svc.cluster.local")


async def addresses_of(store: Store, address: str, namespace: str) -> list[str]:
    """`host:port` of every ready Pod behind a core Service of that name, in `namespace` where it names none; the
    address itself where there is no such Service. TemporaryError: there is one, and nothing is ready behind it."""
    host, _, port = address.rpartition(":")
    name, _, rest = host.partition(".")
    space, _, _ = rest.partition(".")
    if not name or not port.isdigit() or rest.removeprefix(space) not in _SUFFIXES:
        return [address]
    try:
        service = await store.get(CORE_SERVICE, name, space or namespace)
    except NotFound:
        return [address]
    if service["spec"].get("type") == "ExternalName":
        return [f"{service['spec'].get('externalName', host)}:{port}"]
    where = f"Service {space or namespace}/{name}"
    ports = service["spec"].get("ports") or ()
    named = [each.get("name", "") for field in ("port", "targetPort") for each in ports if each.get(field) == int(port)]
    if not named:
        raise TemporaryError(f"{where} has no port {port}")
    slices = await store.list(ENDPOINT_SLICE, space or namespace, {SERVICE_NAME_LABEL: name})
    found = sorted({each for piece in slices.items for each in _ready(piece, named[0])})
    if not found:
        raise TemporaryError(f"{where} has no ready Pods")
    return found


async def urls_of(store: Store, url: URL, namespace: str) -> list[tuple[str, str]]:
    """The same for a URL: where it is reached, and what its host shall be called (empty: as the URL has it)."""
    address = f"{url.host}:{url.port}"
    found = await addresses_of(store, address, namespace)
    if found == [address]:
        return [(str(url), "")]
    places = (each.rpartition(":") for each in found)
    return [(str(url.with_host(host).with_port(int(port))), url.authority) for host, _, port in places]


def namespace_meant(host: str, namespace: str) -> str:
    """The namespace, where a host may be a Service of it; empty where its name says more."""
    return namespace if "." not in host and ":" not in host and host != "localhost" else ""


def _ready(piece: Json, port_name: str) -> list[str]:
    ports = [port["port"] for port in piece.get("ports") or () if port.get("name", "") == port_name]
    return [
        f"{address}:{port}"
        for endpoint in piece.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready")
        for address in endpoint["addresses"]
        for port in ports
    ]
