"""All of Knative's controllers, for the roof to run."""

from __future__ import annotations

from core.reconcile.controller import Controller
from deploy.controllers.collector import Collector
from deploy.controllers.configuration import ConfigurationReconciler
from deploy.controllers.domain_mapping import DomainMappingReconciler
from deploy.controllers.labeler import Labeler
from deploy.controllers.revision import RevisionReconciler
from deploy.controllers.route import RouteReconciler
from deploy.controllers.service import ServiceReconciler
from deploy.controllers.world import World


def make_controllers(world: World) -> list[Controller]:
    """In the order in which a Service passes them."""
    return [
        ServiceReconciler(world).controller(),
        ConfigurationReconciler(world).controller(),
        RevisionReconciler(world).controller(),
        RouteReconciler(world).controller(),
        Labeler(world).controller(),
        DomainMappingReconciler(world).controller(),
        Collector(world).controller(),
    ]
