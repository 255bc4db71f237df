"""Several gateway processes with one mind: activator/workers.py, activator/worker.py and activator/messages.py."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from pathlib import Path

from activator.messages import Link
from core.resources.pods import POD
from core.stats import RevisionKey
from tests.support.data_path import (
    Client,
    DataPath,
    Response,
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
WORKERS = 3


def pids() -> list[int]:
    """The workers' processes: those of our children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if b"activator.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def status_becomes(path: DataPath, status: int) -> None:
    """Routes reach the workers a moment after this process."""
    for _ in range(200):
        if (await fetch(path.port)).status == status:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never {status}")


def test_container_concurrency_is_exact_over_all_workers() -> None:
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

        async with server(instance) as one, server(instance) as two, data_path(workers=WORKERS) as path:
            await path.sleeping(containerConcurrency=2)
            requests = [asyncio.ensure_future(fetch(path.port)) for _ in range(500)]
            await eventually(lambda: path.throttler.total.count == 500, "not all wait here", 30)
            assert any(s.poke for s in path.statistics)
            for i, port in enumerate((one, two)):
                await path.pod(f"p{i}", "hello-1", port)
            responses = await asyncio.gather(*requests)
            assert {response.status for response in responses} == {200}
            assert most == 2
            await eventually(lambda: path.backend("hello-1").meter.in_flight == 0, "a request is counted for ever")
            assert sum(s.request_count for s in path.statistics) >= 1

    run(main())


def test_the_oldest_goes_first_whichever_worker_has_it() -> None:
    async def main() -> None:
        served: list[str] = []

        async def instance(reader: Reader, writer: Writer) -> None:
            while True:
                served.append((await read_head(reader)).split(b" ")[1].decode())
                writer.write(respond(b""))

        async with server(instance) as port, data_path(workers=WORKERS) as path:
            await path.sleeping(containerConcurrency=1)
            clients = []
            for i in range(100):
                client = await Client.connect(path.port)
                client.get(f"/{i}")
                await eventually(lambda i=i: path.throttler.total.count == i + 1, "it does not wait")
                clients.append(client)
            clients[40].close()
            await eventually(lambda: path.throttler.total.count == 99, "it does not leave")
            await path.pod("p", "hello-1", port)
            await eventually(lambda: len(served) == 99, "not all were served")
            assert served == [f"/{i}" for i in range(100) if i != 40]

    run(main())


def test_unlimited_revisions_are_counted_and_drained_wherever_they_run() -> None:
    async def main() -> None:
        release, under_way = asyncio.Event(), 0

        async def instance(reader: Reader, writer: Writer) -> None:
            nonlocal under_way
            while True:
                head = await read_head(reader)
                under_way += 1
                if b"/slow" in head:
                    await release.wait()
                writer.write(respond(b"ok"))

        async with server(instance) as port, data_path(workers=WORKERS) as path:
            await path.hello(port)
            await status_becomes(path, 200)
            under_way = 0
            slow = [asyncio.ensure_future(fetch(path.port, "/slow")) for _ in range(12)]
            await eventually(lambda: under_way == 12, "not all are under way")
            loads, key = path.activator.loads, await path.instance("hello-pod")
            await eventually(lambda: loads.in_flight(key) == 12, "not all are counted")
            await eventually(lambda: any(s.in_flight == 12 for s in path.statistics), "not all are reported", 5)
            assert not await loads.drain(key, 0.2)
            draining = asyncio.ensure_future(loads.drain(key, 10))
            waiting = asyncio.ensure_future(fetch(path.port))
            await eventually(lambda: path.throttler.total.count == 1, "a drained instance is given requests")
            assert not draining.done()
            release.set()
            assert {(await one).status for one in slow} == {200}
            assert await draining
            await path.pod("next", "hello-1", port)
            assert (await waiting).status == 200
            await eventually(
                lambda: path.activator.snapshot()["gateway_requests_total"] >= 13, "not all are counted", 5
            )

    run(main())


def test_a_failed_start_reaches_the_clients_of_every_worker() -> None:
    async def main() -> None:
        async with data_path(workers=WORKERS) as path:
            await path.sleeping()
            waiting = [asyncio.ensure_future(fetch(path.port)) for _ in range(30)]
            await eventually(lambda: path.throttler.total.count == 30, "not all wait")
            image = [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]
            await path.pod("p", "hello-1", 1, ready=False, containerStatuses=image)
            for response in await asyncio.wait_for(asyncio.gather(*waiting), 3):
                assert (response.status, json.loads(response.body)["reason"]) == (503, "ErrImagePull")

    run(main())


async def wait_at(path: DataPath, worker: int, other: int) -> list[asyncio.Future[Response]]:
    """Requests that wait, all at one of two workers."""
    before = path.throttler.total.count
    os.kill(other, signal.SIGSTOP)
    await eventually(lambda: ") T " in Path(f"/proc/{other}/stat").read_text(), "it is not stopped")
    waiting = [asyncio.ensure_future(fetch(path.port)) for _ in range(20)]
    await eventually(lambda: path.throttler.total.count == before + 20, "not all wait")
    os.kill(other, signal.SIGCONT)
    return waiting


def test_a_worker_that_dies_takes_only_its_own_with_it_and_is_replaced() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path(workers=2) as path:
            await path.sleeping(containerConcurrency=1)
            victim, other = pids()
            lost = await wait_at(path, victim, other)
            kept = await wait_at(path, other, victim)
            os.kill(victim, signal.SIGKILL)
            await eventually(lambda: path.throttler.total.count == len(kept), "the dead still wait")
            await eventually(lambda: len(set(pids()) - {victim}) == 2, "it is not replaced")
            await path.pod("p", "hello-1", port)
            ended = await asyncio.gather(*lost, return_exceptions=True)
            assert all(isinstance(one, BaseException) for one in ended)
            assert {one.status for one in await asyncio.gather(*kept)} == {200}
            assert path.backend("hello-1").meter.in_flight == 0
            for _ in range(20):
                await status_becomes(path, 200)

    run(main())


def test_a_refused_connection_goes_to_another_instance() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path(workers=2) as path:
            async with server(echo_head) as gone:
                pass
            await path.hello(port, containerConcurrency=1)
            await path.pod("dead", "hello-1", gone)
            await eventually(lambda: len(path.backend("hello-1").instances) == 2, "the second instance is not seen")
            await status_becomes(path, 200)
            responses = await asyncio.gather(*(fetch(path.port) for _ in range(30)))
            assert {response.status for response in responses} == {200}

    run(main())


def test_draining_ends_every_worker() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path(workers=2) as path:
            await path.hello(port)
            await status_becomes(path, 200)
            assert len(pids()) == 2
            assert await path.activator.drain(5)
            await eventually(lambda: not pids(), "a worker is left")

    run(main())


def test_changes_reach_the_workers() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path(workers=2) as path:
            await path.hello(port)
            await status_becomes(path, 200)
            await path.store.delete(POD, "hello-pod", "default")
            await eventually(lambda: not path.backend("hello-1").instances, "the instance is still there")
            waiting = asyncio.ensure_future(fetch(path.port))
            await eventually(lambda: path.throttler.total.count == 1, "it does not wait")
            waiting.cancel()
            assert RevisionKey("default", "hello-1") in path.throttler.backends

    run(main())


def test_messages_arrive_whole_however_they_are_cut() -> None:
    got: list[object] = []
    sent = bytearray()

    class Pipe(asyncio.Transport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            sent.extend(data)

        def is_closing(self) -> bool:
            return False

    link = Link(got.append, lambda: None)
    link.connection_made(Pipe())
    messages = [("a", 1), ("b" * 1000, 2), None]
    for message in messages:
        link.send(message)
    for at in range(0, len(sent), 7):
        link.data_received(bytes(sent[at : at + 7]))
    assert got == messages
