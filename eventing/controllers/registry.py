"""All controllers of eventing, for the roof to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.reconcile.controller import Controller, Reconciler
from core.resources.eventing import BROKER, EVENT_TYPE
from core.resources.flows import PARALLEL, SEQUENCE
from core.resources.messaging import CHANNEL, IN_MEMORY_CHANNEL
from core.resources.meta import Kind, key_of
from core.tasks import Service, Started
from eventing.controllers.broker import BrokerReconciler
from eventing.controllers.channel import ChannelReconciler
from eventing.controllers.event_type import EventTypeReconciler, NewsReconciler
from eventing.controllers.flow import PARALLELS, SEQUENCES, FlowReconciler
from eventing.controllers.in_memory_channel import InMemoryChannelReconciler
from eventing.controllers.inlets import Inlets
from eventing.controllers.late import LatePart
from eventing.controllers.leftovers import Leftovers
from eventing.controllers.subscription import SubscriptionReconciler
from eventing.controllers.trigger import TriggerReconciler
from eventing.controllers.world import World
from eventing.sinks.registry import SINKS
from eventing.sources.registry import SOURCES


@dataclass(frozen=True, slots=True)
class Controllers:
    """`all` by name. `doors`: the kinds that events come in by, with who opens them, in order. `services`: what
    sources and sinks do beside being reconciled."""

    world: World
    all: Sequence[tuple[str, Service]]
    doors: Sequence[tuple[Kind[Any], Reconciler]]
    services: Sequence[tuple[str, Service]]

    async def open_doors(self, started: Started) -> None:
        """A service that runs before the first request is taken, so that no producer is told 404 after a restart."""
        for kind, reconcile in self.doors:
            for obj in (await self.world.store.list(kind)).items:
                await reconcile(key_of(obj))
        started()


def make_controllers(world: World) -> Controllers:
    """Where events come in first, who gets them after that."""
    inlets = Inlets(world)
    event_types, brokers = EventTypeReconciler(world, inlets.catalogue), BrokerReconciler(world, inlets)
    channels, in_memory = ChannelReconciler(world), InMemoryChannelReconciler(world, inlets)
    sequences, parallels = FlowReconciler(world, inlets, SEQUENCES), FlowReconciler(world, inlets, PARALLELS)
    late = [LatePart(world, plugin) for plugin in (*SINKS.values(), *SOURCES.values())]
    controllers: Sequence[Controller] = [
        event_types.controller(),
        *(each.controller() for each in (brokers, channels, in_memory, sequences, parallels)),
        TriggerReconciler(world).controller(),
        SubscriptionReconciler(world).controller(),
        NewsReconciler(world, inlets.catalogue).controller(),
        Leftovers(world).controller(),
    ]
    return Controllers(
        world,
        [*((each.name, each.run) for each in controllers), *((part.name, part.control) for part in late)],
        [
            (EVENT_TYPE, event_types.reconcile),  # schemas are in force before the first event
            (BROKER, brokers.reconcile),
            (CHANNEL, channels.reconcile),  # which makes its InMemoryChannel: those are in memory
            (IN_MEMORY_CHANNEL, in_memory.reconcile),
            (SEQUENCE, sequences.reconcile),
            (PARALLEL, parallels.reconcile),
        ],
        [(f"{part.name}s", part.serve) for part in late],
    )
