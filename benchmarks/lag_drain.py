"""Ten thousand messages through 0 → N → 0, while consumers are killed by hand: what is lost, and what was cut off.

A real Kafka, a whole platform, consumers as processes that report the work they have in hand. `kill -9` is ours, now
and then, to one of them; whatever else is cut off in the middle of a message, the platform did.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lag_wake import DEPLOYMENTS, SCALED_OBJECTS, Watched, watched
from benchmarks.platform import Platform, platform
from benchmarks.report import Row
from core.clients.kafka_admin import Admin
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Outgoing
from tests.support.kafka import KafkaServer, kafka_server

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "10000"))
PARTITIONS, THRESHOLD = 8, 100
WORK_S = 0.004
KILLS, KILL_EVERY_S = 5, 0.7
DRAINED_S_MAX = 240.0
PROGRAM = Path(__file__).parent / "programs" / "consumer.py"
NAME = "drain"


def consume(running: Platform, server: KafkaServer, notes: Path) -> None:
    """The Deployment and its ScaledObject."""
    variables = {
        "KAFKA_BOOTSTRAP": server.bootstrap,
        "TOPIC": NAME,
        "GROUP": NAME,
        "NOTES": str(notes),
        "WORK_SECONDS": str(WORK_S),
        "IN_FLIGHT_FILE": "/run/drain/in-flight",
    }
    container = {
        "name": "consumer",
        "image": "any",
        "command": [sys.executable, str(PROGRAM)],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [{"name": "work", "mountPath": "/run/drain"}],
    }
    pod = {
        "runtimeClassName": "process",
        "containers": [container],
        "volumes": [{"name": "work", "emptyDir": {}}],
    }
    marks = {"labels": {"app": NAME}, "annotations": {"pilotlight.dev/in-flight-file": "/run/drain/in-flight"}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": NAME}}, "template": {"metadata": marks, "spec": pod}}
    running.call("POST", DEPLOYMENTS, {"metadata": {"name": NAME}, "spec": spec})
    metadata = {
        "bootstrapServers": server.bootstrap,
        "consumerGroup": NAME,
        "topic": NAME,
        "lagThreshold": str(THRESHOLD),
        "offsetResetPolicy": "earliest",
    }
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 2}}
    scaled = {
        "scaleTargetRef": {"name": NAME},
        "pollingInterval": 1,
        "cooldownPeriod": 3,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
        "triggers": [{"type": "kafka", "metadata": metadata}],
    }
    running.call("POST", SCALED_OBJECTS, {"metadata": {"name": NAME}, "spec": scaled})


@dataclass
class Drained:
    took_s: float = 0.0
    most: int = 0
    killed: set[int] = field(default_factory=set)


async def drain(running: Platform, server: KafkaServer, notes: Path) -> Drained:
    found = Drained()
    admin, producer = Admin(server.access, "bench"), Producer(server.access, NAME, "bench")
    producer.start()
    try:
        await admin.create_topic(NAME, PARTITIONS, 1)
        with watched(running, NAME) as watch:
            consume(running, server, notes)
            await asyncio.to_thread(watch.wait, lambda replicas: replicas == 0, 0.0)
            texts = (str(number).encode() for number in range(MESSAGES))
            began = time.perf_counter()
            await producer.send([Outgoing(text, text, ()) for text in texts])
            await asyncio.to_thread(watch.wait, lambda replicas: replicas > 0, began)
            await kill_some(notes, found)
            await until_zero(watch)
            found.took_s = time.perf_counter() - began
            found.most = max(replicas for _, replicas in watch.seen)
    finally:
        await producer.close()
        await admin.close()
    return found


async def kill_some(notes: Path, found: Drained) -> None:
    """Each in the middle of a message: the one that began the last."""
    while len(found.killed) < KILLS:
        await asyncio.sleep(KILL_EVERY_S)
        last = await asyncio.to_thread(last_line, notes)
        if last.startswith("begin "):
            victim = int(last.split()[2])
            if victim not in found.killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    found.killed.add(victim)


def last_line(notes: Path) -> str:
    lines = notes.read_text().splitlines() if notes.exists() else []
    return lines[-1] if lines else ""


async def until_zero(watch: Watched) -> None:
    deadline = time.perf_counter() + DRAINED_S_MAX
    while watch.seen[-1][1] != 0:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"replicas are {watch.seen[-1][1]}")
        await asyncio.sleep(0.1)


def judge(lines: Iterable[str], killed: set[int]) -> tuple[int, int, int]:
    """(never finished by anybody, cut off by the platform, finished more than once)."""
    open_: set[tuple[str, int]] = set()
    ends: dict[str, int] = {}
    for line in lines:
        what, message, pid = line.split()
        if what == "begin":
            open_.add((message, int(pid)))
        else:
            open_.discard((message, int(pid)))
            ends[message] = ends.get(message, 0) + 1
    lost = MESSAGES - len(ends)
    return lost, sum(pid not in killed for _, pid in open_), sum(count > 1 for count in ends.values())


def measure() -> list[Row]:
    server = kafka_server()
    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-") as name, platform(Path(name) / "data") as running:
        notes = Path(name) / "notes"
        found = asyncio.run(drain(running, server, notes))
        lost, cut_off, twice = judge(notes.read_text().splitlines(), found.killed)
    return [
        Row(
            f"{MESSAGES:,} messages through 0 → {found.most} → 0, {len(found.killed)} consumers killed with -9",
            "none lost, none cut off by the platform in work that reported itself",
            f"{lost} lost, {cut_off} cut off", lost == 0 and cut_off == 0,
            note=f"{found.took_s:.1f} s in all; {twice} were done more than once, which is what Kafka promises",
            numbers={"lost": lost, "cut_off": cut_off, "twice": twice, "took_s": found.took_s, "most": found.most},
        )
    ]  # fmt: skip
