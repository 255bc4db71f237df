"""A small world around the autoscaler: a store in memory, a clock that jumps, Pods that follow the Deployment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from autoscaler.controller import Autoscaler
from autoscaler.status_writer import AFTER_S
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.conditions import find_condition
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.workloads import DEPLOYMENT
from core.stats import RequestStatistic, RevisionKey, StatisticBus
from core.store.memory import MemoryStore
from core.tasks import start_service
from tests.support.clock import FakeClock, settle

KEY = RevisionKey("default", "hello-00001")
KINDS = (POD_AUTOSCALER, DEPLOYMENT, POD, CONFIG_MAP)


class World:
    """One revision at a time is enough for most: `KEY`."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(KINDS, self.clock)
        self.bus = StatisticBus()
        self.autoscaler = Autoscaler(self.store, self.bus, self.clock)
        self.ready_names: list[str] = []
        self._pods = 0

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = await start_service(group, self.autoscaler.run, "autoscaler")
            try:
                yield
            finally:
                task.cancel()

    async def revision(self, replicas: int, key: RevisionKey = KEY, limit: int = 10, **annotations: str) -> None:
        """As the Revision controller makes it."""
        marks = {f"autoscaling.knative.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
        metadata = {"name": key.name, "namespace": key.namespace}
        await self.store.create(
            DEPLOYMENT,
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {**metadata, "name": f"{key.name}-deployment"},
                "spec": {"replicas": replicas},
            },
        )
        await self.store.create(
            POD_AUTOSCALER,
            {
                "apiVersion": POD_AUTOSCALER.api_version,
                "kind": "PodAutoscaler",
                "metadata": {**metadata, "annotations": marks},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{key.name}-deployment"},
                    "containerConcurrency": limit,
                    "reachability": "Reachable",
                },
            },
        )
        await settle()

    async def replicas(self, key: RevisionKey = KEY) -> int:
        deployment = await self.store.get(DEPLOYMENT, f"{key.name}-deployment", key.namespace)
        return int(deployment["spec"]["replicas"])

    async def status(self, key: RevisionKey = KEY) -> Json:
        await self.clock.advance(AFTER_S)  # a status comes after whatever a request may wait for
        autoscaler = await self.store.get(POD_AUTOSCALER, key.name, key.namespace)
        return dict(autoscaler.get("status") or {})

    async def active(self, key: RevisionKey = KEY) -> tuple[str, str]:
        """(status, reason) of the Active condition."""
        condition = find_condition({"status": await self.status(key)}, "Active") or {}
        return condition.get("status", ""), condition.get("reason", "")

    async def follow(self) -> None:
        """Makes as many Pods ready as the Deployment asks for."""
        wanted = await self.replicas()
        while len(self.ready_names) < wanted:
            self._pods += 1
            name = f"{KEY.name}-{self._pods}"
            await self.store.create(
                POD,
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {
                        "name": name,
                        "namespace": KEY.namespace,
                        "labels": {"serving.knative.dev/revision": KEY.name},
                    },
                    "spec": {},
                    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
                },
            )
            self.ready_names.append(name)
        while len(self.ready_names) > wanted:
            await self.store.delete(POD, self.ready_names.pop(), KEY.namespace)
        await settle()

    def report(self, concurrency: float, in_flight: int | None = None, key: RevisionKey = KEY) -> None:
        """One second's report of the data path."""
        flying = round(concurrency) if in_flight is None else in_flight
        self.bus.publish(RequestStatistic(key, self.now, 1.0, concurrency, concurrency, flying))

    async def poke(self, key: RevisionKey = KEY) -> None:
        """The first request of a sleeper; no time passes."""
        self.bus.publish(RequestStatistic(key, self.now, 0.0, 1.0, 1.0, 1, poke=True))
        await settle()

    async def configure(self, **data: str) -> None:
        """Writes config-autoscaler."""
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "config-autoscaler", "namespace": "knative-serving"},
            "data": {name.replace("_", "-"): value for name, value in data.items()},
        }
        listing = await self.store.list(CONFIG_MAP)
        await (self.store.update if listing.items else self.store.create)(CONFIG_MAP, obj)
        await settle()

    async def play(self, loads: list[float]) -> list[int]:
        """One report and one second per load; the Pods follow within that second. The replicas after each."""
        seen = []
        for load in loads:
            await self.clock.advance(1.0)
            self.report(load)
            await settle()
            await self.follow()
            seen.append(await self.replicas())
        return seen
