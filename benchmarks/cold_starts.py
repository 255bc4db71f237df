"""Cold starts through the whole platform: from a client's connect to the first byte, of functions that sleep.

Every Service is called once, all fall asleep, again. The kinds take turns, and so do their yardsticks, so that a slow
moment of the machine hits all alike: the engine's own start of a made container, and a fresh uvicorn.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.cold_start_container import PORTS, engine_alone
from benchmarks.cold_start_python import ASGI
from benchmarks.platform import Platform, platform
from benchmarks.report import Row, percentile
from core.clients.engine import Engine, EngineDown
from tests.support.engine import IMAGE, PodmanService, build_test_image
from tests.support.servers import compiled_server

SLEEPERS = int(os.environ.get("BENCH_SLEEPERS", "12"))  # of each kind
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))  # 108 starts of each: enough to tell a p99
YARDSTICKS = 2  # of each yardstick a round
PAUSE_S = 0.6  # back to back, caches would flatter every start; sooner, the last one's successor is still being made
PROCESS_P50_MS, PROCESS_P99_MS = 8.0, 25.0
PYTHON_P50_MS, TIMES_FASTER = 18.0, 5.0
CONTAINER_ADDED_MS = 15.0
THAW_P50_MS = 5.0
PAUSE = {"pilotlight.dev/idle-action": "pause"}


@dataclass
class Kind:
    """One sort of sleeper and what was measured of it."""

    name: str
    pod: Mapping[str, Any]
    annotations: Mapping[str, str] = field(default_factory=dict)
    first_bytes: list[float] = field(default_factory=list)  # milliseconds
    slowest: tuple[float, str] = (0.0, "")

    def services(self) -> Iterator[str]:
        return (f"{self.name}-{number}" for number in range(SLEEPERS))

    def add(self, took_ms: float, ledger: str) -> None:
        self.first_bytes.append(took_ms)
        self.slowest = max(self.slowest, (took_ms, ledger))

    def p(self, share: float) -> float:
        return percentile(self.first_bytes, share)


def row(kind: Kind, bar: str, met: bool, yardstick: str = "", **numbers: float) -> Row:
    measured = f"p50 {kind.p(0.5):.1f} ms, p99 {kind.p(0.99):.1f} ms"
    took, ledger = kind.slowest
    note = f"{len(kind.first_bytes)} starts; the slowest {took:.1f} ms: {ledger.partition(': ')[2]}"
    every = {"p50_ms": kind.p(0.5), "p99_ms": kind.p(0.99), "all_ms": kind.first_bytes, **numbers}
    return Row(f"cold start through the platform, {kind.name}", bar, measured, met, yardstick, note, every)


def fresh_uvicorn_ms(folder: Path) -> float:
    """From the command to the first byte."""
    port = PORTS.take()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "main:app", "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen([*command, "--log-level", "critical"], stderr=subprocess.DEVNULL)
    try:
        asyncio.run(_first_byte(port))
        return (time.perf_counter() - began) * 1e3
    finally:
        process.terminate()
        process.wait()


async def _first_byte(port: int) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.001)
            continue
        writer.write(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")
        await reader.readexactly(1)
        writer.close()
        return


@contextmanager
def engine(folder: Path) -> Iterator[tuple[str, str]]:
    """The URL of an engine with the test image, and why there is none where there is none."""
    service: PodmanService | None = None
    url = os.environ.get("DOCKER_HOST", "")
    try:
        if not url:
            service = PodmanService(folder)
            service.start()
            url = service.url
        asyncio.run(_with_engine(url, build_test_image))
        yield url, ""
    except (EngineDown, FileNotFoundError) as error:
        yield "", f"no container engine (apt-get install podman runc): {error}"
    finally:
        if service is not None:
            service.stop()


async def _with_engine(url: str, act: Any) -> Any:
    engine = Engine({"DOCKER_HOST": url})
    await engine.connect()
    try:
        return await act(engine)
    finally:
        await engine.close()


def engine_start_ms(url: str) -> float:
    return float(asyncio.run(_with_engine(url, partial(engine_alone, answers=False))))


def run_rounds(running: Platform, kinds: list[Kind], yardsticks: Mapping[str, tuple[list[float], Any]]) -> None:
    running.sleep_soon()
    for kind in kinds:
        for name in kind.services():
            running.create_service(name, kind.pod, kind.annotations)
    running.wait_ready(name for kind in kinds for name in kind.services())
    for number in range(ROUNDS):
        running.wait_asleep()
        for names in zip(*(kind.services() for kind in kinds), strict=True):
            for kind, name in zip(kinds, names, strict=True):
                time.sleep(PAUSE_S)
                kind.add(*running.first_byte_ms(name))
        for times, take in yardsticks.values():
            times.extend(take() for _ in range(YARDSTICKS))
        found = ", ".join(f"{kind.name} {kind.p(0.5):.1f}/{kind.p(0.99):.1f} ms" for kind in kinds)
        print(f"  round {number + 1} of {ROUNDS}, p50/p99 so far: {found}", flush=True)


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-") as name, engine(Path(name)) as (url, missing):
        root = Path(name)
        folder = root / "function"
        folder.mkdir()
        (folder / "main.py").write_text(ASGI)
        server = {"runtimeClassName": "process", "image": "static", "command": [str(compiled_server())]}
        process, paused = Kind("process", server), Kind("paused", server, PAUSE)
        python = Kind("python", {"runtimeClassName": "python", "image": f"dir:{folder}"})
        container = Kind("container", {"runtimeClassName": "container", "image": IMAGE, "imagePullPolicy": "Never"})
        uvicorn: list[float] = []
        alone: list[float] = []
        yardsticks: dict[str, tuple[list[float], Any]] = {"uvicorn": (uvicorn, lambda: fresh_uvicorn_ms(folder))}
        kinds = [process, python, paused]
        if url:
            kinds.append(container)
            yardsticks["engine"] = (alone, lambda: engine_start_ms(url))
        with platform(root / "data", {"DOCKER_HOST": url} if url else None) as running:
            run_rounds(running, kinds, yardsticks)
    fresh = percentile(uvicorn, 0.5)
    ratio = fresh / python.p(0.5)
    rows = [
        row(
            process,
            f"p50 ≤ {PROCESS_P50_MS:.0f} ms, p99 ≤ {PROCESS_P99_MS:.0f} ms",
            process.p(0.5) <= PROCESS_P50_MS and process.p(0.99) <= PROCESS_P99_MS,
        ),
        row(
            python,
            f"p50 ≤ {PYTHON_P50_MS:.0f} ms, ≥ {TIMES_FASTER:.0f} x faster than a fresh uvicorn",
            python.p(0.5) <= PYTHON_P50_MS and ratio >= TIMES_FASTER,
            f"a fresh uvicorn {fresh:.0f} ms: {ratio:.1f} x",
            uvicorn_p50_ms=fresh,
        ),
        row(paused, f"p50 ≤ {THAW_P50_MS:.0f} ms (thaw)", paused.p(0.5) <= THAW_P50_MS),
    ]
    if not url:
        what = "cold start through the platform, container"
        return [
            *rows,
            Row(what, f"the engine's own start + {CONTAINER_ADDED_MS:.0f} ms", "not measured", None, note=missing),
        ]
    own = percentile(alone, 0.5)
    bar = own + CONTAINER_ADDED_MS
    told = f"the engine's own start {own:.0f} ms: {container.p(0.5) - own:+.1f} ms"
    return [*rows, row(container, f"p50 ≤ {bar:.0f} ms", container.p(0.5) <= bar, told, engine_p50_ms=own)]
