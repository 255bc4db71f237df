"""The host that a channel or a flow is reached by: a core Service of that name, so that instances can resolve it.

As upstream, where it leads to the dispatcher; here the gateway answers for it (`Doors`), and nobody is behind it.
"""

from __future__ import annotations

from typing import Any, Final

from core.errors import AlreadyExists, TemporaryError
from core.reconcile.objects import is_controlled_by
from core.resources.core_services import CORE_SERVICE
from core.resources.meta import Json, Kind, ObjectKey, owner_reference
from core.settings.domain import CLUSTER_DOMAIN
from eventing.controllers.world import World

RETRY_S: Final = 10.0
"""When it is looked again whether a host that was taken is free."""


class HostTaken(Exception):
    """There is a Service of that name that belongs to somebody else."""


def host_of(service: ObjectKey) -> str:
    return f"{service.name}.{service.namespace}.{CLUSTER_DOMAIN}"


async def claim(world: World, kind: Kind[Any], obj: Json, service: ObjectKey) -> None:
    """Sees to it that the object has its Service. HostTaken."""
    found = await world.find_live(CORE_SERVICE, service)
    if found is None:
        try:
            await world.store.create(CORE_SERVICE, _service(kind, obj, service))
        except AlreadyExists as error:  # one that is on its way out
            raise TemporaryError(error.message) from error
    elif not is_controlled_by(found, obj):
        raise HostTaken(f"Service {service} exists and does not belong to {kind.kind} {obj['metadata']['name']}")


def _service(kind: Kind[Any], obj: Json, service: ObjectKey) -> Json:
    return {
        "apiVersion": CORE_SERVICE.api_version,
        "kind": CORE_SERVICE.kind,
        "metadata": {
            "name": service.name,
            "namespace": service.namespace,
            "labels": {"messaging.knative.dev/role": f"{kind.kind.lower()}-host"},
            "ownerReferences": [owner_reference(kind, obj).to_json()],
        },
        "spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 80}]},
    }
