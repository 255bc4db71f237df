"""What a node ends a Pod for, seen with a node around it: deadlines, and folders that grow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.resources.meta import Json
from core.resources.pods import POD
from tests.support.clock import FakeClock, settle
from tests.support.pods import NodeWorld, condition, container, is_ready, node_world, phase, pod, state


def run(tmp_path: Path, test: Callable[[NodeWorld], Awaitable[None]], **world: object) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), node_world(tmp_path, **world) as made:
            await test(made)

    asyncio.run(main())


def has_ended(obj: Json) -> bool:
    return "terminated" in state(obj)


def test_a_pod_has_until_its_deadline(tmp_path: Path) -> None:
    clock = FakeClock()

    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(revision=None, activeDeadlineSeconds=30))
        async with asyncio.timeout(10):
            while not is_ready(await world.get(name)):
                await clock.advance(0.1)
        await clock.advance(20)
        assert is_ready(await world.get(name))
        await clock.advance(10.5)
        await settle()
        failed = await world.until(name, has_ended)
        assert (phase(failed), failed["status"]["reason"]) == ("Failed", "DeadlineExceeded")
        assert failed["status"]["message"] == "Pod was active on the node longer than the specified deadline"
        assert condition(failed, "Ready")["reason"] == "PodFailed"
        assert world.runtime.sandboxes[name].removed
        assert await world.get(name) == failed, "it stays to be looked at"

    run(tmp_path, test, clock=clock)


def test_a_deadline_may_be_set_while_the_pod_runs(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(revision=None))
        await world.until(name, is_ready)

        def hurry(obj: Json) -> Json:
            obj["spec"]["activeDeadlineSeconds"] = 1
            return obj

        await world.store.modify(POD, name, "default", hurry)
        await world.until(name, lambda obj: obj["status"].get("reason") == "DeadlineExceeded" and has_ended(obj))
        await world.store.delete(POD, name, "default")
        await world.until_gone(name)

    run(tmp_path, test)


def test_a_pod_whose_folder_grows_too_large_is_evicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.bounds.LOOK_EVERY_S", 0.05)

    async def test(world: NodeWorld) -> None:
        volumes = [{"name": "big", "emptyDir": {"sizeLimit": "64Ki"}}, {"name": "free", "emptyDir": {}}]
        mounts = [{"name": "big", "mountPath": "/big"}, {"name": "free", "mountPath": "/free"}]
        name = await world.create(pod(container(volumeMounts=mounts), volumes=volumes))
        await world.until(name, is_ready)
        big, free = (mount.source for mount in world.runtime.sandboxes[name].plan.containers[0].mounts)
        (free / "x").write_bytes(b"x" * (1 << 20))
        (big / "x").write_bytes(b"x" * (32 << 10))
        await asyncio.sleep(0.2)
        assert is_ready(await world.get(name)), "as much as it may have"
        (big / "deeper").mkdir()
        (big / "deeper/y").write_bytes(b"y" * (64 << 10))
        failed = await world.until(name, has_ended)
        assert (phase(failed), failed["status"]["reason"]) == ("Failed", "Evicted")
        assert failed["status"]["message"] == 'Usage of EmptyDir volume "big" exceeds the limit "64Ki". '
        assert await world.until_said(name, "Evicted")

    run(tmp_path, test)


def test_more_than_the_machine_has_is_never_started(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(container(resources={"requests": {"cpu": "10k"}})))
        stuck = await world.until(name, lambda obj: condition(obj, "PodScheduled")["status"] == "False")
        assert (phase(stuck), condition(stuck, "PodScheduled")["reason"]) == ("Pending", "Unschedulable")
        message = condition(stuck, "PodScheduled")["message"]
        assert message.startswith("0/1 nodes are available: 1 Insufficient cpu (10000 asked for, this machine has ")
        assert "containerStatuses" not in stuck["status"], "Knative takes it as a sign"
        assert await world.until_said(name, "FailedScheduling") == message
        assert "nodeName" not in stuck["spec"]
        await world.store.delete(POD, name, "default")
        await world.until_gone(name)
        assert not world.runtime.sandboxes

    run(tmp_path, test)
