"""What every controller does to a store: find, write where something changed, delete what may be gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.clock import Clock
from core.errors import NotFound
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.resources.timestamps import rfc3339
from core.store.base import Store


@dataclass(frozen=True, slots=True)
class Objects:
    """A store as controllers use it."""

    store: Store
    clock: Clock

    def now(self) -> str:
        return rfc3339(self.clock.wall())

    async def find(self, kind: Kind[Any], key: ObjectKey) -> Json | None:
        """The object, None where there is none."""
        try:
            return await self.store.get(kind, key.name, key.namespace if kind.namespaced else "")
        except NotFound:
            return None

    async def find_live(self, kind: Kind[Any], key: ObjectKey) -> Json | None:
        """The same, None also where it is on its way out: nothing is made for such an object any more."""
        obj = await self.find(kind, key)
        return None if obj is None or "deletionTimestamp" in obj["metadata"] else obj

    async def write_status(self, kind: Kind[Any], obj: Json, status: Mapping[str, Any]) -> None:
        """Writes the status where it is another than `obj` has; a successor of the same name keeps its own."""
        if obj.get("status") == status:
            return

        def change(current: Json) -> Json:
            same = current["metadata"].get("uid") == obj["metadata"].get("uid")
            return {**current, "status": dict(status)} if same else current

        await self._modify(kind, obj, change, "status")

    async def write(self, kind: Kind[Any], obj: Json, change: Callable[[Json], Json]) -> Json | None:
        """Changes the object, whoever wrote it meanwhile; None where it has gone."""
        return await self._modify(kind, obj, change, "")

    async def _modify(self, kind: Kind[Any], obj: Json, change: Callable[[Json], Json], part: str) -> Json | None:
        key = key_of(obj)
        try:
            return await self.store.modify(kind, key.name, key.namespace, change, part)
        except NotFound:
            return None

    async def delete(self, kind: Kind[Any], key: ObjectKey) -> None:
        """Deletes it; gone already is as good."""
        try:
            await self.store.delete(kind, key.name, key.namespace)
        except NotFound:
            return


def is_controlled_by(obj: Json, owner: Json) -> bool:
    uid = owner["metadata"]["uid"]
    return any(
        reference.get("controller") and reference["uid"] == uid
        for reference in obj["metadata"].get("ownerReferences") or ()
    )
