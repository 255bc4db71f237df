"""Who goes when, and what it takes: activator/throttler.py, activator/loads.py, activator/departures.py."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time

import pytest

from activator.instances import Endpoint, Instance
from activator.limits import GatewayLimits, RevisionLimits
from activator.problem import Problem
from activator.queue import QueueLimits
from activator.throttler import Backend, Throttler
from core.resources.pod_failures import Failure
from core.resources.pods import POD
from core.stats import InstanceKey, RequestStatistic, RevisionKey
from tests.support.data_path import (
    Client,
    DataPath,
    data_path,
    echo_head,
    eventually,
    fetch,
    read_head,
    respond,
    run,
    server,
)

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


async def wait_queued(path: DataPath, count: int) -> None:
    await eventually(lambda: path.throttler.total.count == count, f"not {count} in the line", 30)


def test_a_sleeper_is_poked_at_once_and_its_first_request_is_answered() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.sleeping()
            client = await Client.connect(path.port)
            begin = time.perf_counter()
            client.get()
            await eventually(lambda: any(s.poke for s in path.statistics), "no poke")
            assert time.perf_counter() - begin < 0.9, "it waited for the next report"
            poke = next(s for s in path.statistics if s.poke)
            assert (str(poke.revision), poke.in_flight, poke.average_concurrency) == ("default/hello-1", 1, 1.0)
            wall = path.activator._clock.wall
            created = wall()
            await asyncio.sleep(0.02)
            await path.pod(
                "p", "hello-1", port,
                annotations={"pilotlight.dev/timeline": f"created={created},started={created + 0.01},ready={wall()}"},
            )  # fmt: skip
            response = await client.read()
            assert response.status == 200
            timing = response.header("server-timing")
            assert timing is not None
            assert timing.startswith("cold, queue;dur=")
            durations = dict(part.split(";dur=") for part in timing.split(", ")[1:])
            assert list(durations) == ["queue", "decide", "start", "ready", "app"]
            assert float(durations["start"]) == pytest.approx(10, abs=1)
            assert path.activator.snapshot()["gateway_cold_total"] == 1
            client.get()
            assert (await client.read()).header("server-timing") is None

    run(main())


def test_reports_come_every_second_while_there_are_instances_and_stop_with_them() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            await fetch(path.port)
            await eventually(lambda: len(path.statistics) >= 2, "no reports")
            assert sum(s.request_count for s in path.statistics) == 1
            assert path.statistics[-1].in_flight == 0
            assert path.statistics[-1].interval_s == pytest.approx(1, abs=0.3)
            await path.store.delete(POD, "hello-pod", "default")
            await eventually(lambda: not path.throttler.active, "it never falls asleep")

    run(main())


def test_the_oldest_goes_first() -> None:
    async def main() -> None:
        served: list[str] = []

        async def instance(reader: Reader, writer: Writer) -> None:
            while True:
                served.append((await read_head(reader)).split(b" ")[1].decode())
                writer.write(respond(b""))

        async with server(instance) as port, data_path() as path:
            await path.sleeping(containerConcurrency=1)
            clients = []
            for i in range(200):
                client = await Client.connect(path.port)
                client.get(f"/{i}")
                await wait_queued(path, i + 1)
                clients.append(client)
            for gone in (0, 17, 18, 199):
                clients[gone].close()
            await wait_queued(path, 196)
            await path.pod("p", "hello-1", port)
            await eventually(lambda: len(served) == 196, "not all were served")
            assert served == [f"/{i}" for i in range(200) if i not in (0, 17, 18, 199)]

    run(main())


@pytest.mark.parametrize("concurrency", [1, 3])
def test_container_concurrency_is_exact(concurrency: int) -> None:
    async def main() -> None:
        draw = random.Random(7)
        loads: dict[int, int] = {}
        most = 0

        async def instance(reader: Reader, writer: Writer) -> None:
            nonlocal most
            own = writer.get_extra_info("sockname")[1]
            while True:
                await read_head(reader)
                loads[own] = loads.get(own, 0) + 1
                most = max(most, loads[own])
                await asyncio.sleep(draw.random() * 0.005)
                loads[own] -= 1
                writer.write(respond(b"ok"))

        async with server(instance) as one, server(instance) as two, server(instance) as three, data_path() as path:
            await path.sleeping(containerConcurrency=concurrency)
            requests = [asyncio.ensure_future(fetch(path.port)) for _ in range(500)]
            await wait_queued(path, 500)
            for i, port in enumerate((one, two, three)):
                await path.pod(f"p{i}", "hello-1", port)
            responses = await asyncio.gather(*requests)
            assert {response.status for response in responses} == {200}
            assert most == concurrency
            assert len(loads) == 3

    run(main())


def test_a_client_that_leaves_leaves_the_line_even_while_nobody_reads_from_it() -> None:
    async def main() -> None:
        async with data_path() as path:
            await path.sleeping()
            bodiless, upload, pipelined, polite = [await Client.connect(path.port) for _ in range(4)]
            bodiless.get()
            upload.get(method="POST", headers=["Content-Length: 9000000"])
            upload.send(b"x" * 300_000)
            pipelined.get()
            pipelined.get()
            polite.get(method="POST", headers=["Content-Length: 10"])
            polite.send(b"x")
            await wait_queued(path, 4)
            for left, client in enumerate((bodiless, upload, pipelined), 1):
                client.close()
                await wait_queued(path, 4 - left)
            polite.writer.write_eof()
            await wait_queued(path, 0)
            assert path.backend("hello-1").meter.in_flight == 0
            assert path.activator.snapshot()["gateway_left_total"] == 4
            await eventually(lambda: path.activator.snapshot()["gateway_connections"] == 0, "connections are left")

    run(main())


def test_a_waiting_upload_is_not_read_and_then_arrives_whole() -> None:
    async def main() -> None:
        size = 30_000_000
        got: list[int] = []

        async def instance(reader: Reader, writer: Writer) -> None:
            await read_head(reader)
            left = size
            while left:
                left -= len(await reader.read(1 << 20))
            got.append(size)
            writer.write(respond(b"all"))

        async with server(instance) as port, data_path() as path:
            await path.sleeping()
            client = await Client.connect(path.port)
            client.get(method="POST", headers=[f"Content-Length: {size}"])
            client.send(b"x" * size)
            await wait_queued(path, 1)
            await asyncio.sleep(0.1)
            assert path.throttler.total.held_bytes < 1_000_000
            await path.pod("p", "hello-1", port)
            assert (await client.read()).body == b"all"
            assert got == [size]

    run(main())


def test_a_full_line_says_so_at_once() -> None:
    async def main() -> None:
        limits = GatewayLimits(queue=QueueLimits(count_max=3), total=QueueLimits(count_max=4))
        async with data_path(limits) as path:
            await path.sleeping()
            await path.revision("other-1")
            await path.route("other.test", ("other-1", 100))
            waiting = [await Client.connect(path.port) for _ in range(4)]
            for client in waiting[:3]:
                client.get()
            await wait_queued(path, 3)
            response = await asyncio.wait_for(fetch(path.port), 1)
            assert (response.status, response.header("retry-after")) == (503, "1")
            assert json.loads(response.body)["reason"] == "QueueFull"
            waiting[3].get(host="other.test")
            await wait_queued(path, 4)
            assert (await asyncio.wait_for(fetch(path.port, host="other.test"), 1)).status == 503
            for client in waiting:
                client.close()
            await wait_queued(path, 0)

    run(main())


def test_bodies_that_wait_are_bounded_in_bytes() -> None:
    async def main() -> None:
        async with data_path(GatewayLimits(queue=QueueLimits(bytes_max=100_000))) as path:
            await path.sleeping()
            first, second = await Client.connect(path.port), await Client.connect(path.port)
            first.get(method="POST", headers=["Content-Length: 60000"])
            first.send(b"x" * 60_000)
            await wait_queued(path, 1)
            second.send(b"POST / HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 90000\r\n\r\n" + b"x" * 90_000)
            assert (await second.read()).status == 503

    run(main())


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 14_000,
    reason="`ulimit -Hn` is below 14,000 here: no 10,000 connections; raise it in /etc/security/limits.conf",
)
def test_ten_thousand_wait() -> None:
    async def main() -> None:
        count = 10_000
        async with server(echo_head) as port, data_path() as path:
            await path.sleeping(containerConcurrency=50)
            pipe = asyncio.subprocess.PIPE
            crowd = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.support.crowd", str(path.port), str(count), stdin=pipe, stdout=pipe
            )
            assert crowd.stdin is not None
            assert crowd.stdout is not None
            assert await crowd.stdout.readline() == b"asked\n"
            await wait_queued(path, count)
            crowd.stdin.write(b"leave\n")
            assert await crowd.stdout.readline() == b"left\n"
            await wait_queued(path, count // 2)
            await path.pod("p", "hello-1", port)
            crowd.stdin.write(b"read\n")
            assert await crowd.stdout.readline() == b"{'200': 5000}\n"
            await crowd.wait()
            assert path.throttler.total.held_bytes == 0

    run(main(), 100)


def test_waiting_ends_with_the_timeout_and_says_what_it_waited_for() -> None:
    async def main() -> None:
        async with data_path() as path:
            await path.sleeping(timeoutSeconds=60, responseStartTimeoutSeconds=1)
            waiting = asyncio.ensure_future(fetch(path.port))
            await wait_queued(path, 1)
            await path.pod("p", "hello-1", 1, ready=False, containerStatuses=[{"state": {"running": {}}}])
            response = await asyncio.wait_for(waiting, 10)
            assert response.status == 504
            assert "Pod p runs but is not ready" in json.loads(response.body)["detail"]
            assert path.throttler.total.count == 0

    run(main())


IMAGE = [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]


def test_a_start_that_fails_is_told_to_all_at_once_and_to_newcomers() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.sleeping()
            waiting = [asyncio.ensure_future(fetch(path.port)) for _ in range(20)]
            await wait_queued(path, 20)
            await path.pod("p", "hello-1", 1, ready=False, containerStatuses=IMAGE)
            for response in await asyncio.wait_for(asyncio.gather(*waiting), 2):
                assert (response.status, response.header("retry-after")) == (503, "10")
                assert response.header("content-type") == "application/problem+json"
                problem = json.loads(response.body)
                assert (problem["reason"], problem["message"]) == ("ErrImagePull", "no such image")
                assert problem["revision"] == "default/hello-1"
            assert (await asyncio.wait_for(fetch(path.port), 1)).status == 503
            await path.pod("p", "hello-1", port)
            await eventually(lambda: bool(path.backend("hello-1").instances), "the instance is not seen")
            assert (await fetch(path.port)).status == 200

    run(main())


def test_one_that_fails_beside_one_that_starts_or_serves_fails_nobody() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.sleeping()
            waiting = asyncio.ensure_future(fetch(path.port))
            await wait_queued(path, 1)
            await path.pod("good", "hello-1", port, ready=False)
            await path.pod("bad", "hello-1", 1, ready=False, containerStatuses=IMAGE)
            assert not (await asyncio.wait([waiting], timeout=0.1))[0]
            await path.pod("good", "hello-1", port)
            assert (await waiting).status == 200
            assert (await fetch(path.port)).status == 200

    run(main())


def test_a_revision_that_is_deleted_fails_its_waiters() -> None:
    async def main() -> None:
        from core.resources.serving import REVISION

        async with data_path() as path:
            await path.sleeping()
            waiting = asyncio.ensure_future(fetch(path.port))
            await wait_queued(path, 1)
            await path.store.delete(REVISION, "hello-1", "default")
            assert (await asyncio.wait_for(waiting, 10)).status == 503

    run(main())


def test_an_instance_on_its_way_out_gets_nothing_more_and_is_waited_for() -> None:
    async def main() -> None:
        release = asyncio.Event()
        served: list[str] = []

        async def slow(reader: Reader, writer: Writer) -> None:
            await read_head(reader)
            served.append("slow")
            await release.wait()
            writer.write(respond(b"slow"))
            await reader.read()

        async def quick(reader: Reader, writer: Writer) -> None:
            while True:
                await read_head(reader)
                writer.write(respond(b"quick"))

        async with server(slow) as first, server(quick) as second, data_path() as path:
            await path.hello(first)
            loads, instance = path.activator.loads, await path.instance("hello-pod")
            busy = asyncio.ensure_future(fetch(path.port))
            await eventually(lambda: served == ["slow"], "the request is not under way")
            assert loads.in_flight(instance) == 1
            assert not await loads.drain(instance, 0.05)
            draining = asyncio.ensure_future(loads.drain(instance, 5))
            await path.pod("other", "hello-1", second)
            await eventually(lambda: len(path.backend("hello-1").instances) == 1, "the other is not seen")
            for _ in range(5):
                assert (await fetch(path.port)).body == b"quick"
            assert not draining.done()
            assert loads.in_flight(instance) == 1
            release.set()
            assert (await busy).body == b"slow"
            assert await draining
            assert loads.in_flight(instance) == 0
            assert await loads.drain(instance, 5)
            other = await path.instance("other")
            assert loads.last_active(other) > 0

    run(main())


def test_a_pod_whose_readiness_flaps_still_has_what_it_was_given() -> None:
    async def main() -> None:
        release, most, now = asyncio.Event(), 0, 0

        async def instance(reader: Reader, writer: Writer) -> None:
            nonlocal most, now
            while True:
                await read_head(reader)
                now += 1
                most = max(most, now)
                await release.wait()
                now -= 1
                writer.write(respond(b"ok"))

        async with server(instance) as port, data_path() as path:
            await path.hello(port, containerConcurrency=2)
            requests = [asyncio.ensure_future(fetch(path.port)) for _ in range(6)]
            await eventually(lambda: now == 2, "nothing is under way")
            await path.pod("hello-pod", "hello-1", port, ready=False)
            await eventually(lambda: not path.backend("hello-1").instances, "it is still given requests")
            assert path.activator.loads.in_flight(await path.instance("hello-pod")) == 2
            await path.pod("hello-pod", "hello-1", port)
            await eventually(lambda: bool(path.backend("hello-1").instances), "it does not come back")
            assert path.throttler.total.count == 4
            release.set()
            assert {(await request).status for request in requests} == {200}
            assert most == 2

    run(main())


def test_a_request_that_meets_its_only_instance_on_its_way_out_waits_for_the_next() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            await path.activator.loads.drain(await path.instance("hello-pod"), 1)
            waiting = asyncio.ensure_future(fetch(path.port))
            await wait_queued(path, 1)
            assert any(s.poke for s in path.statistics)
            await path.pod("next", "hello-1", port)
            assert (await waiting).status == 200

    run(main())


def test_drained_instances_do_not_come_back_with_the_next_change_of_their_pod() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            await path.activator.loads.drain(await path.instance("hello-pod"), 1)
            await path.pod(
                "hello-pod", "hello-1", port, annotations={"pilotlight.dev/timeline": "created=1,started=1,ready=1"}
            )
            waiting = asyncio.ensure_future(fetch(path.port))
            assert not (await asyncio.wait([waiting], timeout=0.1))[0]
            await path.pod("hello-pod", "hello-1", port, ready=False)
            await path.pod("hello-pod", "hello-1", port)
            assert (await waiting).status == 200

    run(main())


class Request:
    """`throttler.Waiter`."""

    held_bytes = 1

    def __init__(self) -> None:
        self.given: list[Instance] = []
        self.problem: Problem | None = None

    def dispatch(self, instance: Instance) -> None:
        self.given.append(instance)

    def refuse(self, problem: Problem) -> None:
        self.problem = problem


HELLO = RevisionKey("default", "hello-1")


def lost_with_its_instance() -> tuple[Backend, Request, list[RequestStatistic]]:
    """A request that was given an instance which is no longer ready, and which it did not reach."""
    told: list[RequestStatistic] = []
    backend = Throttler(GatewayLimits(), told.append, lambda s, call: None).ensure(HELLO, RevisionLimits())
    backend.set_endpoints([Endpoint(InstanceKey("default", "p", "1"), "127.0.0.1", 1)], 0.0)
    request = Request()
    backend.arrive(request, 0.0)
    backend.set_endpoints([], 0.1)
    return backend, request, told


def test_one_that_comes_back_to_a_sleeper_wakes_it() -> None:
    backend, request, told = lost_with_its_instance()
    backend.again(request, request.given[0], 0.2, reachable=False)
    assert [statistic.poke for statistic in told] == [True]
    backend.set_endpoints([Endpoint(InstanceKey("default", "q", "2"), "127.0.0.1", 2)], 0.3)
    assert [instance.endpoint.port for instance in request.given] == [1, 2]


def test_one_that_comes_back_to_a_failed_revision_is_told_why_and_when_to_try_again() -> None:
    backend, request, _ = lost_with_its_instance()
    backend.set_failure(Failure("ContainerHealthy", "ExitCode3", "boom"), 0.1, retry_s=40.2)
    backend.again(request, request.given[0], 0.2, reachable=False)
    assert request.problem is not None
    assert (request.problem.reason, request.problem.retry_after_s) == ("ExitCode3", 41)
    assert not len(backend.queue)
    late = Request()
    backend.arrive(late, 39.9)
    assert late.problem is not None
    assert late.problem.retry_after_s == 1
