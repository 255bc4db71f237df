"""What the platform itself answers at the gateway, over real sockets, with one process and with several."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from core.inside import Call, Reply
from tests.support.data_path import Client, DataPath, data_path, echo_head, eventually, fetch, run, server

HOST = "broker.test"


class Echo:
    """Answers with what it was asked, unless told to wait."""

    body_bytes_max = 100_000

    def __init__(self, waits: bool = False) -> None:
        self.calls: list[Call] = []
        self.waiting: list[Callable[[Reply], None]] = []
        self._waits = waits

    def answer(self, call: Call, done: Callable[[Reply], None]) -> None:
        self.calls.append(call)
        if self._waits:
            self.waiting.append(done)
        else:
            done(Reply(202, ((b"x-length", b"%d" % len(call.body)),), b"taken"))


async def post(path: DataPath, body: bytes, *headers: str, host: str = HOST) -> tuple[int, bytes]:
    client = await Client.connect(path.port)
    client.get("/default/main", host, [f"Content-Length: {len(body)}", *headers], "POST")
    client.send(body)
    response = await client.read()
    client.close()
    return response.status, response.body


@pytest.mark.parametrize("workers", [0, 2])
def test_a_site_is_asked_with_the_whole_request(workers: int) -> None:
    async def main() -> None:
        async with data_path(workers=workers) as path:
            site = Echo()
            path.sites.put(HOST, site)
            if workers:
                for _ in range(200):
                    if (await fetch(path.port, host=HOST)).status == 202:
                        break
                    await asyncio.sleep(0.01)
                site.calls.clear()
            body = b"x" * 70_000
            assert await post(path, body, "CE-Id: a b ", host=f"{HOST}:8080") == (202, b"taken")
            (call,) = site.calls
            assert (call.method, call.target, call.body) == (b"POST", b"/default/main", body)
            assert call.value(b"ce-id") == b"a b"
            assert call.host == f"{HOST}:8080".encode()

    run(main())


def test_requests_on_one_connection_are_answered_in_turn() -> None:
    async def main() -> None:
        async with data_path() as path:
            site = Echo(waits=True)
            path.sites.put(HOST, site)
            client = await Client.connect(path.port)
            client.get("/1", HOST)
            client.get("/2", HOST, method="HEAD")
            await eventually(lambda: len(site.waiting) == 1, "the first is not asked")
            site.waiting[0](Reply(200, (), b"one"))
            assert (await client.read()).body == b"one"
            await eventually(lambda: len(site.waiting) == 2, "the second is not asked")
            site.waiting[1](Reply(200, (), b"two"))
            response = await client.read(method="HEAD")
            assert (response.status, response.header("content-length")) == (200, "3")
            client.get("/3", HOST)
            await eventually(lambda: len(site.waiting) == 3, "the third is not asked")
            site.waiting[2](Reply(204))
            assert (await client.read()).status == 204
            client.close()

    run(main())


def test_a_body_is_bounded_whether_its_length_was_told_or_not() -> None:
    async def main() -> None:
        async with data_path() as path:
            site = Echo()
            path.sites.put(HOST, site)
            assert (await post(path, b"x" * 100_001))[0] == 413
            client = await Client.connect(path.port)
            client.get("/", HOST, ["Transfer-Encoding: chunked"], "POST")
            for _ in range(3):
                client.send(b"%x\r\n%b\r\n" % (50_000, b"x" * 50_000))
            assert (await client.read()).status == 413
            client.close()
            assert not site.calls

    run(main())


def test_whoever_expects_it_is_told_to_go_on() -> None:
    async def main() -> None:
        async with data_path() as path:
            path.sites.put(HOST, Echo())
            client = await Client.connect(path.port)
            client.get("/", HOST, ["Content-Length: 2", "Expect: 100-continue"], "POST")
            assert (await client.read()).status == 100
            client.send(b"ok")
            assert (await client.read()).header("x-length") == "2"
            client.close()

    run(main())


def test_an_answer_for_somebody_who_has_left_goes_nowhere() -> None:
    async def main() -> None:
        async with data_path() as path:
            site = Echo(waits=True)
            path.sites.put(HOST, site)
            client = await Client.connect(path.port)
            client.get("/", HOST)
            await eventually(lambda: len(site.waiting) == 1, "nobody is asked")
            client.close()
            await eventually(lambda: path.activator.snapshot()["gateway_connections"] == 0, "the client is still there")
            site.waiting[0](Reply(200))
            assert path.activator.snapshot()["gateway_left_total"] == 1

    run(main())


def test_sites_come_and_go_keep_to_the_inside_and_come_before_routes() -> None:
    async def main() -> None:
        async with server(echo_head) as instance, data_path() as path:
            outside = await path.activator.listen("127.0.0.1", 0, public=True)
            path.sites.put(HOST, Echo())
            path.sites.put("open.test", Echo(), public=True)
            assert (await fetch(outside, host=HOST)).status == 404
            assert (await fetch(outside, host="open.test")).status == 202
            path.sites.remove("open.test")
            assert (await fetch(outside, host="open.test")).status == 404
            await path.hello(instance)
            assert (await fetch(path.port)).status == 200
            path.sites.put("hello.test", Echo())
            assert [(await fetch(path.port, host=host)).status for host in ("hello.test", "hello.test:80")] == [
                202,
                202,
            ]
            path.sites.remove("hello.test")
            assert [(await fetch(path.port, host=host)).status for host in ("hello.test", "hello.test:80")] == [
                200,
                200,
            ]

    run(main())
