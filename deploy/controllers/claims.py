"""PersistentVolumeClaim → its PersistentVolume, found or made; and its end, once no Pod uses it any more.

On a cluster Kubernetes and a provisioner do this. What is decided is in `deploy/claims`. The volume is written before
its folder is made: whatever is on disk, something in the store names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from core.clock import Clock
from core.errors import AlreadyExists, Conflict, TemporaryError
from core.reconcile.controller import Watched, itself
from core.reconcile.events import Recorder
from core.reconcile.objects import Objects
from core.resources.conditions import FALSE, find_condition
from core.resources.meta import Json, ObjectKey, key_of
from core.resources.pods import POD
from core.resources.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from core.resources.storage_rules import BOUND, CLAIM_PROTECTION
from core.store.base import EventType, Store, WatchEvent
from deploy import claims
from deploy.claim_folders import make_folder
from deploy.claimed import claims_in

RETRY_S: Final = 15.0


class ClaimReconciler:
    """A `core.reconcile.controller.Reconciler` for keys of claims; `watches` are its own. `folders` takes new ones."""

    def __init__(self, store: Store, clock: Clock, recorder: Recorder, folders: Path) -> None:
        self._store, self._objects, self._recorder = store, Objects(store, clock), recorder
        self._folders = folders
        self._waiting: set[ObjectKey] = set()
        self.watches = (
            Watched(PERSISTENT_VOLUME_CLAIM, itself),
            Watched(PERSISTENT_VOLUME, self._volume_changed),
            Watched(STORAGE_CLASS, lambda _: tuple(self._waiting)),
            Watched(POD, _pod_changed, changes_only=True),
        )

    async def __call__(self, key: ObjectKey) -> float | None:
        claim = await self._objects.find(PERSISTENT_VOLUME_CLAIM, key)
        self._waiting.discard(key)
        if claim is None:
            return None
        if "deletionTimestamp" in claim["metadata"]:
            await self._let_go(claim)
            return None
        match await self._decide(claim):
            case claims.Keep(volume, capacity):
                await self._keep(claim, volume, capacity)
            case claims.Join(name):
                await self._objects.write(PERSISTENT_VOLUME_CLAIM, claim, partial(_joined, name))
            case claims.Bind(volume):
                await self._bind(claim, volume)
            case claims.Provide(storage_class):
                await self._provide(claim, storage_class)
            case claims.Wait(reason, message, type, phase):
                self._waiting.add(key)
                await self._objects.write_status(PERSISTENT_VOLUME_CLAIM, claim, {"phase": phase})
                await self._recorder.event(claim, type, reason, message)
        return None

    async def _decide(self, claim: Json) -> claims.Fate:
        if name := claim["spec"].get("volumeName"):
            named = await self._objects.find(PERSISTENT_VOLUME, ObjectKey("", name))
            return claims.decide_claim(claim, [] if named is None else [named], ())
        volumes = (await self._store.list(PERSISTENT_VOLUME)).items
        return claims.decide_claim(claim, volumes, (await self._store.list(STORAGE_CLASS)).items)

    async def _provide(self, claim: Json, storage_class: Json) -> None:
        made = claims.make_volume(claim, storage_class, self._folders / claims.folder_name(claim))
        try:
            volume = await self._store.create(PERSISTENT_VOLUME, made)
        except AlreadyExists as error:
            raise TemporaryError(error.message) from error  # by an earlier try: it is found as one that was kept for it
        await self._bind(claim, volume)
        said = f"Successfully provisioned volume {volume['metadata']['name']}"
        await self._recorder.event(claim, "Normal", "ProvisioningSucceeded", said)

    async def _bind(self, claim: Json, volume: Json) -> None:
        """The volume first: nobody else takes it from then on."""
        taken = await self._objects.write(PERSISTENT_VOLUME, volume, partial(_taken, claim))
        if taken is None or not claims.is_of(taken["spec"].get("claimRef") or {}, claim):
            raise Conflict(f"volume {volume['metadata']['name']} was given to another claim meanwhile")
        if claims.was_made(taken):
            await self._make_folder(claim, taken)
        if (taken.get("status") or {}).get("phase") != BOUND:
            status = {"phase": BOUND, "lastPhaseTransitionTime": self._objects.now()}
            await self._objects.write_status(PERSISTENT_VOLUME, taken, status)
        written = await self._objects.write(PERSISTENT_VOLUME_CLAIM, claim, partial(_with_volume, claim, taken))
        if written is not None:
            await self._report(written, taken)

    async def _make_folder(self, claim: Json, volume: Json) -> None:
        path = Path(volume["spec"]["hostPath"]["path"])
        try:
            await asyncio.to_thread(make_folder, path)
        except OSError as error:
            said = f"failed to make the folder of the volume: {path}: {error.strerror}"
            await self._recorder.event(claim, "Warning", "ProvisioningFailed", said)
            raise TemporaryError(said, RETRY_S) from error

    async def _keep(self, claim: Json, volume: Json, capacity: str) -> None:
        if capacity:
            grown = await self._objects.write(PERSISTENT_VOLUME, volume, partial(_grown, capacity))
            said = f"ExpandVolume succeeded for volume {key_of(claim)}"
            await self._recorder.event(claim, "Normal", "VolumeResizeSuccessful", said)
            volume = grown or volume
        await self._report(claim, volume)

    async def _report(self, claim: Json, volume: Json) -> None:
        await self._objects.write_status(PERSISTENT_VOLUME_CLAIM, claim, claims.bound_status(claim, volume))

    async def _let_go(self, claim: Json) -> None:
        """A Pod that waits because this claim goes does not hold it."""
        key = key_of(claim)
        pods = (await self._store.list(POD, key.namespace)).items
        if not any(key.name in claims_in(pod) and not _never_placed(pod) for pod in pods):
            await self._objects.write(PERSISTENT_VOLUME_CLAIM, claim, _unprotected)

    def _volume_changed(self, event: WatchEvent) -> Iterable[ObjectKey]:
        reference = event.object["spec"].get("claimRef")
        owner = (ObjectKey(reference.get("namespace", ""), reference.get("name", "")),) if reference else ()
        return (*owner, *self._waiting)


def _pod_changed(event: WatchEvent) -> Iterable[ObjectKey]:
    """Its claims, where it holds them no longer."""
    named = claims_in(event.object)
    if not named or (event.type is not EventType.DELETED and not _never_placed(event.object)):
        return ()
    return [ObjectKey(event.object["metadata"]["namespace"], name) for name in named]


def _never_placed(pod: Json) -> bool:
    return (find_condition(pod, "PodScheduled") or {}).get("status") == FALSE


def _joined(name: str, claim: Json) -> Json:
    return {**claim, "spec": {"storageClassName": name, **claim["spec"]}}


def _taken(claim: Json, volume: Json) -> Json:
    """As it is, where it belongs to another already."""
    spec, metadata = volume["spec"], volume["metadata"]
    reference = spec.get("claimRef")
    if reference is not None and (claims.is_of(reference, claim) or not claims.may_be_of(reference, claim)):
        return volume
    annotations = dict(metadata.get("annotations") or {})
    if reference is None:
        annotations[claims.BOUND_BY_CONTROLLER] = "yes"
    return {
        **volume,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {**spec, "claimRef": claims.reference_to(claim)},
    }


def _with_volume(claim: Json, volume: Json, current: Json) -> Json:
    return claims.bound(current, volume) if current["metadata"]["uid"] == claim["metadata"]["uid"] else current


def _grown(capacity: str, volume: Json) -> Json:
    return {**volume, "spec": {**volume["spec"], "capacity": {"storage": capacity}}}


def _unprotected(claim: Json) -> Json:
    kept = [each for each in claim["metadata"].get("finalizers") or () if each != CLAIM_PROTECTION]
    return {**claim, "metadata": {**claim["metadata"], "finalizers": kept}}
