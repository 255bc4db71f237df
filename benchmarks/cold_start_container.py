"""A container's cold start on a real engine: the engine's own start of a made container against the runtime's.

Both are timed from "start" to the first byte of an HTTP answer, with the same static server and the port published on
the loopback. The yardstick is a container that was made ahead with the engine's API, as `docker create -p` makes it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from benchmarks.report import Row, percentile
from core.clients.engine import Engine, EngineDown
from core.clock import SystemClock
from core.stats import InstanceKey
from core.tasks import start_service
from deploy.runtimes.base import Address, ContainerPlan, PodPlan
from deploy.runtimes.container import ContainerRuntime
from deploy.runtimes.ports import Ports
from tests.support.engine import IMAGE, PodmanService, build_test_image, looked

ROUNDS = 25
BAR_MS = 15.0
ANSWER_S_MAX = 20.0
PORT = 8080
PORTS = Ports()
CONTAINER = ContainerPlan(name="main", image=IMAGE, serving=True)


async def answered(address: Address) -> None:
    """Returns with the first byte of an answer."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            first = await reader.read(1)
            writer.close()
            if first:
                return
        except OSError:
            pass
        await asyncio.sleep(0.001)


async def engine_alone(engine: Engine, *, answers: bool = True) -> float:
    """Until the server answers, or only until the engine says that it has started it: a harder yardstick."""
    port = PORTS.take()
    id = await engine.create(
        {
            "Image": IMAGE,
            "Env": [f"PORT={PORT}"],
            "ExposedPorts": {f"{PORT}/tcp": {}},
            "HostConfig": {
                "PortBindings": {f"{PORT}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]},
                "LogConfig": {"Type": "none", "Config": {}},
            },
        }
    )
    began = time.perf_counter()
    await engine.start(id)
    if answers:
        async with asyncio.timeout(ANSWER_S_MAX):
            await answered(Address("127.0.0.1", port))
    took = time.perf_counter() - began
    await engine.remove(id)
    return took * 1e3


async def runtime_start(runtime: ContainerRuntime, folder: Path, number: int, *, spare: bool) -> float:
    pod = folder / f"pod-{number}"
    plan = PodPlan(
        InstanceKey("default", f"pod-{number}", str(number)), "t", (CONTAINER,), PORT, pod / "logs", pod / "scratch"
    )
    await runtime.prepare(plan, int(spare))
    began = time.perf_counter()
    sandbox = await runtime.sandbox(plan)
    await sandbox.start(CONTAINER)
    assert sandbox.address is not None
    await answered(sandbox.address)
    took = time.perf_counter() - began
    await sandbox.remove()
    return took * 1e3


async def _measure(url: str, folder: Path) -> list[Row]:
    ports = Ports()
    engine = Engine({"DOCKER_HOST": url} if url else os.environ)
    runtime = ContainerRuntime(f"bench-{os.getpid()}", engine, folder / "containers", ports, SystemClock())
    async with asyncio.TaskGroup() as group:
        task = await start_service(group, runtime.run, "container")
        if (why := await looked(runtime)) is not None:
            task.cancel()
            raise EngineDown(why)
        await build_test_image(engine)
        alone, made, unmade = [], [], []
        for number in range(ROUNDS):  # in turn, so that a slow moment of the machine hits all alike
            alone.append(await engine_alone(engine))
            made.append(await runtime_start(runtime, folder, 2 * number, spare=True))
            unmade.append(await runtime_start(runtime, folder, 2 * number + 1, spare=False))
        facts = runtime.engine.facts
        task.cancel()
    yardstick = percentile(alone, 0.5)
    name = f"{facts.name} {facts.version}" if facts is not None else "engine"
    return [
        row("container made ahead", made, yardstick, name, yardstick + BAR_MS),
        row("container not made ahead (the first of its template)", unmade, yardstick, name, None),
    ]


def row(what: str, times: list[float], yardstick: float, engine: str, bar: float | None) -> Row:
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    return Row(
        f"cold start, {what}: start → first byte",
        f"p50 ≤ {bar:.0f} ms (the engine's own start + {BAR_MS:.0f} ms)" if bar is not None else "-",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        p50 <= bar if bar is not None else None,
        yardstick=f"{engine} starts a made container in {yardstick:.1f} ms at p50",
        numbers={"p50_ms": p50, "p99_ms": p99, "yardstick_p50_ms": yardstick},
    )


def measure() -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="pilotlight-bench-"))
    service: PodmanService | None = None
    url = os.environ.get("DOCKER_HOST", "")
    if not url:
        service = PodmanService(folder)
        service.start()
        url = service.url
    try:
        return asyncio.run(_measure(url, folder))
    except* (EngineDown, FileNotFoundError) as errors:
        note = str(errors.exceptions[0])
    finally:
        if service is not None:
            service.stop()
    return [Row("cold start, container", f"the engine's own start + {BAR_MS:.0f} ms", "not measured", None, note=note)]
