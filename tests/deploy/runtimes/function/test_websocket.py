"""deploy/runtimes/function/websocket.py, against the `websockets` client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st

from deploy.runtimes.function.websocket import unmask
from tests.support.functions import Served, served, write

APP = """
    import asyncio

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"http"})
            return
        assert (await receive())["type"] == "websocket.connect"
        if scope["path"] == "/no":
            await send({"type": "websocket.close"})
            return
        if scope["path"] == "/raise":
            raise RuntimeError("before accept")
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
        if scope["path"] == "/bye":
            await send({"type": "websocket.close", "code": 4001, "reason": "bye"})
            return
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                print("left", message["code"], flush=True)
                return
            if message.get("text") == "raise":
                raise RuntimeError("asked for")
            await send({"type": "websocket.send", **{k: v for k, v in message.items() if k in ("text", "bytes")}})
"""


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(write(tmp_path_factory.mktemp("ws") / "f", main=APP)) as running:
        yield running


def connect(function: Served, path: str = "/", **options: object) -> websockets.connect:
    return websockets.connect(f"ws://127.0.0.1:{function.port}{path}", proxy=None, **options)  # type: ignore[arg-type]


def test_messages_come_back_as_they_went(function: Served) -> None:
    async def run() -> None:
        async with connect(function, subprotocols=["chat"]) as client:
            assert client.subprotocol == "chat"
            for message in ("hello", "ä" * 100, b"\0\1", "x" * 70_000, b"y" * 1_000_000, ""):
                await client.send(message)
                assert await client.recv() == message
            await client.send(["in ", "two"])
            assert await client.recv() == "in two"
            await (await client.ping())

    asyncio.run(run())


@pytest.mark.parametrize(("path", "status"), [("/no", 403), ("/raise", 500)])
def test_a_refused_handshake(function: Served, path: str, status: int) -> None:
    async def run() -> None:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connect(function, path):
                pass
        assert refused.value.response.status_code == status

    asyncio.run(run())


def test_closing_from_either_side_carries_its_code(function: Served) -> None:
    async def run() -> None:
        async with connect(function, "/bye") as client:
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4001, "bye")
        async with connect(function) as client:
            await client.close(4002)
        async with connect(function) as client:
            await client.send("raise")
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
            assert client.close_code == 1011

    asyncio.run(run())
    assert "left 4002" in function.log.read_text()


def test_an_unmasked_frame_is_a_protocol_error(function: Served) -> None:
    handshake = (
        b"GET / HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    received = function.raw(handshake + b"\x81\x02hi")
    assert received.endswith(b"\x88\x02\x03\xea")


def test_sigterm_asks_the_client_to_come_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def run(running: Served) -> None:
        async with connect(running) as client:
            await client.send("a")
            await client.recv()
            running.process.terminate()
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
            assert client.close_code == 1001

    with served(write(tmp_path_factory.mktemp("ws") / "f", main=APP)) as running:
        asyncio.run(run(running))
        assert running.process.wait(5) == 0


def test_plain_requests_still_work(function: Served) -> None:
    assert function.request().body == b"http"
    with socket.create_connection(("127.0.0.1", function.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: h\r\nupgrade: h2c\r\nconnection: upgrade, close\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


@given(st.binary(max_size=200), st.binary(min_size=4, max_size=4))
def test_unmask_is_its_own_inverse(payload: bytes, mask: bytes) -> None:
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    assert unmask(masked, mask) == payload
