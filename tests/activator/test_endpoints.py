"""From stored objects to routes and instances: activator/endpoints.py and service.py over a memory store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from activator.service import Activator
from core.clock import SystemClock
from core.errors import NotFound
from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import ENDPOINT_SLICE
from core.resources.meta import Json
from core.resources.networking import INGRESS
from core.resources.pods import POD
from core.resources.serving import REVISION
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from tests.support.data_path import KINDS, DataPath, data_path, echo_head, eventually, fetch, run, server


async def service(path: DataPath, name: str, **spec: Any) -> None:
    await path.store.create(CORE_SERVICE, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


async def endpoint_slice(path: DataPath, of: str, port: int, *endpoints: Json) -> None:
    await path.store.create(
        ENDPOINT_SLICE,
        {
            "metadata": {"name": f"{of}-x", "namespace": "default", "labels": {"kubernetes.io/service-name": of}},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": port}],
            "endpoints": list(endpoints),
        },
    )


async def status_becomes(path: DataPath, status: int, host: str = "hello.test") -> None:
    for _ in range(100):
        if (response := await fetch(path.port, host=host)).status == status:
            return
    pytest.fail(f"{host} answers {response.status}, not {status}: {response.body!r}")


def test_routes_come_change_and_go() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            await status_becomes(path, 200)

            def move(obj: Json) -> Json:
                obj["spec"]["rules"][0]["hosts"] = ["other.test"]
                return obj

            await path.store.modify(INGRESS, "hello-test", "default", move)
            await status_becomes(path, 200, "other.test")
            await status_becomes(path, 404)
            await path.store.delete(INGRESS, "hello-test", "default")
            await status_becomes(path, 404, "other.test")

    run(main())


def test_what_existed_before_is_known_from_the_start() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            async with data_path_over(path.store) as second:
                assert (await fetch(second)).status == 200

    run(main())


def data_path_over(store: MemoryStore) -> Any:
    import asyncio
    from contextlib import asynccontextmanager

    from core.tasks import start_service

    @asynccontextmanager
    async def over() -> Any:
        activator = Activator(store, SystemClock(), StatisticBus())
        async with asyncio.TaskGroup() as group:
            task = await start_service(group, activator.run, "activator")
            yield await activator.listen("127.0.0.1", 0)
            task.cancel()

    return over()


def test_a_pod_that_moves_is_found_at_its_new_address() -> None:
    async def main() -> None:
        async with server(echo_head) as first, server(echo_head) as second, data_path() as path:
            await path.hello(first)
            await path.pod("hello-pod", "hello-1", second)
            backend = path.backend("hello-1")
            await eventually(
                lambda: [i.endpoint.port for i in backend.instances.values()] == [second], "the old address is kept"
            )

    run(main())


def test_limits_follow_the_revision() -> None:
    async def main() -> None:
        async with data_path() as path:
            await path.revision("hello-1", containerConcurrency=1)

            def raise_limit(obj: Json) -> Json:
                obj["spec"]["containerConcurrency"] = 5
                return obj

            await path.store.modify(REVISION, "hello-1", "default", raise_limit)
            await eventually(lambda: path.backend("hello-1").balancer.limit == 5, "the limit stays")

    run(main())


def test_a_revision_turned_bad_fails_who_waits_and_lets_the_next_try() -> None:
    import asyncio

    async def main() -> None:
        async with data_path() as path:
            await path.sleeping()
            waiting = asyncio.ensure_future(fetch(path.port))
            await eventually(lambda: path.throttler.total.count == 1, "it does not wait")
            bad = {"type": "ContainerHealthy", "status": "False", "reason": "ContainerMissing", "message": "no image"}
            await path.store.modify(
                REVISION, "hello-1", "default", lambda obj: {**obj, "status": {"conditions": [bad]}}, "status"
            )
            response = await asyncio.wait_for(waiting, 10)
            assert (response.status, json.loads(response.body)["reason"]) == (503, "ContainerMissing")
            again = asyncio.ensure_future(fetch(path.port))
            await eventually(lambda: path.throttler.total.count == 1, "it does not wait")
            again.cancel()

    run(main())


def test_a_core_service_by_selector() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await service(path, "db", selector={"app": "db"}, ports=[{"port": 80}])
            await status_becomes(path, 503, "db.default.svc.cluster.local")
            await path.pod("db-0", "", port)
            target = {"kind": "Pod", "name": "db-0"}
            await endpoint_slice(path, "db", 8080, {"addresses": ["127.0.0.1"], "targetRef": target})
            await status_becomes(path, 200, "db.default.svc.cluster.local")
            await status_becomes(path, 200, "db.default")
            await path.store.delete(POD, "db-0", "default")
            await status_becomes(path, 503, "db.default")
            await path.store.delete(CORE_SERVICE, "db", "default")
            await status_becomes(path, 404, "db.default")

    run(main())


def test_a_core_service_with_endpoints_of_its_own() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await service(path, "outside", ports=[{"port": 80}])
            await endpoint_slice(path, "outside", port, {"addresses": ["127.0.0.1"]})
            await status_becomes(path, 200, "outside.default.svc")

    run(main())


def test_external_names() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            await service(path, "alias", type="ExternalName", externalName="hello.test")
            await service(path, "outside", type="ExternalName", externalName="localhost", ports=[{"port": port}])
            await status_becomes(path, 200, "alias.default.svc")
            response = await fetch(path.port, host=f"outside.default.svc:{port}")
            assert b"\r\nHost: localhost\r\n" in response.body

    run(main())


def test_a_thousand_sleeping_services_cost_little_and_a_new_one_is_there_at_once() -> None:
    import time
    import tracemalloc

    async def main() -> None:
        async with data_path() as path:
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            for i in range(1000):
                await path.store.create(REVISION, {"metadata": {"name": f"r{i}", "namespace": "default"}, "spec": {}})
            stored = tracemalloc.get_traced_memory()[0]
            for i in range(1000):
                await path.route(f"h{i}.test", (f"r{i}", 100))
            after = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            assert (after - before) / 1000 < 16_000, (stored - before, after - stored)
            begin = time.process_time()
            await path.revision("new")
            await path.route("new.test", ("new", 100))
            assert time.process_time() - begin < 0.2

    run(main())


def test_a_listener_before_the_start_is_a_mistake() -> None:
    async def main() -> None:
        activator = Activator(MemoryStore(KINDS, SystemClock()), SystemClock(), StatisticBus())
        with pytest.raises(RuntimeError, match="has not been started"):
            await activator.listen("127.0.0.1", 0)
        with pytest.raises(NotFound):
            await activator._store.get(POD, "x", "default")

    run(main())


def test_an_instance_that_runs_and_never_becomes_ready_fails_its_waiters_at_the_deadline() -> None:
    async def main() -> None:
        async with data_path() as path:
            deadline = {"serving.knative.dev/progress-deadline": "200ms"}
            metadata = {"name": "hello-1", "namespace": "default", "annotations": deadline}
            await path.store.create(REVISION, {"metadata": metadata})
            await path.route("hello.test", ("hello-1", 100))
            running = [{"name": "c", "ready": False, "state": {"running": {}}}]
            waiting = asyncio.ensure_future(fetch(path.port))
            await path.pod("slow", "hello-1", 1, ready=False, containerStatuses=running)
            response = await waiting
            assert (response.status, response.header("retry-after")) == (503, "10")
            problem = json.loads(response.body)
            assert problem["reason"] == "ProgressDeadlineExceeded"
            assert problem["message"] == "it has run for 0.2 s and is not ready: container c is not ready"
            assert (await fetch(path.port)).status == 503, "nor does anyone else wait for it"
            async with server(echo_head) as port:
                await path.pod("slow", "hello-1", port)
                await status_becomes(path, 200)

    run(main())
