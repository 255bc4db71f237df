"""RabbitmqSource → a queue of RabbitMQ read into its sink (pkg/reconciler/source, pkg/adapter of eventing-rabbitmq).

One reader for each source; retries, dead letters and their history are those of every other delivery.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from core.reconcile.controller import Controller, Watched, itself
from core.resources.conditions import Conditions
from core.resources.meta import Json, ObjectKey
from core.resources.sources_rabbitmq import RABBITMQ_SOURCE, RABBITMQ_SOURCE_CONDITIONS
from core.tasks import Service
from eventing.bindings.amqp import SOURCE_TYPE
from eventing.brokers.base import Interest
from eventing.controllers.resolving import Unresolved, followed, resolve
from eventing.controllers.world import World
from eventing.filters.clauses import everything
from eventing.log.base import NOW
from eventing.plans import policy_of
from eventing.rabbitmq.configuration import find_access
from eventing.rabbitmq.inflow import STAGES, Intended, QueueInflow
from eventing.sources.base import Sinks, overrides
from eventing.subscriptions import Drop, Subscription

SORT: Final = "rabbitmqsource"
DEPLOYED: Final = "Deployed"


class RabbitmqSources:
    """`base.Source`."""

    services: Sequence[tuple[str, Service]] = ()

    def __init__(self, world: World) -> None:
        self._world = world
        self._sinks = Sinks(world)
        self._inflows: dict[ObjectKey, tuple[str, QueueInflow]] = {}  # with the uid of the source
        self._controller: Controller | None = None

    def controller(self) -> Controller:
        watches = [
            Watched(RABBITMQ_SOURCE, itself),
            *followed(self._sinks.references),
        ]
        controller = Controller(SORT, self._world.store, self.reconcile, watches, self._world.clock)
        self._world.plane.follow(f"{SORT}/", lambda key: controller.enqueue(key))
        self._controller = controller
        return controller

    async def reconcile(self, key: ObjectKey) -> None:
        source = await self._world.find_live(RABBITMQ_SOURCE, key)
        if source is None:
            self._sinks.forget(key)
            await self._close(key)
            return
        intended = _intended(source)
        conditions = RABBITMQ_SOURCE_CONDITIONS.manage(source.get("status"), self._world.now())
        status: Json = {
            "observedGeneration": source["metadata"].get("generation", 0),
            "ceAttributes": [{"type": SOURCE_TYPE, "source": f"{source_of(key)}#{intended.queue}"}],
        }
        inflow = await self._open(key, source, intended)
        url = await self._sinks.find(source, conditions, status)
        await self._deliver(key, source, url, conditions)
        _mark_stages(inflow, conditions)
        if inflow.missing is None and inflow.trouble:
            conditions.mark_false(DEPLOYED, "ConnectionLost", inflow.trouble)
        await self._world.write_status(RABBITMQ_SOURCE, source, {**status, "conditions": conditions.to_json()})

    async def _open(self, key: ObjectKey, source: Json, intended: Intended) -> QueueInflow:
        uid = source["metadata"]["uid"]
        if (found := self._inflows.get(key)) is not None and found[0] != uid:
            await self._close(key)
            found = None
        if found is None:
            world, spec = self._world, source["spec"]
            vhost = spec["rabbitmqResourcesConfig"].get("vhost")
            find = partial(find_access, world, spec["rabbitmqClusterReference"], key.namespace, vhost)
            parts = (world.log.dead_letters, world.clock)
            inflow = QueueInflow(stream_of(key), source_of(key), intended, find, parts)
            inflow.follow(lambda: self._enqueue(key))
            self._inflows[key] = found = (uid, inflow)
            await world.plane.put_stream(inflow)
        found[1].overrides = overrides(source)
        return found[1]

    async def _deliver(self, key: ObjectKey, source: Json, url: str | None, conditions: Conditions) -> None:
        plane, name = self._world.plane, stream_of(key)
        if url is None:
            await plane.hold(name)
            conditions.mark_unknown(DEPLOYED, "NoSink", "nothing is read while there is no sink")
            return
        dead_letter_sink = (source["spec"].get("delivery") or {}).get("deadLetterSink")
        letters: str | None = None
        if dead_letter_sink is not None:
            try:
                letters = await resolve(self._world, self._world.hosts, dead_letter_sink, key.namespace)
            except Unresolved as error:
                await plane.hold(name)
                conditions.mark_false(DEPLOYED, "DeadLetterSinkNotFound", str(error))
                return
        subscription = Subscription(
            interest=Interest(name, everything(), json.dumps(overrides(source), sort_keys=True), NOW),
            namespace=key.namespace,
            subscriber=url,
            reply=Drop(),
            policy=policy_of(source, None),
            dead_letter_sink=letters,
            parallelism=_intended(source).parallelism,
        )
        await plane.put(subscription, name)
        if plane.is_gone(name):
            said = f"{url} answered 410 Gone: it wants no more events. Change the RabbitmqSource to try again"
            conditions.mark_false(DEPLOYED, "SinkGone", said)
        else:
            conditions.mark_true(DEPLOYED)

    async def _close(self, key: ObjectKey) -> None:
        await self._world.plane.drop_stream(stream_of(key), erase=True)
        self._inflows.pop(key, None)

    def _enqueue(self, key: ObjectKey) -> None:
        if self._controller is not None and key in self._inflows:
            self._controller.enqueue(key)


def stream_of(key: ObjectKey) -> str:
    """Of its one subscription, too."""
    return f"{SORT}/{key.namespace}/{key.name}"


def source_of(key: ObjectKey) -> str:
    return f"/apis/v1/namespaces/{key.namespace}/rabbitmqsources/{key.name}"


def _intended(source: Json) -> Intended:
    config: dict[str, Any] = source["spec"]["rabbitmqResourcesConfig"]
    return Intended(
        queue=config["queueName"],
        exchange=config.get("exchangeName") or "",
        queue_type=config.get("queueType") or "quorum",
        parallelism=config.get("parallelism") or 1,
        predeclared=bool(config.get("predeclared")),
    )


def _mark_stages(inflow: QueueInflow, conditions: Conditions) -> None:
    """In their order; behind the one that has not been reached nothing is known."""
    reached = True
    for stage in STAGES:
        if stage == inflow.missing:
            conditions.mark_false(stage, "NotReady", inflow.trouble)
            reached = False
        elif reached:
            conditions.mark_true(stage)
        else:
            conditions.mark_unknown(stage, "Waiting", f"{inflow.missing} comes first")
