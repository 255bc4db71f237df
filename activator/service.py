"""The data path as one service: built by the roof, run in its task group, asked for listeners, drained at the end.

activator = Activator(store, clock, bus)
await start_service(group, activator.run, "activator")
port = await activator.listen("127.0.0.1", 8080)
…
await activator.drain(30.0)
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from activator.caller import InsideCaller
from activator.dialer import TaskDialer
from activator.endpoints import Endpoints
from activator.exchange import Shared
from activator.forwarding import Traces
from activator.gateway import Gateway, bind
from activator.instances import Endpoint
from activator.limits import GatewayLimits, RevisionLimits
from activator.loads import Loads
from activator.routing import Draw, EvenDraw, compile_sites
from activator.throttler import Throttler
from activator.upkeep import later, raise_descriptor_limit, run_deadlines
from activator.workers import SITES, Workers
from core.clock import Clock
from core.inside import Call, Place, Reply, Sites
from core.stats import InstanceKey, RevisionKey, StatisticBus
from core.store.base import Store
from core.tasks import Started, start_service

REPORT_S: Final = 1.0
"""As Knative's activator reports."""


@dataclass(frozen=True, slots=True)
class ActivatorSettings:
    """What the roof may set."""

    limits: GatewayLimits = field(default_factory=GatewayLimits)
    cluster_domain: str = "cluster.local"
    draw: Draw = field(default_factory=EvenDraw)  # how split traffic is dealt out
    workers: int = 0  # gateway processes beside this one; 0: this one serves


class Activator:
    """Gateway, throttler and what feeds them. `loads` is for whoever stops instances."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        bus: StatisticBus,
        settings: ActivatorSettings | None = None,
        sites: Sites | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._sites = sites or Sites()
        self._settings = settings or ActivatorSettings()
        self._gateway: Gateway | None = None
        self._throttler = Throttler(self._settings.limits, bus.publish, later)
        count = self._settings.workers
        self._workers = Workers(count, self._settings.limits, self._throttler, clock) if count else None
        self.loads = Loads(self._throttler, clock, self._workers)

    async def run(self, started: Started) -> None:
        """Started once routes and instances are known; then `listen` may be called. Cut short, it cuts short."""
        raise_descriptor_limit()
        async with asyncio.TaskGroup() as group:
            gateway = self._gateway = self._make_gateway(group)
            domain = self._settings.cluster_domain
            endpoints = Endpoints(self._store, self._clock, gateway, self._throttler, domain)
            try:
                if self._workers is not None:
                    gateway.routes_changed, self._workers.table = self._workers.change_routes, gateway.table
                    await start_service(group, self._workers.run, "activator:workers")
                    await self._serve_workers(gateway)
                self._sites.changed = self._set_sites
                self._set_sites(self._sites.places)
                await start_service(group, endpoints.run, "activator:endpoints")
                group.create_task(run_deadlines(gateway, self._throttler), name="activator:deadlines")
                group.create_task(self._run_reports(), name="activator:reports")
                started()
                await asyncio.Event().wait()
            finally:
                await gateway.close()

    async def listen(self, host: str, port: int, *, public: bool = False) -> int:
        """The actual port. `public`: cluster-local hosts are not served there. OSError where the port is taken."""
        gateway = self._running
        return await (self._workers or gateway).adopt(bind(host, port), public=public)

    async def adopt(self, listener: socket.socket, *, public: bool = False) -> int:
        """The same on a socket that is bound already."""
        return await (self._workers or self._running).adopt(listener, public=public)

    async def drain(self, deadline_s: float) -> bool:
        """Accepts nothing more and waits for what is under way; False where some was still left at the deadline."""
        try:
            async with asyncio.timeout(deadline_s):
                await (self._workers.drain() if self._workers is not None else self._running.drain())
        except TimeoutError:
            return False
        return True

    def serves(self, host: bytes) -> bool:
        return self._gateway is not None and InsideCaller(self._gateway).serves(host)

    def wake(self, host: bytes) -> None:
        InsideCaller(self._running).wake(host)

    async def call(self, call: Call, timeout_s: float) -> Reply:
        """`core.inside.Caller`. CallFailed."""
        return await InsideCaller(self._running).call(call, timeout_s)

    def waiting(self, revision: RevisionKey) -> int:
        """Requests in the line of a revision."""
        backend = self._throttler.backends.get(revision)
        return len(backend.queue) if backend is not None else 0

    def snapshot(self) -> dict[str, float]:
        """Counters and gauges by metric name, for `/metrics`."""
        numbers = self._running.numbers()
        for name, value in self._workers.numbers().items() if self._workers is not None else ():
            numbers[name] += value
        return numbers | {
            "activator_queued": self._throttler.total.count,
            "activator_queued_bytes": self._throttler.total.held_bytes,
            "activator_revisions_active": len(self._throttler.active),
        }

    @property
    def _running(self) -> Gateway:
        if self._gateway is None:
            raise RuntimeError("the activator has not been started")
        return self._gateway

    def _make_gateway(self, group: asyncio.TaskGroup) -> Gateway:
        dialer = TaskDialer(group, self._settings.limits.dial_timeout_s)
        shared = Shared(self._clock, Traces(int.from_bytes(os.urandom(8))), dialer)
        return Gateway(shared, self._throttler, self._settings.limits, self._settings.draw)

    async def _serve_workers(self, gateway: Gateway) -> None:
        """The platform's own sites answer in this process; its workers come here for them."""
        port = await gateway.adopt(bind("127.0.0.1", 0))
        own = Endpoint(InstanceKey(SITES.namespace, SITES.name, ""), "127.0.0.1", port)
        self._throttler.ensure(SITES, RevisionLimits()).set_endpoints([own], self._clock.monotonic())

    def _set_sites(self, places: Mapping[str, Place]) -> None:
        sites = compile_sites(places)
        self._running.set_sites(sites)
        if self._workers is not None:
            self._workers.set_sites(sites)

    async def _run_reports(self) -> None:
        due = self._clock.monotonic()
        while True:
            due += REPORT_S
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            self._throttler.report(self._clock.monotonic())
