"""What 1,000 sleeping Services cost a platform: memory, processor time while idle, starts, and what a new one waits.

Each is created through the API as a user would, with an initial scale of 0 (a machine that starts 1,000 functions first
measures the machine). Then the platform is stopped and started again over them.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks.platform import SERVICES, WAIT_S_MAX, Platform, platform
from benchmarks.report import Row, percentile
from tests.support.servers import compiled_server

MANY = int(os.environ.get("BENCH_SERVICES", "1000"))
EMPTY_STARTS = 5
NEW = 30
FIRST = 5  # requests to sleepers the moment that a platform has come back to them all
IDLE_S = 15.0
SETTLED_S = 8.0  # after the last write, before memory is read
KIB_EACH = 20.0
CALLABLE_MS = 200.0
UP_S = 1.0
IDLE_SHARE = 0.05
SERVER = {"runtimeClassName": "process", "image": "static"}
ASLEEP = {"autoscaling.knative.dev/initial-scale": "0"}


def warm_up(running: Platform) -> None:
    """One Service comes, answers, and goes: the code that serves the first is no cost of the other 999."""
    callable_ms(running, "first")
    running.call("DELETE", f"{SERVICES}/first")
    running.wait_asleep()


def idle_share(running: Platform) -> float:
    """Of one core, over the platform and everything below it."""
    began, used = time.perf_counter(), running.cpu_s()
    time.sleep(IDLE_S)
    return (running.cpu_s() - used) / (time.perf_counter() - began)


def callable_ms(running: Platform, name: str) -> float:
    """From the API's 201 to the first byte of a 200."""
    running.create_service(name, {**SERVER, "command": [str(compiled_server())]})
    began = time.perf_counter()
    while b" 200 " not in running.ask(name)[:20]:
        if time.perf_counter() - began > WAIT_S_MAX:
            raise TimeoutError(f"{name} was never callable")
        time.sleep(0.001)
    return (time.perf_counter() - began) * 1e3


def register(running: Platform) -> float:
    """Seconds until all are Ready."""
    running.sleep_soon()
    began = time.perf_counter()
    names = [f"sleeper-{number}" for number in range(MANY)]
    for name in names:
        running.create_service(name, {**SERVER, "command": [str(compiled_server())]}, ASLEEP)
    running.wait_ready(names)
    return time.perf_counter() - began


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-") as name:
        root = Path(name)
        empty_up = []
        for number in range(EMPTY_STARTS):
            with platform(root / f"empty-{number}") as running:
                empty_up.append(running.up_s)
        with platform(root / "data") as running:
            time.sleep(SETTLED_S)
            untouched = running.memory_kib()
            running.sleep_soon()
            warm_up(running)
            time.sleep(SETTLED_S)
            empty = running.memory_kib()
            idle_empty = idle_share(running)
            registered_s = register(running)
            print(f"  {MANY} Services are Ready after {registered_s:.1f} s", flush=True)
            time.sleep(SETTLED_S)
            each = (running.memory_kib() - empty) / MANY
            idle = idle_share(running)
            new = [callable_ms(running, f"new-{number}") for number in range(NEW)]
            for number in range(NEW):
                running.call("DELETE", f"{SERVICES}/new-{number}")
        with platform(root / "data") as running:
            full_up, full_up_cpu = running.up_s, running.cpu_s()
            first = [running.first_byte_ms(f"sleeper-{number}")[0] for number in range(0, MANY, MANY // FIRST)]
            running.wait_asleep()
            time.sleep(SETTLED_S)
            again = (running.memory_kib() - empty) / MANY
    up = percentile(empty_up, 0.5)
    p50, p99 = percentile(new, 0.5), percentile(new, 0.99)
    who = f"{MANY:,} sleeping Services"
    return [
        Row(
            f"{who}: memory of each", f"≤ {KIB_EACH:.0f} KiB above the empty platform", f"{each:.1f} KiB",
            each <= KIB_EACH, f"the empty platform has {empty / 1024:.0f} MiB",
            f"empty again after its first Service; {each + (empty - untouched) / MANY:.1f} KiB above one never used; "
            f"{again:.1f} KiB after a restart; proportional set size; all were Ready after {registered_s:.1f} s",
            {"kib_each": each, "kib_each_restarted": again, "empty_kib": empty, "untouched_kib": untouched,
             "registered_s": registered_s},
        ),
        Row(
            f"{who}: the whole platform, idle", f"≤ {IDLE_SHARE:.0%} of a core (the bar of the autoscaler alone)",
            f"{idle:.2%}", idle <= IDLE_SHARE, f"the empty platform {idle_empty:.2%}",
            numbers={"cores": idle, "cores_empty": idle_empty},
        ),
        Row(
            f"{who}: a new one is callable after the API's 201", f"≤ {CALLABLE_MS:.0f} ms",
            f"p50 {p50:.0f} ms, p99 {p99:.0f} ms", p99 <= CALLABLE_MS,
            note=f"{NEW} of them, the first instance included", numbers={"p50_ms": p50, "p99_ms": p99, "all_ms": new},
        ),
        Row(
            "`pilotlight up` until every listener answers, empty folder", f"< {UP_S:.0f} s", f"p50 {up:.2f} s",
            up < UP_S, note=f"{EMPTY_STARTS} starts, certificates made in each", numbers={"all_s": empty_up},
        ),
        Row(
            f"`pilotlight up` over {who}", f"< {UP_S:.0f} s", f"{full_up:.2f} s", full_up < UP_S,
            note=f"{full_up_cpu:.2f} s of processor time; the first requests, one after the other, while the world is "
            f"brought in order: {', '.join(f'{each:.0f}' for each in first)} ms",
            numbers={"up_s": full_up, "up_cpu_s": full_up_cpu, "first_ms": first},
        ),
    ]  # fmt: skip
