"""Each kind of check against a real socket, and the loop that tries."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from deploy import grpc_health
from deploy.probes import Answer, run_probe, try_check
from deploy.probing import ExecCheck, GrpcCheck, HttpCheck, ProbeKind, ProbePlan, ProbeState, TcpCheck
from deploy.runtimes.ports import Ports
from tests.support.clock import FakeClock, settle


class NoContainer:
    """A container whose every command prints its words and exits with their count."""

    id = image_id = ""

    async def execute(self, command: tuple[str, ...], timeout_s: float) -> tuple[int, str]:
        return len(command) - 1, " ".join(command) + "\n"


@contextlib.asynccontextmanager
async def answering(reply: bytes, wait_for: bytes = b"\r\n\r\n") -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that sends `reply` to whatever ends with `wait_for`; (its port, what it was sent)."""
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            seen.append(await reader.readuntil(wait_for))
            if reply != b"never":
                writer.write(reply)
                await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()


def ask(check, timeout_s: float = 5) -> Answer:
    return asyncio.run(try_check(check, NoContainer(), timeout_s))


def test_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ask(TcpCheck("127.0.0.1", server.getsockname()[1])) == Answer(True)
    port = Ports().take()
    assert ask(TcpCheck("127.0.0.1", port)) == Answer(False, f"dial tcp 127.0.0.1:{port}: connect: connection refused")


@pytest.mark.parametrize(
    ("reply", "success", "message"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True, ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", True, ""),
        (b"HTTP/1.1 399 Odd\r\n\r\n", True, ""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "HTTP probe failed with statuscode: 400"),
        (b"HTTP/1.0 500 No\r\n\r\n", False, "HTTP probe failed with statuscode: 500"),
        (b"SSH-2.0-x\r\n\r\n", False, "malformed HTTP response"),
        (b"never", False, "context deadline exceeded"),
    ],
)
def test_http(reply: bytes, success: bool, message: str) -> None:
    async def test() -> None:
        async with answering(reply) as (port, seen):
            check = HttpCheck("127.0.0.1", port, "/healthz?full=1", headers={"X-Token": "t", "host": "h"})
            answer = await try_check(check, NoContainer(), 0.3)
            assert answer.success is success
            assert message in answer.message
            lines = seen[0].decode().split("\r\n")
            assert lines[0] == "GET /healthz?full=1 HTTP/1.1"
            assert {"X-Token: t", "host: h", "User-Agent: kube-probe/1.34", "Connection: close"} <= set(lines)

    asyncio.run(test())


def test_http_to_nobody() -> None:
    port = Ports().take()
    assert ask(HttpCheck("127.0.0.1", port)).message == (
        f'Get "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused'
    )


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


SETTINGS = frame(4, 0, 0, b"")
HEADERS = frame(1, 4, 1, b"\x88")


def health(status: int) -> bytes:
    message = bytes((8, status)) if status else b""
    return frame(0, 0, 1, bytes((0, 0, 0, 0, len(message))) + message)


PADDED = frame(0, 8, 1, b"\x02" + health(1)[9:] + b"\0\0")


@pytest.mark.parametrize(
    ("reply", "success", "message"),
    [
        (SETTINGS + HEADERS + health(1), True, ""),
        (SETTINGS + HEADERS + health(2), False, "NOT_SERVING"),
        (SETTINGS + HEADERS + health(0), False, "UNKNOWN"),
        (
            SETTINGS + frame(6, 0, 0, b"12345678") + HEADERS + frame(0, 8, 1, b"\x02" + health(1)[9:] + b"\0\0"),
            True,
            "",
        ),
        (SETTINGS + frame(1, 5, 1, b"\x88"), False, "does not implement"),
        (SETTINGS + frame(7, 0, 0, b"\0" * 8), False, "refused"),
        (b"never", False, "timeout: failed to connect"),
    ],
)
def test_grpc(reply: bytes, success: bool, message: str) -> None:
    async def test() -> None:
        async with answering(reply, wait_for=b"\x00\x00\x00\x00\x03\x0a\x01s") as (port, seen):
            answer = await try_check(GrpcCheck("127.0.0.1", port, "s"), NoContainer(), 0.5)
            assert answer.success is success
            assert message in answer.message
            assert seen[0].startswith(grpc_health.PREFACE + SETTINGS)

    asyncio.run(test())


def test_grpc_with_an_http_1_server() -> None:
    async def test() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            answer = await try_check(GrpcCheck("127.0.0.1", port), NoContainer(), 5)
            assert not answer.success
            assert "does not speak HTTP/2" in answer.message

    asyncio.run(test())


def test_exec() -> None:
    assert ask(ExecCheck(("ok",))) == Answer(True)
    assert ask(ExecCheck(("not", "ok"))) == Answer(False, "not ok")


@pytest.mark.parametrize("listens", [False, True])
def test_where_nobody_wrote_a_probe_it_is_soon_taken_for_ready(monkeypatch: pytest.MonkeyPatch, listens: bool) -> None:
    """One that has answered is asked as long as it runs; of one that has not there is no more to ask."""

    async def test() -> list[bool | None]:
        clock, answers = FakeClock(), []
        plan = ProbePlan(ProbeKind.READINESS, ExecCheck(("x",)), period_s=1, assumed_after_s=2.0)

        async def try_it(*_: object) -> Answer:
            return Answer(listens and len(answers) == 1)

        def note(state: ProbeState, answer: Answer) -> None:
            answers.append(state.healthy)

        monkeypatch.setattr("deploy.probes.try_check", try_it)
        task = asyncio.get_running_loop().create_task(run_probe(plan, NoContainer(), clock, note))
        await clock.advance(4.5)
        assert task.done() is not listens
        task.cancel()
        await settle()
        return answers

    assert asyncio.run(test()) == ([None, True, True, True, False] if listens else [None, None, True])


def test_a_probe_waits_its_delay_and_then_keeps_its_period() -> None:
    async def test() -> None:
        clock, answers = FakeClock(), []
        plan = ProbePlan(ProbeKind.LIVENESS, ExecCheck(("ok",)), initial_delay_s=5, period_s=3, successes=2)

        def note(state: ProbeState, answer: Answer) -> None:
            answers.append((clock.monotonic() - 1000, state.healthy))

        task = asyncio.get_running_loop().create_task(run_probe(plan, NoContainer(), clock, note))
        await clock.advance(11.5)
        task.cancel()
        await settle()
        assert answers == [(5, None), (8, True), (11, True)]

    asyncio.run(test())
