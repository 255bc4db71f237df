"""Upgraded connections: activator/tunnel.py, with a real WebSocket library on both ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.data_path import Client, DataPath, data_path, eventually, read_head, run, server

MIB = 1024 * 1024


async def echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


def websocket(path: DataPath, **options: Any) -> connect:
    return connect(f"ws://hello.test:{path.port}/", host="127.0.0.1", port=path.port, **options)


def in_flight(path: DataPath) -> int:
    count: int = path.backend("hello-1").meter.in_flight
    return count


def test_a_websocket_is_one_request_in_flight_for_as_long_as_it_lives() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0, max_size=None) as listener, data_path() as path:
            await path.hello(listener.sockets[0].getsockname()[1], responseStartTimeoutSeconds=1, timeoutSeconds=60)
            async with websocket(path, max_size=None) as ws:
                for message in ("text", b"bytes", b"x" * (8 * MIB)):
                    await ws.send(message)
                    assert await ws.recv() == message
                assert in_flight(path) == 1
                await asyncio.sleep(1.3)  # longer than the response may take to start
                await ws.send("still here")
                assert await ws.recv() == "still here"
            assert ws.close_code == 1000
            await eventually(lambda: in_flight(path) == 0, "the tunnel is counted for ever")
            await eventually(lambda: path.activator.snapshot()["gateway_connections"] == 0, "connections are left")
            assert path.activator.snapshot()["gateway_responses_1xx_total"] == 1

    run(main())


def test_a_websocket_waits_for_a_sleeper_like_any_request() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as listener, data_path() as path:
            await path.sleeping()
            connecting = asyncio.ensure_future(websocket(path).__aenter__())
            await eventually(lambda: path.throttler.total.count == 1, "it does not wait")
            await path.pod("p", "hello-1", listener.sockets[0].getsockname()[1])
            ws = await connecting
            await ws.send("x")
            assert await ws.recv() == "x"
            await ws.close()

    run(main())


def test_timeouts_end_a_websocket() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as listener, data_path() as path:
            await path.hello(listener.sockets[0].getsockname()[1], timeoutSeconds=60, idleTimeoutSeconds=1)
            async with websocket(path) as ws:
                for _ in range(3):  # traffic counts
                    await asyncio.sleep(0.5)
                    await ws.send("x")
                    await ws.recv()
                with pytest.raises(ConnectionClosed):
                    await asyncio.wait_for(ws.recv(), 4)
            await eventually(lambda: in_flight(path) == 0, "the tunnel is counted for ever")

    run(main())


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"


async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads to the end, then answers: needs half-close."""
    await read_head(reader)
    writer.write(SWITCH + b"hello ")
    writer.write(b"got " + await reader.read())


def test_half_close_and_early_bytes_pass_both_ways() -> None:
    async def main() -> None:
        async with server(raw) as port, data_path() as path:
            await path.hello(port)
            client = await Client.connect(path.port)
            client.get(headers=["Connection: upgrade", "Upgrade: raw"])
            client.send(b"early ")
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert b"Upgrade: raw\r\n" in head
            client.send(b"late")
            client.writer.write_eof()
            assert await client.reader.read() == b"hello got early late"
            await eventually(lambda: in_flight(path) == 0, "the tunnel is counted for ever")

    run(main())


@pytest.mark.parametrize("who", ["client", "instance"])
def test_a_death_ends_the_other_side(who: str) -> None:
    async def main() -> None:
        ended, die = asyncio.Event(), asyncio.Event()

        async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(SWITCH)
            if who == "instance":
                await die.wait()
                writer.transport.abort()
            else:
                await reader.read()
                ended.set()

        async with server(instance) as port, data_path() as path:
            await path.hello(port)
            client = await Client.connect(path.port)
            client.get(headers=["Connection: upgrade", "Upgrade: raw"])
            await client.reader.readuntil(b"\r\n\r\n")
            if who == "instance":
                die.set()
                assert await client.at_end()
                client.close()
            else:
                client.close()
                await asyncio.wait_for(ended.wait(), 5)
            await eventually(lambda: in_flight(path) == 0, "the tunnel is counted for ever")

    run(main())


def test_a_refused_upgrade_is_an_ordinary_answer() -> None:
    async def main() -> None:
        async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_head(reader)
                writer.write(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")

        async with server(instance) as port, data_path() as path:
            await path.hello(port)
            client = await Client.connect(path.port)
            for _ in range(2):
                client.get(headers=["Connection: upgrade", "Upgrade: raw"])
                response = await client.read()
                assert (response.status, response.body) == (426, b"no")

    run(main())


def test_backpressure_both_ways() -> None:
    async def main() -> None:
        written = 0

        async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await read_head(reader)
            writer.write(SWITCH)
            for _ in range(64):
                writer.write(b"x" * MIB)
                await writer.drain()
                written += 1

        async with server(instance) as port, data_path() as path:
            await path.hello(port)
            client = await Client.connect(path.port)
            client.get(headers=["Connection: upgrade", "Upgrade: raw"])
            await client.reader.readuntil(b"\r\n\r\n")
            client.writer.transport.pause_reading()
            await asyncio.sleep(0.3)
            assert written < 40
            client.writer.transport.resume_reading()
            left = 64 * MIB
            while left:
                left -= len(await client.reader.read(MIB))

    run(main())
