"""Whether a claim may grow: asked of the API, as `kubectl edit pvc` does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.clock import SystemClock
from core.resources.meta import Json
from core.resources.storage import PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from core.store.memory import MemoryStore
from deploy.claims import standard_class
from pilotlight.storage_admission import StorageAdmission

REFUSAL = (
    "spec.resources.requests.storage: Forbidden: only dynamically provisioned pvc can be resized and the storageclass "
    "that provisions the pvc must support resize"
)


def claim(size: str, **spec: Any) -> Json:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": "data", "namespace": "default"}, "spec": wanted}


@pytest.mark.parametrize(
    ("stored", "wanted", "errors"),
    [
        pytest.param(None, claim("1Gi"), [], id="new"),
        pytest.param(claim("1Gi", storageClassName="standard"), claim("2Gi"), [], id="more, of a class that grows"),
        pytest.param(claim("1Gi", storageClassName="manual"), claim("2Gi"), [REFUSAL], id="more, of one that does not"),
        pytest.param(claim("1Gi", storageClassName="manual"), claim("1Gi"), [], id="the same"),
    ],
)
def test_growing(stored: Json | None, wanted: Json, errors: list[str]) -> None:
    async def main() -> list[str]:
        store = MemoryStore((PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS), SystemClock())
        await store.create(STORAGE_CLASS, standard_class())
        if stored is not None:
            await store.create(PERSISTENT_VOLUME_CLAIM, stored)
        verdict = await StorageAdmission(store).judges[PERSISTENT_VOLUME_CLAIM](wanted, False)
        return [str(error) for error in verdict.errors]

    assert asyncio.run(main()) == errors
