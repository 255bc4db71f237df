"""What a crash leaves: streams and positions of objects that were deleted just before it.

Nobody would come back to them, and retention would wait for such a position for ever. Looked at once, after the doors
have been opened: what is stored by then has its object, or has lost it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from core.reconcile.controller import Controller
from core.resources.eventing import BROKER, TRIGGER
from core.resources.flows import PARALLEL, SEQUENCE
from core.resources.messaging import IN_MEMORY_CHANNEL, SUBSCRIPTION
from core.resources.meta import Kind, ObjectKey
from core.resources.sources import API_SERVER_SOURCE, PING_SOURCE
from eventing.controllers.world import World

log = structlog.get_logger()

STREAMS: Final[Mapping[str, Kind[Any]]] = {
    "broker": BROKER,
    "channel": IN_MEMORY_CHANNEL,
    "sequence": SEQUENCE,
    "parallel": PARALLEL,
    "pingsource": PING_SOURCE,
    "apiserversource": API_SERVER_SOURCE,
}
SUBSCRIPTIONS: Final[Mapping[str, Kind[Any]]] = {"trigger": TRIGGER, "subscription": SUBSCRIPTION}
ONCE: Final = ObjectKey("", "leftovers")


class Leftovers:
    def __init__(self, world: World) -> None:
        self._world = world

    def controller(self) -> Controller:
        controller = Controller("leftovers", self._world.store, self.reconcile, (), self._world.clock)
        controller.enqueue(ONCE)
        return controller

    async def reconcile(self, key: ObjectKey) -> None:
        """StoreFull, TemporaryError: again later."""
        world = self._world
        for stream in world.log.streams():
            if await self._is_lost(stream.name, STREAMS):
                log.info("dropping the stream of an object that is gone", stream=stream.name, records=stream.records)
                await world.log.drop_stream(stream.name)
                continue
            for subscription in stream.subscriptions:
                of_a_flow = subscription.startswith(f"{stream.name}/")
                if (of_a_flow and subscription not in world.plane.streams_of) or await self._is_lost(
                    subscription, SUBSCRIPTIONS
                ):
                    log.info("dropping a position of an object that is gone", subscription=subscription)
                    await (world.plane.stream(stream.name) or world.log).unsubscribe(subscription)

    async def _is_lost(self, name: str, kinds: Mapping[str, Kind[Any]]) -> bool:
        """Of one whose name says of which object it is, and there is none."""
        sort, *rest = name.split("/")
        kind = kinds.get(sort)
        return kind is not None and len(rest) == 2 and await self._world.find(kind, ObjectKey(*rest)) is None
