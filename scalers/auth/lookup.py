"""Secrets and ConfigMaps by reference, remembering which were asked for, found or not.

What is found leaves only as a value; what is not is told by names of objects and keys, never by values.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import NotFound, PermanentError
from core.resources.core_v1 import SECRET
from core.resources.meta import Json, Kind, ObjectKey
from core.store.base import EventType, Store, WatchEvent


@dataclass(frozen=True, slots=True)
class Referent:
    """An object that something depends on, whether it is there or not."""

    kind: Kind[Any]
    key: ObjectKey

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.key}"


def is_another(event: WatchEvent) -> bool:
    """Whether a change to a referent may change what is resolved by it: not one of its status or labels alone."""
    return event.type is not EventType.MODIFIED or event.old is None or _said(event.old) != _said(event.object)


def _said(obj: Json) -> tuple[object, ...]:
    return tuple(obj.get(field) for field in ("spec", "data", "binaryData"))


class Lookup:
    """One resolving. `referents` grows with each question."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.referents: set[Referent] = set()

    async def find(self, referent: Referent) -> Json | None:
        self.referents.add(referent)
        try:
            return await self._store.get(referent.kind, referent.key.name, referent.key.namespace)
        except NotFound:
            return None

    async def data(self, referent: Referent) -> Mapping[str, bytes] | None:
        """All values of a Secret or ConfigMap; None: there is no such object."""
        obj = await self.find(referent)
        if obj is None:
            return None
        data: Mapping[str, str] = obj.get("data") or {}
        if referent.kind is SECRET:
            return {key: base64.b64decode(text) for key, text in data.items()}
        return {key: text.encode() for key, text in data.items()}

    async def value(self, referent: Referent, key: str, asked_by: str) -> str:
        """One value. PermanentError says who asked, and what there is instead."""
        found = await self.data(referent)
        if found is None:
            raise PermanentError(missing(referent, asked_by, key), "ReferenceNotFound")
        if key not in found:
            raise PermanentError(
                f"{asked_by} asks for the key {key!r} of {referent}, which has {_listed(found)}: {edit(referent)}",
                "ReferenceNotFound",
            )
        return text_of(found[key], f"the key {key!r} of {referent}", asked_by)


def missing(referent: Referent, asked_by: str, key: str = "") -> str:
    """That there is no such Secret or ConfigMap, and how to make it."""
    sort = "secret generic" if referent.kind is SECRET else referent.kind.singular
    literal = f" --from-literal={key}=…" if key else " --from-literal=KEY=…"
    create = f"kubectl create {sort} {referent.key.name} -n {referent.key.namespace}{literal}"
    return f"{asked_by} asks for {referent}, which does not exist: {create}"


def edit(referent: Referent) -> str:
    """The command that mends an object."""
    namespace = f" -n {referent.key.namespace}" if referent.key.namespace else ""
    return f"kubectl edit {referent.kind.singular} {referent.key.name}{namespace}"


def text_of(value: bytes, what: str, asked_by: str) -> str:
    """PermanentError: it is not text."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        pass  # the error holds the value: it goes no further
    raise PermanentError(f"{asked_by} asks for {what}, which is not UTF-8 text", "ReferenceInvalid")


def _listed(found: Mapping[str, bytes]) -> str:
    return f"the keys {', '.join(sorted(found))}" if found else "no keys"
