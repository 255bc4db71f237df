"""A real API server for real clients: uvicorn with TLS on a free loopback port, in a thread of the test's process.

There are no controllers and no node behind it: what a client writes stays as it was written.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from core.apiserver.app import make_app
from core.apiserver.backend import Backend
from core.apiserver.kubeconfig import ensure_token, write_kubeconfig
from core.apiserver.logs import LogLine, LogQuery
from core.apiserver.namespaces import make_namespace
from core.apiserver.tls import ensure_certificates
from core.apiserver.versions import VersionedStore
from core.clock import SystemClock
from core.errors import AlreadyExists
from core.resources.core_v1 import NAMESPACE
from core.resources.kinds import KINDS, SERVED
from core.resources.meta import Json
from core.store.base import Store
from core.store.memory import MemoryStore
from pilotlight.scaling_admission import ScalingAdmission
from tests.support.api import STANDING_NAMESPACES

START_DEADLINE_S = 10


class WrittenLogs:
    """Ten lines from every container; one that is followed says one more."""

    async def open(self, pod: Json, query: LogQuery) -> AsyncIterator[LogLine]:
        return self._read(query)

    async def _read(self, query: LogQuery) -> AsyncIterator[LogLine]:
        lines = [LogLine(1_700_000_000.0 + i, f"{query.container} line {i}".encode()) for i in range(10)]
        if query.since is not None:
            lines = [line for line in lines if line.at >= query.since]
        if query.tail_lines is not None:
            lines = lines[len(lines) - min(query.tail_lines, len(lines)) :]
        for line in lines:
            yield line
        if query.follow:
            await asyncio.sleep(0.05)
            yield LogLine(1_700_000_010.0, b"the end")


@dataclass
class Running:
    """A server that answers."""

    url: str
    kubeconfig: Path
    token: str
    backend: Backend
    loop: asyncio.AbstractEventLoop

    def call(self, coroutine: Any) -> Any:
        """Runs a coroutine on the server's own loop: for what a controller would do."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)


@contextmanager
def running_server(folder: Path, make_store: Callable[[], Store] | None = None) -> Iterator[Running]:
    """`make_store` is called on the server's loop."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    up: Future[tuple[Running, uvicorn.Server]] = Future()
    thread = threading.Thread(target=lambda: uvloop.run(_serve(folder, make_store, up)), daemon=True)
    thread.start()
    running, server = up.result(START_DEADLINE_S)
    try:
        yield running
    finally:
        running.loop.call_soon_threadsafe(running.backend.closing.set)
        server.should_exit = True
        thread.join(START_DEADLINE_S)
        assert not thread.is_alive(), "the server did not stop"


async def _serve(
    folder: Path, make_store: Callable[[], Store] | None, up: Future[tuple[Running, uvicorn.Server]]
) -> None:  # fmt: skip
    clock = SystemClock()
    store: Any = make_store() if make_store else MemoryStore(KINDS, clock)
    await store.open()
    for name in STANDING_NAMESPACES:
        try:
            await store.create(NAMESPACE, make_namespace(name))
        except AlreadyExists:
            continue
    backend = Backend(VersionedStore(store), SERVED, clock, logs=WrittenLogs(), judges=ScalingAdmission(store).judges)
    token = ensure_token(folder / "token")
    certificates = ensure_certificates(folder / "tls", time.time())
    config = uvicorn.Config(
        make_app(backend, token, "0.0"),
        host="127.0.0.1",
        port=0,
        ssl_certfile=certificates.certificate,
        ssl_keyfile=certificates.key,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"https://127.0.0.1:{port}"
    kubeconfig = folder / "kubeconfig"
    write_kubeconfig(kubeconfig, url, certificates.authority_pem, token)
    up.set_result((Running(url, kubeconfig, token, backend, asyncio.get_running_loop()), server))
    await serving
    await store.close()
