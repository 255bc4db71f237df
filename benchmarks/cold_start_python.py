"""Cold starts of Python functions: forked from a template, against a fresh uvicorn with the same application.

From asking the runtime for a sandbox to the first byte of the answer; `cold_starts` has the way through the platform.
Every start comes after a pause, as in life: back to back, caches would flatter it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.report import Row, percentile
from core.clock import SystemClock
from core.stats import InstanceKey
from core.tasks import start_service
from deploy.runtimes.base import PORT_PLACEHOLDER, Address, ContainerPlan, PodPlan, Runtime
from deploy.runtimes.ports import Ports
from deploy.runtimes.process import ProcessRuntime
from deploy.runtimes.python import PythonRuntime, PythonSettings
from deploy.runtimes.spawning import SpawnerLink

STARTS = 40
FRESH_STARTS = 12
PAUSE_S = 0.3
BAR_MS = 18.0
TIMES_FASTER = 5.0

ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Hello, World!"})
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request):
    return PlainTextResponse("Hello, World!")


app = Starlette(routes=[Route("/", hello)])
"""
HANDLE = """
def handle(request):
    return "Hello, World!"
"""


@dataclass
class Starts:
    """Milliseconds to the first byte, and the memory of one instance."""

    first_byte: list[float] = field(default_factory=list)
    started: list[float] = field(default_factory=list)  # until the runtime had started it
    private_mib: float = 0.0
    resident_mib: float = 0.0

    def p(self, share: float) -> float:
        return percentile(self.first_byte, share)


async def first_byte(address: Address) -> None:
    """Connects as soon as something listens, as the readiness probe does, and asks once."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
            break
        except OSError:
            await asyncio.sleep(0.0005)
    writer.write(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    writer.close()


def memory(pid: int) -> tuple[float, float]:
    """Private and resident MiB."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, kib, *_ = line.split()
        fields[name.rstrip(":")] = int(kib) / 1024
    return fields["Private_Dirty"] + fields["Private_Clean"], fields["Rss"]


async def starts(runtime: Runtime, container: ContainerPlan, folder: Path, count: int) -> Starts:
    found = Starts()
    container = replace(container, image=await runtime.resolve(container))  # once per revision, as the platform does
    for number in range(count + 2):
        name = f"{folder.name}-{number}"
        home = folder.parent / name
        plan = PodPlan(
            InstanceKey("default", name, name), "template", (container,), 8080, home / "logs", home / "scratch"
        )
        if number == 0:
            await runtime.prepare(plan, 1)
        await asyncio.sleep(PAUSE_S)
        began = time.perf_counter()
        sandbox = await runtime.sandbox(plan)
        started = await sandbox.start(container)
        handed = time.perf_counter()
        assert sandbox.address is not None
        await first_byte(sandbox.address)
        ended = time.perf_counter()
        if number >= 2:  # the first two fill file caches
            found.first_byte.append((ended - began) * 1e3)
            found.started.append((handed - began) * 1e3)
        found.private_mib, found.resident_mib = memory(int(started.id.partition("://")[2]))
        await sandbox.remove()
    return found


def uvicorn(folder: Path) -> ContainerPlan:
    command = (sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "main:app", "--host", "127.0.0.1")
    options = ("--port", PORT_PLACEHOLDER, "--log-level", "warning", "--no-access-log")
    return ContainerPlan("main", "", command=(*command, *options), serving=True)


async def measure_all(root: Path) -> dict[str, Starts]:
    hosts = root / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    link, ports = SpawnerLink(f"pilotlight-bench-{os.getpid()}", hosts), Ports()
    process = ProcessRuntime(link, ports)
    python = PythonRuntime(link, ports, PythonSettings(root / "data"), SystemClock())
    results: dict[str, Starts] = {}

    async def run(label: str, make: Callable[[], Awaitable[Starts]]) -> None:
        results[label] = await make()
        done = results[label]
        print(f"  {label}: p50 {done.p(0.5):.1f} ms, p99 {done.p(0.99):.1f} ms", flush=True)

    async with asyncio.TaskGroup() as group:
        tasks = [await start_service(group, runtime.run, runtime.name) for runtime in (process, python)]
        for label, text in (("asgi", ASGI), ("handle", HANDLE), ("starlette", STARLETTE)):
            folder = root / label
            folder.mkdir()
            (folder / "main.py").write_text(text)
            container = ContainerPlan("main", f"dir:{folder}", serving=True)
            await run(f"forked, {label}", lambda c=container, f=folder: starts(python, c, f, STARTS))
            if label != "handle":
                command = uvicorn(folder)
                await run(
                    f"fresh uvicorn, {label}",
                    lambda c=command, f=root / f"uvicorn-{label}": starts(process, c, f, FRESH_STARTS),
                )
        for task in tasks:
            task.cancel()
    return results


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure_all(Path(folder)))
    rows = []
    for label in ("asgi", "starlette", "handle"):
        forked = results[f"forked, {label}"]
        fresh = results.get(f"fresh uvicorn, {label}")
        ratio = fresh.p(0.5) / forked.p(0.5) if fresh else 0.0
        ok = forked.p(0.5) <= BAR_MS and (fresh is None or ratio >= TIMES_FASTER)
        rows.append(
            Row(
                f"cold start, python, {label} function, direct",
                f"p50 ≤ {BAR_MS:.0f} ms"
                + (f", ≥ {TIMES_FASTER:.0f} times faster than a fresh uvicorn" if fresh else ""),
                f"p50 {forked.p(0.5):.1f} ms, p99 {forked.p(0.99):.1f} ms",
                ok,
                yardstick=f"a fresh uvicorn {fresh.p(0.5):.0f} ms: {ratio:.1f} times" if fresh else "",
                note=f"handed over after {percentile(forked.started, 0.5):.1f} ms; one instance has "
                f"{forked.private_mib:.1f} MiB of its own ({forked.resident_mib:.0f} MiB resident)"
                + (f", a uvicorn {fresh.private_mib:.0f} MiB" if fresh else ""),
                numbers={
                    "p50_ms": forked.p(0.5),
                    "p99_ms": forked.p(0.99),
                    "private_mib": forked.private_mib,
                    "uvicorn_p50_ms": fresh.p(0.5) if fresh else None,
                },
            )
        )
    return rows
