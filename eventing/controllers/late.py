"""Kinds of sources and sinks whose code is loaded with the first object of their kind.

Most platforms have no object of most of these kinds, and clients of Kafka and RabbitMQ take a fifth of a platform's
start to load. Where there are objects when the platform starts, their doors are open before the first request.
"""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from typing import Any

from core.errors import Expired
from core.resources.meta import Kind, key_of
from core.store.base import EventType
from core.tasks import Service, Started, run_together
from eventing.controllers.world import World
from eventing.sinks.base import Sink
from eventing.sources.base import EarlySource, Source


@dataclass(frozen=True, slots=True)
class Plugin:
    """One row of the tables: whose objects, and which class in which module brings them in order."""

    kind: Kind[Any]
    module: str
    name: str

    async def load(self, world: World) -> Source | Sink:
        module = await asyncio.to_thread(importlib.import_module, self.module)
        made: Source | Sink = getattr(module, self.name)(world)
        return made


class LatePart:
    """Two services: `serve` runs before the first request is taken, `control` beside the other controllers."""

    def __init__(self, world: World, plugin: Plugin) -> None:
        self.name = plugin.kind.kind.lower()
        self._world = world
        self._plugin = plugin
        self._part: Source | Sink | None = None
        self._loaded = asyncio.Event()

    async def serve(self, started: Started) -> None:
        """What the part does beside being reconciled, from the first object on."""
        version = await self._find()
        if version is not None:
            started()
            if not await self._comes_after(version):
                return
        part = await self._plugin.load(self._world)

        def is_up() -> None:
            self._part = part
            self._loaded.set()
            if version is None:
                started()

        await run_together([("doors", self._doors(part)), *part.services], is_up)

    async def control(self, started: Started) -> None:
        if self._part is None:
            started()
            await self._loaded.wait()
            started = _ignore
        assert self._part is not None
        await self._part.controller().run(started)

    def _doors(self, part: Source | Sink) -> Service:
        async def open_doors(started: Started) -> None:
            if isinstance(part, EarlySource):
                for obj in (await self._world.store.list(part.kind)).items:
                    await part.reconcile(key_of(obj))
            started()

        return open_doors

    async def _find(self) -> int | None:
        """None where there is an object; else as of which version there is none."""
        listing = await self._world.store.list(self._plugin.kind)
        return None if listing.items else listing.resource_version

    async def _comes_after(self, version: int | None) -> bool:
        """Waits for the first object. False where the store ends its watches before there is one: it is closed."""
        while version is not None:
            try:
                async with self._world.store.watch(self._plugin.kind, since=version) as watch:
                    async for event in watch:
                        if event.type is EventType.ADDED:
                            return True
                return False
            except Expired:
                version = await self._find()
        return True


def _ignore() -> None:
    """Who waited for the start was told already."""
