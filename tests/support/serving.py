"""Knative Serving without a machine: the real controllers over a store in memory, a node and an autoscaler that play.

`FakeNode` does to each Pod what the test said for its revision; `FakeScaler` says what the autoscaler would. `restart`
is what a crash of the platform leaves: what users wrote stays, everything else is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import NotFound
from core.reconcile.controller import Controller, Watched, itself, owner
from core.reconcile.events import Recorder
from core.reconcile.garbage import GarbageCollector
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.conditions import ConditionSet, find_condition
from core.resources.core_v1 import CONFIG_MAP
from core.resources.hosts import Hosts
from core.resources.kinds import KINDS
from core.resources.knative_errors import sentences
from core.resources.meta import AdmissionContext, Json, Kind, Lifetime, ObjectKey
from core.resources.networking import INGRESS
from core.resources.pods import POD
from core.resources.serving import REVISION, ROUTE, SERVICE
from core.resources.serving_labels import REVISION_LABEL
from core.resources.timestamps import rfc3339
from core.resources.workloads import DEPLOYMENT
from core.settings.config_maps import CONFIG_MAPS, SYSTEM_NAMESPACE, settings_of
from core.stats import NoLoads, StatisticBus
from core.store.base import DeleteOptions, Store
from core.store.memory import MemoryStore
from deploy.controllers.config import LiveSettings
from deploy.controllers.deployment import WATCHES, DeploymentReconciler
from deploy.controllers.registry import make_controllers
from deploy.controllers.world import World
from deploy.images import Resolution, Resolved
from tests.support.clock import FakeClock, settle

NAMESPACE = "default"
READY: Json = {"running": {}}
MUTE: Json = {"running": {"startedAt": "2023-11-14T22:13:20Z"}}
"""It runs, and is never ready."""


def exited(code: int, message: str = "") -> Json:
    return {"terminated": {"exitCode": code, "message": message, "reason": "Error"}}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


@dataclass
class FakeImages:
    """Every image has a digest, unless the test says otherwise."""

    answers: dict[str, Resolution] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def resolve(self, namespace: str, spec: Json, container: Json) -> Resolution:
        image = container.get("image", "")
        self.asked.append(image)
        return self.answers.get(image, Resolved(f"{image}@sha256:{'0' * 64}"))


class FakeNode:
    """Gives every Pod the container state that `states` has for its revision; ready where none is given."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self._store, self._clock = store, clock
        self.states: dict[str, Json] = {}

    def controller(self) -> Controller:
        return Controller("node", self._store, self.reconcile, [Watched(POD, itself)], self._clock)

    async def reconcile(self, key: ObjectKey) -> None:
        try:
            pod = await self._store.get(POD, key.name, key.namespace)
        except NotFound:
            return
        if "deletionTimestamp" in pod["metadata"]:
            with contextlib.suppress(NotFound):
                await self._store.delete(POD, key.name, key.namespace, DeleteOptions(grace_period_s=0))
            return
        state = self.states.get(pod["metadata"]["labels"].get(REVISION_LABEL, ""), READY)
        ready = state == READY
        moment = pod["metadata"]["creationTimestamp"]
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": moment}
        status = {
            "phase": "Running",
            "conditions": [condition],
            "containerStatuses": [{"name": "user-container", "state": state, "ready": ready}],
        }
        if pod.get("status") != status:
            with contextlib.suppress(NotFound):
                await self._store.modify(POD, key.name, key.namespace, lambda p: {**p, "status": status}, "status")


class FakeScaler:
    """Wants one instance until the first was ready, then what `wanted` says (nothing)."""

    _CONDITIONS = ConditionSet(("Active", "ScaleTargetInitialized"))

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self._store, self._clock = store, clock
        self.wanted: dict[str, int] = {}

    def controller(self) -> Controller:
        watches = [Watched(POD_AUTOSCALER, itself), Watched(DEPLOYMENT, owner(REVISION))]
        self._controller = Controller("scaler", self._store, self.reconcile, watches, self._clock)
        return self._controller

    def scale(self, revision: str, replicas: int) -> None:
        self.wanted[revision] = replicas
        self._controller.enqueue(ObjectKey(NAMESPACE, revision))

    async def reconcile(self, key: ObjectKey) -> None:
        try:
            scaler = await self._store.get(POD_AUTOSCALER, key.name, key.namespace)
            deployment = await self._store.get(DEPLOYMENT, scaler["spec"]["scaleTargetRef"]["name"], key.namespace)
        except NotFound:
            return
        ready = (deployment.get("status") or {}).get("readyReplicas", 0)
        replicas = deployment["spec"]["replicas"]
        conditions = self._CONDITIONS.manage(scaler.get("status"), rfc3339(self._clock.wall()))
        initialized = conditions.is_true("ScaleTargetInitialized") or ready > 0 or replicas == 0
        wanted = self.wanted.get(key.name, 1 if not initialized or replicas else 0)
        if initialized:
            conditions.mark_true("ScaleTargetInitialized")
        if wanted == 0:
            conditions.mark_false("Active", "NoTraffic", "The target is not receiving traffic.")
        elif ready == 0:
            conditions.mark_unknown("Active", "Queued", "Requests to the target are being buffered.")
        else:
            conditions.mark_true("Active")
        status = {"conditions": conditions.to_json(), "desiredScale": wanted, "actualScale": ready}
        with contextlib.suppress(NotFound):
            if scaler.get("status") != status:
                change: Callable[[Json], Json] = lambda old: {**old, "status": status}  # noqa: E731
                await self._store.modify(POD_AUTOSCALER, key.name, key.namespace, change, "status")
            if replicas != wanted:
                name = deployment["metadata"]["name"]
                await self._store.modify(DEPLOYMENT, name, key.namespace, lambda old: _scaled(old, wanted))


class CrashingStore:
    """Lets a number of writes through, then refuses all. The last may be done without its writer hearing of it."""

    def __init__(self, inner: MemoryStore) -> None:
        self._inner = inner
        self.writes_left: int | None = None
        self.last_is_done = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def create(self, kind: Kind[Any], obj: Json) -> Json:
        return await self._write(lambda: self._inner.create(kind, obj))

    async def update(self, kind: Kind[Any], obj: Json, subresource: str = "") -> Json:
        return await self._write(lambda: self._inner.update(kind, obj, subresource))

    async def modify(self, kind: Kind[Any], name: str, namespace: str, change: Any, subresource: str = "") -> Json:
        return await self._write(lambda: self._inner.modify(kind, name, namespace, change, subresource))

    async def delete(self, kind: Kind[Any], name: str, namespace: str = "", options: Any = None) -> Json:
        return await self._write(lambda: self._inner.delete(kind, name, namespace, options))

    async def _write(self, write: Callable[[], Any]) -> Json:
        if self.writes_left is None:
            result: Json = await write()
            return result
        self.writes_left -= 1
        if self.writes_left < 0 or (self.writes_left == 0 and not self.last_is_done):
            raise ConnectionError("crashed")
        result = await write()
        if self.writes_left == 0:
            raise ConnectionError("crashed")
        return result


class Platform:
    """Use as `async with running() as platform`."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(KINDS, self.clock)
        self.store = CrashingStore(self.memory)
        self.images = FakeImages()
        self.node = FakeNode(self.memory, self.clock)
        self.scaler = FakeScaler(self.memory, self.clock)
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        world = World(
            store=self.store,  # type: ignore[arg-type]
            clock=self.clock,
            recorder=Recorder(self.memory, self.clock, "test"),
            settings=LiveSettings(self.memory),
            hosts=Hosts(public_port=8080),
            images=self.images,
            statistics=StatisticBus(),
        )
        deployments = DeploymentReconciler(self.memory, NoLoads(), self.clock)
        controllers = [
            *make_controllers(world),
            Controller("deployment", self.memory, deployments, WATCHES, self.clock),
            self.node.controller(),
            self.scaler.controller(),
            GarbageCollector(self.memory, KINDS, self.clock),
        ]

        async def run() -> None:
            async with asyncio.TaskGroup() as group:
                for controller in controllers:
                    group.create_task(controller.run(lambda: None))

        self._running = asyncio.create_task(run())
        await self.settle()

    async def stop(self) -> None:
        assert self._running is not None
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running

    async def restart(self) -> None:
        """Everything that is kept in memory only is gone."""
        await self.stop()
        self.store.writes_left = None
        for kind in KINDS:
            for obj in (await self.memory.list(kind)).items:
                owned = bool(obj["metadata"].get("ownerReferences"))
                if kind.lifetime is Lifetime.EPHEMERAL or (kind.lifetime is Lifetime.OWNED and owned):
                    metadata = obj["metadata"]
                    await self.memory.delete(
                        kind, metadata["name"], metadata.get("namespace", ""), DeleteOptions(grace_period_s=0)
                    )
        await self.start()

    async def settle(self, seconds: float = 1.0) -> None:
        await settle(200)
        await self.clock.advance(seconds)
        await settle(200)

    async def apply(self, kind: Kind[Any], obj: Json, user: str = "ann") -> Json:
        """Creates or replaces as the API server would: defaults, rules, then the store. AssertionError on a refusal."""
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, **copy.deepcopy(obj)}
        obj["metadata"].setdefault("namespace", NAMESPACE)
        try:
            old = await self.memory.get(kind, obj["metadata"]["name"], obj["metadata"]["namespace"])
        except NotFound:
            old = None
        if old is not None:
            annotations = {**(old["metadata"].get("annotations") or {}), **(obj["metadata"].get("annotations") or {})}
            given = obj["metadata"]
            obj["metadata"] = {**old["metadata"], **given, "annotations": annotations}
            obj["status"] = old.get("status")
        context = AdmissionContext(user=user, old=old, settings=await self._settings())
        kind.default(obj, context)
        refused = sentences(kind.validate(obj, context))
        assert not refused, refused
        stored = await (self.memory.update(kind, obj) if old is not None else self.memory.create(kind, obj))
        await self.settle()
        return stored

    async def _settings(self) -> dict[str, Any]:
        found = {m["metadata"]["name"]: m for m in (await self.memory.list(CONFIG_MAP, SYSTEM_NAMESPACE)).items}
        return {name: settings_of(name, found.get(name)) for name in CONFIG_MAPS}

    async def configure(self, name: str, **data: str) -> None:
        obj = {
            "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE},
            "data": {key.replace("_", "-"): value for key, value in data.items()},
        }
        await self.apply(CONFIG_MAP, obj)

    async def service(self, image: str = "v1", name: str = "hello", **fields: Any) -> Json:
        """Applies a Service. `template`: metadata of the template; `labels`, `annotations`: its own; else its spec."""
        metadata = {"name": name, **{k: fields.pop(k) for k in ("labels", "annotations") if k in fields}}
        template = {"metadata": fields.pop("template", {}), "spec": {"containers": [{"image": image}]}}
        template["spec"] |= fields.pop("pod", {})
        return await self.apply(SERVICE, {"metadata": metadata, "spec": {"template": template, **fields}})

    async def get(self, kind: Kind[Any], name: str, namespace: str = NAMESPACE) -> Json:
        return await self.memory.get(kind, name, namespace)

    async def exists(self, kind: Kind[Any], name: str) -> bool:
        try:
            await self.get(kind, name)
        except NotFound:
            return False
        return True

    async def names(self, kind: Kind[Any]) -> list[str]:
        return [obj["metadata"]["name"] for obj in (await self.memory.list(kind, NAMESPACE)).items]

    async def condition(self, kind: Kind[Any], name: str, condition: str = "Ready") -> tuple[str, str]:
        """(status, reason)."""
        found = find_condition(await self.get(kind, name), condition) or {}
        return found.get("status", ""), found.get("reason", "")

    async def message(self, kind: Kind[Any], name: str, condition: str = "Ready") -> str:
        return (find_condition(await self.get(kind, name), condition) or {}).get("message", "")

    async def split(self, host: str, name: str = "hello") -> Mapping[str, int]:
        """What the Ingress of a Route sends where, for a host."""
        ingress = await self.get(INGRESS, name)
        for rule in ingress["spec"]["rules"]:
            if host in rule["hosts"]:
                splits = rule["http"]["paths"][-1]["splits"]
                return {split["serviceName"]: split["percent"] for split in splits}
        return {}

    async def traffic(self, name: str = "hello") -> list[tuple[str, str, int]]:
        status = (await self.get(ROUTE, name)).get("status") or {}
        return [(t.get("tag", ""), t["revisionName"], t["percent"]) for t in status.get("traffic", ())]


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Platform]:
    platform = Platform()
    await platform.start()
    try:
        yield platform
    finally:
        await platform.stop()


def story(test: Callable[[Platform], Awaitable[None]]) -> Callable[[], None]:
    """A test that is given a running platform."""

    def run() -> None:
        async def main() -> None:
            async with running() as platform:
                await test(platform)

        asyncio.run(main())

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    return run


def _scaled(deployment: Json, replicas: int) -> Json:
    return {**deployment, "spec": {**deployment["spec"], "replicas": replicas}}
