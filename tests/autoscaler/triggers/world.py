"""A small world around ScaledObjects: a store in memory, ponds to read, Pods that follow, time that its timers make."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from autoscaler.triggers.controller import ScaledObjects
from core.errors import NotFound
from core.resources.conditions import find_condition
from core.resources.core_v1 import EVENT, SECRET
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_auth import TRIGGER_AUTHENTICATION
from core.resources.kinds import KINDS
from core.resources.meta import Json, Kind, ObjectKey
from core.resources.pods import POD
from core.resources.workloads import DEPLOYMENT
from core.stats import RevisionKey, StatisticBus
from core.store.base import DeleteOptions
from core.store.memory import MemoryStore
from core.tasks import start_service
from scalers.base import AnyDefinition, World
from scalers.pools import Pools
from scalers.registry import definition_of
from tests.autoscaler.triggers.sources import Ponds
from tests.support.virtual_time import START, VirtualClock, run

NAME = "orders"
KEY = ObjectKey("default", NAME)


class KedaWorld:
    """One ScaledObject at a time is enough for most: `orders`, which scales the Deployment `orders` by the pond `a`."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.clock = VirtualClock(wall)
        self.store = MemoryStore(KINDS, self.clock)
        self.ponds = Ponds(self.clock)
        self.floors: dict[RevisionKey, int] = {}
        self.writes: list[tuple[float, int]] = []  # seconds since the start, replicas
        self.objects = self._new()
        self._pods = 0

    def _new(self) -> ScaledObjects:
        world = World(self.clock, self.store, StatisticBus(), Pools())
        return ScaledObjects(world, self.floors.__setitem__, self._look_up)

    async def _look_up(self, type_: str) -> AnyDefinition:
        return definition_of(type_) if type_ == "cron" else await self.ponds.look_up(type_)

    @property
    def now(self) -> float:
        return self.clock.monotonic() - START

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._note_writes())
            task = await start_service(group, self.objects.run, "scaledobjects")
            try:
                yield
            finally:
                task.cancel()
                watching.cancel()

    @contextlib.asynccontextmanager
    async def restarted(self) -> AsyncIterator[None]:
        """Another platform over the same store."""
        self.objects = self._new()
        async with self.running():
            yield

    async def _note_writes(self) -> None:
        last = None
        async with self.store.watch(DEPLOYMENT) as changes:
            async for event in changes:
                replicas = event.object["spec"].get("replicas")
                if event.object["metadata"]["name"] == NAME and replicas != last:
                    self.writes.append((round(self.now, 1), replicas))
                    last = replicas

    async def deployment(self, replicas: int = 0, name: str = NAME, **more: Any) -> None:
        template = {"spec": {"containers": [{"name": "app", "image": "fake/app"}]}}
        await self.create(DEPLOYMENT, name, {"spec": {"replicas": replicas, "template": template, **more}})

    async def scaled_object(self, name: str = NAME, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        spec.setdefault("scaleTargetRef", {"name": name})
        spec.setdefault("triggers", [{"type": "pond", "metadata": {"pond": "a"}}])
        spec.setdefault("pollingInterval", 5)
        await self.create(SCALED_OBJECT, name, {"metadata": {"annotations": annotations or {}}, "spec": spec})

    async def create(self, kind: Kind[Any], name: str, obj: Json) -> None:
        metadata = {**obj.get("metadata", {}), "name": name, "namespace": "default"}
        await self.store.create(kind, {**obj, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata})

    async def edit(self, kind: Kind[Any], name: str, change: Callable[[Json], None]) -> None:
        def changed(obj: Json) -> Json:
            change(obj)
            return obj

        await self.store.modify(kind, name, "default", changed)

    async def annotate(self, name: str = NAME, **annotations: str | None) -> None:
        def change(obj: Json) -> None:
            said = obj["metadata"].setdefault("annotations", {})
            for key, value in annotations.items():
                said.pop(f"autoscaling.keda.sh/{key.replace('_', '-')}", None)
                if value is not None:
                    said[f"autoscaling.keda.sh/{key.replace('_', '-')}"] = value

        await self.edit(SCALED_OBJECT, name, change)

    async def replicas(self, name: str = NAME) -> int:
        deployment = await self.store.get(DEPLOYMENT, name, "default")
        return int(deployment["spec"]["replicas"])

    async def status(self, name: str = NAME) -> Json:
        await asyncio.sleep(0.1)  # a status comes after whatever something may wait for
        obj = await self.store.get(SCALED_OBJECT, name, "default")
        return dict(obj.get("status") or {})

    async def condition(self, kind: str, name: str = NAME) -> tuple[str, str, str]:
        found = find_condition({"status": await self.status(name)}, kind) or {}
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")

    async def events(self, reason: str = "") -> list[tuple[str, str]]:
        """(reason, message), oldest first."""
        await asyncio.sleep(0.1)
        found = (await self.store.list(EVENT)).items
        told = [(each["reason"], each["message"]) for each in found]
        return [each for each in told if not reason or each[0] == reason]

    async def follow(self, name: str = NAME) -> None:
        """Makes as many Pods ready as the Deployment asks for."""
        listed = (await self.store.list(POD)).items
        pods = [pod for pod in listed if pod["metadata"]["name"].startswith(f"{name}-")]
        wanted = await self.replicas(name)
        for _ in range(wanted - len(pods)):
            self._pods += 1
            owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": "u", "controller": True}
            status = {"conditions": [{"type": "Ready", "status": "True"}]}
            pod = {"metadata": {"ownerReferences": [owner]}, "spec": {}, "status": status}
            await self.create(POD, f"{name}-{self._pods}", pod)
        for pod in pods[wanted:]:
            await self.store.delete(POD, pod["metadata"]["name"], "default", DeleteOptions(grace_period_s=0))

    async def report(self, pod: int, in_hand: str) -> None:
        """What an instance says, as the node writes it."""

        def change(obj: Json) -> None:
            obj["metadata"].setdefault("annotations", {})["pilotlight.dev/in-flight"] = in_hand

        await self.edit(POD, f"{NAME}-{pod}", change)

    async def secret(self, password: str) -> None:
        data = {"password": base64.b64encode(password.encode()).decode()}
        await self.create(SECRET, "pond-secret", {"data": data})

    async def authentication(self) -> None:
        reference = {"parameter": "password", "name": "pond-secret", "key": "password"}
        await self.create(TRIGGER_AUTHENTICATION, "pond-auth", {"spec": {"secretTargetRef": [reference]}})

    async def gone(self, kind: Kind[Any], name: str = NAME) -> bool:
        try:
            await self.store.get(kind, name, "default")
        except NotFound:
            return True
        return False


def story(
    play: Callable[[KedaWorld], Coroutine[Any, Any, None]], wall: float = 1_700_000_000.0, *, run_objects: bool = True
) -> None:
    async def main() -> None:
        world = KedaWorld(wall)
        async with world.running() if run_objects else contextlib.nullcontext():
            await play(world)

    run(main())
