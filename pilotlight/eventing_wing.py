"""The eventing half of the house: log, data plane, doors and controllers, built and connected; nothing runs yet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.clients.http import OutsideClient
from core.clock import Clock
from core.inside import Caller, Sites
from core.reconcile.controller import Controller
from core.reconcile.events import Recorder
from core.resources.eventing_labels import LOG_CLASSES
from core.resources.hosts import Hosts
from core.resources.meta import Json
from core.settings.config_maps import DOMAIN, SINKS
from core.settings.sinks import Address
from core.store.base import Store
from core.tasks import Service, Started
from eventing.brokers.embedded import EmbeddedBroker
from eventing.chronicle import Chronicle
from eventing.controllers.registry import make_controllers
from eventing.controllers.world import Doors, World
from eventing.dataplane import DataPlane
from eventing.log.log import EventLog
from eventing.sender import Sender
from pilotlight.datadir import DataDir


@dataclass(frozen=True, slots=True)
class EventingWing:
    """`services` start in this order and end in the opposite one; `controllers` run beside those of the house."""

    services: Sequence[tuple[str, Service]]
    controllers: Sequence[Controller]
    log: EventLog
    plane: DataPlane
    chronicle: Chronicle


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the house lends it."""

    store: Store
    clock: Clock
    recorder: Recorder
    hosts: Hosts
    settings: Callable[[], Mapping[str, Any]]
    caller: Caller
    sites: Sites
    data_dir: DataDir


def make_eventing(house: Surroundings) -> EventingWing:
    """Constructs without effect on the machine."""
    clock = house.clock
    log = EventLog(house.data_dir.root / "events.db", clock)
    settings = house.settings

    def allowed(host: str, address: Address) -> bool:
        return bool(settings()[SINKS].guard.allows(host, address))

    outside = OutsideClient(allowed)
    chronicle = Chronicle(clock)
    plane = DataPlane(log, clock, Sender(house.caller, outside), chronicle, random.random)

    async def embedded(stream: str, broker: Json) -> EmbeddedBroker:
        return EmbeddedBroker(stream, log, clock, chronicle)

    world = World(
        store=house.store,
        clock=clock,
        recorder=house.recorder,
        hosts=house.hosts,
        domain=lambda: settings()[DOMAIN].for_labels({}),
        plane=plane,
        log=log,
        doors=Doors(house.sites),
        brokers=dict.fromkeys(LOG_CLASSES, embedded),
    )
    controllers = make_controllers(world)
    services: list[tuple[str, Service]] = [
        ("event-log", partial(_run_log, log)),
        ("outside", partial(_run_outside, outside)),
        ("eventing", plane.run),
        ("doors", controllers.open_doors),
    ]
    return EventingWing(services, controllers.all, log, plane, chronicle)


async def _run_log(log: EventLog, started: Started) -> None:
    await log.open()
    try:
        await log.run(started)
    finally:
        await log.close()


async def _run_outside(outside: OutsideClient, started: Started) -> None:
    async with outside:
        started()
        await asyncio.Event().wait()
