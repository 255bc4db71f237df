"""Templates of sleeping revisions reach their runtime before the first request."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.clock import SystemClock
from core.reconcile.controller import Controller
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json
from core.resources.workloads import DEPLOYMENT
from core.store.memory import MemoryStore
from deploy.planning import Host, Planner
from deploy.podplan import Places
from deploy.preparation import WATCHES, Preparation
from deploy.volume_files import VolumeFiles
from tests.support.pods import KINDS, container
from tests.support.runtime import FakeRuntime

OWNER = {"apiVersion": "serving.knative.dev/v1", "kind": "Revision", "name": "r", "uid": "u", "controller": True}


def deployment(name: str, *, owned: bool = True, runtime: str = "fake", **spec: object) -> Json:
    metadata: Json = {"name": name, "namespace": "default"}
    if owned:
        metadata["ownerReferences"] = [OWNER]
    template = {
        "metadata": {"labels": {"serving.knative.dev/revision": "r"}},
        "spec": {"runtimeClassName": runtime, "containers": [container()], **spec},
    }
    return {"metadata": metadata, "spec": {"replicas": 0, "template": template}}


def test_prepared_once_renewed_and_let_go(tmp_path: Path) -> None:
    async def main() -> None:
        clock = SystemClock()
        store, runtime = MemoryStore(KINDS, clock), FakeRuntime()
        places = Places(tmp_path / "pods", tmp_path / "volumes")
        planner = Planner(store, clock, Host("h", "127.0.0.1", 1, 1 << 30), places, {"fake": runtime})
        preparation = Preparation(store, planner, VolumeFiles(places.volumes))
        controller = Controller("preparation", store, preparation, WATCHES, clock)

        async def until(count: int) -> list[int]:
            async with asyncio.timeout(10):
                while len(runtime.prepared) < count:
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)
            return [spares for _, spares in runtime.prepared]

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            started = asyncio.Event()
            task = group.create_task(controller.run(started.set))
            await started.wait()
            await store.create(CONFIG_MAP, {"metadata": {"name": "cfg", "namespace": "default"}, "data": {"a": "1"}})
            volumes = [{"name": "v", "configMap": {"name": "cfg"}}]
            mounts = [{"name": "v", "mountPath": "/v"}]
            await store.create(DEPLOYMENT, deployment("other", owned=False))
            await store.create(DEPLOYMENT, deployment("process", runtime="process"))
            mounted = deployment("one", volumes=volumes, containers=[container(volumeMounts=mounts)])
            await store.create(DEPLOYMENT, mounted)
            assert await until(1) == [1]
            assert len(list(places.volumes.iterdir())) == 1, "what it mounts is there while it is prepared"

            def scale(obj: Json) -> Json:
                obj["spec"]["replicas"] = 3
                return obj

            await store.modify(DEPLOYMENT, "one", "default", scale)
            assert await until(1) == [1], "scaling prepares nothing anew"

            def change(obj: Json) -> Json:
                obj["spec"]["template"]["spec"]["containers"][0]["args"] = ["x"]
                return obj

            await store.modify(DEPLOYMENT, "one", "default", change)
            assert await until(3) == [1, 0, 1]
            await store.delete(DEPLOYMENT, "one", "default")
            assert await until(4) == [1, 0, 1, 0]
            assert list(places.volumes.iterdir()) == []
            task.cancel()

    asyncio.run(main())
