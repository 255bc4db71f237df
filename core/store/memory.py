"""The store in memory: `Store` without a disk, and the part of the SQLite store that is not the disk.

Tests and scenarios use it as it stands. `SqliteStore` puts a stage between the decision and the publication of a write;
everything else, from conflict to watch order, is decided here once for both.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from core.clock import Clock
from core.errors import NotFound
from core.resources.meta import Json, Kind, ObjectKey
from core.store.base import ByteListing, DeleteOptions, EventType, Listing
from core.store.base import Change as ChangeFunction
from core.store.feed import Change, Feed, Freshness, Watcher
from core.store.table import LabelFilter, OwnerIndex, Shelf, Version, compact
from core.store.writes import (
    SUFFIX_ALPHABET,
    Action,
    Birth,
    Plan,
    already_exists,
    is_ephemeral,
    key_in,
    not_found,
    plan_create,
    plan_delete,
    plan_update,
)

# A list is parsed in portions between which others get their turn: less than a millisecond each.
_PARSED_AT_ONCE = 64
# After so many writes in a row that waited for nothing, watchers get a turn: no watcher in this process ever falls
# behind the ring because a writer did not let go.
_WRITES_AT_ONCE = 64
_NAME_ATTEMPTS = 8


class MemoryStore:
    """`core.store.base.Store` over dictionaries. One event loop's; not to be used from another thread."""

    def __init__(self, kinds: Sequence[Kind[Any]], clock: Clock) -> None:
        self._clock = clock
        self._version = 0
        self._freshness = Freshness()
        self._shelves = {kind: Shelf() for kind in kinds}
        self._feeds = {kind: Feed(0, self._freshness, shelf.packing) for kind, shelf in self._shelves.items()}
        self._owners = OwnerIndex()
        self._writes = 0

    async def open(self) -> None:
        """Nothing to open; the twin of SqliteStore.open."""

    async def close(self) -> None:
        """Ends every watch."""
        for feed in self._feeds.values():
            feed.close()

    def settle(self) -> None:
        """Nothing has been written for a while: what was written last is kept small from now on."""
        self._freshness.settle()
        for feed in self._feeds.values():
            feed.settle()

    @property
    def resource_version(self) -> int:
        """The newest resource version given: everything up to it can be read."""
        return self._version

    async def get(self, kind: Kind[Any], name: str, namespace: str = "") -> Json:
        version = self._shelf(kind).get(ObjectKey(namespace, name))
        if version is None:
            raise not_found(kind, name)
        return version.load()

    async def list(
        self, kind: Kind[Any], namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Listing:
        resource_version = self._version
        versions: Sequence[Version] = list(self._shelf(kind).ordered(namespace))
        wanted = LabelFilter(labels) if labels else None
        if wanted is not None:
            versions = [version for version in versions if wanted.may_match(version)]
        items: list[Json] = []
        for start in range(0, len(versions), _PARSED_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            items.extend(version.load() for version in versions[start : start + _PARSED_AT_ONCE])
        if wanted is not None:
            items = [obj for obj in items if wanted.matches(obj)]
        return Listing(items, resource_version)

    async def list_bytes(self, kind: Kind[Any], namespace: str | None = None) -> ByteListing:
        return ByteListing([version.data for version in self._shelf(kind).ordered(namespace)], self._version)

    def watch(self, kind: Kind[Any], namespace: str | None = None, since: int | None = None, name: str = "") -> Watcher:
        shelf, feed = self._shelf(kind), self._feeds[kind]
        if name and since is not None:
            key = ObjectKey(namespace or "", name)
            since = feed.caught_up(since, key, shelf.get(key))
        return Watcher(feed, namespace, since, lambda: self._version)

    def dependents(self, uid: str) -> Sequence[tuple[Kind[Any], ObjectKey]]:
        """Every object that has an owner reference to that uid."""
        return self._owners.of(uid)

    async def create(self, kind: Kind[Any], obj: Json) -> Json:
        named = bool(key_in(kind, obj).name)
        for _ in range(_NAME_ATTEMPTS):
            plan = plan_create(kind, obj, _birth(self._clock.wall()))
            key = key_in(kind, plan.obj)
            if self._newest(kind, key) is None:
                return await self._carry_out(kind, key, None, plan)
            if named:
                break
        raise already_exists(kind, key.name)

    async def update(self, kind: Kind[Any], obj: Json, subresource: str = "") -> Json:
        key = key_in(kind, obj)
        current = self._existing(kind, key).load()
        return await self._carry_out(kind, key, current, plan_update(kind, current, obj, subresource))

    async def modify(
        self, kind: Kind[Any], name: str, namespace: str, change: ChangeFunction, subresource: str = ""
    ) -> Json:
        key = ObjectKey(namespace, name)
        version = self._existing(kind, key)
        current = version.load()
        # Nothing can come between this read and the write: both happen in one turn of the loop.
        return await self._carry_out(
            kind, key, current, plan_update(kind, current, change(version.copy()), subresource)
        )

    async def delete(
        self, kind: Kind[Any], name: str, namespace: str = "", options: DeleteOptions | None = None
    ) -> Json:
        key = ObjectKey(namespace, name)
        current = self._existing(kind, key).load()
        plan = plan_delete(kind, current, options or DeleteOptions(), self._clock.wall())
        return await self._carry_out(kind, key, current, plan)

    def _newest(self, kind: Kind[Any], key: ObjectKey) -> Version | None:
        """What the next write of that key builds on."""
        return self._shelf(kind).get(key)

    async def _carry_out(self, kind: Kind[Any], key: ObjectKey, current: Json | None, plan: Plan) -> Json:
        """Makes a plan true; returns the object as it then stands."""
        if plan.action is Action.KEEP:
            return plan.obj
        obj = self._publish(kind, key, current, plan)
        self._writes += 1
        if self._writes % _WRITES_AT_ONCE == 0:
            await asyncio.sleep(0)
        return obj

    def _publish(self, kind: Kind[Any], key: ObjectKey, current: Json | None, plan: Plan) -> Json:
        """Gives the write its resource version and shows it to readers and watchers, all in one turn."""
        plan.obj["metadata"]["resourceVersion"] = str(resource_version := self._next_version())
        data = compact(plan.obj)
        # Parsed anew: the plan shares parts with whatever the caller handed in and may change later.
        obj: Json = orjson.loads(data)
        version = Version(data, obj, is_ephemeral(kind, obj))
        shelf = self._shelves[kind]
        old = shelf.get(key)
        if plan.action is Action.REMOVE:
            event_type = EventType.DELETED
            shelf.remove(key)
            self._owners.replace(kind, key, current, None)
        else:
            event_type = EventType.ADDED if old is None else EventType.MODIFIED
            shelf.put(key, version)
            self._owners.replace(kind, key, current, obj)
        self._feeds[kind].publish(Change(event_type, key, version, resource_version, old))
        return obj

    def _existing(self, kind: Kind[Any], key: ObjectKey) -> Version:
        version = self._newest(kind, key)
        if version is None:
            raise not_found(kind, key.name)
        return version

    def _shelf(self, kind: Kind[Any]) -> Shelf:
        try:
            return self._shelves[kind]
        except KeyError:
            raise NotFound(f"the server could not find the requested resource ({kind.resource})") from None

    def _next_version(self) -> int:
        self._version += 1
        return self._version


def _birth(now: float) -> Birth:
    identity = uuid.uuid4()
    letters = len(SUFFIX_ALPHABET)
    suffix = "".join(SUFFIX_ALPHABET[byte % letters] for byte in identity.bytes[:5])
    return Birth(str(identity), suffix, now)
