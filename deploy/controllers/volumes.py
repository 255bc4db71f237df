"""PersistentVolume: its phase, and what becomes of it after its claim.

On a cluster Kubernetes and a provisioner do this. What is decided is in `deploy/claims`; claims get their volumes in
`deploy/controllers/claims`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.clock import Clock
from core.errors import TemporaryError
from core.reconcile.controller import Watched, itself
from core.reconcile.events import Recorder
from core.reconcile.objects import Objects
from core.resources.meta import Json, ObjectKey
from core.resources.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from core.resources.storage_rules import BOUND, FAILED, VOLUME_PROTECTION
from core.store.base import Store, WatchEvent
from deploy import claims
from deploy.claim_folders import remove_folder

RETRY_S: Final = 60.0
DELETE_FAILED: Final = "VolumeFailedDelete"


def _of_claim(event: WatchEvent) -> Iterable[ObjectKey]:
    """The volume that it has, and the one that was made for it."""
    names = {event.object["spec"].get("volumeName"), claims.volume_name(event.object)}
    return [ObjectKey("", name) for name in names if name]


class VolumeReconciler:
    """A `core.reconcile.controller.Reconciler` for keys of volumes. What it removes is below `folders`."""

    watches = (Watched(PERSISTENT_VOLUME, itself), Watched(PERSISTENT_VOLUME_CLAIM, _of_claim))

    def __init__(self, store: Store, clock: Clock, recorder: Recorder, folders: Path) -> None:
        self._objects, self._recorder, self._folders = Objects(store, clock), recorder, folders

    async def __call__(self, key: ObjectKey) -> float | None:
        volume = await self._objects.find(PERSISTENT_VOLUME, key)
        if volume is None:
            return None
        reference = volume["spec"].get("claimRef")
        named = ObjectKey(reference.get("namespace", ""), reference.get("name", "")) if reference else None
        claim = await self._objects.find(PERSISTENT_VOLUME_CLAIM, named) if named else None
        standing = claims.decide_volume(volume, claim, self._folders)
        has_failed = (volume.get("status") or {}).get("phase") == FAILED
        if not (standing.reclaim and has_failed):  # it is tried again, and fails until it does not
            await self._report(volume, standing)
        if standing.reclaim:
            await self._remove_folder(volume)
        if standing.reclaim or ("deletionTimestamp" in volume["metadata"] and standing.phase != BOUND):
            await self._objects.write(PERSISTENT_VOLUME, volume, _unprotected)
            await self._objects.delete(PERSISTENT_VOLUME, key)
        return None

    async def _remove_folder(self, volume: Json) -> None:
        path = Path(volume["spec"]["hostPath"]["path"])
        try:
            await asyncio.to_thread(remove_folder, path)
        except OSError as error:
            said = f"{error.filename or path}: {error.strerror}: remove {path} yourself, and then this volume"
            await self._report(volume, claims.Standing(FAILED, message=said))
            raise TemporaryError(said, RETRY_S) from error

    async def _report(self, volume: Json, standing: claims.Standing) -> None:
        before = volume.get("status") or {}
        if (before.get("phase"), before.get("message", "")) == (standing.phase, standing.message):
            return
        status = {"phase": standing.phase, "lastPhaseTransitionTime": self._objects.now()}
        if standing.message:
            status["message"] = standing.message
            await self._recorder.event(volume, "Warning", DELETE_FAILED, standing.message)
        await self._objects.write_status(PERSISTENT_VOLUME, volume, status)


def _unprotected(volume: Json) -> Json:
    kept = [each for each in volume["metadata"].get("finalizers") or () if each != VOLUME_PROTECTION]
    return {**volume, "metadata": {**volume["metadata"], "finalizers": kept}}
