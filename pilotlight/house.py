"""Every part of a platform, built and connected; nothing runs yet. `serve` runs it.

Read from top to bottom: what comes later may use what came before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.applications import Starlette

from activator.service import Activator, ActivatorSettings
from autoscaler.controller import Autoscaler
from autoscaler.decisions import as_json
from core.apiserver.app import make_app
from core.apiserver.backend import Backend
from core.apiserver.versions import VersionedStore
from core.clock import Clock
from core.inside import Sites
from core.reconcile.controller import Controller
from core.reconcile.events import EventExpiry, Recorder
from core.reconcile.garbage import GarbageCollector
from core.reconcile.namespaces import NamespaceController
from core.reconcile.service_accounts import ServiceAccountController
from core.resources.kinds import KINDS, SERVED
from core.resources.meta import Json
from core.stats import Backlogs, StatisticBus
from core.store.sqlite import SqliteStore
from core.tasks import Service, run_together
from deploy import preparation
from deploy.controllers import deployment, job
from deploy.controllers.claims import ClaimReconciler
from deploy.controllers.config import LiveSettings
from deploy.controllers.deployment import DeploymentReconciler
from deploy.controllers.endpoints import EndpointsReconciler
from deploy.controllers.job import JobReconciler
from deploy.controllers.registry import make_controllers
from deploy.controllers.serverless_services import ServerlessServiceReconciler
from deploy.controllers.volumes import VolumeReconciler
from deploy.controllers.world import World
from deploy.local_images import LocalImages
from deploy.logs import PodLogs
from deploy.names import Names
from deploy.node import make_node
from deploy.preparation import Preparation
from deploy.runtimes.base import OwnNetwork, Runtime
from deploy.runtimes.hosts import HostsFile, machine_lines
from deploy.runtimes.ports import Ports
from deploy.runtimes.registry import RUNTIMES, Machine
from deploy.runtimes.spawning import SpawnerLink
from eventing.replay import Replays
from pilotlight.admission import SettingsInForce
from pilotlight.bootstrap import NAMESPACES
from pilotlight.console import Console
from pilotlight.datadir import DataDir
from pilotlight.event_console import EventConsole
from pilotlight.eventing_wing import Surroundings, make_eventing
from pilotlight.inside import Inside
from pilotlight.listeners import Addresses
from pilotlight.scaling_admission import ScalingAdmission
from pilotlight.scaling_console import ScalingConsole
from pilotlight.scaling_wing import make_scaling
from pilotlight.storage_admission import StorageAdmission
from pilotlight.thrift import Thrift
from pilotlight.top import Top

COMPONENT = "pilotlight"


@dataclass(frozen=True, slots=True)
class House:
    """`services` answer requests, in the order in which they start; they stop in the opposite one. `controllers` begin
    when all of them are up, and end before."""

    activator: Activator
    services: Sequence[tuple[str, Service]]
    controllers: Service
    backend: Backend
    console: Console

    def application(self, token: str, version: str) -> Starlette:
        return self.console.above(make_app(self.backend, token, version), version)


def make_house(
    store: SqliteStore, clock: Clock, data_dir: DataDir, addresses: Addresses, token: str, workers: int = 1
) -> House:
    """Constructs without effect on the machine."""
    bus, backlogs = StatisticBus(), Backlogs()
    # One gateway needs no process of its own; several share this one's throttler.
    sites = Sites()
    activator = Activator(store, clock, bus, ActivatorSettings(workers=workers if workers > 1 else 0), sites)
    autoscaler = Autoscaler(store, bus, clock)
    hosts_file = HostsFile(data_dir.root / "hosts", machine_lines, addresses.inside_host)
    runtimes = make_runtimes(clock, data_dir, hosts_file)
    networks = [runtime for runtime in runtimes.values() if isinstance(runtime, OwnNetwork)]
    node, planner = make_node(store, clock, activator.loads, runtimes, data_dir.root)
    names = Names(store, clock, [hosts_file.set_names, *(network.set_names for network in networks)])
    settings = SettingsInForce(store, clock)
    recorder = Recorder(store, clock, COMPONENT)
    world = World(
        store=store,
        clock=clock,
        recorder=recorder,
        settings=LiveSettings(store),
        hosts=addresses.hosts,
        images=LocalImages(planner),
        statistics=bus,
    )
    eventing = make_eventing(
        Surroundings(store, clock, recorder, addresses.hosts, settings.current, activator, sites, data_dir, backlogs)
    )
    scaling = make_scaling(store, clock, bus, node, backlogs, autoscaler.set_floor)
    preparing = Preparation(store, planner, node.volumes)
    serverless = ServerlessServiceReconciler(store, clock)
    local = [
        *make_local_controllers(store, clock, activator, recorder, data_dir.claims),
        Controller("serverlessservices", store, serverless, serverless.watches, clock),
        Controller("preparation", store, preparing, preparation.WATCHES, clock),
    ]
    services: list[tuple[str, Service]] = [
        ("settings", settings.run),
        ("names", names.run),  # before the runtimes: they hand the files that it writes to their instances
        *((f"runtime:{name}", runtime.run) for name, runtime in runtimes.items()),
        ("activator", activator.run),
        *eventing.services,
        ("autoscaler", autoscaler.run),
        ("node", node.run),
        *((f"inside:{n}", Inside(network, activator, clock, addresses).run) for n, network in enumerate(networks)),
    ]
    controllers: list[tuple[str, Service]] = [
        *((controller.name, controller.run) for controller in [*local, *make_controllers(world)]),
        *eventing.controllers,
        *scaling.controllers,
        ("garbage", GarbageCollector(store, KINDS, clock).run),
        ("namespaces", NamespaceController(store, KINDS, clock).run),
        ("service-accounts", ServiceAccountController(store, clock).run),
        ("events", EventExpiry(store, clock).run),
        ("thrift", Thrift(store, clock).run),
    ]
    logs = PodLogs(store, clock, planner.places)
    judges = {**ScalingAdmission(store).judges, **StorageAdmission(store).judges}
    backend = Backend(VersionedStore(store), SERVED, clock, settings.current, logs, eventing.mutate, NAMESPACES, judges)
    replays = Replays(eventing.plane, eventing.log, eventing.plane.parts)
    events = EventConsole(store, clock, eventing.log, eventing.plane, eventing.chronicle, replays, backend.closing)
    top = Top(store, bus, clock, activator.waiting)
    told = partial(_decisions, autoscaler)
    scaled = ScalingConsole(scaling.objects, scaling.jobs, store, clock)
    console = Console(token, told, top.rows, activator.snapshot, events, scaled)
    return House(activator, services, partial(run_together, controllers), backend, console)


def make_runtimes(clock: Clock, data_dir: DataDir, hosts_file: HostsFile) -> Mapping[str, Runtime]:
    """Every runtime of the registry, on one spawner and one range of ports."""
    platform = hashlib.sha256(str(data_dir.root).encode()).hexdigest()[:12]
    machine = Machine(platform, data_dir.root, SpawnerLink(platform, hosts_file.path), Ports(), clock)
    return {name: make(machine) for name, make in RUNTIMES.items()}


def make_local_controllers(
    store: SqliteStore, clock: Clock, activator: Activator, recorder: Recorder, claims: Path
) -> Sequence[Controller]:
    """What Kubernetes itself does on a cluster. `claims` takes the folders of PersistentVolumeClaims."""
    deployments = DeploymentReconciler(store, activator.loads, clock)
    services = EndpointsReconciler(store)
    claiming = ClaimReconciler(store, clock, recorder, claims)
    return [
        Controller("deployments", store, deployments, deployment.WATCHES, clock),
        Controller("jobs", store, JobReconciler(store, clock, recorder), job.WATCHES, clock),
        Controller("endpoints", store, services, services.watches, clock),
        Controller("claims", store, claiming, claiming.watches, clock),
        Controller("volumes", store, VolumeReconciler(store, clock, recorder, claims), VolumeReconciler.watches, clock),
    ]


def _decisions(autoscaler: Autoscaler, namespace: str, revision: str) -> list[Json]:
    return [as_json(decision) for decision in autoscaler.decisions(namespace, revision)]
