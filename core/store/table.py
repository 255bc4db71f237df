"""Objects in memory as the stores of this machine keep them: compact JSON, found by kind, namespace and name.

A thousand sleeping Services must fit in 20 MB, so an object is one `bytes` and a few pointers; it is parsed when it is
read, and the parsed form is kept only while the object is fresh from a write (`Feed` decides for how long). After that
it is packed: to a tenth of its size, for less than it costs to parse it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from core.multimap import Multimap
from core.resources.meta import Json, Kind, ObjectKey

_PACKED_BYTES_MIN = 256
_PACKED_BYTES_MAX = 32 * 1024  # packing a larger one would hold up the event loop for a millisecond
_WINDOW_BITS = 13
_WINDOW_BYTES = 2**_WINDOW_BITS


def compact(obj: Json) -> bytes:
    """The object's JSON text. Copied, because orjson hands out buffers of up to four times the size."""
    return bytes(memoryview(orjson.dumps(obj)))


class Packing:
    """How the objects of one kind are packed: as what differs from the first of them, which they all resemble."""

    __slots__ = ("_example",)

    def __init__(self) -> None:
        self._example = b""

    def pack(self, data: bytes) -> bytes:
        if not self._example:
            self._example = data[:_WINDOW_BYTES]
        deflate = zlib.compressobj(6, zlib.DEFLATED, -_WINDOW_BITS, 4, zlib.Z_DEFAULT_STRATEGY, self._example)
        return deflate.compress(data) + deflate.flush()

    def unpack(self, packed: bytes) -> bytes:
        return zlib.decompressobj(-_WINDOW_BITS, self._example).decompress(packed)


class Version:
    """One object as it was at one resource version; never changed."""

    __slots__ = ("_kept", "_packing", "ephemeral", "obj")

    def __init__(self, data: bytes, obj: Json | None, ephemeral: bool) -> None:
        self._kept = data
        self._packing: Packing | None = None
        self.obj = obj  # the parsed form while it is fresh
        self.ephemeral = ephemeral

    @property
    def data(self) -> bytes:
        """The object's JSON text."""
        return self._kept if self._packing is None else self._packing.unpack(self._kept)

    def settle(self, packing: Packing) -> None:
        """It is fresh no more: from now on it is kept small."""
        self.obj = None
        if self._packing is None and _PACKED_BYTES_MIN <= len(self._kept) <= _PACKED_BYTES_MAX:
            self._kept, self._packing = packing.pack(self._kept), packing

    def load(self) -> Json:
        """The object, shared: it must not be changed."""
        obj = self.obj
        return orjson.loads(self.data) if obj is None else obj

    def copy(self) -> Json:
        """The object, the caller's own."""
        return orjson.loads(self.data)  # type: ignore[no-any-return]  # nothing else is stored


class Shelf:
    """All objects of one kind."""

    __slots__ = ("_namespaces", "packing")

    def __init__(self) -> None:
        self.packing = Packing()
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
        self._dependents: Multimap[str, tuple[Kind[Any], ObjectKey]] = Multimap()

    def of(self, uid: str) -> list[tuple[Kind[Any], ObjectKey]]:
        return list(self._dependents.of(uid))

    def replace(self, kind: Kind[Any], key: ObjectKey, old: Json | None, new: Json | None) -> None:
        """Notes that an object came (`old` None), changed, or went (`new` None)."""
        before, after = owner_uids(old), owner_uids(new)
        if before == after:
            return
        for uid in before - after:
            self._dependents.discard(uid, (kind, key))
        for uid in after - before:
            self._dependents.add(uid, (kind, key))


_NONE: frozenset[str] = frozenset()


def owner_uids(obj: Json | None) -> frozenset[str]:
    references = obj["metadata"].get("ownerReferences") if obj is not None else None
    return frozenset(reference["uid"] for reference in references) if references else _NONE
