"""The Pods of what is scaled."""

from __future__ import annotations

from typing import Any, Final

from core.errors import NotFound, TemporaryError
from core.resources.meta import Json, Kind, controller_of
from core.resources.pods import POD
from core.resources.serving import CONFIGURATION, REVISION, SERVICE
from core.resources.workloads import DEPLOYMENT
from core.store.base import LocalStore, Store
from scalers.readings import Trigger

_REVISED: Final[dict[str, Kind[Any]]] = {kind.kind: kind for kind in (SERVICE, CONFIGURATION)}


async def pods_of(store: Store, trigger: Trigger) -> list[Json]:
    """Of the Deployment that it scales, or of a Service's latest ready revision. TemporaryError: there is none."""
    namespace, target = trigger.owner.namespace, trigger.target
    name = target.name
    try:
        if (kind := _REVISED.get(target.kind)) is not None:
            status = (await store.get(kind, name, namespace)).get("status") or {}
            name = status.get("latestReadyRevisionName") or ""
            if not name:
                return []
        if target.kind in (*_REVISED, REVISION.kind):
            name = f"{name}-deployment"
        deployment = await store.get(DEPLOYMENT, name, namespace)
    except NotFound as error:
        raise TemporaryError(f"the target {target.kind} {namespace}/{target.name} is not there: {error}") from None
    pods = await _dependents(store, deployment, namespace)
    return [pod for pod in pods if (controller_of(pod) or {}).get("uid") == deployment["metadata"]["uid"]]


def is_ready(pod: Json) -> bool:
    """It serves, and shall go on to."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


async def _dependents(store: Store, deployment: Json, namespace: str) -> list[Json]:
    if not isinstance(store, LocalStore):
        return (await store.list(POD, namespace)).items
    pods = []
    for kind, key in store.dependents(deployment["metadata"]["uid"]):
        if kind is POD:
            try:
                pods.append(await store.get(POD, key.name, key.namespace))
            except NotFound:
                continue
    return pods
