"""The warm path: the gateway with all its features on one core, against a bare uvicorn ASGI hello on the same core.

Load generator and function share the other core, pinned with `taskset`: the gateway is what is measured. wrk where it
is installed (`apt-get install wrk`), else a small generator of our own, which is slower than the gateway and says so.
Rounds alternate between the servers, and ratios are taken within a round, so that a busy machine disturbs both sides.

What the gateway adds to the 99th percentile is asked twice. At half of what it can carry, requests leave on a schedule,
in turn through it and straight to the function, and latency counts from when they were due: what the users of a gateway
see that is not overloaded. At saturation 50 connections ask as fast as they can: by Little's law their mean latency is
50 / rate, so that number says how evenly the gateway serves them, and how much faster the function alone is.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import uvloop

from activator.service import Activator
from benchmarks.generator import Answers, generate, told
from benchmarks.report import Row, percentile, print_rows, write
from core.clock import SystemClock
from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.networking import INGRESS
from core.resources.pilotlight import ADDRESS
from core.resources.pods import POD
from core.resources.serving import REVISION
from core.resources.serving_labels import REVISION_LABEL
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from core.tasks import start_service

CONNECTIONS = 50
SECONDS = 4
ROUNDS = 5
SHARE = 0.5  # of what the gateway can carry, for what it adds below saturation
ADDED_P99_MS = 3.0
HOST = "hello.default.localhost"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


# The servers, each a process of its own: `python -m benchmarks.warm_path ROLE [FUNCTION_PORT]` prints its port.


class Function(asyncio.Protocol):
    """As fast as Python gets, so that the gateway is the bottleneck."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER * data.count(b"\r\n\r\n"))


async def serve_function() -> None:
    server = await asyncio.get_running_loop().create_server(Function, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def serve_gateway(function_port: int) -> None:
    """The whole data path: routes, instances and limits come from objects in a store, as they do in the platform."""
    clock = SystemClock()
    store = MemoryStore((REVISION, POD, CORE_SERVICE, ENDPOINT_SLICE, INGRESS), clock)
    here = {"namespace": "default"}
    split = {"serviceNamespace": "default", "serviceName": "hello-1", "percent": 100}
    rule = {"hosts": [HOST], "http": {"paths": [{"splits": [split]}]}}
    await store.create(REVISION, {"metadata": {"name": "hello-1", **here}, "spec": {"containerConcurrency": 100}})
    await store.create(INGRESS, {"metadata": {"name": "hello", **here}, "spec": {"rules": [rule]}})
    pod = {
        "metadata": {
            "name": "pod", **here, "labels": {REVISION_LABEL: "hello-1"},
            "annotations": {ADDRESS: f"127.0.0.1:{function_port}"},
        },
        "spec": {"containers": [{"name": "user-container", "image": "x"}]},
    }  # fmt: skip
    await store.create(POD, pod)
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    await store.modify(POD, "pod", "default", lambda obj: {**obj, "status": ready}, "status")
    activator = Activator(store, clock, StatisticBus())
    async with asyncio.TaskGroup() as group:
        await start_service(group, activator.run, "activator")
        print(await activator.listen("127.0.0.1", 0), flush=True)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """The yardstick's ASGI application."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})


async def serve_uvicorn() -> None:
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(hello, port=0, log_level="error", access_log=False, lifespan="off", http="httptools")
    )
    server.lifespan = server.config.load() or server.config.lifespan_class(server.config)
    await server.startup()
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await server.main_loop()


@dataclass(frozen=True)
class Server:
    """One that runs."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Processor time that it has used; the same on a busy machine as on a quiet one."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def process(core: int, *arguments: str) -> Iterator[Server]:
    """One of the servers on one core."""
    command = [*pinned(core), sys.executable, "-m", "benchmarks.warm_path", *arguments]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert running.stdout is not None
        port = next(line for line in running.stdout if line.strip().isdigit())
        yield Server(running.pid, int(port))
    finally:
        running.terminate()
        running.wait()


def pinned(core: int) -> list[str]:
    cores = os.cpu_count() or 1
    return ["taskset", "-c", str(core % cores)] if shutil.which("taskset") else []


# The load.


@dataclass(frozen=True)
class Load:
    """What one run saw."""

    per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: float = 0.0  # of the server, per request


def run_load(server: Server) -> Load:
    before = server.cpu_s()
    load = _run_load(server.port)
    return replace(load, cpu_us=1e6 * (server.cpu_s() - before) / (load.per_s * SECONDS))


def _run_load(port: int) -> Load:
    if shutil.which("wrk") is None:
        command = [*pinned(1), sys.executable, "-m", "benchmarks.warm_path", "load", str(port)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        per_s, p50, p99 = map(float, output.split())
        return Load(per_s, p50, p99, 0)
    command = [*pinned(1), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "--latency", "-H", f"Host: {HOST}"]
    output = subprocess.run([*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True).stdout
    errors = sum(int(n) for n in re.findall(r"(?:Non-2xx.*responses|connect|read|write|timeout):? (\d+)", output))
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert rate is not None, output
    return Load(float(rate[1]), wrk_ms(output, 50), wrk_ms(output, 99), errors)


def wrk_ms(output: str, share: int) -> float:
    found = re.search(rf"\s{share}%\s+([\d.]+)(us|ms|s)", output)
    assert found is not None, output
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


async def saturate(port: int) -> None:
    """The generator for machines without wrk: one request at a time on each connection."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (begin := time.perf_counter()) < end:
            writer.write(request)
            await reader.readuntil(b"hello")
            times.append(time.perf_counter() - begin)
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    print(len(times) / SECONDS, percentile(times, 0.5) * 1000, percentile(times, 0.99) * 1000)


def offer(gateway: Server, function: Server, rate: float) -> Answers:
    """Open loop, in turn through the gateway (0) and straight to the function (1): a stall of the machine hits both."""
    ports = (gateway.port, function.port)
    return generate([("127.0.0.1", port) for port in ports], [(2 * rate, SECONDS)], HOST, pinned(1))


def measure() -> list[Row]:
    with (
        process(1, "function") as function,
        process(0, "gateway", str(function.port)) as gateway,
        process(0, "uvicorn") as yardstick,
    ):
        runs = [(run_load(gateway), run_load(yardstick), run_load(function)) for _ in range(ROUNDS)]
        rate = SHARE * statistics.median(load.per_s for load, _, _ in runs)
        offered = [offer(gateway, function, rate) for _ in range(ROUNDS)]
    return [_throughput(runs), _below_saturation(offered, rate), _at_saturation(runs)]


Runs: TypeAlias = Sequence[tuple[Load, Load, Load]]
"""Rounds of gateway, uvicorn, function."""


def _throughput(runs: Runs) -> Row:
    ours, bare, direct = (list(side) for side in zip(*runs, strict=True))
    ratio = statistics.median(one.per_s / other.per_s for one, other, _ in runs)
    cpu = statistics.median(other.cpu_us / one.cpu_us for one, other, _ in runs)
    tool = "wrk" if shutil.which("wrk") else "our own generator (wrk is not installed)"
    errors = sum(load.errors for load in ours)
    how = f"{CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS} s, median; {tool}; {errors} errors"
    rate, yard = (statistics.median(load.per_s for load in side) for side in (ours, bare))
    numbers = {
        "ratio": ratio,
        "ratio_by_cpu": cpu,
        "gateway": [vars(load) for load in ours],
        "uvicorn": [vars(load) for load in bare],
        "direct": [vars(load) for load in direct],
    }
    return Row(
        "warm path, requests/s on one core", ">= 0.6 x bare uvicorn", f"{ratio:.2f} x ({rate:,.0f}/s)",
        ratio >= 0.6 and not errors, f"uvicorn {yard:,.0f}/s",
        f"by processor time per request {cpu:.2f} x; {how}", numbers,
    )  # fmt: skip


def _below_saturation(offered: Sequence[Answers], rate: float) -> Row:
    p99, direct_p99 = (statistics.median(each.p(0.99, where=side) for each in offered) for side in (0, 1))
    added = statistics.median(each.p(0.99, where=0) - each.p(0.99, where=1) for each in offered)
    median = statistics.median(each.p(0.5, where=0) - each.p(0.5, where=1) for each in offered)
    errors = sum((each.errors for each in offered), Counter[str]())
    late = statistics.median(each.late_ms for each in offered)
    note = f"open loop at {rate:,.0f}/s; added p50 {median:.2f} ms; {told(errors)}; generator up to {late:.1f} ms late"
    numbers = {"added_p99_ms": added, "added_p50_ms": median, "p99_ms": p99, "direct_p99_ms": direct_p99}
    return Row(
        f"warm path, added p99 at {SHARE:.0%} of what the gateway carries", f"<= {ADDED_P99_MS:.0f} ms",
        f"{added:.2f} ms ({p99:.2f} ms)", added <= ADDED_P99_MS and not errors,
        f"the function without gateway {direct_p99:.2f} ms", note, numbers,
    )  # fmt: skip


def _at_saturation(runs: Runs) -> Row:
    ours, bare, direct = (statistics.median(load.p99_ms for load in side) for side in zip(*runs, strict=True))
    added = statistics.median(one.p99_ms - other.p99_ms for one, _, other in runs)
    return Row(
        f"warm path, added p99 at saturation by {CONNECTIONS} connections", f"<= {ADDED_P99_MS:.0f} ms",
        f"{added:.2f} ms ({ours:.2f} ms)", added <= ADDED_P99_MS,
        f"the function without gateway {direct:.2f} ms, uvicorn {bare:.2f} ms", "closed loop, the worst case",
        {"added_p99_ms": added, "p99_ms": ours, "direct_p99_ms": direct, "uvicorn_p99_ms": bare},
    )  # fmt: skip


ROLES = {
    "function": serve_function,
    "gateway": lambda: serve_gateway(int(sys.argv[2])),
    "uvicorn": serve_uvicorn,
    "load": lambda: saturate(int(sys.argv[2])),
}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        uvloop.run(ROLES[sys.argv[1]]())
    else:
        rows = measure()
        print_rows(rows)
        write("warm_path", rows)
