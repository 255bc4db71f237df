"""The change feed of one kind: a bounded ring of changes, and watchers that are cursors into it.

A watcher has no queue of its own, so twenty cost hardly more per change than one; a watcher that falls behind the ring,
like one that asks to start before it, gets `Expired`. The store publishes; the API server and controllers iterate.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from operator import attrgetter
from types import TracebackType
from typing import Self

from core.errors import Expired
from core.resources.meta import ObjectKey
from core.store.base import EventType, WatchEvent
from core.store.table import Packing, Version

# What a watcher that was away may have missed. Old versions live only here, so bytes are bounded as well as changes.
RING_CHANGES_MAX = 1024
RING_BYTES_MAX = 512 * 1024
# What is kept of it when nothing has been written for a while, and whoever watches has read it all: for those who come
# back. kube-apiserver's watch cache may shrink to 100 (defaultLowerBoundCapacity).
RING_SETTLED = 128
# Watchers that keep up share one parsed object per change; these many, over all kinds, stay parsed.
FRESH_MAX = 128
# Packing what is no longer fresh can wait for a moment in which nobody waits for it, while there is not too much of it.
_STALE_MAX = 128
_SETTLE_AFTER_S = 0.05
_SETTLED_AT_ONCE = 8

_version_of = attrgetter("resource_version")


class Change:
    """One entry of a ring."""

    __slots__ = ("event", "key", "old", "resource_version", "size", "type", "version")

    def __init__(self, type: EventType, key: ObjectKey, version: Version, resource_version: int, old: Version | None):
        self.type = type
        self.key = key
        self.version = version
        self.resource_version = resource_version
        self.old = old
        self.size = len(version.data)
        self.event: WatchEvent | None = None  # while it is fresh

    def as_event(self) -> WatchEvent:
        if self.event is not None:
            return self.event
        old = self.old.load() if self.old is not None else None
        return WatchEvent(self.type, self.version.load(), self.resource_version, old)


class Freshness:
    """The last few changes over all kinds: what is parsed stays parsed while it is among them."""

    def __init__(self) -> None:
        self._changes: deque[tuple[Change, Packing]] = deque()
        self._planned = False

    def add(self, change: Change, packing: Packing) -> None:
        self._changes.append((change, packing))
        if len(self._changes) > FRESH_MAX + _STALE_MAX:
            self._settle_oldest()
        elif len(self._changes) > FRESH_MAX and not self._planned:
            self._plan()

    def settle(self) -> None:
        """Nothing has changed for a while: nothing is fresh."""
        while self._changes:
            self._settle_oldest()

    def _plan(self) -> None:
        self._planned = True
        asyncio.get_running_loop().call_later(_SETTLE_AFTER_S, self._settle_some)

    def _settle_some(self) -> None:
        self._planned = False
        for _ in range(min(len(self._changes) - FRESH_MAX, _SETTLED_AT_ONCE)):
            self._settle_oldest()
        if len(self._changes) > FRESH_MAX:
            self._plan()

    def _settle_oldest(self) -> None:
        stale, packing = self._changes.popleft()
        stale.event = None
        stale.version.settle(packing)


class Feed:
    """The changes of one kind since `floor`, which is the resource version of the newest change that is gone."""

    def __init__(self, floor: int, freshness: Freshness, packing: Packing) -> None:
        self.floor = floor
        self.closed = False
        self._freshness = freshness
        self._packing = packing
        self._changes: list[Change] = []
        self._first = 0  # the position of `_changes[0]`, counted from the feed's beginning
        self._bytes = 0
        self._trimming = False
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def end(self) -> int:
        """The position after the newest change."""
        return self._first + len(self._changes)

    def at(self, position: int) -> Change:
        """Expired where the ring has moved past that position."""
        if position < self._first:
            raise Expired(f"watcher fell behind: changes up to {self.floor} are no longer kept")
        return self._changes[position - self._first]

    def position_after(self, resource_version: int, newest: int) -> int:
        """Where to go on reading after that resource version. Expired."""
        if resource_version < self.floor:
            raise Expired(f"too old resource version: {resource_version} ({self.floor})")
        if resource_version > newest:
            # Only another data folder, or one put back from a copy, can have given it.
            raise Expired(f"unknown resource version: {resource_version} (newest is {newest})")
        return self._first + bisect_right(self._changes, resource_version, key=_version_of)

    def caught_up(self, resource_version: int, key: ObjectKey, current: Version | None) -> int:
        """From where on who watches one object since that resource version misses nothing of it: the floor, where no
        change of the object was lost. `current`: as it is now."""
        if resource_version >= self.floor:
            return resource_version
        first = next((change for change in self._changes if change.key == key), None)
        at_floor = current if first is None else first.old
        if at_floor is None:
            return resource_version  # it was not there then: nobody knows since when
        unchanged = int(at_floor.load()["metadata"]["resourceVersion"]) <= resource_version
        return self.floor if unchanged else resource_version

    def publish(self, change: Change) -> None:
        """Appends a change whose version is parsed, and wakes every watcher."""
        change.event = change.as_event()
        self._freshness.add(change, self._packing)
        self._changes.append(change)
        self._bytes += change.size
        self._wake()
        if not self._trimming and (len(self._changes) > RING_CHANGES_MAX or self._bytes > RING_BYTES_MAX):
            # After the watchers that were just woken have read: however much one turn writes, a watcher that waits
            # in this process misses none of it.
            self._trimming = True
            asyncio.get_running_loop().call_soon(self._trim)

    def settle(self) -> None:
        """Nothing has changed for a while."""
        self._drop(len(self._changes) - RING_SETTLED)

    def close(self) -> None:
        """Ends every watch, once it has read what there is."""
        self.closed = True
        self._wake()

    async def wait(self) -> None:
        """Returns at the next change, or when the feed is closed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _trim(self) -> None:
        """Down to seven eighths of the bounds, so that the list is moved once in many changes; keeps the newest."""
        self._trimming = False
        count, last, size = 0, len(self._changes) - 1, self._bytes
        surplus = len(self._changes) - RING_CHANGES_MAX * 7 // 8
        while count < last and (count < surplus or size > RING_BYTES_MAX * 7 // 8):
            size -= self._changes[count].size
            count += 1
        self._drop(count)

    def _drop(self, count: int) -> None:
        """The oldest so many."""
        if count <= 0:
            return  # one change that alone is larger than the bound, say
        gone = self._changes[:count]
        self.floor = gone[-1].resource_version
        self._bytes -= sum(change.size for change in gone)
        del self._changes[:count]
        self._first += count


class Watcher:
    """One watch: a position in a feed. Iterating it again goes on where it stood."""

    def __init__(self, feed: Feed, namespace: str | None, since: int | None, newest: Callable[[], int]) -> None:
        self._feed = feed
        self._namespace = namespace
        self._since = since
        self._newest = newest
        self._position = 0
        self._seen = 0

    async def __aenter__(self) -> Self:
        self._seen = self._newest() if self._since is None else self._since
        self._position = self._feed.position_after(self._seen, self._newest())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent:
        feed = self._feed
        while True:
            while self._position < feed.end:
                change = feed.at(self._position)
                self._position += 1
                if self._namespace is None or change.key.namespace == self._namespace:
                    self._seen = change.resource_version
                    return change.as_event()
            if feed.closed:
                raise StopAsyncIteration
            await feed.wait()

    @property
    def resource_version(self) -> int:
        """Every change up to it has been handed out: what a BOOKMARK may say."""
        return self._newest() if self._position == self._feed.end else self._seen
