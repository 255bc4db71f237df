"""Every part of a platform, built and connected; nothing runs yet. `serve` runs it.

Read from top to bottom: what comes later may use what came before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.applications import Starlette

from activator.service import Activator
from autoscaler.controller import Autoscaler
from autoscaler.decisions import as_json
from core.apiserver.app import make_app
from core.apiserver.backend import Backend
from core.clock import Clock
from core.reconcile.controller import Controller
from core.reconcile.events import Recorder, run_event_expiry
from core.reconcile.garbage import GarbageCollector
from core.reconcile.namespaces import NamespaceController
from core.resources.hosts import Hosts
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.stats import StatisticBus
from core.store.sqlite import SqliteStore
from core.tasks import Service
from deploy.controllers import deployment
from deploy.controllers.config import LiveSettings
from deploy.controllers.deployment import DeploymentReconciler
from deploy.controllers.endpoints import EndpointsReconciler
from deploy.controllers.registry import make_controllers
from deploy.controllers.world import World
from deploy.names import Names
from deploy.node import make_node
from deploy.runtimes.base import Runtime
from deploy.runtimes.hosts import HostsFile
from deploy.runtimes.ports import Ports
from deploy.runtimes.process import ProcessRuntime
from deploy.runtimes.python import PythonRuntime, PythonSettings
from deploy.runtimes.spawning import SpawnerLink
from pilotlight.admission import SettingsInForce
from pilotlight.console import Console
from pilotlight.datadir import DataDir
from pilotlight.images import RuntimeImages
from pilotlight.top import Top

COMPONENT = "pilotlight"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the gateway listens: for clients, and for instances of this machine."""

    public_port: int
    inside_host: str
    inside_port: int

    @property
    def hosts(self) -> Hosts:
        return Hosts(self.public_port, self.inside_port)


@dataclass(frozen=True, slots=True)
class Runtimes:
    """All of them, and the process that the first two start instances through."""

    by_name: Mapping[str, Runtime]
    hosts_file: HostsFile

    def tell_names(self, names: Sequence[str]) -> None:
        self.hosts_file.set_names(names)


@dataclass(frozen=True, slots=True)
class House:
    """`services` in the order in which they start; they stop in the opposite one."""

    activator: Activator
    services: Sequence[tuple[str, Service]]
    backend: Backend
    console: Console

    def application(self, token: str, version: str) -> Starlette:
        return self.console.above(make_app(self.backend, token, version))


def make_house(store: SqliteStore, clock: Clock, data_dir: DataDir, addresses: Addresses, token: str) -> House:
    """Constructs without effect on the machine."""
    bus = StatisticBus()
    activator = Activator(store, clock, bus)
    autoscaler = Autoscaler(store, bus, clock)
    runtimes = make_runtimes(clock, data_dir, addresses)
    node, _ = make_node(store, clock, activator.loads, runtimes.by_name, data_dir.root)
    settings = SettingsInForce(store, clock)
    world = World(
        store=store,
        clock=clock,
        recorder=Recorder(store, clock, COMPONENT),
        settings=LiveSettings(store),
        hosts=addresses.hosts,
        images=RuntimeImages(runtimes.by_name),
    )
    local = make_local_controllers(store, clock, activator)
    services: list[tuple[str, Service]] = [
        ("settings", settings.run),
        *((f"runtime:{name}", runtime.run) for name, runtime in runtimes.by_name.items()),
        ("activator", activator.run),
        ("autoscaler", autoscaler.run),
        ("node", node.run),
        *((controller.name, controller.run) for controller in [*local, *make_controllers(world)]),
        ("names", Names(store, clock, [runtimes.tell_names]).run),
        ("garbage", GarbageCollector(store, KINDS, clock).run),
        ("namespaces", NamespaceController(store, KINDS, clock).run),
        ("events", partial(run_event_expiry, store, clock)),
    ]
    backend = Backend(store, KINDS, clock, settings.current)
    console = Console(
        token, partial(_decisions, autoscaler), Top(store, bus, clock, activator.waiting).rows, activator.snapshot
    )
    return House(activator, services, backend, console)


def make_runtimes(clock: Clock, data_dir: DataDir, addresses: Addresses) -> Runtimes:
    """`process` first: it runs the spawner that `python` uses as well."""
    platform = hashlib.sha256(str(data_dir.root).encode()).hexdigest()[:12]
    hosts_file = HostsFile(data_dir.root / "hosts", addresses.inside_host)
    link = SpawnerLink(platform, hosts_file.path)
    ports = Ports()
    by_name: dict[str, Runtime] = {
        "process": ProcessRuntime(link, ports),
        "python": PythonRuntime(link, ports, PythonSettings(data_dir.root), clock),
    }
    return Runtimes(by_name, hosts_file)


def make_local_controllers(store: SqliteStore, clock: Clock, activator: Activator) -> Sequence[Controller]:
    """What Kubernetes itself does on a cluster."""
    deployments = DeploymentReconciler(store, activator.loads, clock)
    services = EndpointsReconciler(store)
    return [
        Controller("deployments", store, deployments, deployment.WATCHES, clock),
        Controller("endpoints", store, services, services.watches, clock),
    ]


def _decisions(autoscaler: Autoscaler, namespace: str, revision: str) -> list[Json]:
    return [as_json(decision) for decision in autoscaler.decisions(namespace, revision)]
