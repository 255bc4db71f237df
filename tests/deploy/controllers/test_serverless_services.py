"""A revision's instances as Knative's clients count them, through the controller and a store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.reconcile.controller import Controller
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.conditions import find_condition
from core.resources.core_services import ENDPOINTS
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.meta import Json
from core.resources.networking import SERVERLESS_SERVICE
from core.resources.pods import POD
from core.store.base import DeleteOptions
from core.store.memory import MemoryStore
from deploy.controllers.serverless_services import EMPTY_S, TOLD_AFTER_S, ServerlessServiceReconciler
from tests.deploy.test_serverless_services import SCALER, pod
from tests.support.clock import FakeClock, settle

KINDS = (SERVERLESS_SERVICE, ENDPOINTS, ENDPOINT_SLICE)
PRIVATE = {"kubernetes.io/service-name": "hello-00001-private"}


class Cluster:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore((POD_AUTOSCALER, POD, *KINDS), self.clock)

    async def told(self) -> None:
        await settle()
        await self.clock.advance(2 * TOLD_AFTER_S)
        await settle()

    async def start(self, name: str, port: int, ready: bool = True) -> None:
        made = pod(name, port, ready)
        made["metadata"] |= {"namespace": "default", "labels": {"serving.knative.dev/revision": "hello-00001"}}
        del made["metadata"]["uid"]
        await self.store.create(POD, made)

    async def ready(self) -> set[str]:
        slices = (await self.store.list(ENDPOINT_SLICE, labels=PRIVATE)).items
        ends = [end for each in slices for end in each["endpoints"]]
        return {end["targetRef"]["name"] for end in ends if end["conditions"]["ready"]}

    async def condition(self) -> str:
        found = find_condition(await self.store.get(SERVERLESS_SERVICE, "hello-00001", "default")) or {}
        return str(found["status"])


def run(test: Callable[[Cluster], Awaitable[None]]) -> None:
    async def main() -> None:
        cluster = Cluster()
        reconciler = ServerlessServiceReconciler(cluster.store, cluster.clock)
        controller = Controller("sks", cluster.store, reconciler, reconciler.watches, cluster.clock)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            started = asyncio.Event()
            task = group.create_task(controller.run(started.set))
            await started.wait()
            await cluster.store.create(POD_AUTOSCALER, _unstored(SCALER))
            await test(cluster)
            task.cancel()

    asyncio.run(main())


def _unstored(obj: Json) -> Json:
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name != "uid"}}


def test_instances_come_get_ready_and_go() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.start("a", 20001)
        await cluster.start("b", 20002, ready=False)
        await settle()
        assert (await cluster.store.list(SERVERLESS_SERVICE)).items == []  # out of the way of the start
        await cluster.told()
        assert await cluster.ready() == {"a"}
        assert await cluster.condition() == "True"
        await cluster.store.modify(POD, "b", "default", _made_ready, "status")
        await cluster.told()
        assert await cluster.ready() == {"a", "b"}
        for name in ("a", "b"):
            await cluster.store.modify(POD, name, "default", lambda obj: {**obj, "status": {}}, "status")
        await cluster.told()
        assert await cluster.ready() == set()
        assert await cluster.condition() == "Unknown"

    run(test)


def test_a_revision_that_sleeps_has_none() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.start("a", 20001)
        await cluster.told()
        assert await cluster.ready() == {"a"}
        await cluster.store.delete(POD, "a", "default", DeleteOptions(grace_period_s=0))  # a node: it has ended
        await cluster.told()
        empty = await cluster.store.get(ENDPOINTS, "hello-00001-private", "default")
        assert empty["subsets"] == []  # who counts sees it go to zero
        assert await cluster.condition() == "Unknown"
        await cluster.clock.advance(EMPTY_S)
        await settle()
        for kind in KINDS:
            assert (await cluster.store.list(kind)).items == [], kind

    run(test)


def test_it_outlives_a_nap() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.start("a", 20001)
        await cluster.told()
        await cluster.store.delete(POD, "a", "default", DeleteOptions(grace_period_s=0))
        await cluster.told()
        await cluster.clock.advance(EMPTY_S / 2)
        await cluster.start("b", 20002)
        await cluster.told()
        await cluster.clock.advance(2 * EMPTY_S)
        await settle()
        assert await cluster.ready() == {"b"}

    run(test)


def test_a_predecessors_is_not_taken_over() -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.start("a", 20001)
        await cluster.told()
        before = await cluster.store.get(SERVERLESS_SERVICE, "hello-00001", "default")
        await cluster.store.delete(POD_AUTOSCALER, "hello-00001", "default")
        await cluster.store.create(POD_AUTOSCALER, _unstored(SCALER))
        await cluster.start("b", 20002)
        await cluster.told()
        for kind in KINDS:  # the collector does this
            for obj in (await cluster.store.list(kind)).items:
                await cluster.store.delete(kind, obj["metadata"]["name"], "default")
        for _ in range(3):
            await cluster.clock.advance(60)
            await settle()
        after = await cluster.store.get(SERVERLESS_SERVICE, "hello-00001", "default")
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        assert await cluster.ready() == {"a", "b"}

    run(test)


def _made_ready(obj: Json) -> Json:
    return {**obj, "status": {**obj["status"], "conditions": [{"type": "Ready", "status": "True"}]}}
