"""Owner references honored: what depends on something that is gone goes too, in the manner that was asked for.

Kubernetes' garbage collector over a store of this machine (pkg/controller/garbagecollector; on a cluster it is the
cluster's own): in the background, in the foreground (the owner stays until every dependent that blocks it is gone), or
leaving orphans. One small controller per kind, so that objects of one kind wait for no other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from core.clock import Clock
from core.errors import NotFound
from core.reconcile.controller import Controller, Watched
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.store.base import DeleteOptions, EventType, LocalStore, Propagation, WatchEvent
from core.store.writes import FOREGROUND_FINALIZER, ORPHAN_FINALIZER
from core.tasks import Started, start_service

# Whether an owner exists is not urgent, and a cold start should not wait for the question.
_CHECK_OWNERS_AFTER_S = 1.0
_WORKERS_PER_KIND = 4


@dataclass(slots=True)
class _Owners:
    """The owner references of one object by what became of the owner."""

    solid: list[Json] = field(default_factory=list)  # it is there
    waiting: list[Json] = field(default_factory=list)  # it is being deleted in the foreground: this object goes first
    dangling: list[Json] = field(default_factory=list)  # it is gone


class GarbageCollector:
    """Looks after all objects of `kinds`. At its start, those whose owners have gone meanwhile are collected."""

    def __init__(self, store: LocalStore, kinds: Sequence[Kind[Any]], clock: Clock) -> None:
        self._store = store
        self._kinds = {(kind.group, kind.kind): kind for kind in kinds}
        self._controllers = {
            kind: Controller(
                f"garbage {kind.plural}",
                store,
                partial(self._collect, kind),
                [Watched(kind, partial(self._concerned, kind))],
                clock,
                workers=_WORKERS_PER_KIND,
            )
            for kind in kinds
        }

    async def run(self, started: Started) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for controller in self._controllers.values():
                await start_service(group, controller.run, controller.name)
            started()

    def _concerned(self, kind: Kind[Any], event: WatchEvent) -> Iterable[ObjectKey]:
        """Which objects of this kind to look at after a change; those of other kinds are asked for here as well."""
        metadata = event.object["metadata"]
        references = metadata.get("ownerReferences") or []
        if event.type is EventType.DELETED:
            for dependent_kind, key in self._store.dependents(metadata["uid"]):
                self._controllers[dependent_kind].enqueue(key)
            self._ask_for_owners(event.object, references)
            return ()
        before = (event.old["metadata"].get("ownerReferences") or []) if event.old is not None else []
        if before != references:
            self._ask_for_owners(event.object, before)
            if references:
                self._controllers[kind].enqueue(key_of(event.object), _CHECK_OWNERS_AFTER_S)
        return (key_of(event.object),) if _is_deleting(metadata) and _manner(metadata) else ()

    def _ask_for_owners(self, obj: Json, references: Iterable[Json]) -> None:
        """An owner that waits for its dependents has one less to wait for."""
        for reference in references:
            kind = self._kind_of(reference)
            if kind is not None:
                self._controllers[kind].enqueue(_owner_key(obj, reference, kind))

    async def _collect(self, kind: Kind[Any], key: ObjectKey) -> None:
        try:
            obj = await self._store.get(kind, key.name, key.namespace)
        except NotFound:
            return
        metadata = obj["metadata"]
        if _is_deleting(metadata):
            manner = _manner(metadata)
            if manner == ORPHAN_FINALIZER:
                await self._leave_orphans(kind, obj)
            elif manner == FOREGROUND_FINALIZER:
                await self._delete_dependents_first(kind, obj)
        elif metadata.get("ownerReferences"):
            with contextlib.suppress(NotFound):  # somebody else deleted it meanwhile: a namespace that ends, say
                await self._follow_owners(kind, obj)

    async def _follow_owners(self, kind: Kind[Any], obj: Json) -> None:
        """Deletes the object when no owner is left, lets go of owners that are gone when others remain."""
        owners = await self._classify(obj)
        metadata = obj["metadata"]
        options = DeleteOptions(uid=metadata["uid"], resource_version=metadata["resourceVersion"])
        if owners.solid:
            if owners.dangling or owners.waiting:
                await self._keep_references(kind, obj, [reference["uid"] for reference in owners.solid])
            return
        if owners.waiting and self._store.dependents(metadata["uid"]):
            if await self._is_in_a_circle(metadata["uid"]):
                obj = await self._unblock(kind, obj)
            version = obj["metadata"]["resourceVersion"]
            options = DeleteOptions(metadata["uid"], version, propagation=Propagation.FOREGROUND)
        await self._store.delete(kind, metadata["name"], metadata.get("namespace", ""), options)

    async def _classify(self, obj: Json) -> _Owners:
        owners = _Owners()
        for reference in obj["metadata"]["ownerReferences"]:
            kind = self._kind_of(reference)
            if kind is None or (kind.namespaced and "namespace" not in obj["metadata"]):
                owners.solid.append(reference)  # nothing we could know of: never collected
                continue
            key = _owner_key(obj, reference, kind)
            try:
                metadata = (await self._store.get(kind, key.name, key.namespace))["metadata"]
            except NotFound:
                owners.dangling.append(reference)
                continue
            if metadata["uid"] != reference["uid"]:
                owners.dangling.append(reference)
            elif _is_deleting(metadata) and _manner(metadata) == FOREGROUND_FINALIZER:
                owners.waiting.append(reference)
            else:
                owners.solid.append(reference)
        return owners

    async def _delete_dependents_first(self, kind: Kind[Any], obj: Json) -> None:
        """Has every dependent looked at, which then deletes itself; lets the owner go once none blocks it."""
        uid = obj["metadata"]["uid"]
        blocked = False
        for dependent_kind, key in self._store.dependents(uid):
            self._controllers[dependent_kind].enqueue(key)
            blocked = blocked or await self._blocks(dependent_kind, key, uid)
        if not blocked:
            await self._take_off(kind, obj, FOREGROUND_FINALIZER)

    async def _blocks(self, kind: Kind[Any], key: ObjectKey, owner_uid: str) -> bool:
        try:
            metadata = (await self._store.get(kind, key.name, key.namespace))["metadata"]
        except NotFound:
            return False
        references = metadata.get("ownerReferences") or ()
        return any(ref["uid"] == owner_uid and ref.get("blockOwnerDeletion") for ref in references)

    async def _is_in_a_circle(self, uid: str) -> bool:
        """Whether a dependent is itself waiting for its dependents: each would wait for the other for ever."""
        for kind, key in self._store.dependents(uid):
            try:
                metadata = (await self._store.get(kind, key.name, key.namespace))["metadata"]
            except NotFound:
                continue
            if _is_deleting(metadata) and _manner(metadata) == FOREGROUND_FINALIZER:
                return True
        return False

    async def _leave_orphans(self, kind: Kind[Any], obj: Json) -> None:
        uid = obj["metadata"]["uid"]
        for dependent_kind, key in self._store.dependents(uid):
            try:
                dependent = await self._store.get(dependent_kind, key.name, key.namespace)
            except NotFound:
                continue
            others = [ref["uid"] for ref in dependent["metadata"]["ownerReferences"] if ref["uid"] != uid]
            await self._keep_references(dependent_kind, dependent, others)
        await self._take_off(kind, obj, ORPHAN_FINALIZER)

    async def _keep_references(self, kind: Kind[Any], obj: Json, uids: Sequence[str]) -> None:
        """Takes the references to all other owners off."""

        def change(current: Json) -> Json:
            references = current["metadata"].get("ownerReferences") or ()
            kept = [reference for reference in references if reference["uid"] in uids]
            return _with_metadata(current, "ownerReferences", kept)

        await self._modify(kind, obj, change)

    async def _unblock(self, kind: Kind[Any], obj: Json) -> Json:
        def change(current: Json) -> Json:
            references = current["metadata"].get("ownerReferences") or ()
            free = [{**reference, "blockOwnerDeletion": False} for reference in references]
            return _with_metadata(current, "ownerReferences", free)

        return await self._modify(kind, obj, change)

    async def _take_off(self, kind: Kind[Any], obj: Json, finalizer: str) -> None:
        def change(current: Json) -> Json:
            left = [name for name in current["metadata"].get("finalizers") or () if name != finalizer]
            return _with_metadata(current, "finalizers", left)

        await self._modify(kind, obj, change)

    async def _modify(self, kind: Kind[Any], obj: Json, change: Any) -> Json:
        metadata = obj["metadata"]
        return await self._store.modify(kind, metadata["name"], metadata.get("namespace", ""), change)

    def _kind_of(self, reference: Json) -> Kind[Any] | None:
        return self._kinds.get((reference["apiVersion"].rpartition("/")[0], reference["kind"]))


def _owner_key(obj: Json, reference: Json, kind: Kind[Any]) -> ObjectKey:
    """Where the owner must be: in the dependent's own namespace, unless it has none."""
    return ObjectKey(obj["metadata"].get("namespace", "") if kind.namespaced else "", reference["name"])


def _is_deleting(metadata: Json) -> bool:
    return "deletionTimestamp" in metadata


def _manner(metadata: Json) -> str:
    """The finalizer that says what becomes of the dependents; empty for a deletion in the background."""
    finalizers = metadata.get("finalizers") or ()
    for name in (ORPHAN_FINALIZER, FOREGROUND_FINALIZER):
        if name in finalizers:
            return name
    return ""


def _with_metadata(obj: Json, field_name: str, value: list[Any]) -> Json:
    metadata = {**obj["metadata"], field_name: value}
    if not value:
        del metadata[field_name]
    return {**obj, "metadata": metadata}
