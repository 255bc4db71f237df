"""Jobs against a store, and against the real node with the fake runtime: Pods come, end, are counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from core.errors import NotFound
from core.reconcile.controller import Controller
from core.reconcile.events import Recorder
from core.resources.batch import JOB, default_job
from core.resources.core_v1 import EVENT
from core.resources.meta import AdmissionContext, Json
from core.resources.pods import POD
from core.store.base import DeleteOptions
from core.store.memory import MemoryStore
from deploy.controllers.job import WATCHES, JobReconciler
from tests.support.clock import FakeClock
from tests.support.pods import KINDS, node_world


class World:
    """A store, the controller over it, and Pods that end when the test says so."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore((JOB, POD, EVENT), self.clock)
        reconciler = JobReconciler(self.store, self.clock, Recorder(self.store, self.clock, "test"))
        self.controller = Controller("jobs", self.store, reconciler, WATCHES, self.clock)

    async def make(self, **spec: Any) -> None:
        await self.store.create(JOB, document(**spec))
        await self.clock.advance(0)

    async def pods(self) -> list[Json]:
        return [pod for pod in (await self.store.list(POD)).items if "deletionTimestamp" not in pod["metadata"]]

    async def end(self, name: str, code: int = 0) -> None:
        ended = {"exitCode": code, "finishedAt": "2023-11-14T22:13:20Z"}
        status = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "main", "restartCount": 0, "state": {"terminated": ended}}],
        }
        await self.store.modify(POD, name, "default", lambda pod: {**pod, "status": status}, "status")
        await self.clock.advance(0)

    async def status(self) -> Json:
        return (await self.store.get(JOB, "j", "default"))["status"]

    async def said(self) -> list[str]:
        return [event["reason"] for event in (await self.store.list(EVENT)).items]


def document(**spec: Any) -> Json:
    template = {"spec": {"containers": [{"name": "main", "image": "fake/serve"}], "restartPolicy": "Never"}}
    obj: Json = {
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "j", "namespace": "default"}, "spec": {"template": template, **spec},
    }  # fmt: skip
    default_job(obj, AdmissionContext())
    return obj


def run(test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            started = asyncio.Event()
            task = group.create_task(world.controller.run(started.set))
            await started.wait()
            await test(world)
            task.cancel()

    asyncio.run(main())


def test_pods_are_made_counted_and_kept() -> None:
    async def test(world: World) -> None:
        await world.make(completions=2)
        (first,) = await world.pods()
        assert first["metadata"]["name"].startswith("j-")
        labels = first["metadata"]["labels"]
        assert (labels["job-name"], labels["batch.kubernetes.io/job-name"]) == ("j", "j")
        await world.end(first["metadata"]["name"])
        assert (await world.status())["succeeded"] == 1
        second = next(pod for pod in await world.pods() if pod["metadata"]["name"] != first["metadata"]["name"])
        await world.end(second["metadata"]["name"])
        status = await world.status()
        assert (status["succeeded"], [each["type"] for each in status["conditions"]]) == (
            2, ["SuccessCriteriaMet", "Complete"],
        )  # fmt: skip
        assert len(await world.pods()) == 2, "their logs can be read"
        assert sorted(await world.said()) == ["Completed", "SuccessfulCreate", "SuccessfulCreate"]

    run(test)


def test_a_failure_is_followed_by_another_try_after_a_while_until_the_limit() -> None:
    async def test(world: World) -> None:
        await world.make(backoffLimit=1)
        (first,) = await world.pods()
        await world.end(first["metadata"]["name"], 1)
        assert len(await world.pods()) == 1
        await world.clock.advance(10)
        pods = await world.pods()
        assert len(pods) == 2
        (second,) = (pod for pod in pods if pod["metadata"]["name"] != first["metadata"]["name"])
        await world.end(second["metadata"]["name"], 1)
        status = await world.status()
        assert (status["failed"], status["conditions"][-1]["reason"]) == (2, "BackoffLimitExceeded")
        assert "BackoffLimitExceeded" in await world.said()

    run(test)


def test_indexed_pods_know_their_number() -> None:
    async def test(world: World) -> None:
        await world.make(completions=2, parallelism=2, completionMode="Indexed")
        pods = sorted(await world.pods(), key=lambda pod: pod["metadata"]["name"])
        annotation = "batch.kubernetes.io/job-completion-index"
        assert [pod["metadata"]["annotations"][annotation] for pod in pods] == ["0", "1"]
        assert pods[1]["spec"]["containers"][0]["env"] == [{"name": "JOB_COMPLETION_INDEX", "value": "1"}]
        assert pods[1]["spec"]["hostname"] == "j-1"
        assert pods[1]["metadata"]["name"].startswith("j-1-")

    run(test)


def test_it_is_removed_when_its_time_is_over() -> None:
    async def test(world: World) -> None:
        await world.make(ttlSecondsAfterFinished=30)
        (pod,) = await world.pods()
        await world.end(pod["metadata"]["name"])
        await world.clock.advance(29)
        assert (await world.status())["succeeded"] == 1
        await world.clock.advance(2)
        try:
            await world.status()
        except NotFound:
            return
        raise AssertionError("it is still there")

    run(test)


def test_a_deadline_ends_it_by_itself() -> None:
    async def test(world: World) -> None:
        await world.make(activeDeadlineSeconds=5)
        (pod,) = await world.pods()
        await world.clock.advance(5)
        assert await world.pods() == []
        await world.store.delete(POD, pod["metadata"]["name"], "default", DeleteOptions(grace_period_s=0))
        await world.clock.advance(1)
        status = await world.status()
        assert status["conditions"][-1]["type"] == "Failed"
        assert status["conditions"][-1]["reason"] == "DeadlineExceeded"

    run(test)


def test_on_the_node_a_pod_that_has_ended_holds_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        clock = SystemClock()
        store = MemoryStore((*KINDS, JOB), clock)
        async with (
            asyncio.timeout(20),
            node_world(tmp_path, store=store, clock=clock) as node,
            asyncio.TaskGroup() as group,
        ):
            reconciler = JobReconciler(store, clock, Recorder(store, clock, "test"))
            started = asyncio.Event()
            task = group.create_task(Controller("jobs", store, reconciler, WATCHES, clock).run(started.set))
            await started.wait()
            spec = {
                "containers": [{"name": "main", "image": "fake/end"}],
                "restartPolicy": "Never",
                "runtimeClassName": "fake",
            }
            await store.create(JOB, document(template={"spec": spec}))
            while not (status := (await store.get(JOB, "j", "default")).get("status") or {}).get("completionTime"):
                await asyncio.sleep(0.01)
            assert status["succeeded"] == 1
            (pod,) = (await store.list(POD)).items
            assert pod["status"]["phase"] == "Succeeded"
            while not node.runtime.sandboxes[pod["metadata"]["name"]].removed:
                await asyncio.sleep(0.01)
            task.cancel()

    asyncio.run(main())
