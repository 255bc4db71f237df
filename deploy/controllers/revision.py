"""Revision → its Deployment and PodAutoscaler, and how it is (knative.dev/serving/pkg/reconciler/revision).

The image is resolved once. The Deployment begins with the initial scale, or with 0 where the Revision has been ready
before: then it sleeps until a request or its min-scale wakes it. From there the autoscaler alone writes replicas. Of
the many revisions that a platform comes back to, those that a request waits for go first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from core.errors import AlreadyExists, TemporaryError
from core.reconcile.controller import Controller, Watched, itself, owner
from core.reconcile.objects import is_controlled_by
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.conditions import FALSE, TRUE, find_condition
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.resources.pod_failures import Failure, ready_deadline_s
from core.resources.pods import POD
from core.resources.serving import REVISION
from core.resources.serving_podspec import runtime_class
from core.resources.workloads import DEPLOYMENT
from core.stats import RequestStatistic
from deploy import revision_status, revision_workloads
from deploy.controllers.changes import when_desired_changes, when_scale_changes
from deploy.controllers.telling import TellingPods
from deploy.controllers.world import World
from deploy.images import ImageProblem, Resolution, Resolved, RuntimeProblem
from deploy.revision_status import Seen
from deploy.services import not_owned_message

DEPLOYMENT_HASH_LABEL: Final = "serving.knative.dev/deployment-hash"
# Active and the replica counts change with every start; they may be told this much later, and once for many changes.
SETTLING_S: Final = 0.25
TOLD_AFTER_S: Final = 0.02  # what happens below a revision is looked at after the cold start that it is part of
RUNTIME_RETRY_S: Final = 5.0
WORKERS: Final = 64  # a slow registry must not hold up the others
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}$")
_INFORMATION: Final = ("actualReplicas", "desiredReplicas")


class RevisionReconciler:
    def __init__(self, world: World) -> None:
        self._world = world
        self._telling = TellingPods(world.clock)
        self._settles_at: dict[ObjectKey, float] = {}

    def controller(self) -> Controller:
        watches = (
            Watched(REVISION, when_desired_changes(itself)),
            Watched(DEPLOYMENT, when_scale_changes(owner(REVISION)), TOLD_AFTER_S),
            Watched(POD_AUTOSCALER, when_scale_changes(owner(REVISION)), TOLD_AFTER_S),
            Watched(POD, self._telling.watch, TOLD_AFTER_S),
        )
        world = self._world
        controller = Controller("revision", world.store, self.reconcile, watches, world.clock, workers=WORKERS)

        def hear(statistic: RequestStatistic) -> None:
            if statistic.poke:
                controller.hurry(ObjectKey(statistic.revision.namespace, statistic.revision.name))

        world.statistics.subscribe(hear)
        return controller

    async def reconcile(self, key: ObjectKey) -> float | None:
        revision = await self._world.find_live(REVISION, key)
        if revision is None:
            self._settles_at.pop(key, None)
            return None
        if revision_status.has_digests(revision):
            status: Json = revision.get("status") or {}
            digests, init_digests = status.get("containerStatuses") or (), status.get("initContainerStatuses") or ()
        else:
            digests, init_digests = await self._resolve(revision)
            resolved = {"containerStatuses": list(digests), "initContainerStatuses": list(init_digests)}
            revision = {**revision, "status": {**(revision.get("status") or {}), **resolved}}
        seen = await self._children(revision, digests, init_digests)
        status = revision_status.decide_status(revision, seen, self._world.now())
        wait_s = self._settle(key, revision, status)
        if wait_s is not None:
            return wait_s
        await self._world.write_status(REVISION, revision, status)
        await self._tell(revision, status)
        if seen.not_owned:
            raise TemporaryError(seen.not_owned)
        await self._update_scaler({**revision, "status": status}, seen)
        return self._late(revision)[1]

    async def _resolve(self, revision: Json) -> tuple[Sequence[Json], Sequence[Json]]:
        """Each image's digest. TemporaryError once the status says why there is none."""
        spec, namespace = revision["spec"], revision["metadata"]["namespace"]
        if runtime_class(spec) == "container" and not revision.get("status"):
            # Asking a registry takes its time: say so.
            status = revision_status.decide_unresolved(revision, None, self._world.now())
            await self._world.write_status(REVISION, revision, status)
        entries: dict[str, list[Json]] = {"containers": [], "initContainers": []}
        for field, found in entries.items():
            for container in spec.get(field) or ():
                resolution = await self._ask(namespace, spec, container)
                if isinstance(resolution, ImageProblem):
                    message = revision_status.missing_message(container.get("image", ""), resolution.message)
                    await self._cannot_resolve(revision, ImageProblem(message))
                elif isinstance(resolution, RuntimeProblem):
                    await self._cannot_resolve(revision, resolution)
                else:
                    found.append(_digest(container, resolution))
        return entries["containers"], entries["initContainers"]

    async def _ask(self, namespace: str, spec: Json, container: Json) -> Resolution:
        """An image that is named by its digest needs no registry; whether it can be had shows when it is pulled."""
        image = container.get("image", "")
        if runtime_class(spec) == "container" and _DIGEST.search(image):
            return Resolved(image)
        return await self._world.images.resolve(namespace, spec, container)

    async def _cannot_resolve(self, revision: Json, problem: ImageProblem | RuntimeProblem) -> None:
        status = revision_status.decide_unresolved(revision, problem, self._world.now())
        await self._world.write_status(REVISION, revision, status)
        raise TemporaryError(problem.message, RUNTIME_RETRY_S if isinstance(problem, RuntimeProblem) else None)

    async def _children(self, revision: Json, digests: Sequence[Json], init_digests: Sequence[Json]) -> Seen:
        """What there is of it, made where it is missing."""
        settings = await self._world.settings.autoscaler()
        replicas = 0
        if not revision_workloads.was_ready(revision):
            replicas = revision_workloads.initial_scale(
                revision, settings.initial_scale, settings.allow_zero_initial_scale
            )
        desired = _with_hash(revision_workloads.make_deployment(revision, replicas))
        deployment = await self._child(DEPLOYMENT, desired)
        if not is_controlled_by(deployment, revision):
            message = not_owned_message("Deployment", deployment["metadata"]["name"])
            return Seen(digests=digests, init_digests=init_digests, not_owned=message)
        if _hash(deployment) != _hash(desired):
            updated = await self._world.write(DEPLOYMENT, deployment, lambda old: _updated(old, desired))
            deployment = updated or deployment
        scaler = await self._child(POD_AUTOSCALER, revision_workloads.make_pod_autoscaler(revision, deployment))
        message = ""
        if not is_controlled_by(scaler, revision):
            message = not_owned_message("PodAutoscaler", scaler["metadata"]["name"])
        pods = await self._pods(revision, deployment)
        late = self._late(revision)[0] if pods else None
        return Seen(deployment, scaler, pods, digests, init_digests, message, late)

    async def _child(self, kind: Kind[Any], desired: Json) -> Json:
        metadata = desired["metadata"]
        stored = await self._world.find(kind, ObjectKey(metadata["namespace"], metadata["name"]))
        if stored is not None:
            return stored
        try:
            return await self._world.store.create(kind, desired)
        except AlreadyExists as error:
            raise TemporaryError(error.message) from error

    async def _pods(self, revision: Json, deployment: Json) -> Sequence[Json]:
        """Those of its Pods that have something to say, where it wants some and none is ready."""
        if not deployment["spec"].get("replicas", 0) or (deployment.get("status") or {}).get("readyReplicas"):
            return ()
        found = [await self._world.find(POD, key) for key in self._telling.of(key_of(revision))]
        return [pod for pod in found if pod is not None]

    def _late(self, revision: Json) -> tuple[Failure | None, float | None]:
        ready_s = ready_deadline_s(revision["metadata"].get("annotations") or {})
        return self._telling.late(key_of(revision), ready_s)

    async def _update_scaler(self, revision: Json, seen: Seen) -> None:
        """Labels, annotations and conditions of the Revision decide what the PodAutoscaler says."""
        if seen.scaler is None:
            return
        desired = revision_workloads.make_pod_autoscaler(revision, seen.deployment)
        annotations = desired["metadata"]["annotations"]
        current = seen.scaler["metadata"].get("annotations") or {}
        if seen.scaler["spec"] == desired["spec"] and current == annotations:
            return

        def change(old: Json) -> Json:
            metadata = {**old["metadata"], "annotations": annotations}
            return {**old, "metadata": metadata, "spec": desired["spec"]}

        await self._world.write(POD_AUTOSCALER, seen.scaler, change)

    def _settle(self, key: ObjectKey, revision: Json, status: Json) -> float | None:
        """How long a status that differs in information only may wait; None: write it now."""
        before = revision.get("status") or {}
        if not before or _essence(before) != _essence(status) or before == status:
            self._settles_at.pop(key, None)
            return None
        now = self._world.clock.monotonic()
        remaining = self._settles_at.setdefault(key, now + SETTLING_S) - now
        if remaining > 0:
            return remaining
        del self._settles_at[key]
        return None

    async def _tell(self, revision: Json, status: Json) -> None:
        before, after = find_condition(revision) or {}, find_condition({"status": status}) or {}
        if after.get("status") == TRUE and before.get("status") != TRUE:
            message = "Revision becomes ready upon all resources being ready"
            await self._world.recorder.event(revision, "Normal", "RevisionReady", message)
        elif after.get("status") == FALSE and before.get("reason") != after.get("reason"):
            reason, message = after.get("reason", "Failed"), after.get("message", "")
            await self._world.recorder.event(revision, "Warning", reason, message)


def _digest(container: Json, resolved: Resolved) -> Json:
    return revision_status.digest_entry(container, resolved)


def _essence(status: Json) -> Json:
    """What others act upon: all but Active and the counts."""
    kept = {name: value for name, value in status.items() if name not in _INFORMATION}
    kept["conditions"] = [c for c in status.get("conditions") or () if c["type"] != revision_status.ACTIVE]
    return kept


def _with_hash(deployment: Json) -> Json:
    """With a label that tells whether the stored one was made from the same Revision: replicas are not ours, and an
    API server fills in defaults, so that the specs themselves cannot be compared."""
    spec = {name: value for name, value in deployment["spec"].items() if name != "replicas"}
    metadata = deployment["metadata"]
    made_from = orjson.dumps([spec, metadata["annotations"], metadata["labels"]], option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(made_from).hexdigest()[:10]
    return {**deployment, "metadata": {**metadata, "labels": {**metadata["labels"], DEPLOYMENT_HASH_LABEL: digest}}}


def _hash(deployment: Json) -> str:
    return str((deployment["metadata"].get("labels") or {}).get(DEPLOYMENT_HASH_LABEL, ""))


def _updated(old: Json, desired: Json) -> Json:
    wanted = desired["metadata"]
    metadata = {**old["metadata"], "labels": wanted["labels"], "annotations": wanted["annotations"]}
    return {**old, "metadata": metadata, "spec": {**desired["spec"], "replicas": old["spec"].get("replicas", 0)}}
