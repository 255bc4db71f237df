"""The Pods of what is scaled."""

from __future__ import annotations

from core.errors import NotFound, TemporaryError
from core.resources.meta import Json, controller_of
from core.resources.pods import POD
from core.resources.serving import SERVICE
from core.resources.workloads import DEPLOYMENT
from core.store.base import LocalStore, Store
from scalers.readings import Trigger


async def pods_of(store: Store, trigger: Trigger) -> list[Json]:
    """Of the Deployment, or of the latest revision of the Knative Service, that the trigger scales. TemporaryError: it
    is not there."""
    namespace, target = trigger.owner.namespace, trigger.target
    name = target.name
    try:
        if target.kind == SERVICE.kind:
            status = (await store.get(SERVICE, name, namespace)).get("status") or {}
            if not (revision := status.get("latestCreatedRevisionName")):
                return []
            name = f"{revision}-deployment"
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
