"""Broker → a stream that takes events, its address, its status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import PermanentError, TemporaryError
from core.reconcile.controller import Controller, Watched, itself
from core.reconcile.references import References
from core.resources.conditions import Conditions, ConditionSet
from core.resources.core_v1 import CONFIG_MAP
from core.resources.eventing import (
    ADDRESSABLE,
    BROKER,
    BROKER_CONDITIONS,
    DEAD_LETTER_SINK_RESOLVED,
    EVENT_POLICIES_READY,
    KAFKA_BROKER_CONDITIONS,
)
from core.resources.eventing_labels import BROKER_CLASS_ANNOTATION, KAFKA_CLASSES, PILOTLIGHT_CLASS
from core.resources.eventing_options import BrokerOptions, read_options
from core.resources.meta import Json, ObjectKey
from core.settings.config_maps import DOMAIN, settings_name
from core.store.base import WatchEvent
from eventing.controllers.inlets import Inlets
from eventing.controllers.resolving import Unresolved, followed, referents, resolve
from eventing.controllers.world import BROKER_HOST, World
from eventing.plans import broker_stream


@dataclass(frozen=True, slots=True)
class Parts:
    """What a class tells of itself. `configured`: its configuration can be used. `working` is one thing here, and
    several Deployments in Knative: taking events, keeping them, matching them."""

    conditions: ConditionSet
    working: tuple[str, ...]
    configured: tuple[str, ...] = ()


LOG_PARTS: Final = Parts(BROKER_CONDITIONS, ("IngressReady", "TriggerChannelReady", "FilterReady"))
KAFKA_PARTS: Final = Parts(KAFKA_BROKER_CONDITIONS, ("DataPlaneAvailable", "TopicReady"), ("ConfigParsed",))
PARTS: Final[Mapping[str, Parts]] = dict.fromkeys(KAFKA_CLASSES, KAFKA_PARTS)
RETRY_S: Final = 10.0
LOOK_S: Final = 1.0
"""How soon a broker that is still on its way up is looked at again."""


class BrokerReconciler:
    def __init__(self, world: World, inlets: Inlets) -> None:
        self._world = world
        self._inlets = inlets
        self._references = References()
        self._opened: set[ObjectKey] = set()

    def controller(self) -> Controller:
        watches = [
            Watched(BROKER, itself),
            Watched(CONFIG_MAP, self._when_domains_change),
            *followed(self._references),
        ]
        return Controller("broker", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> float | None:
        broker = await self._world.find_live(BROKER, key)
        if broker is None:
            self._references.set(key, ())
            await self._close(key)
            return None
        sink = (broker["spec"].get("delivery") or {}).get("deadLetterSink")
        self._references.set(key, referents([sink], key.namespace))
        parts = PARTS.get(_class_of(broker), LOG_PARTS)
        conditions = parts.conditions.manage(broker.get("status"), self._world.now())
        status: Json = {"observedGeneration": broker["metadata"].get("generation", 0)}
        retry_s = await self._open(key, broker, parts, conditions)
        if conditions.is_true(parts.working[0]):
            status |= self._addresses(key)
            conditions.mark_true(ADDRESSABLE)
        else:
            conditions.mark_false(ADDRESSABLE, "NotRunning", "the Broker takes no events yet")
        await self._mark_sink(key, sink, conditions, status)
        conditions.mark_true(EVENT_POLICIES_READY, "DefaultAuthorizationMode", "every event of this platform is let in")
        await self._world.write_status(BROKER, broker, {**status, "conditions": conditions.to_json()})
        return retry_s

    def _when_domains_change(self, event: WatchEvent) -> Iterable[ObjectKey]:
        metadata = event.object["metadata"]
        return tuple(self._opened) if settings_name(metadata["namespace"], metadata["name"]) == DOMAIN else ()

    async def _open(self, key: ObjectKey, broker: Json, parts: Parts, conditions: Conditions) -> float | None:
        """Makes it take events; seconds after which to try again where it cannot."""
        world, stream = self._world, broker_stream(key)
        class_name = _class_of(broker)
        make = world.brokers.get(class_name)
        options = read_options(BrokerOptions, broker["metadata"].get("annotations") or {})
        try:
            if make is None:
                raise PermanentError(
                    f"no Broker class {class_name!r} is served here; metadata.annotations[{BROKER_CLASS_ANNOTATION}] "
                    f"may be one of {', '.join(sorted(world.brokers))}"
                )
            entrance = await self._inlets.open(stream, broker, make, options, class_name)
        except (PermanentError, TemporaryError) as error:
            _mark(conditions, (*parts.configured, *parts.working), str(error))
            return RETRY_S if isinstance(error, TemporaryError) else None
        _mark(conditions, parts.configured)
        self._opened.add(key)
        world.doors.open_broker(f"/{key.namespace}/{key.name}", stream, entrance)
        world.doors.open_outside(world.domain())
        running = world.plane.stream(stream)
        if running is not None and running.trouble:
            _mark(conditions, parts.working, running.trouble)  # a producer is told 503, and comes again
            return LOOK_S
        _mark(conditions, parts.working)
        return None

    async def _close(self, key: ObjectKey) -> None:
        """With what it had stored."""
        self._opened.discard(key)
        self._world.doors.close_broker(f"/{key.namespace}/{key.name}")
        await self._inlets.close(broker_stream(key), forget=True)

    def _addresses(self, key: ObjectKey) -> Json:
        path = f"/{key.namespace}/{key.name}"
        inside = {"name": "http", "url": self._world.hosts.local_url(BROKER_HOST) + path}
        host = self._world.doors.open_outside(self._world.domain())
        outside = {"name": "public", "url": self._world.hosts.public_url(host) + path}
        return {"address": inside, "addresses": [inside, outside]}

    async def _mark_sink(self, key: ObjectKey, sink: Json | None, conditions: Conditions, status: Json) -> None:
        if sink is None:
            conditions.mark_true(DEAD_LETTER_SINK_RESOLVED, "DeadLetterSinkNotConfigured", "no dead letter sink is set")
            return
        try:
            status["deadLetterSinkUri"] = await resolve(self._world, self._world.hosts, sink, key.namespace)
        except Unresolved as error:
            conditions.mark_false(DEAD_LETTER_SINK_RESOLVED, "Unable to get the DeadLetterSink's URI", str(error))
        else:
            conditions.mark_true(DEAD_LETTER_SINK_RESOLVED)


def _class_of(broker: Json) -> str:
    annotations = broker["metadata"].get("annotations") or {}
    return str(annotations.get(BROKER_CLASS_ANNOTATION) or PILOTLIGHT_CLASS)


def _mark(conditions: Conditions, kinds: Sequence[str], why_not: str = "") -> None:
    for kind in kinds:
        if why_not:
            conditions.mark_false(kind, "BrokerNotRunning", why_not)
        else:
            conditions.mark_true(kind)
