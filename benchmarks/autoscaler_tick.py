"""What the autoscaler costs: a tick over 1,000 sleeping, over 1,000 active revisions, and a poke until it is written.

In one process with the store in memory and real time; the bar is 5 % of a core for 1,000 sleepers, at a tick per 2 s.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from autoscaler.controller import Autoscaler
from autoscaler.kpa import TICK_S
from benchmarks.report import Row, percentile
from core.clock import SystemClock
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.core_v1 import CONFIG_MAP
from core.resources.pods import POD
from core.resources.workloads import DEPLOYMENT
from core.stats import RequestStatistic, RevisionKey, StatisticBus
from core.store.memory import MemoryStore
from core.tasks import start_service

MANY = 1000
MEASURED_S = 8.0
POKES = 200


class Platform:
    """The autoscaler and what it watches."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.store = MemoryStore((POD_AUTOSCALER, DEPLOYMENT, POD, CONFIG_MAP), clock)
        self.bus = StatisticBus()
        self.autoscaler = Autoscaler(self.store, self.bus, clock)
        self.keys = [RevisionKey("default", f"service-{n}-00001") for n in range(MANY)]

    async def fill(self) -> None:
        for key in self.keys:
            metadata = {"name": key.name, "namespace": key.namespace}
            target: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{key.name}-deployment"}
            deployment = {**target, "metadata": {**metadata, "name": target["name"]}, "spec": {"replicas": 0}}
            deployment.pop("name")
            await self.store.create(DEPLOYMENT, deployment)
            autoscaler = {
                "apiVersion": POD_AUTOSCALER.api_version,
                "kind": "PodAutoscaler",
                "metadata": metadata,
                "spec": {"scaleTargetRef": target},
            }
            await self.store.create(POD_AUTOSCALER, autoscaler)

    async def busy(self, seconds: float, concurrency: float) -> float:
        """CPU seconds used per wall second while every revision reports once a second (0: none does)."""
        began, used = time.perf_counter(), time.process_time()
        spent_reporting = 0.0
        while time.perf_counter() - began < seconds:
            if concurrency:
                before = time.process_time()
                now = time.monotonic()
                for key in self.keys:
                    self.bus.publish(RequestStatistic(key, now, 1.0, concurrency, concurrency, 1))
                spent_reporting += time.process_time() - before
            await asyncio.sleep(1.0)
        self.reporting = spent_reporting / (time.perf_counter() - began)
        return (time.process_time() - used) / (time.perf_counter() - began)

    async def poke(self, key: RevisionKey) -> float:
        """Seconds from the statistic to the scale that a watcher of Deployments sees."""
        async with self.store.watch(DEPLOYMENT) as changes:
            began = time.perf_counter()
            self.bus.publish(RequestStatistic(key, time.monotonic(), 0.0, 1.0, 1.0, 1, poke=True))
            async for event in changes:
                if event.object["metadata"]["name"] == f"{key.name}-deployment":
                    return time.perf_counter() - began
        raise RuntimeError("the store closed")


async def _measure() -> list[Row]:
    platform = Platform()
    await platform.fill()
    async with asyncio.TaskGroup() as group:
        task = await start_service(group, platform.autoscaler.run, "autoscaler")
        await asyncio.sleep(3.0)  # the statuses of 1,000 new revisions
        asleep = await platform.busy(MEASURED_S, 0.0)
        pokes = [await platform.poke(key) for key in platform.keys[:POKES]]
        await platform.busy(4.0, 20.0)
        active = await platform.busy(MEASURED_S, 20.0)
        deciding = (active - platform.reporting - asleep) * TICK_S / MANY
        task.cancel()
    p50, p99 = percentile(pokes, 0.5), percentile(pokes, 0.99)
    return [
        Row(
            f"autoscaler, {MANY} sleeping revisions",
            "≤ 5 % of a core",
            f"{asleep:.2%}",
            asleep <= 0.05,
            numbers={"cores": asleep},
        ),
        Row(
            f"autoscaler, {MANY} active revisions, one report a second each",
            "-",
            f"{active:.1%} of a core, {deciding * 1e6:.0f} µs per decision",
            None,
            note=f"of it {platform.reporting:.1%} to take the reports in",
            numbers={"cores": active, "decision_us": deciding * 1e6, "reporting_cores": platform.reporting},
        ),
        Row(
            "poke of a sleeper → scale seen by a watcher",
            "p50 < 1 ms",
            f"p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms",
            p50 < 0.001,
            numbers={"p50_ms": p50 * 1e3, "p99_ms": p99 * 1e3},
        ),
    ]


def measure() -> list[Row]:
    return asyncio.run(_measure())
