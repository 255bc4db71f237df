"""What a write costs from the outside: creates through the API, over TLS, answered once they are on disk.

The server is a process of its own (uvicorn on uvloop over the SQLite store), the clients speak bare HTTP/1.1 on
connections that they keep. The yardstick is `GET /readyz` on the same connections: what TLS and the HTTP server cost
without any Kubernetes. Also measured: a list of 1,000 Services, whole and as a Table.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop
import yaml

from benchmarks.report import Row, percentile

CREATES = 4000
CLIENTS = 32
LISTED = 1000
LISTS = 30
SERVICES = "/apis/serving.knative.dev/v1/namespaces/default/services"
MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
SERVER = """
import sys, threading
from pathlib import Path
from core.clock import SystemClock
from core.resources.kinds import KINDS
from core.store.sqlite import SqliteStore
from tests.support.apiserver import running_server
folder = Path(sys.argv[1])
with running_server(folder, lambda: SqliteStore(folder / "store.db", KINDS, SystemClock())):
    print("up", flush=True)
    sys.stdin.read()
"""


def service(name: str) -> tuple[str, bytes]:
    container = {"image": "registry.example.com/team/hello:1", "env": [{"name": "A", "value": "b"}]}
    spec = {"template": {"spec": {"containers": [container]}}}
    metadata = {"name": name}
    return SERVICES, orjson.dumps(
        {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": metadata, "spec": spec}
    )


def config_map(name: str) -> tuple[str, bytes]:
    return MAPS, orjson.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "x" * 100}}
    )


class Connection:
    """One keep-alive connection that sends a request when the last is answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._token = token

    async def ask(self, method: str, path: str, body: bytes = b"", accept: str = "*/*") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self._token}\r\n"
        self._writer.write(f"{head}accept: {accept}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        size = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(answer[9:12]), await self._reader.readexactly(size)


async def connect(folder: Path) -> Connection:
    config: Any = yaml.safe_load((folder / "kubeconfig").read_text())
    cluster = config["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    port = int(cluster["server"].rpartition(":")[2])
    context = ssl.create_default_context(cadata=authority)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=2**24)
    return Connection(reader, writer, config["users"][0]["user"]["token"])


async def drive(folder: Path, act: Callable[[Connection, int], Awaitable[None]]) -> tuple[float, list[float]]:
    """Acts per second with their latencies, `CLIENTS` at a time."""
    connections = [await connect(folder) for _ in range(CLIENTS)]
    latencies: list[float] = []

    async def client(first: int) -> None:
        for number in range(first, CREATES, CLIENTS):
            began = time.perf_counter()
            await act(connections[first], number)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client(first) for first in range(CLIENTS)))
    return CREATES / (time.perf_counter() - began), latencies


async def creates(folder: Path, make: Callable[[str], tuple[str, bytes]], name: str, yardstick: float) -> Row:
    async def act(connection: Connection, number: int) -> None:
        path, body = make(f"{name.lower()}-{number}")
        code, answer = await connection.ask("POST", path, body)
        assert code == 201, answer

    per_s, latencies = await drive(folder, act)
    p50, p99 = percentile(latencies, 0.5) * 1e3, percentile(latencies, 0.99) * 1e3
    return Row(
        f"durable creates of a {name} through the API, {CLIENTS} connections",
        "≥ 1,000/s",
        f"{per_s:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        per_s >= 1000,
        f"{per_s / yardstick:.2f} of GET /readyz on the same connections ({yardstick:,.0f}/s)",
        numbers={"per_s": per_s, "p50_ms": p50, "p99_ms": p99, "readyz_per_s": yardstick},
    )


async def lists(folder: Path, accept: str, shown: str) -> Row:
    connection = await connect(folder)
    latencies = []
    for _ in range(LISTS):
        began = time.perf_counter()
        code, answer = await connection.ask("GET", f"{SERVICES}?limit={LISTED}", accept=accept)
        assert code == 200, answer
        latencies.append(time.perf_counter() - began)
    p50 = percentile(latencies, 0.5) * 1e3
    what = f"list {LISTED:,} Services {shown}, {len(answer) // 1024:,} KiB"
    return Row(what, "-", f"p50 {p50:.1f} ms", None, numbers={"p50_ms": p50, "bytes": len(answer)})


async def measured(folder: Path) -> list[Row]:
    async def ready(connection: Connection, number: int) -> None:
        await connection.ask("GET", "/readyz")

    yardstick, _ = await drive(folder, ready)
    rows = [
        await creates(folder, service, "Service", yardstick),
        await creates(folder, config_map, "ConfigMap", yardstick),
    ]
    return [*rows, await lists(folder, "application/json", "whole"), await lists(folder, TABLE, "as a Table")]


def measure() -> list[Row]:
    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"up\n"
            return uvloop.run(measured(folder))
        finally:
            server.stdin.close()
            server.wait(20)
