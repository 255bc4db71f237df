"""Trying probes: the I/O behind `deploy/probing`, and the loop that runs one probe of one container.

Used by `deploy/pods`. Knows a container only as something that can execute a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from core.clock import Clock
from deploy.grpc_health import ask_health
from deploy.probing import (
    USER_AGENT,
    Check,
    ExecCheck,
    GrpcCheck,
    HttpCheck,
    ProbePlan,
    ProbeState,
    TcpCheck,
    next_state,
    next_try_s,
    try_timeout_s,
)
from deploy.runtimes.base import Container

HEAD_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one try. `message` is the kubelet's, without its `Readiness probe failed: `."""

    success: bool
    message: str = ""


OnAnswer: TypeAlias = Callable[[ProbeState, Answer], None]


async def run_probe(plan: ProbePlan, container: Container, clock: Clock, on_answer: OnAnswer) -> None:
    """Tries until cancelled, or until yes is assumed; tells of every answer, with what the answers so far add up to."""
    if plan.initial_delay_s:
        await clock.sleep(plan.initial_delay_s)
    state, begun, ever = ProbeState(), clock.monotonic(), False
    while True:
        answer = await try_check(plan.check, container, try_timeout_s(plan, state))
        ever = ever or answer.success
        if plan.assumed_after_s is not None and not ever and clock.monotonic() - begun >= plan.assumed_after_s:
            on_answer(ProbeState(healthy=True), Answer(True))
            return
        state = next_state(plan, state, answer.success)
        on_answer(state, answer)
        await clock.sleep(next_try_s(plan, state, clock.monotonic() - begun))


async def try_check(check: Check, container: Container, timeout_s: float) -> Answer:
    """One try; never raises."""
    try:
        async with asyncio.timeout(timeout_s):
            match check:
                case TcpCheck():
                    return await _try_tcp(check)
                case HttpCheck():
                    return await _try_http(check)
                case GrpcCheck():
                    return await _try_grpc(check)
                case ExecCheck():
                    return await _try_exec(check, container, timeout_s)
    except TimeoutError:
        return Answer(False, _timed_out(check, timeout_s))


async def _try_tcp(check: TcpCheck) -> Answer:
    """On loopback connect() answers at once, so the usual try is one system call and no turn of the loop."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        code = probe.connect_ex((check.host, check.port))
        if code == errno.EINPROGRESS:
            try:
                await asyncio.get_running_loop().sock_connect(probe, (check.host, check.port))
                code = 0
            except OSError as error:
                code = error.errno or errno.ECONNREFUSED
    return Answer(code == 0, "" if code == 0 else _dial_failed(check, code))


async def _try_http(check: HttpCheck) -> Answer:
    tls = _unverified() if check.tls else None
    try:
        reader, writer = await asyncio.open_connection(check.host, check.port, ssl=tls, limit=HEAD_BYTES_MAX)
    except OSError as error:
        why = _dial_failed(TcpCheck(check.host, check.port), error.errno or errno.ECONNREFUSED)
        return Answer(False, f'Get "{check.url}": {why}')
    try:
        writer.write(_request(check))
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        return Answer(False, f'Get "{check.url}": EOF')
    except (IndexError, ValueError):
        return Answer(False, f'Get "{check.url}": malformed HTTP response')
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            writer.transport.abort()
    success = 200 <= status < 400
    return Answer(success, "" if success else f"HTTP probe failed with statuscode: {status}")


async def _try_grpc(check: GrpcCheck) -> Answer:
    try:
        serving, why = await ask_health(check.host, check.port, check.service)
    except OSError as error:
        code = error.errno or errno.ECONNREFUSED
        why = _dial_failed(TcpCheck(check.host, check.port), code)
        return Answer(False, f'failed to connect service "{check.host}:{check.port}": {why}')
    return Answer(serving, why)


async def _try_exec(check: ExecCheck, container: Container, timeout_s: float) -> Answer:
    code, output = await container.execute(check.command, timeout_s)
    return Answer(code == 0, "" if code == 0 else output.strip() or f"command exited with code {code}")


def _request(check: HttpCheck) -> bytes:
    headers = {
        "host": ("Host", f"{check.host}:{check.port}"),
        "user-agent": ("User-Agent", USER_AGENT),
        "accept": ("Accept", "*/*"),
        "connection": ("Connection", "close"),
    }
    headers |= {name.lower(): (name, value) for name, value in check.headers.items()}
    lines = [f"GET {check.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.values())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _unverified() -> ssl.SSLContext:
    """The kubelet does not verify either: a probe asks whether it answers, not who."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _dial_failed(check: TcpCheck, code: int) -> str:
    return f"dial tcp {check.host}:{check.port}: connect: {os.strerror(code).lower()}"


def _timed_out(check: Check, timeout_s: float) -> str:
    match check:
        case HttpCheck():
            return f'Get "{check.url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        case TcpCheck():
            return f"dial tcp {check.host}:{check.port}: i/o timeout"
        case GrpcCheck():
            return f'timeout: failed to connect service "{check.host}:{check.port}" within {timeout_s:g}s'
        case ExecCheck():
            return f'command "{" ".join(check.command)}" timed out'
