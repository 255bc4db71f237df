"""The eventing half of a platform over a memory store and a real event log, with subscribers of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from core.errors import NotFound
from core.inside import Call, Reply, Sites
from core.reconcile.events import Recorder
from core.resources.conditions import find_condition
from core.resources.eventing_labels import KAFKA_CLASS, LOG_CLASSES, RABBITMQ_CLASS
from core.resources.hosts import Hosts
from core.resources.kinds import KINDS
from core.resources.meta import AdmissionContext, Json, Kind
from core.resources.serving import SERVICE
from core.settings.config_maps import CONFIG_MAPS, settings_of
from core.store.memory import MemoryStore
from core.tasks import start_service
from eventing.brokers.base import Broker
from eventing.brokers.embedded import EmbeddedBroker
from eventing.brokers.rabbitmq import RabbitmqBroker
from eventing.chronicle import Chronicle
from eventing.codec import encode_binary
from eventing.controllers.registry import make_controllers
from eventing.controllers.world import Doors, World
from eventing.dataplane import DataPlane
from eventing.event import Event
from eventing.log.log import EventLog
from eventing.rabbitmq.configuration import make_broker
from eventing.sender import Sender
from tests.support.subscribers import Answer, Nowhere, Subscribers

BROKERS = "broker-ingress.knative-eventing.svc.cluster.local"


@dataclass
class Eventing:
    store: MemoryStore
    log: EventLog
    plane: DataPlane
    chronicle: Chronicle
    sites: Sites
    settings: dict[str, Any]
    world: World
    clock: SystemClock = field(default_factory=SystemClock)
    people: Subscribers = field(default_factory=Subscribers)

    async def apply(self, kind: Kind[Any], name: str, spec: Json | None = None, **metadata: Any) -> Json:
        """As the API server would store it: with defaults. Creates it or replaces its spec."""
        obj: Json = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name, "namespace": "default", **metadata},
            "spec": spec or {},
        }
        try:
            old = await self.store.get(kind, name, "default")
        except NotFound:
            old = None
        if kind.default is not None:
            kind.default(obj, AdmissionContext(old=old))
        if old is None:
            return await self.store.create(kind, obj)
        return await self.store.modify(
            kind, name, "default",
            lambda now: {**now, "spec": obj["spec"], "metadata": {**now["metadata"], **metadata}},
        )  # fmt: skip

    async def ready(self, kind: Kind[Any], name: str, status: str = "True") -> Json:
        """The object, once its Ready has that status for its present generation."""

        async def found() -> Json | None:
            obj = await self.store.get(kind, name, "default")
            ready = find_condition(obj)
            fresh = (obj.get("status") or {}).get("observedGeneration") == obj["metadata"].get("generation")
            return obj if ready is not None and ready["status"] == status and fresh else None

        return await until(found, f"{kind.kind} {name} does not get Ready={status}")

    async def function(self, name: str = "fn", answer: Answer = lambda got: Reply(202)) -> Json:
        """A Knative Service that has an address, and answers so; a reference to it."""
        await self.store.create(
            SERVICE,
            {
                "apiVersion": "serving.knative.dev/v1", "kind": "Service",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"template": {"spec": {"containers": [{"image": "x"}]}}},
            },
        )  # fmt: skip
        host = f"{name}.default.svc.cluster.local"
        address = {"address": {"url": f"http://{host}"}}
        await self.store.modify(SERVICE, name, "default", lambda now: {**now, "status": address}, "status")
        self.people.answers[host] = answer
        return {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}}

    def subscriptions_of(self, stream: str) -> list[str]:
        return [name for name, its_stream in self.plane.streams_of.items() if its_stream == stream]

    async def post(self, event: Event, path: str = "/default/main", host: str = BROKERS) -> Reply:
        fields, body = encode_binary(event)
        place = self.sites.places[host]
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        place.site.answer(Call(b"POST", host.encode(), path.encode(), fields, body), answer.set_result)
        return await answer

    async def received(self, host: str, count: int) -> list[str]:
        """The ids that a subscriber has got, once there are so many."""

        async def enough() -> list[str] | None:
            ids = self.people.ids(host)
            return ids if len(ids) >= count else None

        return await until(enough, f"{host} has not got {count} events")


async def until(check: Callable[[], Awaitable[Any]], what: str, timeout_s: float = 10.0) -> Any:
    """The first value that is not None."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while (found := await check()) is None:
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.005)
    return found


@asynccontextmanager
async def eventing(folder: Path, store: MemoryStore | None = None) -> AsyncIterator[Eventing]:
    """One life of it. A store that is passed in, and the folder, outlive it."""
    clock = SystemClock()
    if store is None:
        store = MemoryStore(KINDS, clock)
        await store.open()
    log = EventLog(folder / "events.db", clock)
    await log.open()
    people, chronicle, sites = Subscribers(), Chronicle(clock), Sites()
    plane = DataPlane(log, clock, Sender(people, Nowhere()), chronicle, lambda: 0.0)

    async def embedded(stream: str, broker: Json) -> EmbeddedBroker:
        return EmbeddedBroker(stream, log, clock, chronicle)

    async def rabbitmq(stream: str, broker: Json) -> RabbitmqBroker:
        return await make_broker(world, log, chronicle, stream, broker)

    async def kafka(stream: str, broker: Json) -> Broker:
        from eventing.brokers.kafka import make_broker as make_kafka_broker  # as slow to load as all others together

        return await make_kafka_broker(world, stream, broker)

    recorder = Recorder(store, clock, "test")
    settings = {name: settings_of(name, None) for name in CONFIG_MAPS}
    world = World(
        store,
        clock,
        recorder,
        Hosts(8080),
        lambda: "localhost",
        lambda: settings,
        plane,
        log,
        Doors(sites, plane.places),
        {**dict.fromkeys(LOG_CLASSES, embedded), RABBITMQ_CLASS: rabbitmq, KAFKA_CLASS: kafka},
    )
    try:
        async with asyncio.TaskGroup() as group:
            controllers = make_controllers(world)
            services = [("log", log.run), ("plane", plane.run), ("doors", controllers.open_doors)]
            services += [*controllers.services, *controllers.all]
            tasks = [await start_service(group, run, name) for name, run in services]
            yield Eventing(store, log, plane, chronicle, sites, settings, world, clock, people)
            for task in reversed(tasks):
                task.cancel()
                await asyncio.wait((task,))
    finally:
        await log.close()
