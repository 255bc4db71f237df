"""KafkaSource → topics of Kafka read into its sink (control-plane/pkg/reconciler/source of eventing-kafka-broker).

One reader for each source; retries, dead letters and their history are those of every other delivery. The client
library is loaded with the first source that there is.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from core.errors import PermanentError, TemporaryError
from core.reconcile.controller import Controller, Watched, itself
from core.reconcile.references import References
from core.resources import pilotlight
from core.resources.conditions import Conditions
from core.resources.core_v1 import SECRET
from core.resources.eventing_options import Order, SubscriptionOptions, read_options
from core.resources.meta import Json, ObjectKey
from core.resources.sources_kafka import KAFKA_SOURCE, KAFKA_SOURCE_CONDITIONS, KEY_TYPE_LABEL
from core.tasks import Service
from eventing.bindings.kafka import SOURCE_TYPE, KeyType
from eventing.brokers.base import Interest
from eventing.controllers.resolving import Unresolved, followed, resolve
from eventing.controllers.world import World
from eventing.filters.clauses import everything
from eventing.kafka.configuration import access_of_net, secrets_of_net, servers_of
from eventing.kafka.layout import Group
from eventing.log.base import EARLIEST, NOW, Start
from eventing.plans import policy_of, start_of
from eventing.sources.base import Sinks, overrides
from eventing.subscriptions import Drop, Subscription

if TYPE_CHECKING:
    from eventing.kafka.inflow import Intended, TopicInflow

SORT: Final = "kafkasource"
DEPLOYED: Final = "Deployed"
CONNECTED: Final = "ConnectionEstablished"
BEGUN: Final = "InitialOffsetsCommitted"
RETRY_S: Final = 10.0


class KafkaSources:
    """`base.Source`."""

    services: Sequence[tuple[str, Service]] = ()

    def __init__(self, world: World) -> None:
        self._world = world
        self._sinks = Sinks(world)
        self._secrets = References()
        self._inflows: dict[ObjectKey, tuple[Intended, TopicInflow]] = {}
        self._controller: Controller | None = None

    def controller(self) -> Controller:
        watches = [
            Watched(KAFKA_SOURCE, itself),
            Watched(SECRET, self._secrets.of(SECRET)),
            *followed(self._sinks.references),
        ]
        controller = Controller(SORT, self._world.store, self.reconcile, watches, self._world.clock)
        self._world.plane.follow(f"{SORT}/", lambda key: controller.enqueue(key))
        self._controller = controller
        return controller

    async def reconcile(self, key: ObjectKey) -> float | None:
        source = await self._world.find_live(KAFKA_SOURCE, key)
        if source is None:
            self._sinks.forget(key)
            self._secrets.set(key, ())
            await self._close(key)
            return None
        spec = source["spec"]
        self._secrets.set(key, [(SECRET, each) for each in secrets_of_net(spec.get("net"), key.namespace)])
        conditions = KAFKA_SOURCE_CONDITIONS.manage(source.get("status"), self._world.now())
        conditions.mark_true("KeyTypeCorrect")
        status: Json = {
            "observedGeneration": source["metadata"].get("generation", 0),
            "consumers": spec["consumers"],
            "ceAttributes": [{"type": SOURCE_TYPE, "source": f"{source_of(key)}#{each}"} for each in spec["topics"]],
        }
        url = await self._sinks.find(source, conditions, status)
        retry_s = await self._run(key, source, url, conditions)
        await self._world.write_status(KAFKA_SOURCE, source, {**status, "conditions": conditions.to_json()})
        return retry_s

    async def _run(self, key: ObjectKey, source: Json, url: str | None, conditions: Conditions) -> float | None:
        try:
            intended = await self._intended(key, source)
        except (PermanentError, TemporaryError) as error:
            await self._close(key)
            conditions.mark_false(CONNECTED, "ConfigurationInvalid", str(error))
            conditions.mark_unknown(BEGUN, "NotConnected", "")
            conditions.mark_false(DEPLOYED, "NotConnected", "nothing is read")
            return RETRY_S if isinstance(error, TemporaryError) else None
        inflow = await self._open(key, intended)
        if inflow.trouble:
            conditions.mark_false(CONNECTED, "ConnectionFailed", inflow.trouble)
        else:
            conditions.mark_true(CONNECTED)
        if not inflow.begun:
            conditions.mark_unknown(BEGUN, "NotConnected", "the group has no offsets yet")
            conditions.mark_unknown(DEPLOYED, "NotConnected", "nothing is read yet")
            return None
        conditions.mark_true(BEGUN)
        await self._deliver(key, source, url, conditions)
        return None

    async def _intended(self, key: ObjectKey, source: Json) -> Intended:
        """PermanentError, TemporaryError."""
        module = await asyncio.to_thread(importlib.import_module, "eventing.kafka.inflow")
        spec, metadata = source["spec"], source["metadata"]
        servers = servers_of(spec["bootstrapServers"], "spec.bootstrapServers")
        access = await access_of_net(self._world, servers, spec.get("net"), key.namespace)
        member = f"{self._world.platform}/{stream_of(key)}"
        made: Intended = module.Intended(
            group=Group(access, spec["consumerGroup"], tuple(spec["topics"]), member),
            source=source_of(key),
            start=_start(source),
            key_type=KeyType((metadata.get("labels") or {}).get(KEY_TYPE_LABEL) or KeyType.STRING),
            by_partition=pilotlight.ORDER_KEY not in (metadata.get("annotations") or {}),
            overrides=overrides(source),
        )
        return made

    async def _open(self, key: ObjectKey, intended: Intended) -> TopicInflow:
        """What is changed begins anew; where its group is does not change by that."""
        found = self._inflows.get(key)
        if found is None or found[0] != intended:
            await self._close(key)
            module = importlib.import_module("eventing.kafka.inflow")
            world = self._world
            inflow = module.TopicInflow(
                stream_of(key), intended, world.log.dead_letters, world.clock, lambda: self._enqueue(key)
            )
            self._inflows[key] = found = (intended, inflow)
            await world.plane.put_stream(inflow)
        return found[1]

    async def _deliver(self, key: ObjectKey, source: Json, url: str | None, conditions: Conditions) -> None:
        plane, name = self._world.plane, stream_of(key)
        if url is None or not source["spec"]["consumers"]:
            await plane.hold(name)
            why = "while there is no sink" if url is None else "by no consumers"
            conditions.mark_unknown(DEPLOYED, "Held", f"nothing is read {why}")
            return
        try:
            letters = await self._dead_letter_sink(source)
        except Unresolved as error:
            await plane.hold(name)
            conditions.mark_false(DEPLOYED, "DeadLetterSinkNotFound", str(error))
            return
        try:
            await plane.put(_subscription(name, source, url, letters), name)
        except (PermanentError, TemporaryError) as error:
            conditions.mark_false(DEPLOYED, "NotConnected", str(error))
            self._enqueue(key, RETRY_S)
            return
        if plane.is_gone(name):
            said = f"{url} answered 410 Gone: it wants no more events. Change the KafkaSource to try again"
            conditions.mark_false(DEPLOYED, "SinkGone", said)
        else:
            conditions.mark_true(DEPLOYED)

    async def _dead_letter_sink(self, source: Json) -> str | None:
        sink = (source["spec"].get("delivery") or {}).get("deadLetterSink")
        if sink is None:
            return None
        return await resolve(self._world, self._world.hosts, sink, source["metadata"]["namespace"])

    async def _close(self, key: ObjectKey) -> None:
        if self._inflows.pop(key, None) is not None:
            await self._world.plane.drop_stream(stream_of(key))

    def _enqueue(self, key: ObjectKey, after_s: float = 0.0) -> None:
        if self._controller is not None and key in self._inflows:
            self._controller.enqueue(key, after_s)


def stream_of(key: ObjectKey) -> str:
    """Of its one subscription, too."""
    return f"{SORT}/{key.namespace}/{key.name}"


def source_of(key: ObjectKey) -> str:
    return f"/apis/v1/namespaces/{key.namespace}/kafkasources/{key.name}"


def _subscription(name: str, source: Json, url: str, letters: str | None) -> Subscription:
    options = read_options(SubscriptionOptions, source["metadata"].get("annotations") or {})
    more: dict[str, Any] = {"parallelism": options.parallelism} if options.parallelism else {}
    return Subscription(
        interest=Interest(name, everything(), json.dumps(overrides(source), sort_keys=True), NOW),
        namespace=source["metadata"]["namespace"],
        subscriber=url,
        reply=Drop(),
        policy=policy_of(source, None),
        dead_letter_sink=letters,
        order_key=options.order_key if source["spec"]["ordering"] == Order.ORDERED else None,
        rate_per_s=options.rate_limit,
        backlog_max=options.backlog_max,
        **more,
    )


def _start(source: Json) -> Start:
    """Of a new group; the annotation knows more places than the field."""
    annotations = source["metadata"].get("annotations") or {}
    if pilotlight.START in annotations:
        return start_of(read_options(SubscriptionOptions, annotations))
    return EARLIEST if source["spec"]["initialOffset"] == "earliest" else NOW
