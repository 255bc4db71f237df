"""The eventing half of the house: log, data plane, doors and controllers, built and connected; nothing runs yet."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from core.clock import Clock
from core.inside import Call, Caller, Reply, Sites
from core.reconcile.events import Recorder
from core.resources.eventing_labels import KAFKA_CLASSES, LOG_CLASSES, RABBITMQ_CLASS
from core.resources.hosts import Hosts
from core.resources.meta import Json, Mutate
from core.settings.config_maps import DOMAIN, SINKS
from core.settings.sinks import Address
from core.stats import Backlogs
from core.store.base import Store
from core.tasks import Service, Started
from eventing.brokers.base import Broker
from eventing.brokers.embedded import EmbeddedBroker
from eventing.chronicle import Chronicle
from eventing.controllers.registry import make_controllers
from eventing.controllers.world import Doors, World
from eventing.dataplane import DataPlane
from eventing.log.log import EventLog
from eventing.sender import Sender
from pilotlight.datadir import DataDir

if TYPE_CHECKING:
    from core.clients.http import OutsideClient


@dataclass(frozen=True, slots=True)
class EventingWing:
    """`services` start in this order and end in the opposite one; `controllers` run beside those of the house, and
    `mutate` is for the API's admission."""

    services: Sequence[tuple[str, Service]]
    controllers: Sequence[tuple[str, Service]]
    mutate: Mutate
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
    backlogs: Backlogs = field(default_factory=Backlogs)


def make_eventing(house: Surroundings) -> EventingWing:
    """Constructs without effect on the machine."""
    clock = house.clock
    log = EventLog(house.data_dir.root / "events.db", clock)
    settings = house.settings

    def allowed(host: str, address: Address) -> bool:
        return bool(settings()[SINKS].guard.allows(host, address))

    outside = LateOutside(allowed)
    chronicle = Chronicle(clock)
    plane = DataPlane(log, clock, Sender(house.caller, outside), chronicle, random.random, house.backlogs)

    async def embedded(stream: str, broker: Json) -> EmbeddedBroker:
        return EmbeddedBroker(stream, log, clock, chronicle)

    async def rabbitmq(stream: str, broker: Json) -> Broker:
        from eventing.rabbitmq.configuration import make_broker  # loaded where there is such a Broker

        return await make_broker(world, log, chronicle, stream, broker)

    async def kafka(stream: str, broker: Json) -> Broker:
        module = await asyncio.to_thread(importlib.import_module, "eventing.brokers.kafka")  # 20 MB of client library
        made: Broker = await module.make_broker(world, stream, broker)
        return made

    world = World(
        store=house.store,
        clock=clock,
        recorder=house.recorder,
        hosts=house.hosts,
        domain=lambda: settings()[DOMAIN].for_labels({}),
        settings=settings,
        plane=plane,
        log=log,
        doors=Doors(house.sites, plane.places),
        brokers={
            **dict.fromkeys(LOG_CLASSES, embedded),
            **dict.fromkeys(KAFKA_CLASSES, kafka),
            RABBITMQ_CLASS: rabbitmq,
        },
        platform=_name_of(house.data_dir),
    )
    controllers = make_controllers(world)
    services: list[tuple[str, Service]] = [
        ("event-log", partial(_run_log, log)),
        ("outside", outside.run),
        ("eventing", plane.run),
        ("doors", controllers.open_doors),
        *controllers.services,
    ]
    return EventingWing(services, controllers.all, world.bindings.inject, log, plane, chronicle)


def _name_of(data_dir: DataDir) -> str:
    """The same in every life on this folder of this machine, and that of no other platform."""
    place = f"{socket.gethostname()}:{data_dir.root.resolve()}"
    return f"pilotlight-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


async def _run_log(log: EventLog, started: Started) -> None:
    await log.open()
    try:
        await log.run(started)
    finally:
        await log.close()


class LateOutside:
    """`core.clients.http.OutsideClient`, loaded with the first call: most platforms call nothing outside, and its
    library takes as long to load as a tenth of their start."""

    def __init__(self, allowed: Callable[[str, Address], bool]) -> None:
        self._allowed = allowed
        self._client: OutsideClient | None = None
        self._loading = asyncio.Lock()

    async def run(self, started: Started) -> None:
        """Closes it at the end."""
        started()
        try:
            await asyncio.Event().wait()
        finally:
            if self._client is not None:
                await self._client.__aexit__()

    async def call(self, url: str, call: Call, timeout_s: float) -> Reply:
        """CallFailed."""
        if self._client is None:
            async with self._loading:
                self._client = self._client or await self._load()
        return await self._client.call(url, call, timeout_s)

    async def _load(self) -> OutsideClient:
        module = await asyncio.to_thread(importlib.import_module, "core.clients.http")
        client: OutsideClient = module.OutsideClient(self._allowed)
        return await client.__aenter__()
