"""Shows somebody every object of a kind once, then every change. Used by whoever keeps a loop told of what there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from sys import intern
from typing import Any, Generic, TypeVar

import structlog

from core.errors import Expired
from core.resources.meta import Json, Kind
from core.store.base import EventType, Store
from core.store.scanning import scan

log = structlog.get_logger()

See = Callable[[Json, bool], None]
"""Takes an object and whether it is (still) there."""
T = TypeVar("T")


class Sight(Generic[T]):
    """One kind. `keep` says what an object must be known by when it is gone; `gone` makes as much of it again."""

    def __init__(
        self,
        kind: Kind[Any],
        see: See,
        keep: Callable[[Json], T],
        gone: Callable[[tuple[str, str], T], Json],
        namespace: str | None = None,
    ) -> None:
        self.kind = kind
        self._see = see
        self._keep = keep
        self._gone = gone
        self._namespace = namespace

    async def follow(self, store: Store, listed: asyncio.Event) -> None:
        """Until the store closes; from the start again when a change was lost."""
        present: dict[tuple[str, str], T] = {}
        while True:
            objects, since = await scan(store, self.kind, self._namespace)
            before, present = present, {}
            for obj in objects:
                present[name_of(obj)] = self._keep(obj)
                self._see(obj, True)
            for name in before.keys() - present.keys():
                self._see(self._gone(name, before[name]), False)
            listed.set()
            try:
                async with store.watch(self.kind, self._namespace, since=since) as changes:
                    async for event in changes:
                        if event.type is EventType.BOOKMARK:
                            continue
                        there = event.type is not EventType.DELETED
                        if there:
                            present[name_of(event.object)] = self._keep(event.object)
                        else:
                            present.pop(name_of(event.object), None)
                        self._see(event.object, there)
                return
            except Expired:
                log.info("watch fell behind, listing again", kind=self.kind.resource)


def name_of(obj: Json) -> tuple[str, str]:
    return intern(obj["metadata"].get("namespace", "")), intern(obj["metadata"]["name"])


def nothing_kept(obj: Json) -> None:
    """Its name says enough."""


def named(name: tuple[str, str], kept: None) -> Json:
    return {"metadata": {"namespace": name[0], "name": name[1]}}
