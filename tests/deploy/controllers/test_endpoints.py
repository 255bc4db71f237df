"""Selector Services and the addresses behind them, through the controller and a store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.reconcile.controller import Controller
from core.resources.core_services import CORE_SERVICE, ENDPOINTS
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.meta import Json
from core.resources.pilotlight import ADDRESS
from core.resources.pods import POD
from core.store.memory import MemoryStore
from deploy.controllers.endpoints import EndpointsReconciler
from deploy.endpoints import addresses_of, make_slices
from tests.support.clock import FakeClock, settle


def pod(name: str, port: int, ready: bool = True, labels: dict[str, str] | None = None) -> Json:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"app": "web"} if labels is None else labels,
            "annotations": {ADDRESS: f"127.0.0.1:{port}"},
        },
        "spec": {
            "nodeName": "here",
            "containers": [{"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}],
        },
        "status": {
            "phase": "Running",
            "podIP": "127.0.0.1",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def service(**spec: object) -> Json:
    ports = [{"name": "web", "port": 80, "targetPort": 8080}, {"name": "metrics", "port": 9100}]
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


def run(test: Callable[[MemoryStore], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = FakeClock()
        store = MemoryStore((CORE_SERVICE, POD, ENDPOINTS, ENDPOINT_SLICE), clock)
        reconciler = EndpointsReconciler(store)
        controller = Controller("endpoints", store, reconciler, reconciler.watches, clock)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            started = asyncio.Event()
            task = group.create_task(controller.run(started.set))
            await started.wait()
            await test(store)
            task.cancel()

    asyncio.run(main())


async def slices(store: MemoryStore) -> dict[int, dict[str, bool]]:
    """Port number of `web` → Pod → whether it is ready."""
    await settle()
    return {
        each["ports"][0]["port"]: {end["targetRef"]["name"]: end["conditions"]["ready"] for end in each["endpoints"]}
        for each in (await store.list(ENDPOINT_SLICE, labels={"kubernetes.io/service-name": "web"})).items
    }


def test_pods_come_get_ready_and_go() -> None:
    async def test(store: MemoryStore) -> None:
        await store.create(CORE_SERVICE, service())
        await store.create(POD, pod("a", 20001))
        await store.create(POD, pod("b", 20002, ready=False))
        await store.create(POD, pod("other", 20003, labels={"app": "other"}))
        assert await slices(store) == {20001: {"a": True}, 20002: {"b": False}}
        endpoints = await store.get(ENDPOINTS, "web", "default")
        assert [sorted(subset) for subset in endpoints["subsets"]] == [
            ["addresses", "ports"],
            ["notReadyAddresses", "ports"],
        ]
        assert endpoints["subsets"][0]["ports"] == [
            {"name": "web", "port": 20001, "protocol": "TCP"},
            {"name": "metrics", "port": 9100, "protocol": "TCP"},
        ]
        await store.delete(POD, "a", "default")  # it ends, but is not gone
        assert await slices(store) == {20001: {"a": False}, 20002: {"b": False}}

    run(test)


def test_a_relabelled_pod_leaves_and_a_changed_selector_counts() -> None:
    async def test(store: MemoryStore) -> None:
        await store.create(CORE_SERVICE, service())
        await store.create(POD, pod("a", 20001))

        def relabel(obj: Json) -> Json:
            obj["metadata"]["labels"] = {"app": "moved"}
            return obj

        await store.modify(POD, "a", "default", relabel)
        assert await slices(store) == {}

        def reselect(obj: Json) -> Json:
            obj["spec"]["selector"] = {"app": "moved"}
            return obj

        await store.modify(CORE_SERVICE, "web", "default", reselect)
        assert await slices(store) == {20001: {"a": True}}

    run(test)


def test_a_service_without_a_selector_has_none_of_ours() -> None:
    async def test(store: MemoryStore) -> None:
        await store.create(CORE_SERVICE, service(selector=None))
        await store.create(POD, pod("a", 20001))
        await settle()
        assert (await store.list(ENDPOINTS)).items == []

    run(test)


def test_target_ports_by_name_number_and_default() -> None:
    ports = [
        {"name": "a", "port": 80, "targetPort": "http"},
        {"name": "b", "port": 8080},
        {"name": "c", "port": 81, "targetPort": 9000},
        {"name": "d", "port": 82, "targetPort": "nobody"},
    ]
    stored = {**service(ports=ports)}
    stored["metadata"] = {**stored["metadata"], "uid": "u"}
    member = pod("p", 20001)
    member["metadata"]["uid"] = "v"
    (address,) = addresses_of(stored, [member])
    assert address.ports == (("a", 20001, ""), ("b", 20001, ""), ("c", 9000, ""))
    assert make_slices(stored, [address])[0]["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    member["metadata"]["annotations"]["pilotlight.dev/ports"] = "9001=20003,9000=20002"
    assert addresses_of(stored, [member])[0].ports == (("a", 20001, ""), ("b", 20001, ""), ("c", 20002, ""))


def test_not_ready_addresses_are_published_on_request() -> None:
    stored = service(publishNotReadyAddresses=True)
    member = pod("p", 20001, ready=False)
    member["metadata"]["uid"] = "v"
    assert addresses_of(stored, [member])[0].ready
