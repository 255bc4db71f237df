"""What is said of a PersistentVolumeClaim that has to do with its class: whether it may grow.

The API's writing verbs ask it once the rules of the kind are kept (`Backend.judges`), as Kubernetes asks its admission
plugin PersistentVolumeClaimResize.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.apiserver.backend import Judge, Verdict
from core.errors import NotFound
from core.resources.meta import Json, Kind
from core.resources.problems import forbidden
from core.resources.storage import PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from core.store.base import Store
from deploy.claims import why_fixed


class StorageAdmission:
    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def judges(self) -> Mapping[Kind[Any], Judge]:
        return {PERSISTENT_VOLUME_CLAIM: self._judge_claim}

    async def _judge_claim(self, obj: Json, dry_run: bool) -> Verdict:
        metadata = obj["metadata"]
        try:
            stored = await self._store.get(PERSISTENT_VOLUME_CLAIM, metadata["name"], metadata["namespace"])
        except NotFound:
            return Verdict()
        why = why_fixed(stored, obj, (await self._store.list(STORAGE_CLASS)).items)
        return Verdict([forbidden("spec.resources.requests.storage", why)] if why else ())
