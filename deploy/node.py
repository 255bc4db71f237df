"""The one-machine kubelet: a loop per Pod, made when the Pod appears and told of its changes.

On a cluster this stays at home: Kubernetes has kubelets. The roof builds it with every runtime; the runtimes' own loops
run beside it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from core.clock import Clock
from core.errors import Expired
from core.reconcile.events import Recorder
from core.resources.meta import Json, Kind
from core.resources.pods import POD
from core.resources.storage import PERSISTENT_VOLUME_CLAIM
from core.stats import ContainerUsage, InstanceKey, InstanceLoads
from core.store.base import EventType, Store
from core.tasks import Started
from deploy.backoff import Failures
from deploy.groundwork import Tools
from deploy.planning import KINDS, Host, Planner
from deploy.pod_folders import PodFolders
from deploy.podplan import Places
from deploy.pods import PodLoop
from deploy.podsources import Source
from deploy.runtimes.base import Runtime
from deploy.volume_files import VolumeFiles

COMPONENT = "kubelet"  # what tools expect as the source of a Pod's events
RETRY_S = 5.0

log = structlog.get_logger()


class Node:
    """`planner` and `volumes` are shared with `deploy/preparation`."""

    def __init__(
        self, store: Store, clock: Clock, loads: InstanceLoads, planner: Planner, volumes: VolumeFiles
    ) -> None:
        self._store, self._clock = store, clock
        self.volumes = volumes
        recorder = Recorder(store, clock, COMPONENT)
        self._tools = Tools(
            store, clock, loads, planner, Failures(), volumes, PodFolders(planner.places.pods), recorder
        )
        self._loops: dict[str, PodLoop] = {}  # by uid

    async def run(self, started: Started) -> None:
        """Cancelled, it leaves the processes to their runtimes, which end with the platform."""
        self.volumes.clear()
        async with asyncio.TaskGroup() as group:
            for word, kind in KINDS.items():
                group.create_task(self._keep_fresh(word, kind), name=f"volumes of {word}s")
            group.create_task(self._follow_claims(), name="claims")
            while True:
                try:
                    await self._follow(group, started)
                    return
                except Expired:
                    log.info("watch fell behind, listing again", controller="node")

    async def usage_of(self, instances: Sequence[InstanceKey]) -> Mapping[InstanceKey, Sequence[ContainerUsage]]:
        """See `core.stats.Usage`."""
        loops = [(instance, loop) for instance in instances if (loop := self._loops.get(instance.uid)) is not None]
        found = {instance: await loop.usage() for instance, loop in loops}
        return {instance: usage for instance, usage in found.items() if usage}

    async def _follow(self, group: asyncio.TaskGroup, started: Started) -> None:
        listing = await self._store.list(POD)
        present = {pod["metadata"]["uid"]: pod for pod in listing.items}
        self._tools.folders.sweep({*present, *self._loops})
        for uid, loop in self._loops.items():
            if uid not in present:
                loop.removed()
        for pod in present.values():
            self._notice(group, pod)
        started()
        async with self._store.watch(POD, since=listing.resource_version) as changes:
            async for event in changes:
                if event.type is EventType.DELETED:
                    if (gone := self._loops.get(event.object["metadata"]["uid"])) is not None:
                        gone.removed()
                elif event.type is not EventType.BOOKMARK:
                    self._notice(group, event.object)

    async def _keep_fresh(self, word: str, kind: Kind[Any]) -> None:
        """Volumes show what Secrets and ConfigMaps hold, also while a Pod runs."""
        while True:
            try:
                async with self._store.watch(kind) as changes:
                    async for event in changes:
                        if event.type is not EventType.BOOKMARK:
                            metadata = event.object["metadata"]
                            await self._refresh(Source(word, metadata["name"]), metadata["namespace"])
                return  # the store is closed
            except Expired:
                for loop in tuple(self._loops.values()):
                    await loop.ground.refresh()

    async def _follow_claims(self) -> None:
        """Whoever waits for a claim goes on when it has its volume."""
        while True:
            try:
                async with self._store.watch(PERSISTENT_VOLUME_CLAIM) as changes:
                    async for event in changes:
                        if event.type is not EventType.BOOKMARK:
                            self._look_again(event.object["metadata"]["namespace"])
                return  # the store is closed
            except Expired:
                for loop in tuple(self._loops.values()):
                    loop.ground.look_again()

    def _look_again(self, namespace: str) -> None:
        for loop in self._loops.values():
            if loop.instance.namespace == namespace:
                loop.ground.look_again()

    async def _refresh(self, source: Source, namespace: str) -> None:
        for loop in tuple(self._loops.values()):
            if loop.ground.mounts(source, namespace):
                await loop.ground.refresh()

    def _notice(self, group: asyncio.TaskGroup, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        loop = self._loops.get(uid)
        if loop is not None:
            loop.changed(pod)
            return
        loop = self._loops[uid] = PodLoop(pod, self._tools)
        group.create_task(self._run(loop), name=f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}")

    async def _run(self, loop: PodLoop) -> None:
        """A loop that fails (a full disk, a defect of ours) begins again after a while; other Pods do not notice."""
        instance = loop.instance
        try:
            while not await self._succeeds(loop):
                await self._clock.sleep(RETRY_S)
                loop = self._loops[instance.uid] = loop.again()
        finally:
            self._loops.pop(instance.uid, None)

    async def _succeeds(self, loop: PodLoop) -> bool:
        try:
            await loop.run()
        except Exception as error:
            log.exception("the loop of a pod failed", pod=loop.instance.name, error=str(error))
            return False
        return True


def this_machine(ip: str = "127.0.0.1") -> Host:
    """What Pods are told of where they run."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Host(socket.gethostname(), ip, os.cpu_count() or 1, memory)


def make_node(
    store: Store, clock: Clock, loads: InstanceLoads, runtimes: Mapping[str, Runtime], data_dir: Path
) -> tuple[Node, Planner]:
    """The node over `data_dir`/pods and /volumes, and the planner that it shares."""
    planner = Planner(store, clock, this_machine(), Places(data_dir / "pods", data_dir / "volumes"), runtimes)
    return Node(store, clock, loads, planner, VolumeFiles(planner.places.volumes)), planner
