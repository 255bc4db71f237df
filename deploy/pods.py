"""The loop of one Pod: what the kubelet's pod worker does, from the Pod's appearance to its removal.

plan → sandbox → init containers → containers; beside that, the status is written whenever it changes; and when the Pod
is to go: drain, finish, stop, clean up, remove the object. `deploy/node` makes one per Pod and tells it of changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence

import structlog

from core.errors import ApiError, Conflict, NotFound
from core.resources.meta import Json
from core.resources.pilotlight import PAUSED
from core.resources.pods import POD, Pod
from core.resources.serving_labels import REVISION_LABEL
from core.resources.timestamps import epoch_of
from core.stats import ContainerUsage, InstanceKey
from core.store.base import DeleteOptions
from deploy.bounds import Bounds, Verdict
from deploy.containers import ContainerLoop, Ties
from deploy.groundwork import Groundwork, Tools
from deploy.pausing import Pausing
from deploy.podplan import Planned, declared_port
from deploy.podstatus import ContainerSeen, PodSeen, Waiting, pod_phase
from deploy.probing import Where
from deploy.reports import Reporter
from deploy.runtimes.base import Sandbox
from deploy.work_reports import complaints, question_of
from deploy.working import Working

RETRY_S = 5.0  # how soon a store that refuses is tried again
DEFAULT_GRACE_S = 30.0

log = structlog.get_logger()


class PodLoop:
    """`run` returns when the Pod is gone from the machine and from the store."""

    def __init__(self, pod: Json, tools: Tools) -> None:
        metadata = pod["metadata"]
        self.instance = InstanceKey(metadata["namespace"], metadata["name"], metadata["uid"])
        self._pod, self._tools = pod, tools
        self._taken = epoch_of((pod.get("status") or {}).get("startTime") or "") or tools.clock.wall()
        self._restarted = bool((pod.get("status") or {}).get("containerStatuses"))
        self._leave, self._force = asyncio.Event(), asyncio.Event()
        self._pausing = Pausing(self.instance, tools.loads, tools.clock)
        self._reporter = Reporter(self.instance, tools.store, tools.clock, tools.recorder, self._seen)
        self.ground = Groundwork(self.instance, lambda: self._pod, tools, self._reporter)
        annotations = metadata.get("annotations") or {}
        self._working = Working(question_of(annotations), self._main, tools.clock)
        self._bounds = Bounds(tools.clock, lambda: self._pod, self._taken)
        self._verdict: Verdict | None = None
        self._loops: list[ContainerLoop] = []
        self._is_gone = False
        self.changed(pod)

    def changed(self, pod: Json) -> None:
        """The newest version of the object."""
        self._pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._leave.set()
            if pod["metadata"].get("deletionGracePeriodSeconds", 0) == 0:
                self._force.set()
        self._bounds.changed()
        self._pausing.want((pod["metadata"].get("annotations") or {}).get(PAUSED) == "true")

    def removed(self) -> None:
        """The object is gone already: so must be what it ran."""
        self._is_gone = True
        self._leave.set()
        self._force.set()

    def again(self) -> PodLoop:
        """Another loop for the same Pod as it is now, after this one failed."""
        fresh = PodLoop(self._pod, self._tools)
        if self._is_gone:
            fresh.removed()
        return fresh

    async def usage(self) -> Sequence[ContainerUsage]:
        """Of its running containers; nothing at all where one of them cannot be told."""
        found = []
        for loop in self._loops:
            if loop.container is not None:
                if (used := await loop.container.used()) is None:
                    return ()
                found.append(ContainerUsage(loop.plan.name, used.cpu_s, used.memory_bytes))
        return found

    async def run(self) -> None:
        """One that fails leaves nothing running."""
        try:
            await self._run()
        except Exception:
            await self.ground.undo()
            raise

    async def _run(self) -> None:
        pod = self._pod
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            await self._leave.wait()  # it ended in an earlier life of the platform
        else:
            async with asyncio.TaskGroup() as group:
                living, telling, *others = [
                    group.create_task(run(), name=f"pod {self.instance.name}:{name}")
                    for name, run in (
                        ("live", self._live),  # the first: a request may wait for it
                        ("events", lambda: self._reporter.run_events(pod)),
                        ("report", self._reporter.run_reports),
                        (
                            "pause",
                            lambda: self._pausing.run(lambda: (self.ground.sandbox, self._loops), self._reporter),
                        ),
                        ("work", lambda: self._working.run(self._reporter.touch)),
                    )
                ]
                await self._wait_end()
                for task in (living, *others):
                    task.cancel()
                await asyncio.wait((living, *others))
                await self._stop()
                if not self._leave.is_set():
                    await self._stay_failed()
                telling.cancel()
            await self._reporter.say_all(pod)
        await self._clean_up()

    # --- living

    async def _live(self) -> None:
        planned, typed = await self.ground.plan()
        self._bounds.watch(planned.empty)
        sandbox = await self.ground.open(planned)
        self._loops = self._make_loops(planned, typed, sandbox)
        who, host = f"{self.instance.namespace}/{self.instance.name}", self._tools.planner.host.name
        self._reporter.event("Normal", "Scheduled", f"Successfully assigned {who} to {host}")
        for warning in sandbox.warnings:
            self._reporter.event("Warning", "NotHonored", warning)
        for complaint in complaints(self._pod["metadata"].get("annotations") or {}):
            self._reporter.event("Warning", "NotHonored", complaint)
        self._reporter.touch(False)
        await self._run_containers(sandbox)
        # All have ended, and none is started again: the Pod stays to be looked at, and holds nothing.
        await self.ground.undo()

    async def _run_containers(self, sandbox: Sandbox) -> None:
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                if loop.seen.sidecar:
                    group.create_task(loop.run(sandbox), name=loop.plan.name)
                    await loop.up.wait()
                elif loop.plan.init:
                    await loop.run(sandbox)
                    if pod_phase(self._seen()) == "Failed":
                        return
            for loop in self._loops:
                if not loop.plan.init:
                    group.create_task(loop.run(sandbox), name=loop.plan.name)

    def _make_loops(self, planned: Planned, typed: Pod, sandbox: Sandbox) -> list[ContainerLoop]:
        address, tools = sandbox.address, self._tools
        host = address.host if address is not None else tools.planner.host.ip
        documents = {each.name: each for each in (*(typed.spec.init_containers or ()), *typed.spec.containers)}
        before = {
            each["name"]: each
            for field in ("initContainerStatuses", "containerStatuses")
            for each in (self._pod.get("status") or {}).get(field) or ()
        }
        loops = []
        for container in planned.plan.containers:
            port = address.port if address is not None and container.serving else None
            inside = address.inside if address is not None and container.serving else None
            doors = address.doors if address is not None else {}
            ties = Ties(
                name=self.instance.name,
                namespace=self.instance.namespace,
                uid=self.instance.uid,
                owner=self._owner(),
                restart_policy=typed.spec.restart_policy or "Always",
                grace_s=planned.plan.grace_s,
                where=Where(host, port, declared_port(typed) if container.serving else None, inside, doors),
                log_dir=planned.plan.log_dir,
                failures=tools.failures,
                clock=tools.clock,
                changed=self._reporter.touch,
                event=self._reporter.event,
            )
            # A Pod that outlived the platform has been restarted with it, as by a kubelet after a reboot.
            restarts = before[container.name]["restartCount"] + 1 if container.name in before and self._restarted else 0
            is_first = container.init or not typed.spec.init_containers
            loops.append(ContainerLoop(container, documents[container.name], ties, restarts, is_first))
        return loops

    # --- failing

    async def _wait_end(self) -> None:
        """Until it is to go, or has passed a bound: then it has failed before it is stopped, so that nobody sends it
        anything more."""
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(self._leave.wait())
            judging = group.create_task(self._bounds.run())
            await asyncio.wait((leaving, judging), return_when=asyncio.FIRST_COMPLETED)
            if not self._leave.is_set():
                self._verdict = verdict = judging.result()
                self._reporter.event("Warning", verdict.reason, verdict.message)
                await self._reporter.report()
            leaving.cancel()
            judging.cancel()

    async def _stay_failed(self) -> None:
        """The object stays until somebody deletes it."""
        await self._reporter.report()
        await self._leave.wait()

    # --- being seen

    def _seen(self) -> PodSeen:
        host = self._tools.planner.host
        address = self.ground.sandbox.address if self.ground.sandbox is not None else None
        return PodSeen(
            containers=tuple(loop.seen for loop in self._loops) or self._not_yet(),
            restart_policy=self._pod["spec"].get("restartPolicy") or "Always",
            ip=(address.host if address is not None else host.ip) if self.ground.sandbox is not None else "",
            host_ip=host.ip,
            taken=self._taken,
            paused=self._pausing.paused,
            generation=self._pod["metadata"].get("generation", 1),
            node=host.name,
            address="" if address is None else str(address),
            ports="" if address is None else ",".join(f"{inside}={door}" for inside, door in address.doors.items()),
            unschedulable=self.ground.unschedulable,
            in_flight=self._working.said,
            verdict=None if self._verdict is None else (self._verdict.reason, self._verdict.message),
        )

    def _main(self) -> ContainerLoop | None:
        return next((loop for loop in self._loops if not loop.plan.init), None)

    def _not_yet(self) -> tuple[ContainerSeen, ...]:
        """Before there is a sandbox."""
        waiting = self.ground.blocked or Waiting("ContainerCreating")
        spec = self._pod["spec"]
        init = tuple(_waiting(each, waiting, True) for each in spec.get("initContainers") or ())
        main = waiting if not init else Waiting("PodInitializing")
        return (*init, *(_waiting(each, main, False) for each in spec["containers"]))

    # --- ending

    async def _stop(self) -> None:
        """Drains, stops, removes; at once where it was forced."""
        clock, loops = self._tools.clock, [loop for loop in self._loops if loop.is_running]
        grace_s = self._grace_s()
        begun = clock.monotonic()
        for loop in loops:
            self._reporter.event("Normal", "Killing", f"Stopping container {loop.plan.name}")
        if loops and not self._force.is_set():  # also one that is to be frozen, and still has a request in it
            await self._drain(grace_s)
        left_s = 0.0 if self._force.is_set() else max(0.1, grace_s - (clock.monotonic() - begun))
        async with asyncio.TaskGroup() as group:
            stopping = [group.create_task(loop.stop(left_s)) for loop in loops]
            if stopping and not self._force.is_set():
                forced = group.create_task(self._force.wait())
                everything = group.create_task(_all(stopping))
                await asyncio.wait((forced, everything), return_when=asyncio.FIRST_COMPLETED)
                forced.cancel()
                if not everything.done() and self.ground.sandbox is not None:
                    await self.ground.sandbox.remove()  # kills what still runs, which ends the stops
        await self.ground.undo()

    def _grace_s(self) -> float:
        if (asked := self._pod["metadata"].get("deletionGracePeriodSeconds")) is not None:
            return float(asked)
        if self._verdict is not None and self._verdict.grace_s is not None:
            return self._verdict.grace_s
        return float(self._pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_S))

    async def _drain(self, grace_s: float) -> None:
        async with asyncio.TaskGroup() as group:
            draining = group.create_task(self._working.end(self.instance, self._tools.loads, grace_s))
            forced = group.create_task(self._force.wait())
            await asyncio.wait((draining, forced), return_when=asyncio.FIRST_COMPLETED)
            draining.cancel()
            forced.cancel()

    async def _clean_up(self) -> None:
        """Its folder, and the object."""
        tools, name, namespace = self._tools, self.instance.name, self.instance.namespace
        folder = tools.planner.places.of_pod(self.instance)
        await asyncio.to_thread(tools.folders.remove, folder)
        options = DeleteOptions(uid=self.instance.uid, grace_period_s=0)
        while True:
            try:
                await tools.store.delete(POD, name, namespace, options)
                return
            except (NotFound, Conflict):
                return  # gone already, or another of the same name
            except ApiError as error:
                log.warning("pod not removed", pod=name, error=str(error))
                await tools.clock.sleep(RETRY_S)

    def _owner(self) -> Hashable:
        revision = (self._pod["metadata"].get("labels") or {}).get(REVISION_LABEL)
        return (self.instance.namespace, revision) if revision else self.instance.uid


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


def _waiting(container: Json, waiting: Waiting, init: bool) -> ContainerSeen:
    return ContainerSeen(container["name"], container.get("image", ""), init, state=waiting)
