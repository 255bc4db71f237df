"""All controllers of eventing, for the roof to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.reconcile.controller import Controller, Reconciler
from core.resources.eventing import BROKER
from core.resources.meta import Kind, key_of
from core.tasks import Started
from eventing.controllers.broker import BrokerReconciler
from eventing.controllers.trigger import TriggerReconciler
from eventing.controllers.world import World


@dataclass(frozen=True, slots=True)
class Controllers:
    """`doors`: the kinds that events come in by, with who opens them."""

    world: World
    all: Sequence[Controller]
    doors: Sequence[tuple[Kind[Any], Reconciler]]

    async def open_doors(self, started: Started) -> None:
        """A service that runs before the first request is taken, so that no producer is told 404 after a restart."""
        for kind, reconcile in self.doors:
            for obj in (await self.world.store.list(kind)).items:
                await reconcile(key_of(obj))
        started()


def make_controllers(world: World) -> Controllers:
    """Where events come in first, who gets them after that."""
    brokers = BrokerReconciler(world)
    return Controllers(
        world, [brokers.controller(), TriggerReconciler(world).controller()], [(BROKER, brokers.reconcile)]
    )
