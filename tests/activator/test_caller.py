"""Calls without a socket: the line, the limits and the counts are those of any request."""

from __future__ import annotations

import asyncio

import pytest

from core.inside import REPLY_BYTES_MAX, Call, CallFailed, Reply
from tests.activator.test_sites import Echo
from tests.support.data_path import data_path, echo_head, eventually, read_head, run, server

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


def post(body: bytes = b"{}", host: bytes = b"hello.test", *fields: tuple[bytes, bytes]) -> Call:
    return Call(b"POST", host, b"/events?a=1", (*fields, (b"ce-id", b"1")), body)


def test_an_instance_sees_what_any_client_would_have_sent() -> None:
    async def main() -> None:
        async with server(echo_head) as instance, data_path() as path:
            await path.hello(instance)
            reply = await path.activator.call(post(b"body"), 5)
            assert reply.status == 200
            head, _, body = reply.body.partition(b"\r\n\r\n")
            assert head.startswith(
                b"POST /events?a=1 HTTP/1.1\r\nHost: hello.test\r\nce-id: 1\r\nContent-Length: 4\r\n"
            )
            assert b"X-Forwarded-For: 127.0.0.1" in head
            assert body == b"body"
            assert path.activator.snapshot()["gateway_connections"] == 0
            assert path.backend("hello-1").meter.in_flight == 0

    run(main())


def test_a_sleeper_is_woken_and_the_call_waits_in_its_line() -> None:
    async def main() -> None:
        async with server(echo_head) as instance, data_path() as path:
            await path.sleeping()
            call = asyncio.ensure_future(path.activator.call(post(), 5))
            await eventually(lambda: any(s.poke for s in path.statistics), "nobody is woken")
            assert path.throttler.total.count == 1
            await path.pod("p", "hello-1", instance)
            assert (await call).status == 200

    run(main())


def test_a_sleeper_is_woken_before_the_call_comes() -> None:
    async def main() -> None:
        async with server(echo_head) as instance, data_path() as path:
            await path.sleeping()
            path.activator.wake(b"Hello.test:80")
            path.activator.wake(b"nobody.test")
            assert [(s.revision.name, s.in_flight) for s in path.statistics if s.poke] == [("hello-1", 0)]
            assert path.throttler.total.count == 0
            path.activator.wake(b"hello.test")
            await path.pod("p", "hello-1", instance)
            path.activator.wake(b"hello.test")
            assert len([s for s in path.statistics if s.poke]) == 1, "once is enough, and whoever is up is not woken"
            assert (await path.activator.call(post(), 5)).status == 200

    run(main())


async def chunked(reader: Reader, writer: Writer) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCE-Type: t\r\n\r\n")
    writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    await reader.read()


async def until_the_end(reader: Reader, writer: Writer) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.0 200 OK\r\nce-type: t\r\n\r\nabcde")


@pytest.mark.parametrize("instance", [chunked, until_the_end])
def test_however_it_was_framed_a_reply_is_whole(instance: object) -> None:
    async def main() -> None:
        async with server(instance) as port, data_path() as path:  # type: ignore[arg-type]  # of a table
            await path.hello(port)
            assert await path.activator.call(post(), 5) == Reply(200, ((b"ce-type", b"t"),), b"abcde")

    run(main())


async def half(reader: Reader, writer: Writer) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")


async def never(reader: Reader, writer: Writer) -> None:
    await reader.read()


async def endless(reader: Reader, writer: Writer) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (REPLY_BYTES_MAX * 2))
    for _ in range(32):
        writer.write(b"x" * (REPLY_BYTES_MAX // 16))
        await writer.drain()


@pytest.mark.parametrize(
    ("instance", "said"),
    [(half, "in the middle of the answer"), (never, "within 0.3 s"), (endless, f"more than {REPLY_BYTES_MAX} bytes")],
)
def test_what_is_no_whole_reply_is_said_and_gives_its_slot_back(instance: object, said: str) -> None:
    async def main() -> None:
        async with server(instance) as port, data_path() as path:  # type: ignore[arg-type]  # of a table
            await path.hello(port, containerConcurrency=1)
            with pytest.raises(CallFailed, match=said):
                await path.activator.call(post(), 0.3 if instance is never else 5)
            assert path.backend("hello-1").meter.in_flight == 0
            assert all(i.in_flight == 0 for i in path.backend("hello-1").instances.values())

    run(main())


def test_the_gateways_own_answers_are_replies() -> None:
    async def main() -> None:
        async with data_path() as path:
            reply = await path.activator.call(post(host=b"nobody.test"), 5)
            assert (reply.status, reply.value(b"content-type")) == (404, b"application/problem+json")
            assert not path.activator.serves(b"nobody.test")
            await path.route("gone.test", ("gone-1", 100))
            assert path.activator.serves(b"Gone.test:80")
            reply = await path.activator.call(post(host=b"gone.test"), 5)
            assert (reply.status, reply.value(b"retry-after")) == (503, b"1")

    run(main())


def test_a_call_that_is_no_http_is_refused_before_it_is_sent() -> None:
    async def main() -> None:
        async with data_path() as path:
            with pytest.raises(CallFailed, match="cannot be written as HTTP"):
                await path.activator.call(post(b"", b"hello.test", (b"ce-subject", b"a\nb")), 5)

    run(main())


def test_a_caller_who_gives_up_leaves_the_line() -> None:
    async def main() -> None:
        async with data_path() as path:
            await path.sleeping()
            call = asyncio.ensure_future(path.activator.call(post(), 5))
            await eventually(lambda: path.throttler.total.count == 1, "it does not wait")
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert path.throttler.total.count == 0

    run(main())


def test_one_site_may_call_another() -> None:
    async def main() -> None:
        async with data_path() as path:
            path.sites.put("broker.test", Echo())
            reply = await path.activator.call(post(b"abc", b"broker.test"), 5)
            assert reply == Reply(202, ((b"x-length", b"3"), (b"content-length", b"5")), b"taken")

    run(main())
