"""Pods as documents, and a node over a memory store with the fake runtime."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from core.clock import Clock, SystemClock
from core.errors import NotFound
from core.resources.core_v1 import CONFIG_MAP, EVENT, SECRET, SERVICE_ACCOUNT
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from core.resources.workloads import DEPLOYMENT
from core.stats import InstanceLoads, NoLoads
from core.store.memory import MemoryStore
from deploy.node import Node, make_node
from deploy.runtimes.base import Runtime
from tests.support.runtime import FakeRuntime

STORAGE = (PERSISTENT_VOLUME_CLAIM, PERSISTENT_VOLUME, STORAGE_CLASS)
KINDS = (POD, EVENT, SECRET, CONFIG_MAP, SERVICE_ACCOUNT, DEPLOYMENT, *STORAGE)
DEADLINE_S = 15.0
_numbers = itertools.count(1)


def container(image: str = "fake/serve", name: str = "main", port: int | None = 8080, **fields: object) -> Json:
    ports = {} if port is None else {"ports": [{"containerPort": port}]}
    return {"name": name, "image": image, **ports, **fields}


def pod(*containers: Json, name: str = "", revision: str | None = "rev", **spec: object) -> Json:
    """A revision's Pod; with `revision` None one that a user made."""
    labels = (
        {} if revision is None else {"serving.knative.dev/revision": revision, "serving.knative.dev/service": "svc"}
    )
    metadata = {"name": name or f"pod-{next(_numbers)}", "namespace": "default", "labels": labels}
    return {
        "metadata": metadata,
        "spec": {"containers": list(containers) or [container()], "runtimeClassName": "fake", **spec},
    }


def condition(obj: Json, kind: str) -> Json:
    return next(
        (each for each in (obj.get("status") or {}).get("conditions", ()) if each["type"] == kind), {"status": ""}
    )


def is_ready(obj: Json) -> bool:
    return condition(obj, "Ready")["status"] == "True"


def phase(obj: Json) -> str:
    return (obj.get("status") or {}).get("phase", "")


def state(obj: Json, index: int = 0) -> Json:
    """The state of one container: {"waiting": …} and so on."""
    statuses = (obj.get("status") or {}).get("containerStatuses") or [{"state": {}}]
    return statuses[index]["state"]


def waiting_reason(obj: Json) -> str:
    return state(obj).get("waiting", {}).get("reason", "")


class NodeWorld:
    """A running node; what tests do to it and see of it."""

    def __init__(self, node: Node, store: MemoryStore, runtime: FakeRuntime, clock: Clock, folder: Path) -> None:
        self.node, self.store, self.runtime, self.clock, self.folder = node, store, runtime, clock, folder
        self.writes = 0

    async def create(self, obj: Json) -> str:
        return (await self.store.create(POD, obj))["metadata"]["name"]

    async def get(self, name: str) -> Json:
        return await self.store.get(POD, name, "default")

    async def until(self, name: str, holds: Callable[[Json], bool]) -> Json:
        """The Pod once that holds."""
        latest: Json = {}
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    latest = await self.get(name)
                    if holds(latest):
                        return latest
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"it never held; status: {latest.get('status')}") from None

    async def until_gone(self, name: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(NotFound):
                while True:
                    await self.get(name)
                    await asyncio.sleep(0.005)

    async def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of the Pod's events."""
        listing = await self.store.list(EVENT)
        return [(each["reason"], each["message"]) for each in listing.items if each["involvedObject"]["name"] == name]

    async def until_said(self, name: str, reason: str) -> str:
        """The message of the first event with that reason."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for said, message in await self.events(name):
                    if said == reason:
                        return message
                await asyncio.sleep(0.005)

    async def annotate(self, name: str, **annotations: str | None) -> None:
        def change(obj: Json) -> Json:
            kept = {**(obj["metadata"].get("annotations") or {})}
            for key, value in annotations.items():
                full = f"pilotlight.dev/{key}"
                kept.pop(full, None)
                if value is not None:
                    kept[full] = value
            obj["metadata"]["annotations"] = kept
            return obj

        await self.store.modify(POD, name, "default", change)


@contextlib.asynccontextmanager
async def node_world(
    folder: Path,
    loads: InstanceLoads | None = None,
    clock: Clock | None = None,
    store: MemoryStore | None = None,
    runtime: Runtime | None = None,
) -> AsyncIterator[NodeWorld]:
    """A node that runs until the block ends. A `runtime` other than the fake one must be running already."""
    clock = clock or SystemClock()
    store = store or MemoryStore(KINDS, clock)
    fake = FakeRuntime(clock)
    runtimes = {"fake": fake} if runtime is None else {runtime.name: runtime}
    node, _ = make_node(store, clock, loads or NoLoads(), runtimes, folder)
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(node.run(started.set)), group.create_task(fake.run(lambda: None))]
        await started.wait()
        try:
            yield NodeWorld(node, store, fake, clock, folder)
        finally:
            for task in tasks:
                task.cancel()
