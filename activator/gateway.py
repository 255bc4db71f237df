"""The listeners, and what all their connections share: the routing table, the deadlines, the counts.

`service` builds it; `endpoints` tells it when routes change; every `ClientConnection` asks it where a
request goes. Reads no resource and no clock of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable
from typing import Final

import structlog

from activator.client import Asker, ClientConnection, Conversation
from activator.departures import Departures
from activator.exchange import Exchange, Shared
from activator.heads import RequestHead, valid_host
from activator.limits import GatewayLimits
from activator.problem import (
    Problem,
    malformed,
    redirect,
    revision_missing,
    shutting_down,
    too_many_connections,
    unknown_host,
)
from activator.routing import Compiled, Draw, HostRoutes, RouteChanges, Table, route, split_port
from activator.sites import SiteExchange
from activator.throttler import Throttler
from activator.wheel import Due, Wheel
from core.resources.networking import Visibility

log = structlog.get_logger()

BACKLOG: Final = 4096
COUNTED: Final = (
    "requests", "queued", "cold", "refused", "left", "redispatched", "timeouts", "aborted", "malformed",
)  # fmt: skip


class Gateway:
    """`client.Front`."""

    def __init__(self, shared: Shared, throttler: Throttler, limits: GatewayLimits, draw: Draw) -> None:
        self.shared = shared
        self.limits = limits
        self.wheel: Wheel[Due] = Wheel()
        self.departures = Departures(asyncio.get_running_loop())
        self.table = Table()
        self.routes_changed: Callable[[RouteChanges], None] = lambda changes: None
        self._throttler = throttler
        self._draw = draw
        self._servers: list[asyncio.Server] = []
        self._connections: set[ClientConnection] = set()
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        affordable = descriptors * 3 // 4 if descriptors > 0 else limits.connections_max  # instances need some, too
        self._connections_max = min(limits.connections_max, affordable)
        self._empty = asyncio.Event()
        self._empty.set()

    def find(self, host: bytes) -> HostRoutes | None:
        """Who answers to a lowered Host value."""
        return self.table.find(host)

    def set_sites(self, sites: Compiled) -> None:
        self.table.set_sites(sites)

    def change_routes(self, changes: RouteChanges) -> None:
        self.table.change(changes)
        self.routes_changed(changes)

    async def adopt(self, listener: socket.socket, *, public: bool = False) -> int:
        """Accepts from a listening socket, those included who have waited in its backlog; returns its port.

        `public`: serves only what is visible from outside, as a gateway's outer address does.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: ClientConnection(self, public), sock=listener, backlog=BACKLOG)
        self._servers.append(server)
        host, port = server.sockets[0].getsockname()[:2]
        log.info("gateway listens", host=host, port=port, public=public)
        return int(port)

    def open(self, client: Asker, request: RequestHead) -> Conversation | Problem:
        """One exchange, or why not."""
        shared = self.shared
        shared.counters.requests += 1
        routes = self.find(request.host)
        if routes is None or (client.public and routes.visibility is Visibility.CLUSTER_LOCAL):
            return unknown_host() if valid_host(request.host) else malformed(400, "The Host field is not a host.")
        if routes.redirect and (request.value(b"x-forwarded-proto") or b"http") != b"https":
            name = split_port(request.host)[0].decode("latin-1")
            return redirect(f"https://{name}{request.target.decode('latin-1')}")
        if routes.site is not None:
            return SiteExchange(shared, client, request, routes.site)
        destination = routes.only or route(self.table, request, self._draw)
        if destination is None:
            return unknown_host()
        backend = self._throttler.backends.get(destination.backend)
        if backend is None:
            return revision_missing(str(destination.backend))
        return Exchange(shared, client, request, destination, backend)

    def wake(self, routes: HostRoutes) -> None:
        """Whoever may get the next request of a host begins to start."""
        now = self.shared.clock.monotonic()
        for key in {destination.backend for destination in routes.destinations}:
            if (backend := self._throttler.backends.get(key)) is not None:
                backend.expect(now)

    def opened(self, client: ClientConnection) -> Problem | None:
        self._connections.add(client)
        self._empty.clear()
        if self.shared.draining:
            return shutting_down()
        return too_many_connections() if len(self._connections) > self._connections_max else None

    def closed(self, client: ClientConnection) -> None:
        self._connections.discard(client)
        if not self._connections:
            self._empty.set()

    def numbers(self) -> dict[str, float]:
        """Counters and gauges by metric name."""
        counters = self.shared.counters
        numbers: dict[str, float] = {f"gateway_{name}_total": getattr(counters, name) for name in COUNTED}
        numbers |= {f"gateway_responses_{hundred}xx_total": counters.statuses[hundred] for hundred in range(1, 6)}
        return numbers | {"gateway_connections": len(self._connections)}

    def expire(self, now: float) -> None:
        """Whatever is due."""
        for client in self.wheel.expire(now):
            client.expire(now)

    async def drain(self) -> None:
        """Accepts nothing more, closes what is idle, and returns when the last answer is out."""
        self.shared.draining = True
        for server in self._servers:
            server.close()
        for client in list(self._connections):
            if client.exchange is None and not client.requests.early:
                client.transport.close()
        await self._empty.wait()

    async def close(self) -> None:
        """At once: what has not been answered is cut off."""
        for server in self._servers:
            server.close()
        for client in list(self._connections):
            client.abort()
        self.departures.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._empty.wait()


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. OSError where the port is taken."""
    listener = socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG
    )
    listener.setblocking(False)
    return listener
