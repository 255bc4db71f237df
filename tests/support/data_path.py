"""A whole data path in a test: a memory store, the activator on it, and small servers that play instances.

The test is the autoscaler and the kubelet: it writes the Pods. Everything is real but that, sockets included.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop

from activator.limits import GatewayLimits
from activator.service import Activator, ActivatorSettings
from core.clock import SystemClock
from core.errors import NotFound
from core.inside import Sites
from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.meta import Json
from core.resources.networking import INGRESS
from core.resources.pilotlight import ADDRESS
from core.resources.pods import POD
from core.resources.serving import REVISION
from core.stats import InstanceKey, RequestStatistic, RevisionKey, StatisticBus
from core.store.memory import MemoryStore
from core.tasks import start_service

KINDS = (REVISION, POD, CORE_SERVICE, ENDPOINT_SLICE, INGRESS)


def run(main: Coroutine[Any, Any, None], timeout_s: float = 60.0) -> None:
    """On uvloop, as the platform does."""

    async def bounded() -> None:
        async with asyncio.timeout(timeout_s):
            await main

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


async def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
    """Polls; fails with `what` when the time is up."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.005)


@dataclass
class DataPath:
    store: MemoryStore
    activator: Activator
    port: int
    sites: Sites
    statistics: list[RequestStatistic] = field(default_factory=list)

    @property
    def throttler(self) -> Any:
        return self.activator._throttler

    def backend(self, name: str) -> Any:
        return self.throttler.backends[RevisionKey("default", name)]

    async def revision(self, name: str, **spec: int) -> None:
        await self.store.create(REVISION, {"metadata": {"name": name, "namespace": "default"}, "spec": dict(spec)})
        await eventually(lambda: RevisionKey("default", name) in self.throttler.backends, "the revision is not seen")

    async def route(self, host: str, *splits: tuple[str, int], visibility: str = "ExternalIP", **spec: Any) -> None:
        """`splits`: revision and percent."""
        path: Json = {
            "splits": [
                {"serviceNamespace": "default", "serviceName": name, "percent": percent} for name, percent in splits
            ]
        }
        rule = {"hosts": [host], "visibility": visibility, "http": {"paths": [path]}}
        name = host.replace(".", "-")
        await self.store.create(
            INGRESS, {"metadata": {"name": name, "namespace": "default"}, "spec": {"rules": [rule], **spec}}
        )
        gateway = self.activator._running
        await eventually(lambda: gateway.table.find(host.encode()) is not None, "the route is not seen")

    async def pod(self, name: str, revision: str, port: int, *, ready: bool = True, **more: Any) -> None:
        """Creates it, or changes it. `more` goes into the status."""
        annotations = {ADDRESS: f"127.0.0.1:{port}", **more.pop("annotations", {})}
        status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}], **more}
        obj: Json = {
            "metadata": {
                "name": name, "namespace": "default", "annotations": annotations,
                "labels": {"serving.knative.dev/revision": revision},
            },
            "spec": {"containers": [{"name": "user-container", "image": "x"}]},
        }  # fmt: skip
        try:
            await self.store.modify(
                POD, name, "default", lambda pod: {**pod, "metadata": {**pod["metadata"], "annotations": annotations}}
            )
        except NotFound:
            await self.store.create(POD, obj)
        await self.store.modify(POD, name, "default", lambda pod: {**pod, "status": status}, "status")

    async def instance(self, name: str) -> InstanceKey:
        metadata = (await self.store.get(POD, name, "default"))["metadata"]
        return InstanceKey("default", name, metadata["uid"])

    async def hello(self, server_port: int, **spec: int) -> None:
        """One revision `hello-1` behind `hello.test`, with one ready instance."""
        await self.sleeping(**spec)
        await self.pod("hello-pod", "hello-1", server_port)
        await eventually(lambda: bool(self.backend("hello-1").instances), "the instance is not seen")

    async def sleeping(self, **spec: int) -> None:
        """The same without an instance."""
        await self.revision("hello-1", **spec)
        await self.route("hello.test", ("hello-1", 100))


@asynccontextmanager
async def data_path(limits: GatewayLimits | None = None, workers: int = 0) -> AsyncIterator[DataPath]:
    clock = SystemClock()
    store = MemoryStore(KINDS, clock)
    await store.open()
    bus = StatisticBus()
    sites = Sites()
    settings = ActivatorSettings(limits=limits or GatewayLimits(), workers=workers)
    activator = Activator(store, clock, bus, settings, sites)
    statistics: list[RequestStatistic] = []
    bus.subscribe(statistics.append)
    async with asyncio.TaskGroup() as group:
        task = await start_service(group, activator.run, "activator")
        port = await activator.listen("127.0.0.1", 0)
        yield DataPath(store, activator, port, sites, statistics)
        task.cancel()
    await store.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[int]:
    """An instance: `handler` per connection; yields its port."""
    open_writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            open_writers.discard(writer)
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for writer in list(open_writers):
            writer.transport.abort()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def respond(body: bytes, status: str = "200 OK", extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status.encode(), len(body), extra, body)


async def echo_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with its own head (and body, by Content-Length) as it arrived."""
    while True:
        head = await read_head(reader)
        body = await reader.readexactly(length_of(head))
        writer.write(respond(head + body))
        await writer.drain()


def length_of(head: bytes) -> int:
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@dataclass
class Response:
    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


class Client:
    """A raw HTTP/1.1 client: what is sent is what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**20))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def get(self, path: str = "/", host: str = "hello.test", headers: Iterable[str] = (), method: str = "GET") -> None:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def read(self, *, method: str = "GET") -> Response:
        """IncompleteReadError or ConnectionError where the response is not whole."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        response = Response(status, head, b"")
        if method == "HEAD" or status in (204, 304) or status < 200:
            return response
        if response.header("transfer-encoding") == "chunked":
            while size := int((await self.reader.readuntil(b"\r\n")).partition(b";")[0], 16):
                response.body += await self.reader.readexactly(size)
                assert await self.reader.readexactly(2) == b"\r\n"
            response.head += await self.reader.readuntil(b"\r\n")
        elif (length := response.header("content-length")) is not None:
            response.body = await self.reader.readexactly(int(length))
        else:
            response.body = await self.reader.read()
        return response

    async def at_end(self) -> bool:
        """The gateway has closed the connection, with nothing more on it."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.writer.transport.abort()


async def fetch(port: int, path: str = "/", host: str = "hello.test", headers: Iterable[str] = ()) -> Response:
    client = await Client.connect(port)
    try:
        client.get(path, host, headers)
        return await client.read()
    finally:
        client.close()
