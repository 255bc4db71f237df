"""One machine without its gateway: a Knative Service becomes processes that run, by the real controllers and node."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from core.clock import SystemClock
from core.reconcile.controller import Controller
from core.reconcile.events import Recorder
from core.reconcile.garbage import GarbageCollector
from core.resources.conditions import find_condition
from core.resources.core_v1 import SECRET
from core.resources.hosts import Hosts
from core.resources.kinds import KINDS
from core.resources.meta import AdmissionContext, Json
from core.resources.pods import POD
from core.resources.serving import REVISION, SERVICE
from core.resources.workloads import DEPLOYMENT
from core.settings.config_maps import CONFIG_MAPS, settings_of
from core.stats import NoLoads, StatisticBus
from core.store.memory import MemoryStore
from deploy.controllers.config import LiveSettings
from deploy.controllers.deployment import WATCHES, DeploymentReconciler
from deploy.controllers.registry import make_controllers
from deploy.controllers.world import World
from deploy.images import ImageProblem, Resolved, RuntimeProblem
from deploy.local_images import LocalImages
from deploy.node import make_node
from deploy.runtimes.base import Address
from deploy.runtimes.ports import Ports
from deploy.runtimes.process import ProcessRuntime
from deploy.runtimes.spawning import SpawnerLink
from tests.support.pods import is_ready, node_world
from tests.support.runtime_contract import http_status, wait_refused
from tests.support.servers import compiled_server


class Machine:
    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore(KINDS, SystemClock())
        (folder / "hosts").write_text("127.0.0.1 localhost\n")
        link = SpawnerLink(f"pilotlight-test-{os.getpid()}-machine", folder / "hosts")
        self.runtime = ProcessRuntime(link, Ports())
        clock = SystemClock()
        self.node, planner = make_node(self.store, clock, NoLoads(), {"process": self.runtime}, folder)
        images = LocalImages(planner)
        recorder = Recorder(self.store, clock, "test")
        hosts, bus = Hosts(public_port=8080), StatisticBus()
        world = World(self.store, clock, recorder, LiveSettings(self.store), hosts, images, bus)
        deployments = DeploymentReconciler(self.store, NoLoads(), clock)
        self.controllers = [
            *make_controllers(world),
            Controller("deployment", self.store, deployments, WATCHES, clock),
            GarbageCollector(self.store, KINDS, clock),
        ]

    async def apply(self, command: str, **container: object) -> None:
        main = {"image": "anything", "command": [command], **container}
        template = {"spec": {"runtimeClassName": "process", "containers": [main]}}
        obj = {
            "apiVersion": SERVICE.api_version,
            "kind": "Service",
            "metadata": {"name": "hello", "namespace": "default"},
            "spec": {"template": template},
        }
        context = AdmissionContext(user="ann", settings={name: settings_of(name, None) for name in CONFIG_MAPS})
        SERVICE.default(obj, context)
        assert not list(SERVICE.validate(obj, context))
        await self.store.create(SERVICE, obj)

    async def until(self, look: Callable[[], Awaitable[Json | None]], holds: Callable[[Json], bool]) -> Json:
        latest: Json | None = None
        try:
            async with asyncio.timeout(20):
                while True:
                    latest = await look()
                    if latest is not None and holds(latest):
                        return latest
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"it never held: {latest}") from None

    async def pod(self) -> Json | None:
        return next(iter((await self.store.list(POD)).items), None)

    async def revision(self) -> Json | None:
        return next(iter((await self.store.list(REVISION)).items), None)

    async def scale(self, replicas: int) -> None:
        def change(obj: Json) -> Json:
            obj["spec"]["replicas"] = replicas
            return obj

        (deployment,) = (await self.store.list(DEPLOYMENT)).items
        await self.store.modify(DEPLOYMENT, deployment["metadata"]["name"], "default", change)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Machine]:
    machine = Machine(folder)
    async with asyncio.TaskGroup() as group:
        started = asyncio.Event()
        tasks = [group.create_task(machine.runtime.run(started.set))]
        await started.wait()
        tasks.append(group.create_task(machine.node.run(lambda: None)))
        tasks += [group.create_task(controller.run(lambda: None)) for controller in machine.controllers]
        try:
            yield machine
        finally:
            for task in tasks:
                task.cancel()


def address_of(pod: Json) -> Address:
    host, _, port = pod["metadata"]["annotations"]["pilotlight.dev/address"].rpartition(":")
    return Address(host, int(port))


def test_a_service_runs_sleeps_wakes_and_goes(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), running(tmp_path) as machine:
            await machine.apply(str(compiled_server()))
            first = await machine.until(machine.pod, is_ready)
            assert await http_status(address_of(first)) == 200
            await machine.until(
                machine.revision, lambda obj: (find_condition(obj, "ContainerHealthy") or {}).get("status") == "True"
            )
            await machine.scale(0)
            await wait_refused(address_of(first))
            await machine.scale(2)
            name = first["metadata"]["name"]  # it may still be listed
            again = await machine.until(machine.pod, lambda pod: is_ready(pod) and pod["metadata"]["name"] != name)
            assert await http_status(address_of(again)) == 200
            await machine.store.delete(SERVICE, "hello", "default")
            await wait_refused(address_of(again))

    asyncio.run(main())


def test_a_command_that_does_not_exist_is_told_by_the_revision(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), running(tmp_path) as machine:
            await machine.apply("/no/such/server")
            revision = await machine.until(
                machine.revision, lambda obj: (find_condition(obj, "Ready") or {}).get("status") == "False"
            )
            assert "/no/such/server" in (find_condition(revision, "Ready") or {})["message"]

    asyncio.run(main())


def test_images_are_resolved_by_the_runtime_that_would_run_them(tmp_path: Path) -> None:
    async def main() -> None:
        async with node_world(tmp_path) as world:
            _, planner = make_node(world.store, SystemClock(), NoLoads(), {"fake": world.runtime}, tmp_path / "other")
            images = LocalImages(planner)

            async def resolve(runtime: str, image: str) -> object:
                return await images.resolve("default", {"runtimeClassName": runtime}, {"name": "a", "image": image})

            assert await resolve("fake", "fake/serve") == Resolved("fake/serve@sha256:fake")
            assert await resolve("fake", "test/nowhere") == ImageProblem('no such image: "test/nowhere"')
            assert isinstance(await resolve("container", "x"), RuntimeProblem)

            document = b'{"auths": {"ghcr.io": {"auth": "dTpw"}}}'
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "pull", "namespace": "default"},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": base64.b64encode(document).decode()},
            }
            await world.store.create(SECRET, secret)
            spec = {"runtimeClassName": "fake", "imagePullSecrets": [{"name": "pull"}, {"name": "missing"}]}
            await images.resolve("default", spec, {"name": "a", "image": "fake/serve"})
            assert world.runtime.resolved_with == {"ghcr.io": {"auth": "dTpw"}}, "with its pull secrets"

    asyncio.run(main())
