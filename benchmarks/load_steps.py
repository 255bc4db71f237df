"""A sleeping 20 ms function meets 1,000, then 2,000 requests/s, through the whole platform.

Requests leave when the schedule says, answered or not, and latency counts from then: a stall is charged to every
request that it delays. The yardstick is the function itself: the same schedule sent straight to its instances.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.generator import generate
from benchmarks.platform import Platform, platform
from benchmarks.report import Row

STEPS = (1000, 2000)  # requests/s
STEP_S = float(os.environ.get("BENCH_STEP_S", "15"))
SETTLED_S = 5.0  # of each step, after which the bar holds
ADDED_MS = 100.0
NAME = "steps"
HOST = f"{NAME}.default.localhost"
CONCURRENCY = 20  # of an instance, a hard limit: 2,000/s of 20 ms need two and more
FUNCTION = """
import asyncio


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError(scope["type"])
    await asyncio.sleep(0.02)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def instances(running: Platform) -> list[tuple[str, int]]:
    pods = running.call("GET", "/api/v1/namespaces/default/pods")["items"]
    found = [pod["metadata"].get("annotations", {}).get("pilotlight.dev/address", "") for pod in pods]
    return [(host, int(port)) for host, _, port in (address.rpartition(":") for address in found if address)]


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-") as name, platform(Path(name) / "data") as running:
        folder = Path(name) / "function"
        folder.mkdir()
        (folder / "main.py").write_text(FUNCTION)
        running.sleep_soon()
        pod = {"runtimeClassName": "python", "image": f"dir:{folder}", "containerConcurrency": CONCURRENCY}
        running.create_service(NAME, pod)
        running.wait_ready([NAME])
        running.wait_asleep()
        used_s = running.cpu_s()
        answers = generate([("127.0.0.1", running.gateway_port)], [(rate, STEP_S) for rate in STEPS], HOST)
        used_s = running.cpu_s() - used_s
        replicas = instances(running)
        running.stay_awake(len(replicas))
        alone = [generate(replicas, [(rate, STEP_S / 2)], HOST) for rate in STEPS]
    print(
        f"  {len(replicas)} instances at the end; the generator was {answers.late_ms:.1f} ms late at worst; "
        f"platform and instances used {used_s / (STEP_S * len(STEPS)):.2f} of {os.cpu_count()} cores",
        flush=True,
    )
    rows = []
    spans = [(rate, number * STEP_S, (number + 1) * STEP_S) for number, rate in enumerate(STEPS)]
    for (rate, begin, end), own in zip(spans, alone, strict=True):
        ours, itself = answers.p(0.95, begin + SETTLED_S, end), own.p(0.95)
        first = answers.p(0.95, begin, begin + SETTLED_S)
        row = Row(
            f"{'0' if begin == 0 else f'{STEPS[0]:,}'} → {rate:,} requests/s against a 20 ms function",
            f"no error, p95 ≤ the function's own + {ADDED_MS:.0f} ms after {SETTLED_S:.0f} s",
            f"p95 {ours:.1f} ms, {answers.failed} errors", not answers.failed and ours <= itself + ADDED_MS,
            f"the function's own p95 {itself:.1f} ms",
            f"p95 of the first {SETTLED_S:.0f} s {first:.0f} ms; {len(replicas)} instances at the end"
            + "".join(f"; {count} x {error}" for error, count in answers.errors.items()),
            {"p95_ms": ours, "own_p95_ms": itself, "first_p95_ms": first, "errors": answers.failed},
        )  # fmt: skip
        rows.append(row)
    return rows
