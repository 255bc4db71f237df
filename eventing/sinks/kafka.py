"""KafkaSink → a door at which each event becomes a record (control-plane/pkg/reconciler/sink of eventing-kafka-broker).

202 stands for a record that all replicas in sync have. The client library is loaded with the first sink that there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.errors import PermanentError, TemporaryError
from core.reconcile.controller import Controller, Watched, itself
from core.reconcile.references import References
from core.resources.conditions import Conditions
from core.resources.core_v1 import SECRET
from core.resources.eventing import ADDRESSABLE
from core.resources.meta import Json, Kind, ObjectKey
from core.resources.sinks import KAFKA_SINK, KAFKA_SINK_CONDITIONS
from core.tasks import OpenGroup, Service, start_service
from eventing.controllers.world import World
from eventing.entrance import Entrance
from eventing.event import Event
from eventing.ingress import Ingress, by_path
from eventing.intake import Stored, Terms, with_dead_letters
from eventing.kafka.configuration import access_of_sink, secrets_of_sink

if TYPE_CHECKING:
    from eventing.kafka.outflow import Target, TopicOutflow

SORT: Final = "kafkasink"
HOST: Final = "kafka-sink-ingress.knative-eventing.svc.cluster.local"
RETRY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Open:
    target: Target
    outflow: TopicOutflow
    task: asyncio.Task[None]


class KafkaSinks:
    """`base.Sink`."""

    kind: Kind[Any] = KAFKA_SINK

    def __init__(self, world: World) -> None:
        self._world = world
        self._secrets = References()
        self._entrances: dict[bytes, Entrance] = {}
        self._open: dict[ObjectKey, _Open] = {}
        self._connections = OpenGroup()
        self._controller: Controller | None = None
        world.doors.open_site(HOST, Ingress(by_path(self._entrances), "KafkaSink"))

    @property
    def services(self) -> Sequence[tuple[str, Service]]:
        return [("kafka-sinks", self._connections.run)]

    def controller(self) -> Controller:
        watches = [Watched(KAFKA_SINK, itself), Watched(SECRET, self._secrets.of(SECRET))]
        self._controller = Controller(SORT, self._world.store, self.reconcile, watches, self._world.clock)
        return self._controller

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Its door is open whatever Kafka says: who comes while nothing can be stored is told 503, and comes again."""
        path = f"/{key.namespace}/{key.name}"
        sink = await self._world.find_live(KAFKA_SINK, key)
        if sink is None:
            self._entrances.pop(path.encode(), None)
            self._secrets.set(key, ())
            await self._close(key)
            return None
        self._secrets.set(key, [(SECRET, each) for each in secrets_of_sink(sink)])
        if path.encode() not in self._entrances:
            aside = with_dead_letters(self._world.log.dead_letters, f"{SORT}{path}")
            self._entrances[path.encode()] = Entrance(_Intake(self, key), aside, Terms(), self._world.clock)
        conditions = KAFKA_SINK_CONDITIONS.manage(sink.get("status"), self._world.now())
        retry_s = await self._connect(key, sink, conditions)
        conditions.mark_true("ConfigMapUpdated")
        conditions.mark_true(ADDRESSABLE)
        address = {"name": "http", "url": self._world.hosts.local_url(HOST) + path}
        status: Json = {
            "observedGeneration": sink["metadata"].get("generation", 0),
            "address": address,
            "addresses": [address],
            "conditions": conditions.to_json(),
        }
        await self._world.write_status(KAFKA_SINK, sink, status)
        return retry_s

    def outflow(self, key: ObjectKey) -> TopicOutflow | None:
        found = self._open.get(key)
        return None if found is None else found.outflow

    async def _connect(self, key: ObjectKey, sink: Json, conditions: Conditions) -> float | None:
        trouble, retry_s = "", None
        try:
            trouble = (await self._opened(key, await self._target(sink))).trouble
        except (PermanentError, TemporaryError) as error:
            await self._close(key)
            trouble, retry_s = str(error), RETRY_S if isinstance(error, TemporaryError) else None
        if trouble:
            conditions.mark_false("TopicReady", "TopicNotReady", trouble)
            conditions.mark_unknown("ProbeSucceeded", "TopicNotReady", "no event can be stored yet")
        else:
            conditions.mark_true("TopicReady")
            conditions.mark_true("ProbeSucceeded")
        return retry_s

    async def _target(self, sink: Json) -> Target:
        """PermanentError, TemporaryError."""
        module = await asyncio.to_thread(importlib.import_module, "eventing.kafka.outflow")
        spec = sink["spec"]
        made: Target = module.Target(
            await access_of_sink(self._world, sink),
            spec["topic"],
            spec.get("numPartitions"),
            spec.get("replicationFactor"),
            structured=spec["contentMode"] == "structured",
        )
        return made

    async def _opened(self, key: ObjectKey, target: Target) -> TopicOutflow:
        found = self._open.get(key)
        if found is not None and found.target == target:
            return found.outflow
        await self._close(key)
        if (group := self._connections.group) is None:
            raise TemporaryError("the platform is starting", 0.1)
        module = importlib.import_module("eventing.kafka.outflow")
        name = f"{SORT}/{key.namespace}/{key.name}"
        outflow: TopicOutflow = module.TopicOutflow(
            target, f"{self._world.platform}/{name}", self._world.clock, lambda: self._enqueue(key)
        )
        self._open[key] = _Open(target, outflow, await start_service(group, outflow.run, name))
        return outflow

    async def _close(self, key: ObjectKey) -> None:
        if (found := self._open.pop(key, None)) is not None:
            found.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((found.task,))

    def _enqueue(self, key: ObjectKey) -> None:
        if self._controller is not None:
            self._controller.enqueue(key)


class _Intake:
    """Of one sink, whatever it is connected to at present."""

    def __init__(self, sinks: KafkaSinks, key: ObjectKey) -> None:
        self._sinks = sinks
        self._key = key

    def append(self, events: Sequence[Event]) -> Stored:
        outflow = self._sinks.outflow(self._key)
        if outflow is None:
            raise TemporaryError(f"KafkaSink {self._key} is not connected; its status says why")
        return outflow.append(events)
