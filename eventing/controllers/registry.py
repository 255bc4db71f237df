"""All controllers of eventing, for the roof to run."""

from __future__ import annotations

from core.reconcile.controller import Controller
from eventing.controllers.broker import BrokerReconciler
from eventing.controllers.trigger import TriggerReconciler
from eventing.controllers.world import World


def make_controllers(world: World) -> list[Controller]:
    """Where events come in first, who gets them after that."""
    return [BrokerReconciler(world).controller(), TriggerReconciler(world).controller()]
