"""A whole platform as a broker: events acknowledged after the sync, delivered, replied to. Durable, as always.

The platform has one core, subscribers and producers the other. The disk's own rate of syncs stands beside it. Producers
are `wrk` for throughput and an open-loop sender for latency, which counts from when an event was due.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.event_log import syncs_per_s
from benchmarks.platform import Platform, platform
from benchmarks.report import Row, percentile

BROKERS = "/apis/eventing.knative.dev/v1/namespaces/default/brokers"
TRIGGERS = "/apis/eventing.knative.dev/v1/namespaces/default/triggers"
HOST = "broker-ingress.localhost"
SECONDS = float(os.environ.get("BENCH_BROKER_S", "8"))
CONNECTIONS = 50
RATE = 1_000  # events/s where latency is measured
INGRESS_BAR, DELIVERED_BAR = 12_000, 4_000
OTHERS = 9  # triggers that do not match, beside the one that does

LUA = """
local n, id = 0, tostring(os.time())
local body = string.rep("x", 512)
function request()
  n = n + 1
  return wrk.format("POST", "/default/%s", {["Host"] = "%s", ["ce-specversion"] = "1.0", ["ce-id"] = id .. "-" .. n,
    ["ce-source"] = "/shop/orders", ["ce-type"] = "order", ["content-type"] = "application/json"}, body)
end
"""


def measure() -> list[Row]:
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is needed: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-") as name, platform(Path(name) / "data") as running:
        folder = Path(name)
        syncs = syncs_per_s(folder)
        for broker in ("alone", "main"):
            running.call("POST", BROKERS, {"metadata": {"name": broker}})
        ingress = _ingress(running, folder, syncs)
        with _subscriber(running, "fn", "reply"):
            for number in range(OTHERS):
                _trigger(running, f"other-{number}", f"other-{number}", "fn")
            _trigger(running, "orders", "order", "fn")
            time.sleep(1)
            delivered = _delivered(running, folder)
            _trigger(running, "replies", "reply", "fn")
            time.sleep(1)
            latency = _latency(running)
    return [ingress, delivered, *latency]


def _ingress(running: Platform, folder: Path, syncs: float) -> Row:
    with _pinned(running):
        before = running.cpu_s()
        per_s, p99_ms, errors = _wrk(running, folder, "alone")
        cpu_us = 1e6 * (running.cpu_s() - before) / (per_s * SECONDS)
    return Row(
        "events acknowledged after fsync: 512 B, binary, 50 connections, one core",
        f"≥ {INGRESS_BAR:,} events/s, p99 ≤ 15 ms",
        f"{per_s:,.0f}/s, p99 {p99_ms:.1f} ms",
        per_s >= INGRESS_BAR and p99_ms <= 15 and not errors,
        f"bare fdatasync of a page: {syncs:,.0f}/s",
        f"{cpu_us:.0f} µs of processor an event{f'; {errors} errors' if errors else ''}",
        {"per_s": per_s, "p99_ms": p99_ms, "cpu_us": cpu_us, "errors": errors, "syncs_per_s": syncs},
    )


def _delivered(running: Platform, folder: Path) -> Row:
    """How fast it delivers while it takes as much as it can: counted at the subscriber."""
    _ask("fn", running)
    with _pinned(running):
        began = time.perf_counter()
        taken, _, errors = _wrk(running, folder, "main")
        count = _ask("fn", running)["count"]
        took = time.perf_counter() - began
        backlog = 0
        while (more := _ask("fn", running)["count"]) > 0:
            backlog += more
            time.sleep(0.5)
        drained = (count + backlog) / (time.perf_counter() - began)
    per_s = count / took
    return Row(
        "end to end, one matching trigger of 10, warm function on the other core",
        f"≥ {DELIVERED_BAR:,} events/s",
        f"{drained:,.0f}/s",
        drained >= DELIVERED_BAR,
        f"taken at {taken:,.0f}/s meanwhile",
        f"{per_s:,.0f}/s while producers pressed, {backlog:,} caught up on afterwards; errors {errors}",
        {"per_s": drained, "per_s_under_load": per_s, "taken_per_s": taken},
    )


def _latency(running: Platform) -> list[Row]:
    _ask("fn", running)
    late_ms = uvloop.run(_offer(running.gateway_port, RATE, SECONDS))
    time.sleep(0.5)
    took = {kind: [us / 1000 for us in each] for kind, each in _ask("fn", running)["took_us"].items()}
    orders, replies = took.get("order", []), took.get("reply", [])
    p50, p99, reply_p50 = percentile(orders, 0.5), percentile(orders, 0.99), percentile(replies, 0.5)
    sent = int(RATE * SECONDS)
    return [
        Row(
            f"the same at {RATE:,} events/s, from when an event was due to the subscriber",
            "p50 ≤ 4 ms, p99 ≤ 20 ms",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
            p50 <= 4 and p99 <= 20 and len(orders) == sent,
            f"the sender was {late_ms:.1f} ms late at worst",
            f"{len(orders):,} of {sent:,} delivered",
            {"p50_ms": p50, "p99_ms": p99},
        ),
        Row(
            "a reply's way to its next subscriber, warm",
            "p50 ≤ 4 ms",
            f"p50 {reply_p50:.1f} ms",
            reply_p50 <= 4 and len(replies) >= len(orders),
            f"p99 {percentile(replies, 0.99):.1f} ms",
            f"{len(replies):,} replies",
            {"p50_ms": reply_p50},
        ),
    ]


@contextmanager
def _subscriber(running: Platform, name: str, *arguments: str) -> Iterator[None]:
    command = [sys.executable, "-P", str(Path(__file__).parent / "subscriber.py"), *arguments]
    pod = {"runtimeClassName": "process", "image": "dir:/", "command": command}
    running.create_service(
        name, pod, {"autoscaling.knative.dev/min-scale": "1", "autoscaling.knative.dev/max-scale": "1"}
    )
    running.wait_ready([name])
    yield


def _trigger(running: Platform, name: str, kind: str, service: str) -> None:
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": service}
    spec = {"broker": "main", "filters": [{"exact": {"type": kind}}], "subscriber": {"ref": reference}}
    running.call("POST", TRIGGERS, {"metadata": {"name": name}, "spec": spec})


@contextmanager
def _pinned(running: Platform) -> Iterator[None]:
    """The platform's process on one core; what it started, on the other."""
    every = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    _pin(running.pid, "0")
    try:
        yield
    finally:
        _pin(running.pid, every)


def _pin(pid: int, cores: str) -> None:
    subprocess.run(["taskset", "-a", "-p", "-c", cores, str(pid)], check=True, stdout=subprocess.DEVNULL)


def _wrk(running: Platform, folder: Path, broker: str) -> tuple[float, float, int]:
    script = folder / f"{broker}.lua"
    script.write_text(LUA % (broker, HOST))
    url = f"http://127.0.0.1:{running.gateway_port}"
    command = [
        "taskset",
        "-c",
        "1",
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{SECONDS:g}s",
        "--latency",
        "-s",
        str(script),
    ]
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    per_s = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    assert per_s is not None
    assert p99 is not None
    return float(per_s[1]), float(p99[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[p99[2]], int(bad[1]) if bad else 0


def _ask(name: str, running: Platform) -> Any:
    url = f"http://127.0.0.1:{running.gateway_port}/"
    request = urllib.request.Request(url, headers={"Host": f"{name}.default.localhost"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class _Sender(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answers are not looked at: the subscriber counts."""


async def _offer(port: int, rate: int, seconds: float) -> float:
    """Sends when the schedule says; how late it was at worst, in ms."""
    loop = asyncio.get_running_loop()
    senders = [(await loop.create_connection(_Sender, "127.0.0.1", port))[1] for _ in range(CONNECTIONS)]
    begin, wall, late = loop.time() + 0.1, time.time() + 0.1, 0.0
    for number in range(int(rate * seconds)):
        due = number / rate
        await asyncio.sleep(max(0.0, begin + due - loop.time()))
        late = max(late, loop.time() - begin - due)
        head = (
            f"POST /default/main HTTP/1.1\r\nHost: {HOST}\r\nce-specversion: 1.0\r\nce-id: {wall:.0f}-{number}\r\n"
            f"ce-source: /shop/orders\r\nce-type: order\r\nce-sent: {int((wall + due) * 1e6)}\r\n"
            f"content-type: application/json\r\nContent-Length: 512\r\n\r\n"
        )
        senders[number % CONNECTIONS].transport.write(head.encode() + b"x" * 512)
    await asyncio.sleep(1)
    for sender in senders:
        sender.transport.close()
    return late * 1e3
