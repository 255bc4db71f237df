"""Deployments against a store: Pods come, go, are frozen; the status follows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.reconcile.controller import Controller
from core.resources.meta import Json
from core.resources.pilotlight import PAUSED
from core.resources.pods import POD
from core.resources.timestamps import rfc3339
from core.resources.workloads import DEPLOYMENT
from core.stats import InstanceKey, NoLoads
from core.store.memory import MemoryStore
from deploy.controllers.deployment import POD_AFTER_S, WATCHES, DeploymentReconciler, template_hash, wanted_of
from tests.support.clock import FakeClock


class Loads(NoLoads):
    """Some instances are busy."""

    def __init__(self) -> None:
        self.busy: dict[str, int] = {}

    def in_flight(self, instance: InstanceKey) -> int:
        return self.busy.get(instance.name, 0)


class World:
    """A store, the controller over it, and a node that does nothing."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore((DEPLOYMENT, POD), self.clock)
        self.loads = Loads()
        reconciler = DeploymentReconciler(self.store, self.loads, self.clock)
        self.controller = Controller("deployment", self.store, reconciler, WATCHES, self.clock)

    async def act(self) -> None:
        """Everything that the controller does about what has happened, also about what became of Pods."""
        await self.clock.advance(POD_AFTER_S)

    async def pods(self) -> list[Json]:
        await self.act()
        return [pod for pod in (await self.store.list(POD)).items if "deletionTimestamp" not in pod["metadata"]]

    async def make(self, replicas: int, **spec: object) -> None:
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "a"}]}}
        obj = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
        }
        await self.store.create(DEPLOYMENT, obj)

    async def change(self, change: Callable[[Json], None]) -> None:
        def apply(obj: Json) -> Json:
            change(obj["spec"])
            return obj

        await self.store.modify(DEPLOYMENT, "web", "default", apply)

    async def scale(self, replicas: int) -> None:
        await self.change(lambda spec: spec.update(replicas=replicas))

    async def make_ready(self, *names: str) -> None:
        for name in names:

            def change(pod: Json) -> Json:
                condition = {"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(self.clock.wall())}
                return {**pod, "status": {"phase": "Running", "conditions": [condition]}}

            await self.store.modify(POD, name, "default", change, "status")
        await self.act()

    async def status(self) -> Json:
        await self.act()
        return (await self.store.get(DEPLOYMENT, "web", "default"))["status"]


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


def test_pods_are_made_from_the_template_and_counted() -> None:
    async def test(world: World) -> None:
        await world.make(2)
        pods = await world.pods()
        assert len(pods) == 2
        pod = pods[0]
        hash_ = pod["metadata"]["labels"]["pod-template-hash"]
        assert pod["metadata"]["name"].startswith(f"web-{hash_}-")
        assert pod["metadata"]["labels"]["app"] == "web"
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
        assert pod["spec"] == {"containers": [{"name": "main", "image": "a"}]}
        await world.make_ready(pods[0]["metadata"]["name"])
        status = await world.status()
        assert (status["replicas"], status["readyReplicas"], status["unavailableReplicas"]) == (2, 1, 1)

    run(test)


def test_a_pod_that_is_deleted_is_made_again() -> None:
    async def test(world: World) -> None:
        await world.make(1)
        (pod,) = await world.pods()
        await world.store.delete(POD, pod["metadata"]["name"], "default")
        (again,) = await world.pods()
        assert again["metadata"]["name"] != pod["metadata"]["name"]

    run(test)


def test_scale_in_spares_the_busy() -> None:
    async def test(world: World) -> None:
        await world.make(3)
        names = [pod["metadata"]["name"] for pod in await world.pods()]
        await world.make_ready(*names)
        world.loads.busy = {names[0]: 2, names[2]: 1}
        await world.scale(1)
        assert [pod["metadata"]["name"] for pod in await world.pods()] == [names[0]]

    run(test)


def test_at_zero_a_pausing_one_is_frozen_and_thawed() -> None:
    async def test(world: World) -> None:
        template = {
            "metadata": {"labels": {"app": "web"}, "annotations": {"pilotlight.dev/idle-action": "pause"}},
            "spec": {"containers": [{"name": "main"}]},
        }
        await world.make(2, template=template)
        names = [pod["metadata"]["name"] for pod in await world.pods()]
        await world.make_ready(*names)
        await world.scale(0)
        (pod,) = await world.pods()
        assert pod["metadata"]["annotations"][PAUSED] == "true"
        assert "replicas" not in await world.status()
        await world.scale(1)
        (thawed,) = await world.pods()
        assert thawed["metadata"]["name"] == pod["metadata"]["name"]
        assert PAUSED not in thawed["metadata"]["annotations"]

    run(test)


def test_what_the_deployment_says_of_idleness_goes_before_its_template() -> None:
    marks = {"annotations": {"pilotlight.dev/idle-action": "pause"}}
    deployment = {"metadata": {}, "spec": {"template": {"metadata": marks}}}
    assert wanted_of(deployment).keep_paused
    deployment["metadata"] = {"annotations": {"pilotlight.dev/idle-action": "stop"}}
    assert not wanted_of(deployment).keep_paused


def test_a_new_template_rolls_through() -> None:
    async def test(world: World) -> None:
        await world.make(2, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
        old = {pod["metadata"]["name"] for pod in await world.pods()}
        await world.make_ready(*old)
        await world.change(lambda spec: spec["template"]["spec"]["containers"][0].update(image="b"))
        for _ in range(2):
            pods = await world.pods()
            assert len(pods) == 3
            fresh = [pod for pod in pods if pod["spec"]["containers"][0]["image"] == "b"]
            await world.make_ready(*(pod["metadata"]["name"] for pod in fresh))
        pods = await world.pods()
        assert {pod["metadata"]["name"] for pod in pods} & old == set()
        assert len(pods) == 2
        status = await world.status()
        assert (status["updatedReplicas"], status["availableReplicas"]) == (2, 2)

    run(test)


def test_a_paused_deployment_is_left_alone() -> None:
    async def test(world: World) -> None:
        await world.make(1, paused=True)
        assert await world.pods() == []

    run(test)


def test_min_ready_seconds_make_it_available_later() -> None:
    async def test(world: World) -> None:
        await world.make(1, minReadySeconds=10)
        (pod,) = await world.pods()
        await world.make_ready(pod["metadata"]["name"])
        assert "availableReplicas" not in await world.status()
        await world.clock.advance(11)
        assert (await world.status())["availableReplicas"] == 1

    run(test)


def test_the_deadline_passes_without_any_event() -> None:
    async def test(world: World) -> None:
        await world.make(1, progressDeadlineSeconds=30)
        await world.pods()
        await world.clock.advance(40)
        progressing = (await world.status())["conditions"][1]
        assert (progressing["status"], progressing["reason"]) == ("False", "ProgressDeadlineExceeded")

    run(test)


def test_template_hashes_are_equal_for_equal_templates() -> None:
    one = {"spec": {"containers": []}, "metadata": {"labels": {"a": "b", "c": "d"}}}
    same = {"metadata": {"labels": {"c": "d", "a": "b"}}, "spec": {"containers": []}}
    assert template_hash(one) == template_hash(same) != template_hash({"spec": {}})
