"""Makes first starts fast: hands the template of every Deployment that a Revision owns to its runtime, ahead of need.

A `Reconciler` for keys of Deployments. What preparing means is the runtime's business: nothing for a process, an
interpreter that has imported the function, a container that was made and not started.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import NotFound, TemporaryError
from core.reconcile.controller import Watched, itself
from core.resources.meta import Json, ObjectKey, controller_of
from core.resources.serving_podspec import runtime_class
from core.resources.workloads import DEPLOYMENT
from core.store.base import Store
from deploy.controllers.deployment import template_hash
from deploy.planning import Planner
from deploy.podplan import Planned
from deploy.runtimes.base import Runtime, StartError
from deploy.volume_files import VolumeFiles

_AFTER_S = 0.05  # a Deployment that changes is most often one that scales from zero: nothing to prepare, and in a hurry
WATCHES = (Watched(DEPLOYMENT, itself, _AFTER_S),)
SPARES = 1  # a sleeper's first request must not wait; those after it, while it scales, may
RETRY_S = 30.0
NOBODY = "prepared"  # who such a Pod would be: plans of one template are equal but for this
NOTHING_TO_PREPARE = frozenset({"process"})


@dataclass(frozen=True, slots=True)
class _Prepared:
    template: str
    runtime: Runtime
    planned: Planned


class Preparation:
    """`volumes` is the node's: what a prepared container mounts must be there."""

    def __init__(self, store: Store, planner: Planner, volumes: VolumeFiles) -> None:
        self._store, self._planner, self._volumes = store, planner, volumes
        self._prepared: dict[ObjectKey, _Prepared] = {}

    async def __call__(self, key: ObjectKey) -> float | None:
        deployment = await self._find(key)
        before = self._prepared.get(key)
        digest = None if deployment is None else template_hash(deployment["spec"]["template"])
        if before is not None:
            if before.template == digest:
                return None
            await self._let_go(key)
        if deployment is not None and digest is not None:
            await self._prepare(key, deployment, digest)
        return None

    async def _prepare(self, key: ObjectKey, deployment: Json, digest: str) -> None:
        pod = _pod_of(deployment)
        if runtime_class(pod["spec"]) in NOTHING_TO_PREPARE:
            return
        try:
            runtime = self._planner.runtime(pod)
            planned, _ = await self._planner.plan(pod)
            self._volumes.take(planned)
            self._prepared[key] = _Prepared(digest, runtime, planned)
            await runtime.prepare(planned.plan, SPARES)
        except StartError as error:
            await self._let_go(key)
            raise TemporaryError(f"{error.reason}: {error.message}", RETRY_S) from None

    async def _find(self, key: ObjectKey) -> Json | None:
        """The Deployment, where it is a Revision's and stays."""
        try:
            deployment = await self._store.get(DEPLOYMENT, key.name, key.namespace)
        except NotFound:
            return None
        is_revisions = (controller_of(deployment) or {}).get("kind") == "Revision"
        return deployment if is_revisions and "deletionTimestamp" not in deployment["metadata"] else None

    async def _let_go(self, key: ObjectKey) -> None:
        if (before := self._prepared.pop(key, None)) is not None:
            await before.runtime.prepare(before.planned.plan, 0)
            self._volumes.give_back(before.planned)


def _pod_of(deployment: Json) -> Json:
    template = deployment["spec"]["template"]
    metadata = template.get("metadata") or {}
    identity = {"name": NOBODY, "namespace": deployment["metadata"]["namespace"], "uid": NOBODY}
    return {"metadata": {**metadata, **identity}, "spec": template["spec"]}
