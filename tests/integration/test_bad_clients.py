"""Clients that are too slow, too large or too many: the platform stays small and answers the others."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.data_path import Client, Response
from tests.support.platform import Platform
from tests.support.user import QUICK_SLEEP, User, make_service, quick_server

UPLOAD_BYTES = 1 << 30
UPLOAD_MEMORY_BYTES = 40 * 1024 * 1024
HEAD_TIMEOUT_S = 10.0
QUEUE_DEPTH = 10_000
BEYOND = 300
OUT_OF_ORDER_MAX = 1000
"""Places by which this client may see answers late: it reads many sockets in one turn."""
WAITER_BYTES = 20_000
"""What one waiting request may cost the platform, its connection included."""


def resident_bytes(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_a_large_upload_to_a_sleeper_is_not_held_in_memory(platform: Platform, user: User) -> None:
    name = user.deploy(make_service("upload", annotations=QUICK_SLEEP))
    user.until_asleep(name)
    pid = platform.running.pid
    before = highest = resident_bytes(pid)

    def body() -> Iterator[bytes]:
        nonlocal highest
        block = bytes(1 << 20)
        for _ in range(UPLOAD_BYTES >> 20):
            highest = max(highest, resident_bytes(pid))
            yield block

    reply = user.call(name, "/count", "POST", body(), {"Content-Length": str(UPLOAD_BYTES)}, timeout_s=60)
    assert (reply.status, reply.text) == (200, str(UPLOAD_BYTES))
    assert highest - before < UPLOAD_MEMORY_BYTES
    user.delete(name)


def test_slow_heads_are_cut_off_and_hinder_nobody(user: User) -> None:
    name = user.deploy(make_service("brisk", quick_server()))

    async def drip(began: float) -> float:
        """One byte after the other; the seconds until the gateway had enough."""
        client = await Client.connect(user.port)
        with contextlib.suppress(OSError):
            for byte in b"GET / HTTP/1.1\r\nX: " + b"y" * 1000:
                client.send(bytes([byte]))
                await client.writer.drain()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await client.reader.read()
                        break
        client.close()
        return asyncio.get_running_loop().time() - began

    async def main() -> None:
        began = asyncio.get_running_loop().time()
        drips = [asyncio.ensure_future(drip(began)) for _ in range(200)]
        slowest = 0.0
        while not all(each.done() for each in drips):
            at = time.monotonic()
            assert (await asyncio.to_thread(user.call, name)).status == 200
            slowest = max(slowest, time.monotonic() - at)
            await asyncio.sleep(0.05)  # a calm client, beside them
        assert slowest < 2
        assert all(HEAD_TIMEOUT_S - 1 < each.result() < HEAD_TIMEOUT_S + 8 for each in drips)

    asyncio.run(main())
    user.delete(name)


@pytest.mark.timeout(300)
def test_ten_thousand_wait_and_no_more(platform: Platform, user: User, tmp_path: Path) -> None:
    """As many as may wait, wait in little memory; who comes after them is told at once; all are served in the end."""
    deaf = tmp_path / "deaf"
    marks = {**QUICK_SLEEP, "max-scale": "1"}
    service = make_service("crowd", quick_server(), annotations=marks, env={"DEAF": str(deaf)}, containerConcurrency=1)
    name = user.deploy(service)
    user.until_asleep(name)
    deaf.touch()
    pid = platform.running.pid
    before = resident_bytes(pid)
    order: list[int] = []

    async def answer(client: Client, number: int) -> Response:
        response = await client.read()
        order.append(number)
        return response

    async def main() -> None:
        async with asking(user.port, f"{name}.default.localhost", QUEUE_DEPTH + BEYOND) as everyone:
            calls = [asyncio.ensure_future(answer(client, n)) for n, client in enumerate(everyone)]
            async with asyncio.timeout(30):
                while len(order) < BEYOND:
                    await asyncio.sleep(0.05)
            # Which ones come last is the kernel's choice, too.
            late = [each.result() for each in calls if each.done()]
            waiting = [each for each in calls if not each.done()]
            assert [each.status for each in late] == [503] * BEYOND, "the line is full, exactly"
            assert all(int(each.header("retry-after") or 0) > 0 for each in late)
            assert resident_bytes(pid) - before < WAITER_BYTES * (QUEUE_DEPTH + BEYOND)
            order.clear()
            deaf.unlink()
            async with asyncio.timeout(120):
                statuses = [(await each).status for each in waiting]
            assert statuses == [200] * QUEUE_DEPTH
            places = {number: place for place, number in enumerate(sorted(order))}
            late_by = max(place - places[number] for place, number in enumerate(order))
            assert late_by < OUT_OF_ORDER_MAX, "who came first goes first"

    asyncio.run(main())
    user.delete(name)


@contextlib.asynccontextmanager
async def asking(port: int, host: str, count: int) -> AsyncIterator[list[Client]]:
    """So many clients, who have each sent one request."""
    opened: list[Client] = []

    async def ask() -> Client:
        client = await Client.connect(port)
        client.get(host=host)
        return client

    try:
        while len(opened) < count:
            opened += await asyncio.gather(*(ask() for _ in range(min(500, count - len(opened)))))
        yield opened
    finally:
        for client in opened:
            client.close()


@pytest.mark.kubectl
def test_logs_are_followed_and_cut_as_asked(platform: Platform, user: User) -> None:
    name = user.deploy(make_service("talks"))
    for number in range(5):
        assert user.call(name, f"/say?line-{number}").status == 200
    pod = user.pods(name)[0]["metadata"]["name"]

    def logs(*arguments: str) -> list[str]:
        done = subprocess.run(
            ["kubectl", "logs", pod, *arguments], capture_output=True, text=True, env=platform.environment, check=True
        )
        return done.stdout.splitlines()

    user.until("all lines are there", lambda: "line-4" in logs())
    assert logs("--tail=2") == ["line-3", "line-4"]
    assert logs("--since=1h")[-1] == "line-4"
    assert logs("--since-time=2100-01-01T00:00:00Z") == []
    with subprocess.Popen(
        ["kubectl", "logs", "-f", "--tail=1", pod], stdout=subprocess.PIPE, text=True, env=platform.environment
    ) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "line-4\n"
        assert user.call(name, "/say?one-more").status == 200
        assert follower.stdout.readline() == "one-more\n"
        user.delete(name)
        assert follower.stdout.read() == "", "the end of the Pod is the end of its log"
        assert follower.wait(10) == 0
