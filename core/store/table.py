"""Objects in memory as the stores of this machine keep them: compact JSON, found by kind, namespace and name.

A thousand sleeping Services must fit in 20 MB, so an object is one `bytes` and a few pointers; it is parsed when it is
read, and the parsed form is kept only while the object is fresh from a write (`Feed` decides for how long).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from core.resources.meta import Json, Kind, ObjectKey


def compact(obj: Json) -> bytes:
    """The object's JSON text. Copied, because orjson hands out buffers of up to four times the size."""
    return bytes(memoryview(orjson.dumps(obj)))


class Version:
    """One object as it was at one resource version; never changed."""

    __slots__ = ("data", "ephemeral", "obj")

    def __init__(self, data: bytes, obj: Json | None, ephemeral: bool) -> None:
        self.data = data
        self.obj = obj  # the parsed form while it is fresh
        self.ephemeral = ephemeral

    def load(self) -> Json:
        """The object, shared: it must not be changed."""
        obj = self.obj
        return orjson.loads(self.data) if obj is None else obj

    def copy(self) -> Json:
        """The object, the caller's own."""
        return orjson.loads(self.data)  # type: ignore[no-any-return]


class Shelf:
    """All objects of one kind."""

    __slots__ = ("_namespaces",)

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, Version]] = {}

    def get(self, key: ObjectKey) -> Version | None:
        names = self._namespaces.get(key.namespace)
        return names.get(key.name) if names else None

    def put(self, key: ObjectKey, version: Version) -> None:
        self._namespaces.setdefault(key.namespace, {})[key.name] = version

    def remove(self, key: ObjectKey) -> None:
        names = self._namespaces[key.namespace]
        del names[key.name]
        if not names:
            del self._namespaces[key.namespace]

    def ordered(self, namespace: str | None) -> Iterator[Version]:
        """By namespace, then name; of one namespace, or of all."""
        for space in sorted(self._namespaces) if namespace is None else (namespace,):
            names = self._namespaces.get(space, {})
            for name in sorted(names):
                yield names[name]


class LabelFilter:
    """Whether an object carries all of some labels, decided on its JSON text as far as that can be."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        # A text without `"key":"value"` cannot carry the label; one with it may have it elsewhere.
        self._needles = [orjson.dumps(key) + b":" + orjson.dumps(value) for key, value in labels.items()]

    def may_match(self, version: Version) -> bool:
        data = version.data
        return all(needle in data for needle in self._needles)

    def matches(self, obj: Json) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(labels.get(key) == value for key, value in self._labels.items())


class OwnerIndex:
    """Which objects name which owner: owner's uid → its dependents."""

    def __init__(self) -> None:
        self._dependents: dict[str, dict[tuple[Kind[Any], ObjectKey], None]] = {}

    def of(self, uid: str) -> list[tuple[Kind[Any], ObjectKey]]:
        return list(self._dependents.get(uid, ()))

    def replace(self, kind: Kind[Any], key: ObjectKey, old: Json | None, new: Json | None) -> None:
        """Notes that an object came (`old` None), changed, or went (`new` None)."""
        before, after = owner_uids(old), owner_uids(new)
        if before == after:
            return
        for uid in before - after:
            dependents = self._dependents[uid]
            del dependents[kind, key]
            if not dependents:
                del self._dependents[uid]
        for uid in after - before:
            self._dependents.setdefault(uid, {})[kind, key] = None


_NONE: frozenset[str] = frozenset()


def owner_uids(obj: Json | None) -> frozenset[str]:
    references = obj["metadata"].get("ownerReferences") if obj is not None else None
    return frozenset(reference["uid"] for reference in references) if references else _NONE
