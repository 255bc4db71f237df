"""From a Pod in the store to the plan of it: fetches what it refers to, then plans.

`deploy/pods` plans Pods that are to run; `deploy/preparation` plans one that a sleeping Deployment would make.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from core.clock import Clock
from core.errors import NotFound
from core.resources.containers import LocalObjectReference
from core.resources.core_v1 import CONFIG_MAP, SECRET, SERVICE_ACCOUNT
from core.resources.meta import Json, Kind
from core.resources.pods import POD, Pod
from core.resources.serving_podspec import runtime_class
from core.resources.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from core.store.base import Store
from deploy import podsources
from deploy.claimed import ClaimedFolder, claims_of, folder_of
from deploy.podfields import CONFIG_ERROR, Machine
from deploy.podplan import Places, Planned, plan_pod
from deploy.podsources import Source, Sources
from deploy.runtimes.base import RegistryAuth, Runtime, StartError
from deploy.scheduling import UNSCHEDULABLE, why_unschedulable

KINDS: Mapping[str, Kind[Any]] = {podsources.SECRET: SECRET, podsources.CONFIG_MAP: CONFIG_MAP}


@dataclass(frozen=True, slots=True)
class Host:
    """This machine as its Pods see it."""

    name: str
    ip: str
    cpus: int
    memory_bytes: int


class Planner:
    """Reads the store, decides by `plan_pod`."""

    def __init__(self, store: Store, clock: Clock, host: Host, places: Places, runtimes: Mapping[str, Runtime]) -> None:
        self._store, self._clock = store, clock
        self.host, self.places, self._runtimes = host, places, runtimes

    async def plan(self, pod: Json) -> tuple[Planned, Pod]:
        """StartError."""
        try:
            typed = POD.parse(pod)
        except ValidationError as error:
            raise StartError(CONFIG_ERROR, f"the Pod cannot be read: {error}") from None
        host = self.host
        if why := why_unschedulable(typed.spec, host.cpus, host.memory_bytes):
            raise StartError(UNSCHEDULABLE, why)
        await self._add_pull_secrets(typed)
        machine = Machine(host.name, host.ip, host.cpus, host.memory_bytes, self._clock.wall())
        return plan_pod(pod, typed, await self._fetch(typed), machine, self.places), typed

    async def registry_auth(self, namespace: str, spec: Json) -> RegistryAuth:
        """The credentials that a Pod of this spec would pull its images with."""
        names = ("serviceAccountName", "imagePullSecrets")
        pulling = {name: spec[name] for name in names if name in spec}
        pod = POD.parse({"metadata": {"namespace": namespace}, "spec": {"containers": [], **pulling}})
        await self._add_pull_secrets(pod)
        secrets = [each.name for each in pod.spec.image_pull_secrets or ()]
        return podsources.registry_auth(await self._fetch(pod), secrets)

    def runtime(self, pod: Json) -> Runtime:
        """The runtime that the Pod asks for, if it can start something now. StartError."""
        name = runtime_class(pod["spec"])
        runtime = self._runtimes.get(name)
        if runtime is None:
            known = ", ".join(sorted(self._runtimes))
            raise StartError("CreateContainerError", f"no runtime {name!r} on this machine; there are: {known}")
        if (problem := runtime.available()) is not None:
            raise StartError("CreateContainerError", problem)
        return runtime

    async def _fetch(self, pod: Pod) -> Sources:
        wanted = sorted(podsources.needed(pod.spec), key=lambda source: (source.kind, source.name))
        # Nothing is what most refer to, and to gather that would give everybody else a turn.
        data = await asyncio.gather(*(self._data(source, pod.namespace) for source in wanted)) if wanted else []
        found = {source: each for source, each in zip(wanted, data, strict=True) if each is not None}
        claims = {name: await self._claimed(name, pod.namespace) for name in claims_of(pod.spec)}
        return Sources(pod.namespace, found, claims)

    async def _data(self, source: Source, namespace: str) -> dict[str, bytes] | None:
        obj = await self._find(KINDS[source.kind], source.name, namespace)
        return None if obj is None else podsources.data_of(obj)

    async def _claimed(self, name: str, namespace: str) -> ClaimedFolder:
        claim = await self._find(PERSISTENT_VOLUME_CLAIM, name, namespace)
        volume = (claim or {}).get("spec", {}).get("volumeName")
        return folder_of(name, claim, await self._find(PERSISTENT_VOLUME, volume, "") if volume else None)

    async def _find(self, kind: Kind[Any], name: str, namespace: str) -> Json | None:
        try:
            return await self._store.get(kind, name, namespace)
        except NotFound:
            return None

    async def _add_pull_secrets(self, pod: Pod) -> None:
        """Those of its service account come after its own, as admission does on a cluster."""
        try:
            account = await self._store.get(SERVICE_ACCOUNT, pod.spec.service_account_name or "default", pod.namespace)
        except NotFound:
            return
        more = [LocalObjectReference(name=each["name"]) for each in account.get("imagePullSecrets") or ()]
        if more:
            pod.spec.image_pull_secrets = [*(pod.spec.image_pull_secrets or ()), *more]
