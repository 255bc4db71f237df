"""One object in several versions: the store as the API's verbs see it.

Each kind is stored in one version (`core.resources.kinds.KINDS`); those of `SERVED` that say a `conversion` are read
and written through it here, so that no verb knows of versions. Controllers use the store itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self

import orjson

from core.resources.meta import Conversion, Json, Kind
from core.store.base import ByteLister, ByteListing, Change, DeleteOptions, Listing, Store, Watch, WatchEvent


class VersionedStore:
    """A `Store` and a `ByteLister` around another store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, kind: Kind[Any], name: str, namespace: str = "") -> Json:
        return _read(kind, await self._store.get(_stored(kind), name, namespace))

    async def list(
        self, kind: Kind[Any], namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Listing:
        listing = await self._store.list(_stored(kind), namespace, labels)
        if kind.conversion is None:
            return listing
        return Listing([_read(kind, item) for item in listing.items], listing.resource_version)

    async def list_bytes(self, kind: Kind[Any], namespace: str | None = None) -> ByteListing:
        if kind.conversion is None and isinstance(self._store, ByteLister):
            return await self._store.list_bytes(kind, namespace)
        listing = await self.list(kind, namespace)
        return ByteListing([orjson.dumps(item) for item in listing.items], listing.resource_version)

    def watch(
        self, kind: Kind[Any], namespace: str | None = None, since: int | None = None, name: str = ""
    ) -> AbstractAsyncContextManager[Watch]:
        watching = self._store.watch(_stored(kind), namespace, since, name)
        return watching if kind.conversion is None else _converted(kind, watching)

    async def create(self, kind: Kind[Any], obj: Json) -> Json:
        return _read(kind, await self._store.create(_stored(kind), _write(kind, obj)))

    async def update(self, kind: Kind[Any], obj: Json, subresource: str = "") -> Json:
        return _read(kind, await self._store.update(_stored(kind), _write(kind, obj), subresource))

    async def modify(self, kind: Kind[Any], name: str, namespace: str, change: Change, subresource: str = "") -> Json:
        def through(current: Json) -> Json:
            return _write(kind, change(_read(kind, current)))

        if kind.conversion is None:
            return await self._store.modify(kind, name, namespace, change, subresource)
        return _read(kind, await self._store.modify(_stored(kind), name, namespace, through, subresource))

    async def delete(
        self, kind: Kind[Any], name: str, namespace: str = "", options: DeleteOptions | None = None
    ) -> Json:
        return _read(kind, await self._store.delete(_stored(kind), name, namespace, options))


class _ConvertedWatch:
    def __init__(self, kind: Kind[Any], watch: Watch) -> None:
        self._kind = kind
        self._watch = watch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent:
        event = await anext(self._watch)
        old = None if event.old is None else _read(self._kind, event.old)
        return WatchEvent(event.type, _read(self._kind, event.object), event.resource_version, old)

    @property
    def resource_version(self) -> int:
        return self._watch.resource_version


@asynccontextmanager
async def _converted(kind: Kind[Any], watching: AbstractAsyncContextManager[Watch]) -> AsyncIterator[Watch]:
    async with watching as watch:
        yield _ConvertedWatch(kind, watch)


def _stored(kind: Kind[Any]) -> Kind[Any]:
    return kind if kind.conversion is None else kind.conversion.stored


def _read(kind: Kind[Any], obj: Json) -> Json:
    conversion: Conversion | None = kind.conversion
    return obj if conversion is None else {**conversion.from_stored(obj), "apiVersion": kind.api_version}


def _write(kind: Kind[Any], obj: Json) -> Json:
    conversion: Conversion | None = kind.conversion
    return obj if conversion is None else {**conversion.to_stored(obj), "apiVersion": conversion.stored.api_version}
