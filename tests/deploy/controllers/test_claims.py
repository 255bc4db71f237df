"""deploy/controllers/claims.py, deploy/controllers/volumes.py: claims against a store, a disk, and the real node."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from core.errors import NotFound
from core.reconcile.controller import Controller
from core.reconcile.events import Recorder
from core.resources.core_v1 import EVENT
from core.resources.meta import AdmissionContext, Json, Kind
from core.resources.pods import POD
from core.resources.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from core.store.memory import MemoryStore
from deploy.claims import standard_class
from deploy.controllers.claims import ClaimReconciler
from deploy.controllers.volumes import VolumeReconciler
from tests.support.pods import KINDS, NodeWorld, condition, container, is_ready, node_world, pod

DEADLINE_S = 15.0


class World:
    """A store, both controllers over it, a folder."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.store = MemoryStore(KINDS, self.clock)
        self.folders = folder / "claims"

    def controllers(self) -> Iterable[Controller]:
        recorder = Recorder(self.store, self.clock, "test")
        claims = ClaimReconciler(self.store, self.clock, recorder, self.folders)
        volumes = VolumeReconciler(self.store, self.clock, recorder, self.folders)
        yield Controller("claims", self.store, claims, claims.watches, self.clock)
        yield Controller("volumes", self.store, volumes, volumes.watches, self.clock)

    async def create(self, kind: Kind[Any], obj: Json) -> Json:
        kind.default(obj, AdmissionContext())
        return await self.store.create(kind, obj)

    async def claim(self, name: str = "data", **spec: Any) -> Json:
        wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
        return await self.create(
            PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": name, "namespace": "default"}, "spec": wanted}
        )

    async def volume(self, name: str, path: Path, **spec: Any) -> Json:
        given = {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "5Gi"},
            "hostPath": {"path": str(path)},
            **spec,
        }
        return await self.create(PERSISTENT_VOLUME, {"metadata": {"name": name}, "spec": given})

    async def until(self, kind: Kind[Any], name: str, holds: Callable[[Json], bool]) -> Json:
        latest: Json = {}
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    with contextlib.suppress(NotFound):
                        latest = await self.store.get(kind, name, "default" if kind.namespaced else "")
                        if holds(latest):
                            return latest
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"it never held: {latest}") from None

    async def until_bound(self, name: str = "data") -> Json:
        return await self.until(PERSISTENT_VOLUME_CLAIM, name, phase_is("Bound"))

    async def until_gone(self, kind: Kind[Any], name: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(NotFound):
                while True:
                    await self.store.get(kind, name, "default" if kind.namespaced else "")
                    await asyncio.sleep(0.005)

    async def until_said(self, reason: str) -> str:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for event in (await self.store.list(EVENT)).items:
                    if event["reason"] == reason:
                        return str(event["message"])
                await asyncio.sleep(0.005)

    async def delete(self, kind: Kind[Any], name: str) -> None:
        await self.store.delete(kind, name, "default" if kind.namespaced else "")


def phase_is(phase: str) -> Callable[[Json], bool]:
    return lambda obj: (obj.get("status") or {}).get("phase") == phase


def run(tmp_path: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World(tmp_path)
        await world.store.create(STORAGE_CLASS, standard_class())
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            tasks = []
            for controller in world.controllers():
                started = asyncio.Event()
                tasks.append(group.create_task(controller.run(started.set)))
                await started.wait()
            await test(world)
            for task in tasks:
                task.cancel()

    asyncio.run(main())


def test_a_claim_gets_a_folder_that_goes_with_it(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.claim()
        bound = await world.until_bound()
        name = bound["spec"]["volumeName"]
        assert bound["spec"]["storageClassName"] == "standard"
        assert bound["status"]["capacity"] == {"storage": "1Gi"}
        volume = await world.store.get(PERSISTENT_VOLUME, name)
        assert volume["status"]["phase"] == "Bound"
        folder = Path(volume["spec"]["hostPath"]["path"])
        assert folder == world.folders / f"{name}_default_data"
        assert folder.stat().st_mode & 0o777 == 0o777
        assert name in await world.until_said("ProvisioningSucceeded")
        (folder / "kept").write_text("x")
        await world.delete(PERSISTENT_VOLUME_CLAIM, "data")
        await world.until_gone(PERSISTENT_VOLUME, name)
        assert list(world.folders.iterdir()) == []

    run(tmp_path, test)


def test_a_claim_of_an_unknown_class_waits_until_there_is_the_class(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.claim(storageClassName="slow")
        assert await world.until_said("ProvisioningFailed") == 'storageclass.storage.k8s.io "slow" not found'
        pending = await world.store.get(PERSISTENT_VOLUME_CLAIM, "data", "default")
        assert pending["status"] == {"phase": "Pending"}
        slow = {**standard_class(), "metadata": {"name": "slow"}, "reclaimPolicy": "Retain"}
        await world.create(STORAGE_CLASS, slow)
        bound = await world.until_bound()
        await world.delete(PERSISTENT_VOLUME_CLAIM, "data")
        kept = await world.until(PERSISTENT_VOLUME, bound["spec"]["volumeName"], phase_is("Released"))
        assert Path(kept["spec"]["hostPath"]["path"]).is_dir(), "its class retains"

    run(tmp_path, test)


def test_volumes_made_by_hand_are_found_and_left_alone(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        mine = tmp_path / "mine"
        mine.mkdir()
        await world.volume("big", mine, storageClassName="manual", persistentVolumeReclaimPolicy="Delete")
        await world.until(PERSISTENT_VOLUME, "big", phase_is("Available"))
        await world.claim(storageClassName="manual")
        bound = await world.until_bound()
        assert (bound["spec"]["volumeName"], bound["status"]["capacity"]) == ("big", {"storage": "5Gi"})
        volume = await world.until(PERSISTENT_VOLUME, "big", phase_is("Bound"))
        assert volume["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]
        await world.delete(PERSISTENT_VOLUME, "big")
        await world.delete(PERSISTENT_VOLUME_CLAIM, "data")
        await world.until_gone(PERSISTENT_VOLUME, "big")
        assert "is left alone" in await world.until_said("VolumeFailedDelete")
        assert mine.is_dir()

    run(tmp_path, test)


def test_two_claims_never_have_one_volume(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for name in ("one", "two", "three"):
            await world.claim(name, storageClassName="manual")
        await world.volume("a", tmp_path / "a", storageClassName="manual")
        await world.volume("b", tmp_path / "b", storageClassName="manual")

        def taken(volume: Json) -> bool:
            return phase_is("Bound")(volume)

        volumes = [await world.until(PERSISTENT_VOLUME, name, taken) for name in ("a", "b")]
        owners = {volume["spec"]["claimRef"]["name"] for volume in volumes}
        for owner in owners:
            await world.until_bound(owner)
        (left,) = {"one", "two", "three"} - owners
        assert (await world.store.get(PERSISTENT_VOLUME_CLAIM, left, "default"))["status"]["phase"] == "Pending"

    run(tmp_path, test)


def test_a_claim_grows_with_its_volume(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.claim()
        bound = await world.until_bound()

        def more(obj: Json) -> Json:
            return {**obj, "spec": {**obj["spec"], "resources": {"requests": {"storage": "2Gi"}}}}

        await world.store.modify(PERSISTENT_VOLUME_CLAIM, "data", "default", more)
        await world.until(PERSISTENT_VOLUME_CLAIM, "data", lambda obj: obj["status"]["capacity"] == {"storage": "2Gi"})
        volume = await world.store.get(PERSISTENT_VOLUME, bound["spec"]["volumeName"])
        assert volume["spec"]["capacity"] == {"storage": "2Gi"}

    run(tmp_path, test)


def test_a_claim_whose_volume_was_taken_away_is_lost(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.claim()
        name = (await world.until_bound())["spec"]["volumeName"]

        def unprotected(obj: Json) -> Json:
            return {**obj, "metadata": {**obj["metadata"], "finalizers": []}}

        await world.delete(PERSISTENT_VOLUME, name)
        assert (await world.store.get(PERSISTENT_VOLUME, name))["status"]["phase"] == "Bound", "it is in use"
        await world.store.modify(PERSISTENT_VOLUME, name, "", unprotected)
        await world.until(PERSISTENT_VOLUME_CLAIM, "data", phase_is("Lost"))

    run(tmp_path, test)


def test_a_folder_that_cannot_be_removed_is_told_of(tmp_path: Path, monkeypatch: Any) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    async def test(world: World) -> None:
        await world.claim()
        name = (await world.until_bound())["spec"]["volumeName"]
        monkeypatch.setattr("deploy.controllers.volumes.remove_folder", refuse)
        await world.delete(PERSISTENT_VOLUME_CLAIM, "data")
        failed = await world.until(PERSISTENT_VOLUME, name, phase_is("Failed"))
        assert "Permission denied" in failed["status"]["message"]

    run(tmp_path, test)


# --- with Pods


def using(claim: str, **source: Any) -> Json:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim, **source}}
    return pod(container(volumeMounts=[{"name": "data", "mountPath": "/data"}]), volumes=[volume])


def run_with_node(tmp_path: Path, test: Callable[[World, NodeWorld], Awaitable[None]]) -> None:
    async def both(world: World) -> None:
        async with node_world(tmp_path, store=world.store) as node:
            await test(world, node)

    run(tmp_path, both)


def test_a_pod_waits_for_its_claim_and_then_does_not_wait(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("deploy.groundwork.REPLAN_S", 3600.0)

    async def test(world: World, node: NodeWorld) -> None:
        name = await node.create(using("data", readOnly=True))
        stuck = await node.until(name, lambda obj: condition(obj, "PodScheduled")["status"] == "False")
        said = condition(stuck, "PodScheduled")
        assert said["reason"] == "Unschedulable"
        assert said["message"] == '0/1 nodes are available: persistentvolumeclaim "data" not found.'
        await world.claim()
        await node.until(name, is_ready)
        (mount,) = node.runtime.sandboxes[name].plan.containers[0].mounts
        assert mount.source.parent == world.folders
        assert (mount.path, mount.read_only) == ("/data", True)

    run_with_node(tmp_path, test)


def test_a_claim_stays_while_a_pod_uses_it(tmp_path: Path) -> None:
    async def test(world: World, node: NodeWorld) -> None:
        await world.claim()
        bound = await world.until_bound()
        name = await node.create(using("data"))
        await node.until(name, is_ready)
        await world.delete(PERSISTENT_VOLUME_CLAIM, "data")
        late = await node.create(using("data"))
        stuck = await node.until(late, lambda obj: condition(obj, "PodScheduled")["status"] == "False")
        assert "is being deleted" in condition(stuck, "PodScheduled")["message"]
        assert (await world.store.get(PERSISTENT_VOLUME_CLAIM, "data", "default"))["metadata"]["deletionTimestamp"]
        assert [path.name for path in world.folders.iterdir()] == [f"{bound['spec']['volumeName']}_default_data"]
        await world.store.delete(POD, name, "default")
        await world.until_gone(PERSISTENT_VOLUME_CLAIM, "data")
        await world.until_gone(PERSISTENT_VOLUME, bound["spec"]["volumeName"])

    run_with_node(tmp_path, test)


def test_a_folder_that_is_gone_is_told_of_and_not_made_anew(tmp_path: Path) -> None:
    async def test(world: World, node: NodeWorld) -> None:
        await world.claim()
        bound = await world.until_bound()
        folder = world.folders / f"{bound['spec']['volumeName']}_default_data"
        folder.rmdir()
        name = await node.create(using("data"))
        assert f"{folder} is not a directory" in await node.until_said(name, "Failed")
        assert not folder.exists()

    run_with_node(tmp_path, test)
