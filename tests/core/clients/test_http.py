"""Calls to sinks outside, over real sockets on loopback, which a test must allow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import pytest

from core.clients.http import Allowed, OutsideClient
from core.inside import REPLY_BYTES_MAX, Call, CallFailed, Reply

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(2)
    said = head + body
    writer.write(b"HTTP/1.1 207 Said\r\nX-Two: a\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))


async def away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n")


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * REPLY_BYTES_MAX))
    for _ in range(32):
        writer.write(b"x" * (REPLY_BYTES_MAX // 16))
        await writer.drain()


def ask(handler: Handler, host: str = "127.0.0.1", allowed: Allowed = lambda host, address: True) -> Reply:
    async def main() -> Reply:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, OutsideClient(allowed) as client:
            call = Call(b"POST", b"", b"", ((b"ce-id", b"1"),), b"{}")
            return await client.call(f"http://{host}:{port}/path?q=1", call, 0.5)

    return asyncio.run(main())


def test_a_call_goes_out_as_it_is() -> None:
    reply = ask(echo)
    assert reply.status == 207
    assert reply.value(b"x-two") == b"a"
    assert reply.body.startswith(b"POST /path?q=1 HTTP/1.1\r\n")
    assert b"ce-id: 1\r\n" in reply.body
    assert reply.body.endswith(b"\r\n\r\n{}")


def test_a_redirect_is_an_answer() -> None:
    assert ask(away).status == 302


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_addresses_that_are_not_allowed_are_not_called(host: str) -> None:
    with pytest.raises(CallFailed, match="config-sinks"):
        ask(echo, host, lambda host, address: not address.is_loopback)


def test_a_name_is_judged_by_what_it_leads_to() -> None:
    seen: list[tuple[str, bool]] = []

    def allowed(host: str, address: object) -> bool:
        seen.append((host, address == ip_address("127.0.0.1")))
        return True

    assert ask(echo, "localhost", allowed).status == 207
    assert ("localhost", True) in seen


@pytest.mark.parametrize(("handler", "said"), [(silent, "within 0.5 s"), (endless, "more than")])
def test_what_is_no_whole_answer_is_said(handler: Handler, said: str) -> None:
    with pytest.raises(CallFailed, match=said):
        ask(handler)


def test_nobody_there_is_said() -> None:
    async def main() -> None:
        async with OutsideClient(lambda host, address: True) as client:
            with pytest.raises(CallFailed):
                await client.call("http://127.0.0.1:1/", Call(b"POST", b"", b""), 1)

    asyncio.run(main())
