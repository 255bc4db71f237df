"""Runs a whole platform: brings it up, says that it is up, and takes it apart in one order.

Up: folder and store → sockets → services → data path and API → "ready" → controllers. What was in force when the last
platform ended is in the store, routes included, so that requests are answered before any controller has looked at
anything. Down: stop accepting → drain requests → end the API's streams → stop controllers and services, instances with
them → close the store. Everything is on one event loop, in one task group. A service that fails takes the platform down
at once: requests are cut off, instances end with it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
import uvloop

from core.apiserver.kubeconfig import ensure_token, write_kubeconfig
from core.apiserver.tls import Certificates, ensure_certificates
from core.clock import SystemClock
from core.resources.kinds import KINDS
from core.store.sqlite import SqliteStore
from core.tasks import Service, Started, start_service
from pilotlight import VERSION
from pilotlight.bootstrap import bootstrap
from pilotlight.datadir import Running
from pilotlight.house import House, make_house
from pilotlight.listeners import Addresses, Listener, bind, bind_if_free, bind_inside
from pilotlight.logging import set_up_logging
from pilotlight.options import PlatformOptions

DRAIN_S = 30.0
API_SHUTDOWN_S = 2
# Nearly all garbage goes without a collection, or is young. Python's own third threshold has everything that lives here
# looked at every few seconds under load, which holds up requests for 20 ms and finds a few kilobytes.
_COLLECTION_THRESHOLDS = (1_000, 10, 200)

log = structlog.get_logger()
Tell = Callable[[Running], None]


def run_platform(options: PlatformOptions, tell: Tell) -> None:
    """Until SIGTERM or SIGINT. `tell` is called once every listener answers. PermanentError, StoreFull, PortProblem."""
    set_up_logging()
    gc.freeze()  # what has been imported stays: each collection that looked at it would hold up requests for 20 ms
    gc.set_threshold(*_COLLECTION_THRESHOLDS)
    gc.enable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options, tell))


async def serve(options: PlatformOptions, tell: Tell) -> None:
    """As `run_platform`, on the running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = SystemClock()
    data_dir = options.data_dir
    data_dir.make()
    async with _open_store(SqliteStore(data_dir.database, KINDS, clock)) as store:
        gateway = bind("gateway", options.host, options.gateway_port)
        api = bind("api", options.host, options.api_port)
        inside = bind_inside(gateway.port)
        by_public_port = bind_if_free(inside.host, gateway.port) if inside is not None else None
        await bootstrap(store, gateway.port)
        addresses = _addresses(gateway, inside)
        token = ensure_token(data_dir.root / "token")
        house = make_house(store, clock, data_dir, addresses, token, options.workers)
        certificates = ensure_certificates(data_dir.tls, clock.wall())
        url = f"https://{api.host}:{api.port}"
        write_kubeconfig(data_dir.kubeconfig, url, certificates.authority_pem, token)
        server = _api_server(house, token, certificates)
        running = Running(
            gateway=f"http://{gateway.host}:{gateway.port}",
            api=url,
            kubeconfig=str(data_dir.kubeconfig),
            data_dir=str(data_dir.root),
            pid=os.getpid(),
            inside=f"http://{addresses.inside_host}:{addresses.inside_port}",
        )
        async with asyncio.TaskGroup() as root:
            services = [await start_service(root, service, name) for name, service in house.services]
            for listener in (gateway, inside, by_public_port):
                if listener is not None:
                    public = listener is gateway and inside is not None
                    await house.activator.adopt(listener.socket, public=public)
            serving = await start_service(root, server.run_on(api.socket), "api")
            data_dir.write_running(running)
            try:
                tell(running)
                controllers = root.create_task(house.controllers(lambda: None), name="controllers")
                await stop.wait()
            finally:
                data_dir.forget_running()
            await _take_down(house, server, serving, [*services, controllers])


@asynccontextmanager
async def _open_store(store: SqliteStore) -> AsyncIterator[SqliteStore]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def _addresses(gateway: Listener, inside: Listener | None) -> Addresses:
    if inside is None:
        log.warning("cluster-local hosts are served outside, too: this machine has one loopback address only")
        return Addresses(gateway.port, gateway.host, gateway.port)
    return Addresses(gateway.port, inside.host, inside.port)


class ApiServer(uvicorn.Server):
    """uvicorn on a socket of ours; signals are the platform's affair."""

    def run_on(self, listener: socket.socket) -> Service:
        async def run(started: Started) -> None:
            self._started = started
            await self.serve(sockets=[listener])

        return run

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _api_server(house: House, token: str, certificates: Certificates) -> ApiServer:
    config = uvicorn.Config(
        house.application(token, VERSION),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=certificates.certificate,
        ssl_keyfile=certificates.key,
        timeout_graceful_shutdown=API_SHUTDOWN_S,
        backlog=1024,
    )
    return ApiServer(config)


async def _take_down(
    house: House, server: ApiServer, serving: asyncio.Task[None], services: list[asyncio.Task[None]]
) -> None:
    log.info("draining")
    if not await house.activator.drain(DRAIN_S):
        log.warning("requests were cut off", after_s=DRAIN_S)
    house.backend.closing.set()
    server.should_exit = True
    await serving
    for service in reversed(services):
        service.cancel()
        await asyncio.wait([service])
