"""One request and its response: activator/exchange.py, activator/upstream.py and activator/dialer.py."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Awaitable, Callable

import pytest

from activator.limits import GatewayLimits
from tests.support.data_path import (
    Client,
    DataPath,
    data_path,
    echo_head,
    eventually,
    fetch,
    length_of,
    read_head,
    respond,
    run,
    server,
)

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


def with_instance(
    handler: Callable[[Reader, Writer], Awaitable[None]],
    test: Callable[[DataPath], Awaitable[None]],
    **spec: int,
) -> None:
    """One revision with one instance, and a test over it; afterwards nothing may be left counted."""

    async def main() -> None:
        async with server(handler) as port, data_path() as path:
            await path.hello(port, **spec)
            await test(path)
            meter = path.backend("hello-1").meter
            await eventually(lambda: meter.in_flight == 0, "a request is counted for ever")
            loads = [instance.in_flight for instance in path.backend("hello-1").instances.values()]
            assert loads == [0] * len(loads)
            assert path.throttler.total.count == path.throttler.total.held_bytes == 0

    run(main())


def test_headers_reach_the_app_as_the_runtime_contract_says() -> None:
    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get(
            "/a?b=c",
            headers=["X-One: 1", "x-one: 2", "Knative-Serving-Revision: x", "Connection: close, X-Hop", "X-Hop: y"],
        )
        head = (await client.read()).body.decode()
        assert head.startswith("GET /a?b=c HTTP/1.1\r\nHost: hello.test\r\nX-One: 1\r\nx-one: 2\r\n")
        assert "\r\nForwarded: for=127.0.0.1;host=hello.test;proto=http\r\n" in head
        assert "\r\nX-Forwarded-For: 127.0.0.1\r\n" in head
        assert "nective" not in head
        assert "X-Hop" not in head
        assert await client.at_end()

    with_instance(echo_head, test)


def test_one_connection_carries_many_requests_both_ways() -> None:
    connections = 0

    async def instance(reader: Reader, writer: Writer) -> None:
        nonlocal connections
        connections += 1
        await echo_head(reader, writer)

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        for i in range(50):
            client.get(f"/{i}", method="POST", headers=["Content-Length: 2"])
            client.send(b"ab")
            assert (await client.read()).body.startswith(f"POST /{i} ".encode())
        assert connections == 1

    with_instance(instance, test)


def test_chunks_and_trailers_stream_both_ways_without_delay() -> None:
    async def instance(reader: Reader, writer: Writer) -> None:
        head = await read_head(reader)
        assert b"Transfer-Encoding: chunked" in head
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        while (line := await reader.readuntil(b"\r\n")) != b"0\r\n":
            data = await reader.readexactly(int(line, 16) + 2)
            writer.write(line + data.replace(b"ping", b"pong"))
        trailers = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"0\r\n" + trailers.replace(b"Ask", b"Sum"))

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get(method="POST", headers=["Transfer-Encoding: chunked"])
        for i in range(3):
            client.send(b"5\r\nping%d\r\n" % i)
            if not i:
                head = await client.reader.readuntil(b"\r\n\r\n")
                assert b"Trailer: X-Sum" in head
            assert await client.reader.readexactly(10) == b"5\r\npong%d\r\n" % i
        client.send(b"0\r\nX-Ask: 1\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"0\r\nX-Sum: 1\r\n\r\n"

    with_instance(instance, test)


def test_a_broken_request_body_after_the_answer_began_cuts_it_off() -> None:
    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await reader.read()

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get(method="POST", headers=["Transfer-Encoding: chunked"])
        client.send(b"2\r\nok\r\n")
        await client.reader.readuntil(b"ab\r\n")
        client.send(b"nonsense\r\n")
        assert await client.at_end()

    with_instance(instance, test)


def test_server_sent_events_arrive_as_they_are_sent_and_end_with_the_client() -> None:
    gone = asyncio.Event()

    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"8\r\ndata: 1\n\r\n")
        assert await reader.read() == b""
        gone.set()

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get()
        await client.reader.readuntil(b"\r\n\r\n")
        assert await client.reader.readexactly(13) == b"8\r\ndata: 1\n\r\n"
        client.close()
        await asyncio.wait_for(gone.wait(), 5)

    with_instance(instance, test)


def test_expect_100_continue_is_the_instance_s_to_answer() -> None:
    async def instance(reader: Reader, writer: Writer) -> None:
        head = await read_head(reader)
        assert b"Expect: 100-continue" in head
        if b"/no" in head:
            writer.write(respond(b"no", "403 Forbidden"))
            return
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.write(respond(await reader.readexactly(4)))

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get(method="PUT", headers=["Content-Length: 4", "Expect: 100-continue"])
        assert (await client.read()).status == 100
        client.send(b"body")
        assert (await client.read()).body == b"body"
        client.get("/no", method="PUT", headers=["Content-Length: 4", "Expect: 100-continue"])
        response = await client.read()
        assert (response.status, response.header("connection")) == (403, "close")
        assert await client.at_end()

    with_instance(instance, test)


def test_early_hints_are_passed_on() -> None:
    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + respond(b"x"))

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get()
        assert (await client.read()).header("link") == "</a>"
        assert (await client.read()).body == b"x"

    with_instance(instance, test)


def test_a_body_that_ends_with_the_connection() -> None:
    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of ")
        await asyncio.sleep(0.01)
        writer.write(b"it")

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        for _ in range(2):
            client.get()
            assert (await client.read()).body == b"all of it"

    with_instance(instance, test)


MIB = 1024 * 1024


def test_a_large_upload_takes_constant_memory_and_waits_for_a_slow_app() -> None:
    size = 200 * MIB

    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        await asyncio.sleep(0.3)  # the sender fills every buffer on the way
        left = size
        while left:
            left -= len(await reader.read(MIB))
        writer.write(respond(b"all"))

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get(method="POST", headers=[f"Content-Length: {size}"])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        piece = b"x" * MIB
        for _ in range(size // MIB):
            client.send(piece)
            await client.writer.drain()
        assert (await client.read()).body == b"all"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024  # KiB

    with_instance(instance, test)


def test_a_large_download_waits_for_a_slow_client() -> None:
    size, written = 100 * MIB, 0

    async def instance(reader: Reader, writer: Writer) -> None:
        nonlocal written
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            writer.write(b"x" * MIB)
            await writer.drain()
            written += MIB

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get()
        await client.reader.readuntil(b"\r\n\r\n")
        client.writer.transport.pause_reading()
        await asyncio.sleep(0.3)
        assert written < 40 * MIB  # what the sockets' own buffers take
        client.writer.transport.resume_reading()
        left = size
        while left:
            left -= len(await client.reader.read(MIB))

    with_instance(instance, test)


# Deaths.


async def close_at_once(reader: Reader, writer: Writer) -> None:
    await reader.read(1)
    writer.transport.abort()


async def close_after_head(reader: Reader, writer: Writer) -> None:
    await read_head(reader)


async def half_a_head(reader: Reader, writer: Writer) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")


async def nonsense(reader: Reader, writer: Writer) -> None:
    await read_head(reader)
    writer.write(b"hello\r\n\r\n")


async def two_lengths(reader: Reader, writer: Writer) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


async def unasked_switch(reader: Reader, writer: Writer) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")


@pytest.mark.parametrize(
    "instance", [close_at_once, close_after_head, half_a_head, nonsense, two_lengths, unasked_switch]
)
def test_a_death_before_the_response_began_is_502(instance: Callable[[Reader, Writer], Awaitable[None]]) -> None:
    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        for method in ("GET", "POST"):
            client.get(method=method)
            response = await client.read()
            assert (response.status, json.loads(response.body)["reason"]) == (502, "BadGateway")

    with_instance(instance, test)


BEGUN = {
    "within its length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    "within a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    "between chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("data", BEGUN.values(), ids=BEGUN)
def test_a_death_in_the_middle_is_never_a_truncated_200(data: bytes, version: str) -> None:
    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.transport.abort()

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.send(f"GET / HTTP/{version}\r\nHost: hello.test\r\n\r\n".encode())
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.read()

    with_instance(instance, test)


def test_a_stale_connection_is_replaced_where_that_is_safe() -> None:
    """The instance closes as soon as a second request arrives on a connection, without a word."""
    served: list[bytes] = []

    async def instance(reader: Reader, writer: Writer) -> None:
        head = await read_head(reader)
        served.append(head.split(b" ")[0])
        await reader.readexactly(length_of(head))
        writer.write(respond(b"ok"))
        await reader.read(1)

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        for _ in range(3):
            client.get()
            assert (await client.read()).body == b"ok"
        client.get(method="PUT", headers=["Content-Length: 2"])
        client.send(b"ab")
        assert (await client.read()).body == b"ok"
        client.get(method="POST")
        assert (await client.read()).status == 502
        assert served == [b"GET", b"GET", b"GET", b"PUT"]
        assert path.activator.snapshot()["gateway_redispatched_total"] == 3

    with_instance(instance, test)


LAST_WORDS = {"head begun": b"HTTP/1.1 200 ", "interim answer": b"HTTP/1.1 103 Early\r\n\r\n"}


@pytest.mark.parametrize(
    ("death", "method", "deaths", "status", "tries"),
    [
        ("unread", b"GET", 1, 200, 2),
        ("unread", b"POST", 1, 502, 1),
        ("read", b"GET", 1, 200, 2),
        ("read", b"PUT", 1, 200, 2),
        ("read", b"DELETE", 1, 200, 2),
        ("read", b"POST", 1, 502, 1),
        ("read", b"PATCH", 1, 502, 1),
        ("read", b"GET", 2, 502, 2),
        ("head begun", b"GET", 1, 502, 1),
        ("interim answer", b"GET", 1, 502, 1),
    ],
)
def test_an_instance_that_dies_before_it_answers(
    death: str, method: bytes, deaths: int, status: int, tries: int
) -> None:
    """Once more, where twice does no harm (RFC 9110, 9.2.2) and nothing of an answer has come."""
    tried = 0

    async def instance(reader: Reader, writer: Writer) -> None:
        nonlocal tried
        tried += 1
        if tried > deaths:
            head = await read_head(reader)
            assert await reader.readexactly(length_of(head)) == b"ab"
            writer.write(respond(b"ok"))
            await reader.read(1)
        elif death != "unread":
            await reader.readexactly(length_of(await read_head(reader)))
            writer.write(LAST_WORDS.get(death, b""))

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get(method=method.decode(), headers=["Content-Length: 2"])
        client.send(b"ab")
        answer = await client.read()
        while answer.status < 200:
            answer = await client.read()
        assert (answer.status, tried) == (status, tries)

    with_instance(instance, test)


def test_a_body_that_was_let_go_is_not_sent_again() -> None:
    async def instance(reader: Reader, writer: Writer) -> None:
        await reader.readexactly(length_of(await read_head(reader)))

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get(method="PUT", headers=["Content-Length: 100000"])
        client.send(bytes(100_000))
        assert (await client.read()).status == 502
        assert path.activator.snapshot()["gateway_redispatched_total"] == 0

    with_instance(instance, test)


def test_a_request_that_must_not_be_repeated_does_not_ride_an_old_connection() -> None:
    connections = 0

    async def instance(reader: Reader, writer: Writer) -> None:
        nonlocal connections
        connections += 1
        await echo_head(reader, writer)

    async def test(path: DataPath) -> None:
        await fetch(path.port)
        (one,) = path.backend("hello-1").instances.values()
        one.idle[0].idle_since -= 1.5
        client = await Client.connect(path.port)
        client.get(method="POST", headers=["Content-Length: 0"])
        assert (await client.read()).status == 200
        assert connections == 2
        client.get()
        await client.read()
        assert connections == 2

    with_instance(instance, test)


def test_a_refused_connection_goes_to_another_instance() -> None:
    async def test(path: DataPath) -> None:
        async with server(echo_head) as gone:
            pass
        await path.pod("a-dead-pod", "hello-1", gone)
        await eventually(lambda: len(path.backend("hello-1").instances) == 2, "the second instance is not seen")
        responses = await asyncio.gather(*(fetch(path.port) for _ in range(20)))
        assert {response.status for response in responses} == {200}
        assert path.activator.snapshot()["gateway_redispatched_total"] >= 1

    with_instance(echo_head, test)


def test_what_nobody_asked_for_closes_the_connection() -> None:
    """A second answer must not become the next client's."""

    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(respond(b"one") + respond(b"two"))
        await reader.read()

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        for _ in range(3):
            client.get()
            assert (await client.read()).body == b"one"

    with_instance(instance, test)


@pytest.mark.parametrize("cut", [0, 1, 9])
def test_a_broken_chunk_is_seen_by_the_client_too(cut: int) -> None:
    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4\r\nhalf\r\n"[:cut])
        await asyncio.sleep(0.02)
        writer.write(b"4\r\nhalf\r\n"[cut:] + b"zz\r\n")
        await reader.read()

    async def test(path: DataPath) -> None:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await fetch(path.port)

    with_instance(instance, test)


def test_a_client_that_leaves_in_the_middle_takes_the_connection_with_it() -> None:
    """Or the rest of its answer would be the beginning of another's."""

    async def instance(reader: Reader, writer: Writer) -> None:
        while True:
            head = await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
            if b"/whole" not in head:
                await asyncio.sleep(0.05)
            writer.write(b"lf")

    async def test(path: DataPath) -> None:
        client = await Client.connect(path.port)
        client.get()
        await client.reader.readexactly(10)
        client.close()
        await eventually(lambda: path.backend("hello-1").meter.in_flight == 0, "the request is still there")
        (one,) = path.backend("hello-1").instances.values()
        assert one.idle == []
        assert (await fetch(path.port, "/whole")).body == b"half"

    with_instance(instance, test)


# Deadlines.


async def hang(reader: Reader, writer: Writer) -> None:
    head = await read_head(reader)
    if b"/begun" in head:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
    await reader.read()


TIMEOUTS = {
    "total": {"timeoutSeconds": 1},
    "start": {"timeoutSeconds": 60, "responseStartTimeoutSeconds": 1},
    "idle": {"timeoutSeconds": 60, "idleTimeoutSeconds": 1},
}


@pytest.mark.parametrize("spec", TIMEOUTS.values(), ids=TIMEOUTS)
def test_no_answer_in_time_is_504(spec: dict[str, int]) -> None:
    async def test(path: DataPath) -> None:
        response = await asyncio.wait_for(fetch(path.port), 3)
        assert response.status == 504
        assert "activator request timeout" in json.loads(response.body)["detail"]

    with_instance(hang, test, **spec)


@pytest.mark.parametrize("spec", [TIMEOUTS["total"], TIMEOUTS["idle"]], ids=["total", "idle"])
def test_an_answer_that_began_is_cut_off_visibly(spec: dict[str, int]) -> None:
    async def test(path: DataPath) -> None:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asyncio.wait_for(fetch(path.port, "/begun"), 4)

    with_instance(hang, test, **spec)


def test_an_answer_that_began_in_time_may_end_a_little_later() -> None:
    """As Knative's TestRevisionTimeout has it: first byte at once, last byte half as late again as the timeout."""

    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await asyncio.sleep(1.5)
        writer.write(b"2\r\nok\r\n0\r\n\r\n")

    async def test(path: DataPath) -> None:
        assert (await fetch(path.port)).body == b"ok"

    with_instance(instance, test, timeoutSeconds=1)


def test_writing_resets_the_idle_clock() -> None:
    async def instance(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(0.4)
            writer.write(b"1\r\nx\r\n")
        writer.write(b"0\r\n\r\n")

    async def test(path: DataPath) -> None:
        assert (await fetch(path.port)).body == b"xxxxx"

    with_instance(instance, test, timeoutSeconds=60, idleTimeoutSeconds=1)


def test_idle_connections_to_instances_are_closed_in_time() -> None:
    async def main() -> None:
        async with server(echo_head) as port, data_path(GatewayLimits(upstream_idle_s=0.1)) as path:
            await path.hello(port)
            await fetch(path.port)
            (one,) = path.backend("hello-1").instances.values()
            assert len(one.idle) == 1
            await asyncio.sleep(0.15)
            path.throttler.close_idle(path.activator._clock.monotonic() - 0.1)
            assert one.idle == []

    run(main())


def test_server_timing_only_where_asked_or_cold() -> None:
    async def test(path: DataPath) -> None:
        assert (await fetch(path.port)).header("server-timing") is None
        timing = (await fetch(path.port, headers=["Pilotlight-Timing: 1"])).header("server-timing")
        assert timing is not None
        assert timing.startswith("queue;dur=")
        assert "cold" not in timing

    with_instance(echo_head, test)
