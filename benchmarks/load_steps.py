"""A sleeping 20 ms function meets 1,000, then 2,000 requests/s, through the whole platform.

Requests leave when the schedule says, answered or not, and latency counts from then: a stall is charged to every
request that it delays. The yardstick is the function itself: the same schedule sent straight to its instances.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import uvloop

from benchmarks.platform import Platform, platform
from benchmarks.report import Row, percentile

STEPS = (1000, 2000)  # requests/s
STEP_S = float(os.environ.get("BENCH_STEP_S", "15"))
SETTLED_S = 5.0  # of each step, after which the bar holds
ADDED_MS = 100.0
ANSWER_S_MAX = 30.0
NAME = "steps"
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


@dataclass
class Answers:
    """What came back: when each was due, in seconds from the start, and how long it took."""

    due: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    late_ms: float = 0.0  # by how much the generator itself missed its schedule at worst


class Connection(asyncio.Protocol):
    """One request at a time; free again with its answer, which fits one read."""

    def __init__(self, crowd: Crowd, address: tuple[str, int]) -> None:
        self._crowd = crowd
        self._address = address
        self._due: float | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, due: float) -> None:
        self._due = due
        self._transport.write(self._crowd.request)

    def data_received(self, data: bytes) -> None:
        due, self._due = self._due, None
        if due is None:
            return  # the rest of an answer
        self._crowd.answered(due, "" if data.startswith(b"HTTP/1.1 200") else data[:200].decode(errors="replace"))
        self._crowd.free[self._address].append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._due is not None:
            self._crowd.answered(self._due, f"connection lost: {exc}")
        elif self in self._crowd.free[self._address]:
            self._crowd.free[self._address].remove(self)


class Crowd:
    """Sends on schedule, in turn to each address, on a free connection or a new one."""

    def __init__(self, addresses: Sequence[tuple[str, int]], host: str) -> None:
        self.request = f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
        self.free: dict[tuple[str, int], deque[Connection]] = {address: deque() for address in addresses}
        self.answers = Answers()
        self._waiting = 0
        self._began = 0.0

    def answered(self, due: float, error: str) -> None:
        self._waiting -= 1
        self.answers.due.append(due)
        self.answers.took_ms.append((time.perf_counter() - self._began - due) * 1e3)
        if error:
            self.answers.errors.append(error)

    async def run(self, steps: Sequence[tuple[int, float]]) -> Answers:
        schedule = [due for rate, begin, end in _spans(steps) for due in _every(rate, begin, end)]
        addresses, number = list(self.free), 0
        self._began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            while number < len(schedule):
                now = time.perf_counter() - self._began
                self.answers.late_ms = max(self.answers.late_ms, (now - schedule[number]) * 1e3)
                while number < len(schedule) and schedule[number] <= now:
                    self._send(group, addresses[number % len(addresses)], schedule[number])
                    number += 1
                await asyncio.sleep(0.001)
        deadline = time.perf_counter() + ANSWER_S_MAX
        while self._waiting and time.perf_counter() < deadline:  # noqa: ASYNC110 - nobody hurries
            await asyncio.sleep(0.01)
        self.answers.errors.extend(["no answer"] * self._waiting)
        return self.answers

    def _send(self, group: asyncio.TaskGroup, address: tuple[str, int], due: float) -> None:
        self._waiting += 1
        if self.free[address]:
            self.free[address].popleft().send(due)
        else:
            group.create_task(self._connect(address, due), name="connect")

    async def _connect(self, address: tuple[str, int], due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: Connection(self, address), *address)
        except OSError as error:
            self.answered(due, f"connect: {error}")
        else:
            connection.send(due)


def _spans(steps: Sequence[tuple[int, float]]) -> list[tuple[int, float, float]]:
    spans, begin = [], 0.0
    for rate, seconds in steps:
        spans.append((rate, begin, begin + seconds))
        begin += seconds
    return spans


def _every(rate: int, begin: float, end: float) -> list[float]:
    return [begin + number / rate for number in range(int((end - begin) * rate))]


def generate(addresses: Sequence[tuple[str, int]], steps: Sequence[tuple[int, float]]) -> Answers:
    """In a process of its own: the generator must not wait for the benchmark."""
    task = orjson.dumps({"addresses": addresses, "steps": steps, "host": f"{NAME}.default.localhost"})
    with tempfile.NamedTemporaryFile() as output:
        subprocess.run([sys.executable, "-m", "benchmarks.load_steps", output.name], input=task, check=True)
        return Answers(**orjson.loads(output.read()))


def instances(running: Platform) -> list[tuple[str, int]]:
    pods = running.call("GET", "/api/v1/namespaces/default/pods")["items"]
    found = [pod["metadata"].get("annotations", {}).get("pilotlight.dev/address", "") for pod in pods]
    return [(host, int(port)) for host, _, port in (address.rpartition(":") for address in found if address)]


def p95(answers: Answers, begin: float, end: float) -> float:
    return percentile(
        [took for due, took in zip(answers.due, answers.took_ms, strict=True) if begin <= due < end], 0.95
    )


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
        answers = generate([("127.0.0.1", running.gateway_port)], [(rate, STEP_S) for rate in STEPS])
        replicas = instances(running)
        alone = [generate(replicas, [(rate, STEP_S / 2)]) for rate in STEPS]
    print(
        f"  {len(replicas)} instances at the end; the generator was {answers.late_ms:.1f} ms late at worst", flush=True
    )
    rows = []
    for (rate, begin, end), own in zip(_spans([(rate, STEP_S) for rate in STEPS]), alone, strict=True):
        ours, itself = p95(answers, begin + SETTLED_S, end), p95(own, 0.0, STEP_S)
        first = p95(answers, begin, begin + SETTLED_S)
        row = Row(
            f"{'0' if begin == 0 else f'{STEPS[0]:,}'} → {rate:,} requests/s against a 20 ms function",
            f"no error, p95 ≤ the function's own + {ADDED_MS:.0f} ms after {SETTLED_S:.0f} s",
            f"p95 {ours:.1f} ms, {len(answers.errors)} errors", not answers.errors and ours <= itself + ADDED_MS,
            f"the function's own p95 {itself:.1f} ms",
            f"p95 of the first {SETTLED_S:.0f} s {first:.0f} ms; {len(replicas)} instances at the end"
            + "".join(f"; {error!r}" for error in answers.errors[:1]),
            {"p95_ms": ours, "own_p95_ms": itself, "first_p95_ms": first, "errors": len(answers.errors)},
        )  # fmt: skip
        rows.append(row)
    return rows


if __name__ == "__main__":
    work = orjson.loads(sys.stdin.buffer.read())
    found = uvloop.run(Crowd([(host, port) for host, port in work["addresses"]], work["host"]).run(work["steps"]))
    Path(sys.argv[1]).write_bytes(orjson.dumps(found))
