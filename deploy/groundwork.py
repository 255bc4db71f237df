"""What a Pod stands on: its plan, its volumes, its sandbox. Made before the first container, undone after the last.

`deploy/pods` makes one per Pod. Whatever is missing (a Secret, an engine) is told, and looked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from core.clock import Clock
from core.reconcile.events import Recorder
from core.resources.meta import Json
from core.resources.pods import Pod
from core.stats import InstanceKey, InstanceLoads
from core.store.base import Store
from deploy.backoff import Failures
from deploy.planning import Planner
from deploy.pod_folders import PodFolders
from deploy.podplan import Planned
from deploy.podsources import Source, mounted
from deploy.podstatus import Waiting
from deploy.reports import Reporter
from deploy.runtimes.base import Sandbox, StartError
from deploy.scheduling import UNSCHEDULABLE
from deploy.volume_files import VolumeFiles

REPLAN_S = 5.0  # how soon a missing Secret, or an engine that is away, is looked for again


@dataclass(frozen=True, slots=True)
class Tools:
    """What every Pod's loop shares."""

    store: Store
    clock: Clock
    loads: InstanceLoads
    planner: Planner
    failures: Failures
    volumes: VolumeFiles
    folders: PodFolders
    recorder: Recorder


class Groundwork:
    """`look` gives the newest version of the Pod."""

    def __init__(
        self,
        instance: InstanceKey,
        look: Callable[[], Json],
        tools: Tools,
        reporter: Reporter,
    ) -> None:
        self._instance, self._look, self._reporter = instance, look, reporter
        self._planner, self._volumes, self._clock = tools.planner, tools.volumes, tools.clock
        self._folders = tools.folders
        self._planned: Planned | None = None
        self._mounted: frozenset[Source] = frozenset()
        self._outdated = False  # what is being planned
        self._news = asyncio.Event()
        self.blocked: Waiting | None = None
        self.sandbox: Sandbox | None = None

    async def plan(self) -> tuple[Planned, Pod]:
        """The plan, as soon as everything that it needs is there; its volumes are."""
        while True:
            try:
                self._outdated = False
                pod = self._look()
                planned, typed = await self._planner.plan(pod)
                if self._outdated:
                    continue
                self._planner.runtime(pod)
                self._volumes.take(planned)
                self._planned, self.blocked = planned, None
                self._mounted = frozenset(mounted(typed.spec))
                return planned, typed
            except StartError as error:
                await self._wait_blocked(error)

    async def open(self, planned: Planned) -> Sandbox:
        self._folders.make(self._planner.places.of_pod(self._instance))
        while True:
            try:
                self.sandbox = await self._planner.runtime(self._look()).sandbox(planned.plan)
                self.blocked = None
                return self.sandbox
            except StartError as error:
                await self._wait_blocked(error)

    @property
    def unschedulable(self) -> str:
        return self.blocked.message if self.blocked is not None and self.blocked.reason == UNSCHEDULABLE else ""

    async def undo(self) -> None:
        """Nothing that runs, no port, no volume."""
        sandbox, self.sandbox = self.sandbox, None
        if sandbox is not None:
            await sandbox.remove()
        planned, self._planned = self._planned, None
        if planned is not None:
            self._volumes.give_back(planned)

    def mounts(self, source: Source, namespace: str) -> bool:
        """Whether its volumes show this, or may, once it is planned."""
        return namespace == self._instance.namespace and (source in self._mounted or self._planned is None)

    async def refresh(self) -> None:
        """Something that its volumes show has changed. One that is missing now stays as it was, as with a kubelet."""
        if self._planned is None:
            self._outdated = True
            return
        try:
            planned, _ = await self._planner.plan(self._look())
            if self._planned is not None:  # it may have ended meanwhile
                self._volumes.refresh(planned)
        except (StartError, OSError) as error:
            self._reporter.event("Warning", "FailedMount", str(error))

    def look_again(self) -> None:
        """Something that it may wait for has changed."""
        self._news.set()

    async def _wait_blocked(self, error: StartError) -> None:
        before = self.blocked
        self.blocked = Waiting(error.reason, error.message, self._clock.wall() + REPLAN_S)
        if before is None or (before.reason, before.message) != (error.reason, error.message):
            if error.reason == UNSCHEDULABLE:
                self._reporter.event("Warning", "FailedScheduling", error.message)
            else:
                self._reporter.event("Warning", "Failed", f"Error: {error.message}")
            self._reporter.touch(True)
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(each) for each in (self._clock.sleep(REPLAN_S), self._news.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        self._news.clear()  # only now: what is heard while it looks is looked at once more
