"""ScaledJobs over a store in memory, with ponds for triggers and virtual time: what is made, kept, ended and told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from autoscaler.jobs.controller import ScaledJobs
from core.errors import ApiError, StoreFull
from core.resources.batch import JOB
from core.resources.conditions import find_condition
from core.resources.core_v1 import EVENT, SECRET
from core.resources.keda_auth import TRIGGER_AUTHENTICATION
from core.resources.keda_jobs import SCALED_JOB
from core.resources.kinds import KINDS
from core.resources.meta import Json, Kind, ObjectKey, owner_reference
from core.resources.pods import POD
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from core.tasks import start_service
from scalers.base import World
from scalers.pools import Pools
from tests.autoscaler.triggers.sources import Ponds
from tests.support.virtual_time import VirtualClock, run

NAME = "orders"


class StubbornStore(MemoryStore):
    """That lists no Jobs, or makes none, while it is told not to."""

    broken: set[str] = set()

    async def list(self, kind: Kind[Any], *arguments: Any, **more: Any) -> Any:
        if kind is JOB and "list" in self.broken:
            raise ApiError("jobs cannot be listed")
        return await super().list(kind, *arguments, **more)

    async def create(self, kind: Kind[Any], obj: Json) -> Json:
        if kind is JOB and "create" in self.broken:
            raise StoreFull("the disk is full")
        return await super().create(kind, obj)


class JobsWorld:
    """One ScaledJob, `orders`, that works off the pond `a`: a Job for each thing in it."""

    def __init__(self) -> None:
        self.clock = VirtualClock(1_700_000_000.0)
        self.store = StubbornStore(KINDS, self.clock)
        self.store.broken = set()
        self.ponds = Ponds(self.clock)
        self.jobs = self._new()

    def _new(self) -> ScaledJobs:
        return ScaledJobs(World(self.clock, self.store, StatisticBus(), Pools()), self.ponds.look_up)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = await start_service(group, self.jobs.run, "scaledjobs")
            yield
            task.cancel()

    @contextlib.asynccontextmanager
    async def restarted(self) -> AsyncIterator[None]:
        self.jobs = self._new()
        async with self.running():
            yield

    async def apply(self, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        spec.setdefault("triggers", [{"type": "pond", "metadata": {"pond": "a", "target": "1"}}])
        spec.setdefault("pollingInterval", 5)
        spec["jobTargetRef"] = {"template": {"spec": {"containers": [{"name": "c", "image": "x"}]}}}
        await self.create(SCALED_JOB, NAME, {"metadata": {"annotations": annotations or {}}, "spec": spec})

    async def create(self, kind: Kind[Any], name: str, obj: Json) -> Json:
        metadata = {**obj.get("metadata", {}), "name": name, "namespace": "default"}
        whole = {**obj, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        return await self.store.create(kind, whole)

    async def edit(self, change: Callable[[Json], None], kind: Kind[Any] = SCALED_JOB, name: str = NAME) -> None:
        def changed(obj: Json) -> Json:
            change(obj)
            return obj

        await self.store.modify(kind, name, "default", changed)

    async def all(self) -> list[Json]:
        return (await self.store.list(JOB)).items

    async def count(self) -> int:
        return sum(not (job.get("status") or {}).get("conditions") for job in await self.all())

    async def end(self, how: str = "Complete", most: int = 1000) -> None:
        """Running Jobs end so, oldest first."""
        for job in [job for job in await self.all() if not job.get("status")][:most]:
            now = f"2026-01-01T00:00:{int(self.clock.monotonic()) % 60:02}Z"
            condition = {"type": how, "status": "True", "lastTransitionTime": now}
            status = {"conditions": [condition], "completionTime": now}

            def change(obj: Json, status: Json = status) -> Json:
                return {**obj, "status": status}

            await self.store.modify(JOB, job["metadata"]["name"], "default", change, "status")

    async def pods(self, phase: str) -> None:
        """One for each Job."""
        for job in await self.all():
            labels = {"scaledjob.keda.sh/name": NAME, "batch.kubernetes.io/job-name": job["metadata"]["name"]}
            owners = [owner_reference(JOB, job).to_json()]
            obj = {"metadata": {"labels": labels, "ownerReferences": owners}, "status": {"phase": phase}}
            await self.create(POD, f"{job['metadata']['name']}-pod", obj)

    async def condition(self, type_: str) -> str:
        obj = await self.store.get(SCALED_JOB, NAME, "default")
        found = find_condition(obj, type_) or {}
        return f"{found.get('status')}/{found.get('reason')}: {found.get('message')}"

    async def said(self, reason: str) -> list[str]:
        return [each["message"] for each in (await self.store.list(EVENT)).items if each["reason"] == reason]


def story(play: Callable[[JobsWorld], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        world = JobsWorld()
        async with world.running():
            await play(world)

    run(main())


def test_a_job_for_each_message_and_no_second_one_of_the_same_reading() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 3
        await world.apply()
        await asyncio.sleep(1)
        assert await world.count() == 3
        (job, *_) = await world.all()
        assert job["metadata"]["name"].startswith("orders-")
        assert job["metadata"]["ownerReferences"][0]["kind"] == "ScaledJob"
        await world.end()  # they have taken the messages, and the reading is as old as it was
        await asyncio.sleep(0.1)
        assert await world.count() == 0
        world.ponds["a"].value = 0
        await asyncio.sleep(30)
        assert len(await world.all()) == 3
        assert await world.said("KEDAJobsCreated") == ["Created 3 jobs"]

    story(play)


def test_running_ones_count() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 3
        await world.apply()
        await asyncio.sleep(20)
        assert await world.count() == 3, "their messages wait as long as they are not acknowledged"
        world.ponds["a"].value = 5
        await asyncio.sleep(10)
        assert await world.count() == 5

    story(play)


def test_accurate_counts_pending_ones_by_their_pods() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 3
        await world.apply(scalingStrategy={"strategy": "accurate"})
        await asyncio.sleep(1)
        assert await world.count() == 3
        await asyncio.sleep(10)
        assert await world.count() == 3, "they have not taken their messages yet"
        await world.pods("Running")
        await asyncio.sleep(10)
        assert await world.count() == 6, "what waits now is waiting besides"

    story(play)


def test_the_bounds_hold_and_the_least_is_there_at_once() -> None:
    async def play(world: JobsWorld) -> None:
        await world.apply(minReplicaCount=2, maxReplicaCount=4, pollingInterval=60)
        await asyncio.sleep(1)
        assert await world.count() == 2
        await world.end(most=1)
        await asyncio.sleep(0.5)
        assert await world.count() == 2, "without waiting for a reading"
        world.ponds["a"].value = 100
        await asyncio.sleep(61)
        assert await world.count() == 4

    story(play)


def test_a_failed_list_makes_no_job() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 3
        await world.apply()
        await asyncio.sleep(1)
        world.store.broken.add("list")
        await asyncio.sleep(60)
        world.store.broken.clear()
        await asyncio.sleep(120)
        assert len(await world.all()) == 3

    story(play)


def test_jobs_that_cannot_be_made_are_made_later() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 2
        world.store.broken.add("create")
        await world.apply()
        await asyncio.sleep(1)
        assert await world.said("KEDAJobCreateFailed") == ["Created 0 of 2 jobs: the disk is full"]
        world.store.broken.clear()
        await asyncio.sleep(10)
        assert await world.count() == 2

    story(play)


def test_what_cannot_be_read_is_told_and_makes_nothing() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].error = "the pond is frozen"
        await world.apply()
        await asyncio.sleep(1)
        assert await world.count() == 0
        assert (await world.condition("Ready")).startswith("False/TriggerError")
        assert (await world.condition("Ready")).endswith("the pond is frozen")
        assert (await world.condition("Active")).startswith("False/ScalerNotActive")
        assert len(await world.said("KEDAScalerFailed")) == 1
        world.ponds["a"].error, world.ponds["a"].value = "", 2
        await asyncio.sleep(60)
        assert await world.count() == 2
        assert (await world.condition("Ready")).startswith("True/ScaledJobReady")
        assert (await world.condition("Active")).startswith("True/ScalerActive")
        assert await world.said("ScaledJobReady") == ["ScaledJob is ready for scaling"]

    story(play)


def test_one_that_fails_does_not_hold_up_the_other() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].error, world.ponds["b"].value = "frozen", 2
        triggers = [{"type": "pond", "metadata": {"pond": pond, "target": "1"}} for pond in ("a", "b")]
        await world.apply(triggers=triggers)
        await asyncio.sleep(12)
        assert await world.count() == 2
        assert (await world.condition("Ready")).startswith("Unknown/PartialTriggerError")

    story(play)


@pytest.mark.parametrize(("rollout", "left"), [("immediate", 0), ("gradual", 2)])
def test_a_changed_document(rollout: str, left: int) -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 2
        await world.apply(rollout={"strategy": rollout})
        await asyncio.sleep(1)
        old = {job["metadata"]["uid"] for job in await world.all()}
        world.ponds["a"].value = 0
        await asyncio.sleep(10)
        await world.edit(lambda obj: obj["spec"].update(maxReplicaCount=7))
        await asyncio.sleep(1)
        assert len([job for job in await world.all() if job["metadata"]["uid"] in old]) == left

    story(play)


def test_history() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 5
        await world.apply(successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0)
        await asyncio.sleep(1)
        world.ponds["a"].value = 0
        await world.end("Failed", 2)
        await world.end("Complete")
        await asyncio.sleep(1)
        (kept,) = await world.all()
        assert kept["status"]["conditions"][0]["type"] == "Complete"

    story(play)


def test_a_pause_leaves_ended_jobs_and_those_of_an_older_document() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 2.0
        await world.apply(successfulJobsHistoryLimit=0)
        await asyncio.sleep(2.0)
        assert len(await world.all()) == 2
        world.ponds["a"].value = 0.0
        await world.edit(lambda obj: obj["metadata"].update(annotations={"autoscaling.keda.sh/paused": "true"}))
        await world.end(most=1)
        await world.edit(lambda obj: obj["spec"].update(maxReplicaCount=7))
        await asyncio.sleep(20.0)
        assert len(await world.all()) == 2
        await world.edit(lambda obj: obj["metadata"].update(annotations={}))
        await asyncio.sleep(20.0)
        assert not await world.all()

    story(play)


def test_paused() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 2
        await world.apply({"autoscaling.keda.sh/paused": "true"}, minReplicaCount=1)
        await asyncio.sleep(20)
        assert await world.count() == 0
        assert (await world.condition("Paused")).startswith("True/ScaledJobPaused")
        await world.edit(lambda obj: obj["metadata"]["annotations"].clear())
        await asyncio.sleep(10)
        assert await world.count() == 3
        assert await world.said("ScaledJobUnpaused") == ["ScaledJob is unpaused"]

    story(play)


def test_another_platform_goes_on_where_this_one_ended() -> None:
    async def main() -> None:
        world = JobsWorld()
        world.ponds["a"].value = 3
        async with world.running():
            await world.apply()
            await asyncio.sleep(1)
        async with world.restarted():
            await asyncio.sleep(60)
            assert len(await world.all()) == 3

    run(main())


def test_a_changed_secret_makes_a_new_scaler_and_nothing_shows_it() -> None:
    async def play(world: JobsWorld) -> None:
        reference = {"parameter": "password", "name": "s", "key": "p"}
        await world.create(TRIGGER_AUTHENTICATION, "auth", {"spec": {"secretTargetRef": [reference]}})
        trigger = {"type": "pond", "metadata": {"pond": "a"}, "authenticationRef": {"name": "auth"}}
        await world.apply(triggers=[trigger])
        await asyncio.sleep(1)
        assert "Secret default/s" in await world.condition("Ready")
        await world.create(SECRET, "s", {"data": {"p": "aHVudGVyMjI="}})
        await asyncio.sleep(1)
        assert (world.ponds["a"].password, world.ponds["a"].made) == ("hunter22", 1)
        assert (await world.condition("Ready")).startswith("True")
        await world.edit(lambda obj: obj.update(data={"p": "c2VzYW1lLWFnYWlu"}), SECRET, "s")
        await asyncio.sleep(1)
        assert (world.ponds["a"].password, world.ponds["a"].closed) == ("sesame-again", 1)

    story(play)


def test_it_remembers_why() -> None:
    async def play(world: JobsWorld) -> None:
        world.ponds["a"].value = 2
        await world.apply()
        await asyncio.sleep(11)
        followed = world.jobs.get(ObjectKey("default", NAME))
        assert followed is not None
        decisions = list(followed.history)
        assert decisions[0]["words"] == "make 2 (default): 2 wait, worth 2 Jobs; 0 run, 0 of them pending"
        assert decisions[-1]["words"] == "make none (default): 2 wait, worth 2 Jobs; 2 run, 2 of them pending"
        assert world.jobs.get(ObjectKey("default", "other")) is None
        await world.store.delete(SCALED_JOB, NAME, "default")
        await asyncio.sleep(1)
        assert world.jobs.get(ObjectKey("default", NAME)) is None
        assert len(world.jobs.poller) == 0

    story(play)
