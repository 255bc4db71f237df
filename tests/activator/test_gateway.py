"""The gateway from outside, over raw sockets.

activator/gateway.py, activator/client.py, activator/farewell.py, activator/upkeep.py.
"""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from activator.limits import GatewayLimits
from tests.activator.test_bodies import BAD
from tests.activator.test_heads import REFUSED
from tests.support.data_path import (
    Client,
    data_path,
    echo_head,
    eventually,
    fetch,
    read_head,
    respond,
    run,
    server,
)


def test_every_malformed_request_is_answered_and_the_connection_closed() -> None:
    async def main() -> None:
        reached: list[bytes] = []

        async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.append(await reader.read(65536))

        async with server(instance) as port, data_path() as path:
            await path.hello(port)
            for label, (data, status, _) in REFUSED.items():
                client = await Client.connect(path.port)
                client.send(data.replace(b"Host: a\r", b"Host: hello.test\r") + b"GET /smuggled HTTP/1.1\r\n")
                response = await client.read()
                assert response.status == status, label
                assert response.header("connection") == "close", label
                assert json.loads(response.body)["status"] == status
                assert await client.at_end(), label
                client.close()
            assert not reached

    run(main())


def test_a_broken_chunked_body_never_looks_whole_to_the_instance() -> None:
    async def main() -> None:
        bodies: list[bytes] = []

        async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            bodies.append(await reader.read())

        async with server(instance) as port, data_path() as path:
            await path.hello(port)
            for label, data in BAD.items():
                client = await Client.connect(path.port)
                client.get("/", headers=["Transfer-Encoding: chunked"], method="POST")
                client.send(b"2\r\nok\r\n")
                await asyncio.sleep(0.005)
                client.send(data)
                response = await client.read()
                assert response.status == 400, label
                assert await client.at_end(), label
                client.close()
            await eventually(lambda: path.activator.snapshot()["gateway_connections"] == 0, "connections are left")
        assert not any(body.endswith(b"0\r\n\r\n") for body in bodies)

    run(main())


def test_an_oversized_head() -> None:
    async def main() -> None:
        async with data_path() as path:
            client = await Client.connect(path.port)
            client.send(b"GET / HTTP/1.1\r\nHost: hello.test\r\nX: " + b"a" * 70_000)
            response = await client.read()
            assert response.status == 431
            assert await client.at_end()

    run(main())


def test_slowloris_and_idle_connections_are_cut() -> None:
    async def main() -> None:
        limits = GatewayLimits(head_timeout_s=0.3, idle_timeout_s=0.3)
        async with server(echo_head) as port, data_path(limits) as path:
            await path.hello(port)
            slow, silent, idle = [await Client.connect(path.port) for _ in range(3)]
            slow.send(b"GET / HT")
            idle.get()
            assert (await idle.read()).status == 200
            assert (await slow.read()).status == 408
            assert await slow.at_end()
            assert await silent.at_end()
            assert await idle.at_end()
            await eventually(lambda: path.activator.snapshot()["gateway_connections"] == 0, "connections are left")

    run(main())


def test_dripping_a_head_gives_no_more_time() -> None:
    async def main() -> None:
        async with data_path(GatewayLimits(head_timeout_s=0.4)) as path:
            client = await Client.connect(path.port)
            begin = time.perf_counter()
            reading = asyncio.ensure_future(client.read())
            while not reading.done():
                client.send(b"X")
                await asyncio.sleep(0.02)
            assert reading.result().status == 408
            assert time.perf_counter() - begin < 5

    run(main())


def test_a_head_in_single_bytes() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            client = await Client.connect(path.port)
            for byte in b"POST /x HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 3\r\n\r\nabc":
                client.send(bytes([byte]))
                await asyncio.sleep(0)
            response = await client.read()
            assert response.body.startswith(b"POST /x HTTP/1.1")
            assert response.body.endswith(b"abc")

    run(main())


def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    async def main() -> None:
        under_way, most = 0, 0

        async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal under_way, most
            while True:
                head = await read_head(reader)
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.005)
                under_way -= 1
                writer.write(respond(head.split(b" ")[1]))

        async with server(instance) as port, data_path() as path:
            await path.hello(port)
            client = await Client.connect(path.port)
            lines = [b"GET /%d HTTP/1.1\r\nHost: hello.test\r\n\r\n" % i for i in range(20)]
            lines[7] = b"POST /7 HTTP/1.1\r\nHost: nobody.test\r\nContent-Length: 2\r\n\r\nab"
            client.send(b"".join(lines))
            for i in range(20):
                response = await client.read()
                assert (response.status, response.body) == (200, b"/%d" % i) or (i, response.status) == (7, 404)
            assert most == 1

    run(main())


def test_many_pipelined_requests_that_nobody_serves_take_no_stack() -> None:
    async def main() -> None:
        async with data_path() as path:
            client = await Client.connect(path.port)
            client.send(b"GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n" * 3000)
            for _ in range(3000):
                assert (await client.read()).status == 404

    run(main())


def test_head_204_304_and_http_1_0() -> None:
    async def main() -> None:
        answers = {
            b"/head": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            b"/204": b"HTTP/1.1 204 No Content\r\n\r\n",
            b"/304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            b"/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        }

        async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(answers[(await read_head(reader)).split(b" ")[1]])

        async with server(instance) as port, data_path() as path:
            await path.hello(port)
            client = await Client.connect(path.port)
            client.get("/head", method="HEAD")
            response = await client.read(method="HEAD")
            assert response.header("content-length") == "5"
            for target, status in (("/204", 204), ("/304", 304), ("/chunked", 200)):
                client.get(target)
                response = await client.read()
                assert response.status == status
            assert response.body == b"ab"
            client.send(b"GET /chunked HTTP/1.0\r\nHost: hello.test\r\n\r\n")
            old = await client.read()
            assert (old.body, old.header("transfer-encoding"), old.header("connection")) == (b"ab", None, "close")
            assert await client.at_end()
            kept = await Client.connect(path.port)
            for _ in range(2):
                kept.send(b"GET /304 HTTP/1.0\r\nHost: hello.test\r\nConnection: keep-alive\r\n\r\n")
                assert (await kept.read()).header("connection") == "keep-alive"

    run(main())


def test_an_unknown_host_is_told_nothing() -> None:
    async def main() -> None:
        async with data_path() as path:
            await path.sleeping()
            response = await fetch(path.port, host="secret.test")
            assert response.status == 404
            assert b"hello" not in response.body
            assert (await fetch(path.port, host="bad/host")).status == 400
            client = await Client.connect(path.port)
            client.get(host="nobody.test", method="HEAD")
            assert (await client.read(method="HEAD")).status == 404
            client.get(host="nobody.test")
            assert (await client.read()).status == 404

    run(main())


def test_no_path_is_taken_from_the_app() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            for target in ("/healthz", "/metrics", "/readyz", "/_internal"):
                assert (await fetch(path.port, target, headers=["K-Network-Probe: x"])).body.startswith(
                    b"GET " + target.encode()
                )

    run(main())


def test_a_route_to_a_revision_that_is_not_there() -> None:
    async def main() -> None:
        async with data_path() as path:
            await path.route("hello.test", ("gone", 100))
            response = await fetch(path.port)
            assert (response.status, json.loads(response.body)["reason"]) == (503, "RevisionMissing")

    run(main())


def test_redirect_to_https() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.revision("hello-1")
            await path.route("hello.test", ("hello-1", 100), httpOption="Redirected")
            await path.pod("p", "hello-1", port)
            response = await fetch(path.port, "/x?y=z", host="hello.test:8080")
            assert (response.status, response.header("location")) == (301, "https://hello.test/x?y=z")
            behind_tls = await fetch(path.port, headers=["X-Forwarded-Proto: https"])
            assert behind_tls.status == 200

    run(main())


def test_a_public_listener_does_not_serve_cluster_local_hosts() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            await path.route("hello.default.svc", ("hello-1", 100), visibility="ClusterLocal")
            public = await path.activator.listen("127.0.0.1", 0, public=True)
            assert (await fetch(public)).status == 200
            assert (await fetch(path.port, host="hello.default.svc")).status == 200
            assert (await fetch(public, host="hello.default.svc")).status == 404

    run(main())


def test_more_connections_than_there_may_be() -> None:
    async def main() -> None:
        async with data_path(GatewayLimits(connections_max=2)) as path:
            first = await Client.connect(path.port)
            await Client.connect(path.port)
            third = await Client.connect(path.port)
            third.get()
            response = await third.read()
            assert (response.status, response.header("retry-after")) == (503, "1")
            assert await third.at_end()
            first.close()

    run(main())


@pytest.mark.parametrize("unread", [100, 300_000])
def test_an_early_answer_to_an_upload_arrives(unread: int) -> None:
    """A close with unread bytes would be a reset, and the client would never see the answer."""

    async def main() -> None:
        async with data_path() as path:
            client = await Client.connect(path.port)
            client.get(host="nobody.test", method="POST", headers=[f"Content-Length: {unread + 10}"])
            client.send(b"x" * unread)
            await asyncio.sleep(0.02)
            response = await client.read()
            assert (response.status, response.header("connection")) == (404, "close")
            assert await client.at_end()

    run(main())


def test_draining_finishes_what_is_under_way_and_nothing_else() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_head(reader)
                await release.wait()
                writer.write(respond(b"done"))

        async with server(instance) as port, data_path() as path:
            await path.hello(port)
            idle, busy = await Client.connect(path.port), await Client.connect(path.port)
            busy.get()
            await eventually(lambda: path.backend("hello-1").meter.in_flight == 1, "the request is not under way")
            assert not await path.activator.drain(0.05)
            draining = asyncio.ensure_future(path.activator.drain(5))
            assert await idle.at_end()
            with pytest.raises(ConnectionRefusedError):
                await Client.connect(path.port)
            assert not draining.done()
            release.set()
            response = await busy.read()
            assert (response.body, response.header("connection")) == (b"done", "close")
            assert await draining

    run(main())


def test_a_client_that_does_not_read_its_last_answer_is_cut_off() -> None:
    async def main() -> None:
        async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(respond(b"x" * 20_000_000))

        async with server(instance) as port, data_path(GatewayLimits(idle_timeout_s=0.3)) as path:
            await path.hello(port, timeoutSeconds=1)
            for headers in ([], ["Connection: close"]):
                client = await Client.connect(path.port)
                client.writer.transport.pause_reading()
                client.get(headers=headers)
                await asyncio.sleep(0.1)
            await eventually(lambda: path.activator.snapshot()["gateway_connections"] == 0, "connections are left")

    run(main())


def test_numbers_for_metrics() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path() as path:
            await path.hello(port)
            client = await Client.connect(path.port)
            for host in ("hello.test", "hello.test", "nobody.test"):
                client.get(host=host)
                await client.read()
            numbers = path.activator.snapshot()
            assert numbers["gateway_requests_total"] == 3
            assert numbers["gateway_responses_2xx_total"] == 2
            assert (numbers["gateway_connections"], numbers["activator_queued"]) == (1, 0)

    run(main())
