"""InMemoryChannel → a stream that takes events at a host of its own, its address, its status.

In spite of the name, what it took is on disk. Who gets the events is the business of Subscriptions and
`written_subscribers`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from core.reconcile.controller import Controller, Watched, itself, owner
from core.reconcile.references import References
from core.resources.child_names import child_name
from core.resources.conditions import Conditions, find_condition
from core.resources.core_services import CORE_SERVICE
from core.resources.eventing import ADDRESSABLE, DEAD_LETTER_SINK_RESOLVED, EVENT_POLICIES_READY
from core.resources.eventing_labels import PILOTLIGHT_CLASS
from core.resources.eventing_options import BrokerOptions, read_options
from core.resources.messaging import IN_MEMORY_CHANNEL, IN_MEMORY_CHANNEL_CONDITIONS, SUBSCRIPTION
from core.resources.meta import Json, ObjectKey
from core.store.base import WatchEvent
from eventing.controllers.channel_hosts import RETRY_S, HostTaken, claim, host_of
from eventing.controllers.inlets import Inlets
from eventing.controllers.resolving import Unresolved, followed, referents, resolve
from eventing.controllers.world import World
from eventing.controllers.written_subscribers import WrittenSubscribers
from eventing.plans import channel_stream

WORKING: Final = ("DispatcherReady", "ServiceReady", "EndpointsReady")
"""What is one thing here: what takes the events and delivers them."""
SERVICE_READY: Final = "ChannelServiceReady"
GATHERED_S: Final = 0.05
"""Many Subscriptions that change at once are one change of their channel's status."""


class InMemoryChannelReconciler:
    def __init__(self, world: World, inlets: Inlets) -> None:
        self._world = world
        self._inlets = inlets
        self._written = WrittenSubscribers(world)
        self._references = References()

    def controller(self) -> Controller:
        watches = [
            Watched(IN_MEMORY_CHANNEL, itself),
            Watched(SUBSCRIPTION, _channel_of, GATHERED_S),
            Watched(CORE_SERVICE, owner(IN_MEMORY_CHANNEL)),
            *followed(self._references),
        ]
        return Controller("in-memory-channel", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> float | None:
        channel = await self._world.find_live(IN_MEMORY_CHANNEL, key)
        if channel is None:
            self._references.set(key, ())
            self._world.doors.close_channel(host_of(_service(key)), channel_stream(key))
            await self._inlets.close(channel_stream(key), forget=True)
            return None
        sink = (channel["spec"].get("delivery") or {}).get("deadLetterSink")
        self._references.set(key, referents([sink], key.namespace))
        conditions = IN_MEMORY_CHANNEL_CONDITIONS.manage(channel.get("status"), self._world.now())
        status: Json = {"observedGeneration": channel["metadata"].get("generation", 0)}
        await self._open(key, channel, conditions)
        if conditions.is_true(SERVICE_READY):
            address = {"name": "http", "url": self._world.hosts.local_url(host_of(_service(key)))}
            status |= {"address": address, "addresses": [address]}
            conditions.mark_true(ADDRESSABLE)
        else:
            conditions.mark_false(ADDRESSABLE, "ChannelServiceFailed", conditions.get(SERVICE_READY)["message"])
        await self._mark_sink(key, sink, conditions, status)
        conditions.mark_true(EVENT_POLICIES_READY, "DefaultAuthorizationMode", "every event of this platform is let in")
        written = await self._written.run(key, channel, status.get("deadLetterSinkUri"))
        if subscribers := [*await self._subscribers(key), *written]:
            status["subscribers"] = subscribers
        await self._world.write_status(IN_MEMORY_CHANNEL, channel, {**status, "conditions": conditions.to_json()})
        return None if conditions.is_true(ADDRESSABLE) else RETRY_S

    async def _open(self, key: ObjectKey, channel: Json, conditions: Conditions) -> None:
        world, stream, service = self._world, channel_stream(key), _service(key)
        options = read_options(BrokerOptions, channel["metadata"].get("annotations") or {})
        make = world.brokers[PILOTLIGHT_CLASS]
        entrance = await self._inlets.open(stream, channel, make, options, PILOTLIGHT_CLASS)
        for kind in WORKING:
            conditions.mark_true(kind)
        try:
            await claim(world, IN_MEMORY_CHANNEL, channel, service)
        except HostTaken as error:
            world.doors.close_channel(host_of(service), stream)
            conditions.mark_false(SERVICE_READY, "ChannelServiceFailed", str(error))
        else:
            world.doors.open_channel(host_of(service), stream, entrance)
            conditions.mark_true(SERVICE_READY)

    async def _mark_sink(self, key: ObjectKey, sink: Json | None, conditions: Conditions, status: Json) -> None:
        if sink is None:
            said = "No dead letter sink is configured."
            conditions.mark_true(DEAD_LETTER_SINK_RESOLVED, "DeadLetterSinkNotConfigured", said)
            return
        try:
            status["deadLetterSinkUri"] = await resolve(self._world, self._world.hosts, sink, key.namespace)
        except Unresolved as error:
            conditions.mark_false(DEAD_LETTER_SINK_RESOLVED, "DeadLetterSinkResolveFailed", str(error))
        else:
            conditions.mark_true(DEAD_LETTER_SINK_RESOLVED)

    async def _subscribers(self, key: ObjectKey) -> list[Json]:
        """How each Subscription to it is."""
        found = []
        for each in (await self._world.store.list(SUBSCRIPTION)).items:
            if "deletionTimestamp" in each["metadata"] or channel_key(each) != key:
                continue
            added = find_condition(each, "AddedToChannel") or {}
            metadata = each["metadata"]
            status = {
                "uid": metadata["uid"],
                "observedGeneration": metadata.get("generation", 0),
                "ready": added.get("status", "Unknown"),
            }
            found.append({**status, **({"message": added["message"]} if added.get("message") else {})})
        return found


def channel_key(subscription: Json) -> ObjectKey:
    """Of the channel that a Subscription is to; a Channel and what it became have one name."""
    reference = subscription["spec"].get("channel") or {}
    return ObjectKey(reference.get("namespace") or subscription["metadata"]["namespace"], reference.get("name") or "")


def _service(key: ObjectKey) -> ObjectKey:
    return ObjectKey(key.namespace, child_name(key.name, "-kn-channel"))


def _channel_of(event: WatchEvent) -> Iterable[ObjectKey]:
    return (channel_key(event.object),)
