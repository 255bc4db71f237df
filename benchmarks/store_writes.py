"""What the store costs: durable creates against bare SQLite, reads, memory, and the way from a write to a watcher.

The bar is 1,000 durable creates/s through the API, so the store must be well above it. Objects are Knative Services and
Pods of the usual size; the loop is the one that the platform runs on.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
import uvloop

from benchmarks.report import Row, percentile
from core.clock import SystemClock
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.serving import SERVICE
from core.store.memory import MemoryStore
from core.store.sqlite import SqliteStore

CREATES = 4000
CLIENTS = 50
MODIFIES = 5000
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "0" * 36, "controller": True}


def service(number: int) -> Json:
    container = {
        "image": "registry.example.com/team/hello:1.4.2",
        "name": "user-container",
        "env": [{"name": f"SETTING_{n}", "value": f"value number {n}"} for n in range(6)],
        "ports": [{"containerPort": 8080, "name": "http1"}],
        "readinessProbe": {"successThreshold": 1, "tcpSocket": {"port": 0}},
        "resources": {"limits": {"cpu": "1", "memory": "256Mi"}},
    }
    annotations = {"autoscaling.knative.dev/min-scale": "0", "autoscaling.knative.dev/target": "70"}
    template = {
        "metadata": {"annotations": annotations, "labels": {"app": "hello"}},
        "spec": {"containerConcurrency": 0, "timeoutSeconds": 300, "containers": [container]},
    }
    return {
        "metadata": {"name": f"hello-{number}", "namespace": "default", "labels": {"app": "hello"}},
        "spec": {"template": template, "traffic": [{"latestRevision": True, "percent": 100}]},
    }


def pod(name: str) -> Json:
    spec = service(0)["spec"]["template"]["spec"]
    labels = {"serving.knative.dev/revision": "hello-00001", "serving.knative.dev/service": "hello", "app": "hello"}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels, "ownerReferences": [OWNER]},
        "spec": {"containers": spec["containers"], "restartPolicy": "Always"},
    }


async def rate(count: int, clients: int, act: Callable[[int], Awaitable[object]]) -> float:
    """Acts per second, `clients` at a time."""

    async def client(first: int) -> None:
        for number in range(first, count, clients):
            await act(number)

    began = time.perf_counter()
    await asyncio.gather(*(client(first) for first in range(clients)))
    return count / (time.perf_counter() - began)


def bare_sqlite(path: Path, count: int, rows_per_commit: int) -> float:
    """Rows per second of the same rows with the same pragmas, and nothing else."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("create table rows (kind text, namespace text, name text, data blob, primary key (name))")
    began = time.perf_counter()
    for first in range(0, count, rows_per_commit):
        connection.execute("begin")
        for number in range(first, min(first + rows_per_commit, count)):
            row = ("services.serving.knative.dev", "default", f"hello-{number}", orjson.dumps(service(number)))
            connection.execute("insert into rows values (?, ?, ?, ?)", row)
        connection.execute("commit")
    connection.close()
    return count / (time.perf_counter() - began)


async def durable_creates(folder: Path) -> list[Row]:
    store = SqliteStore(folder / "store.db", (SERVICE, POD), SystemClock())
    await store.open()
    many = await rate(CREATES, CLIENTS, lambda n: store.create(SERVICE, service(n)))
    one = await rate(1000, 1, lambda n: store.create(SERVICE, service(CREATES + n)))
    await store.close()
    bare_one, bare_many = bare_sqlite(folder / "one.db", 1000, 1), bare_sqlite(folder / "many.db", CREATES, CLIENTS)
    began = time.perf_counter()
    await store_again(folder)
    opened_ms = (time.perf_counter() - began) * 1e3
    return [
        Row(
            f"durable creates, {CLIENTS} clients",
            "≥ 1,000/s",
            f"{many:,.0f}/s",
            many >= 1000,
            f"{many / bare_many:.2f} of bare sqlite3 with {CLIENTS} rows a commit ({bare_many:,.0f}/s)",
            numbers={"per_s": many, "bare_per_s": bare_many},
        ),
        Row(
            "durable creates, one client",
            "≥ 1,000/s",
            f"{one:,.0f}/s",
            one >= 1000,
            f"{one / bare_one:.2f} of bare sqlite3 with a row a commit ({bare_one:,.0f}/s)",
            numbers={"per_s": one, "bare_per_s": bare_one},
        ),
        Row(f"open a store of {CREATES + 1000:,} objects", "-", f"{opened_ms:.0f} ms", None, numbers={"ms": opened_ms}),
    ]


async def store_again(folder: Path) -> None:
    store = SqliteStore(folder / "store.db", (SERVICE, POD), SystemClock())
    await store.open()
    await store.close()


async def reads(count: int) -> list[Row]:
    gc.collect()
    before = resident_bytes()
    store = MemoryStore((SERVICE,), SystemClock())
    for number in range(count):
        await store.create(SERVICE, service(number))
    gc.collect()
    per_object = (resident_bytes() - before) / count
    text = sum(len(data) for data in (await store.list_bytes(SERVICE)).items) / count
    began = time.perf_counter()
    await store.list(SERVICE)
    list_ms = (time.perf_counter() - began) * 1e3
    began = time.perf_counter()
    await store.list_bytes(SERVICE)
    bytes_ms = (time.perf_counter() - began) * 1e3
    gets = await rate(count, 1, lambda n: store.get(SERVICE, f"hello-{n}", "default"))
    return [
        Row(
            f"{count:,} Services in memory",
            "≤ 20 KB per sleeping Service over all its objects",
            f"{per_object:,.0f} bytes each, of it {text:,.0f} JSON",
            None,
            numbers={"bytes": per_object, "json_bytes": text},
        ),
        Row(
            f"read {count:,} Services",
            "-",
            f"list {list_ms:.1f} ms, as text {bytes_ms:.2f} ms; get {1e6 / gets:.1f} µs",
            None,
            numbers={"list_ms": list_ms, "list_bytes_ms": bytes_ms, "get_us": 1e6 / gets},
        ),
    ]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def from_write_to_watcher(watchers: int) -> Row:
    """A Pod's status is modified; how long until the last of the watchers has the event in hand."""
    store = MemoryStore((POD,), SystemClock())
    await store.create(POD, pod("p"))
    seen: list[float] = []
    wanted = asyncio.Event()
    left = 0

    async def follow() -> None:
        nonlocal left
        async with store.watch(POD) as watch:
            async for _ in watch:
                left -= 1
                if not left:
                    seen.append(time.perf_counter())
                    wanted.set()

    times, writes = [], []
    async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
        tasks = [group.create_task(follow()) for _ in range(watchers)]
        stack.callback(lambda: [task.cancel() for task in tasks])
        await asyncio.sleep(0.01)
        for number in range(MODIFIES):
            left = watchers
            wanted.clear()
            began = time.perf_counter()
            await store.modify(POD, "p", "default", ready(number), "status")
            writes.append(time.perf_counter() - began)
            await wanted.wait()
            times.append(seen[-1] - began)
    p50, p99, write = percentile(times, 0.5) * 1e6, percentile(times, 0.99) * 1e6, percentile(writes, 0.5) * 1e6
    return Row(
        f"modify a Pod's status → {watchers} watcher{'s' * (watchers > 1)}",
        "p50 < 100 µs" if watchers == 1 else "-",
        f"p50 {p50:.0f} µs, p99 {p99:.0f} µs; the write itself {write:.0f} µs",
        p50 < 100 if watchers == 1 else None,
        numbers={"p50_us": p50, "p99_us": p99, "write_us": write},
    )


def ready(number: int) -> Callable[[Json], Json]:
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": "2026-08-21T09:00:00Z", "reason": str(number)}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    return lambda obj: {**obj, "status": {"phase": "Running", "podIP": "127.0.0.1", "conditions": conditions}}


async def ephemeral_creates() -> Row:
    store = MemoryStore((POD,), SystemClock())
    per_s = await rate(10_000, 1, lambda n: store.create(POD, pod(f"p{n}")))
    return Row("ephemeral creates", "-", f"{1e6 / per_s:.0f} µs each", None, numbers={"us": 1e6 / per_s})


async def _measure() -> list[Row]:
    rows = [*await reads(1000), *await reads(10_000)]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        rows += await durable_creates(Path(folder))
    return [*rows, await ephemeral_creates(), await from_write_to_watcher(1), await from_write_to_watcher(20)]


def measure() -> list[Row]:
    return uvloop.run(_measure())
