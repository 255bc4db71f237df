"""Deployment → Pods: reads what there is, asks `deploy/instances` what to do, does it, writes the status.

On a cluster Kubernetes does this. Pods are found by their owner, never adopted by label. The Pod template's hash takes
the place of a ReplicaSet.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence

import orjson
import structlog

from core.clock import Clock
from core.errors import NotFound
from core.reconcile.controller import Watched, itself, owner
from core.resources.meta import Json, ObjectKey, controller_of, owner_reference
from core.resources.pilotlight import IDLE_ACTION, IDLE_PAUSE, PAUSED
from core.resources.pod_failures import unready_of
from core.resources.pods import POD
from core.resources.quantities import scaled
from core.resources.timestamps import epoch_of
from core.resources.workloads import DEPLOYMENT
from core.stats import InstanceKey, InstanceLoads
from core.store.base import DeleteOptions, LocalStore
from deploy.controllers.changes import when_desired_changes
from deploy.deployment_status import Counts, deployment_status, until_deadline_s
from deploy.instances import Instance, InstancePlan, Wanted, plan_instances
from deploy.work_reports import in_hand

TEMPLATE_HASH_LABEL = "pod-template-hash"
_HASH_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' safe letters: no vowels, no words
_HASH_CHARS = 10

POD_AFTER_S = 0.02  # what becomes of its Pods hurries nobody, and a request may wait for the one that is just starting
WATCHES = (Watched(DEPLOYMENT, when_desired_changes(itself)), Watched(POD, owner(DEPLOYMENT), POD_AFTER_S))

log = structlog.get_logger()


class DeploymentReconciler:
    """A `core.reconcile.controller.Reconciler` for keys of Deployments."""

    def __init__(self, store: LocalStore, loads: InstanceLoads, clock: Clock) -> None:
        self._store, self._loads, self._clock = store, loads, clock

    async def __call__(self, key: ObjectKey) -> float | None:
        try:
            deployment = await self._store.get(DEPLOYMENT, key.name, key.namespace)
        except NotFound:
            return None  # its Pods go with it: the garbage collector's work
        if "deletionTimestamp" in deployment["metadata"]:
            return None
        pods = await self._pods_of(deployment)
        wanted = wanted_of(deployment)
        present = [pod for pod in pods if not _is_leaving(pod)]
        instances = [self._instance(pod) for pod in present]
        if not deployment["spec"].get("paused"):
            plan = plan_instances(wanted, instances, leaving=len(pods) - len(present))
            await self._carry_out(deployment, wanted, plan)
            if plan.start or plan.resume:
                return None  # the status can wait for what these Pods become, and they bring us back
        return await self._report(deployment, wanted, present)

    async def _pods_of(self, deployment: Json) -> list[Json]:
        pods = []
        for kind, key in self._store.dependents(deployment["metadata"]["uid"]):
            if kind is POD:
                with contextlib.suppress(NotFound):
                    pods.append(await self._store.get(POD, key.name, key.namespace))
        return [pod for pod in pods if (controller_of(pod) or {}).get("uid") == deployment["metadata"]["uid"]]

    def _instance(self, pod: Json) -> Instance:
        metadata = pod["metadata"]
        key = InstanceKey(metadata["namespace"], metadata["name"], metadata["uid"])
        return Instance(
            name=metadata["name"],
            template=(metadata.get("labels") or {}).get(TEMPLATE_HASH_LABEL, ""),
            created=epoch_of(metadata["creationTimestamp"]) or 0.0,
            ready=ready_since(pod) is not None,
            paused=is_paused(pod),
            in_flight=self._loads.in_flight(key) + in_hand(pod),
        )

    async def _carry_out(self, deployment: Json, wanted: Wanted, plan: InstancePlan) -> None:
        namespace = deployment["metadata"]["namespace"]
        for name in plan.resume:
            await self._mark(namespace, name, paused=False)
        if plan.start:
            pod = make_pod(deployment, wanted.template)
            for _ in range(plan.start):
                await self._store.create(POD, pod)
        for name in plan.pause:
            await self._mark(namespace, name, paused=True)
        for name in plan.stop:
            with contextlib.suppress(NotFound):
                await self._store.delete(POD, name, namespace, DeleteOptions())
        if plan != InstancePlan():
            log.debug(
                "scaling",
                deployment=f"{namespace}/{deployment['metadata']['name']}",
                replicas=wanted.replicas,
                start=plan.start,
                stop=len(plan.stop),
                pause=len(plan.pause),
                resume=len(plan.resume),
            )

    async def _mark(self, namespace: str, name: str, *, paused: bool) -> None:
        def change(pod: Json) -> Json:
            annotations = pod["metadata"].setdefault("annotations", {})
            annotations.pop(PAUSED, None)
            if paused:
                annotations[PAUSED] = "true"
            return pod

        with contextlib.suppress(NotFound):
            await self._store.modify(POD, name, namespace, change)

    async def _report(self, deployment: Json, wanted: Wanted, pods: Sequence[Json]) -> float | None:
        """Writes the status; returns when it will be due without any event."""
        now, spec = self._clock.wall(), deployment["spec"]
        counts, next_available_s = count(wanted.template, pods, float(spec.get("minReadySeconds", 0)), now)
        status = deployment_status(deployment, counts, wanted.max_unavailable, now)
        if status != deployment.get("status"):
            metadata = deployment["metadata"]

            def change(current: Json) -> Json:
                return {**current, "status": status}

            with contextlib.suppress(NotFound):
                await self._store.modify(DEPLOYMENT, metadata["name"], metadata["namespace"], change, "status")
        due = [each for each in (next_available_s, until_deadline_s(deployment, status, now)) if each is not None]
        return min(due, default=None)


def wanted_of(deployment: Json) -> Wanted:
    """What the document asks for, percentages turned to counts (surge up, unavailable down, never both zero)."""
    spec = deployment["spec"]
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    replicas = int(spec.get("replicas", 1))
    surge = scaled(rolling.get("maxSurge", "25%"), replicas, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Wanted(
        replicas=replicas,
        template=template_hash(spec["template"]),
        max_surge=surge,
        max_unavailable=unavailable,
        recreate=strategy.get("type") == "Recreate",
        keep_paused=(_annotation(deployment, IDLE_ACTION) or _annotation(spec["template"], IDLE_ACTION)) == IDLE_PAUSE,
    )


def template_hash(template: Json) -> str:
    """Equal for equal templates: the value of the `pod-template-hash` label."""
    digest = hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).digest()
    return "".join(_HASH_ALPHABET[byte % len(_HASH_ALPHABET)] for byte in digest[:_HASH_CHARS])


def make_pod(deployment: Json, hash_: str) -> Json:
    """A Pod of the Deployment's template, to be named by the store: `<deployment>-<hash>-<5 letters>`."""
    template = deployment["spec"]["template"]
    given = template.get("metadata") or {}
    metadata: Json = {
        "generateName": f"{deployment['metadata']['name']}-{hash_}-",
        "namespace": deployment["metadata"]["namespace"],
        "labels": {**(given.get("labels") or {}), TEMPLATE_HASH_LABEL: hash_},
        "ownerReferences": [owner_reference(DEPLOYMENT, deployment).to_json()],
    }
    if given.get("annotations"):
        metadata["annotations"] = dict(given["annotations"])
    return {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}}


def count(template: str, pods: Sequence[Json], min_ready_s: float, now: float) -> tuple[Counts, float | None]:
    """The counts of a status, and the seconds after which a ready Pod becomes an available one."""
    awake = [pod for pod in pods if not is_paused(pod)]
    since = [ready for pod in awake if (ready := ready_since(pod)) is not None]
    waiting = [ready + min_ready_s - now for ready in since if ready + min_ready_s > now]
    counts = Counts(
        total=len(awake),
        updated=sum((pod["metadata"].get("labels") or {}).get(TEMPLATE_HASH_LABEL) == template for pod in awake),
        ready=len(since),
        available=len(since) - len(waiting),
        unready=next(filter(None, map(unready_of, awake)), ""),
    )
    return counts, min(waiting, default=None)


def ready_since(pod: Json) -> float | None:
    """Epoch seconds, or None where it is not ready."""
    for condition in (pod.get("status") or {}).get("conditions", ()):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return epoch_of(condition.get("lastTransitionTime") or "") or 0.0
    return None


def is_paused(pod: Json) -> bool:
    return _annotation(pod, PAUSED) == "true"


def _is_leaving(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"] or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _annotation(obj: Json, name: str) -> str | None:
    value: str | None = ((obj.get("metadata") or {}).get("annotations") or {}).get(name)
    return value
