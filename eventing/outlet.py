"""Where the events of a source of ours go: into a stream of its own, and from there to its sink.

The stream has one subscription, which the common dispatcher serves: retries, dead letters, replay and restarts are
those of every other delivery. What is appended is on disk before the source goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from core.resources.eventing_labels import PILOTLIGHT_CLASS
from core.resources.meta import Json, ObjectKey
from eventing.brokers.base import Interest
from eventing.controllers.world import World
from eventing.event import Event
from eventing.filters.clauses import everything
from eventing.log.base import EARLIEST, Record, Retention
from eventing.plans import policy_of
from eventing.stream_intake import StreamIntake
from eventing.subscriptions import Drop, Subscription

KEPT_BYTES: Final = 64 * 1024
"""Of what was delivered; the last event stays in any case: it says how far the source has come."""


class Outlet:
    """One sort of source: `pingsource`. A source's stream and its subscription have one name: `pingsource/NS/NAME`."""

    def __init__(self, world: World, sort: str) -> None:
        self.sort = sort
        self._world = world
        self._opened: dict[ObjectKey, str] = {}  # uid
        self._intakes: dict[ObjectKey, StreamIntake] = {}

    def name(self, key: ObjectKey) -> str:
        return f"{self.sort}/{key.namespace}/{key.name}"

    async def open(self, key: ObjectKey, source: Json, url: str, kept_bytes: int = KEPT_BYTES) -> None:
        """Delivers to that URL from now on. StoreFull, TemporaryError."""
        plane, name, uid = self._world.plane, self.name(key), source["metadata"]["uid"]
        if self._opened.get(key) != uid:
            await self.close(key, forget=key in self._opened)
            await plane.put_stream(await self._world.brokers[PILOTLIGHT_CLASS](name, source))
            self._intakes[key] = StreamIntake(plane, self._world.clock, name)
            self._opened[key] = uid
        self._world.log.retain(name, Retention(None, kept_bytes))
        subscription = Subscription(
            interest=Interest(name, everything(), "", EARLIEST),
            namespace=key.namespace,
            subscriber=url,
            reply=Drop(),
            policy=policy_of(source, None),
        )
        await plane.put(subscription, name)

    def append(self, key: ObjectKey, events: Sequence[Event]) -> asyncio.Future[int]:
        """Done once they are durable. StoreFull, TooManyRequests, TemporaryError."""
        return self._intakes[key].append(events)

    async def last(self, key: ObjectKey) -> Event | None:
        """The newest event of the source, of earlier lives, too."""
        log, name = self._world.log, self.name(key)
        tail = log.stream(name).tail
        entries = await log.read(name, tail - 1, 1) if tail else []
        return entries[-1].event if entries and isinstance(entries[-1], Record) else None

    async def hold(self, key: ObjectKey) -> None:
        """Nowhere to deliver to for now."""
        await self._world.plane.hold(self.name(key))

    def is_gone(self, key: ObjectKey) -> bool:
        """Its sink has answered 410."""
        return self._world.plane.is_gone(self.name(key))

    async def close(self, key: ObjectKey, *, forget: bool = True) -> None:
        """`forget`: with what it had stored."""
        self._opened.pop(key, None)
        self._intakes.pop(key, None)
        await self._world.plane.drop_stream(self.name(key))
        if forget:
            await self._world.log.drop_stream(self.name(key))
