"""A runtime whose containers are coroutines: the image names a `Program`, time is the test's clock, sockets are real.

For tests of the node and for scenarios. It keeps the contract of the real ones (`runtime_contract.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace

from core.clock import Clock, SystemClock
from core.tasks import Started
from deploy.runtimes.base import (
    NO_AUTH,
    Address,
    ContainerPlan,
    Exit,
    PodPlan,
    RegistryAuth,
    StartError,
    Tell,
    Used,
    to_nobody,
)
from deploy.runtimes.logfile import LogFile
from deploy.runtimes.ports import Ports

Program = Callable[["FakeProcess"], Awaitable[int]]
"""What a container does; its exit code. `process.terminated` is set by SIGTERM; SIGKILL cancels it."""
OnExecute = Callable[[tuple[str, ...]], tuple[int, str]]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class FakeProcess:
    """What a program sees."""

    def __init__(self, plan: ContainerPlan, port: int | None, clock: Clock, log: LogFile) -> None:
        self.plan, self.port, self.clock = plan, port, clock
        self.env: Mapping[str, str] = plan.env
        self.terminated = asyncio.Event()
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.said = b""
        self.last_words = ""
        self.cpu_s = 0.0
        self.memory_bytes = 1 << 20
        self._log = log

    def write(self, data: bytes, stream: bytes = b"stdout") -> None:
        self.said = (self.said + data)[-2048:]
        self._log.write(stream, data)

    @contextlib.asynccontextmanager
    async def serving(self, handler: Handler) -> AsyncIterator[None]:
        """Listens on the container's port while the block runs; a frozen one accepts and stays silent."""
        connections: set[asyncio.StreamWriter] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.add(writer)
            try:
                await self.thawed.wait()
                await handler(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                connections.discard(writer)
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()
            for writer in list(connections):
                writer.transport.abort()


async def answer_200(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Every request on the connection gets 200 and an empty body."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.partition(b":")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()


async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass


async def serve(process: FakeProcess) -> int:
    """Answers 200 until SIGTERM."""
    async with process.serving(answer_200):
        await process.terminated.wait()
    return 0


async def serve_stubbornly(process: FakeProcess) -> int:
    async with process.serving(answer_200):
        await asyncio.Event().wait()
    return 0


async def hang(process: FakeProcess) -> int:
    async with process.serving(stay_silent):
        await process.terminated.wait()
    return 0


async def never_listen(process: FakeProcess) -> int:
    await process.terminated.wait()
    return 0


async def end(process: FakeProcess) -> int:
    """Its work is done at once."""
    return 0


async def fail(process: FakeProcess) -> int:
    process.write(b"no luck\n", b"stderr")
    return 3


PROGRAMS: dict[str, Program] = {
    "fake/serve": serve,
    "fake/stubborn": serve_stubbornly,
    "fake/hang": hang,
    "fake/deaf": never_listen,
    "fake/fail": fail,
    "fake/end": end,
}


class FakeContainer:
    """A program at work."""

    def __init__(self, number: int, process: FakeProcess, program: Program, log: LogFile) -> None:
        self.id = f"fake://{number}"
        self.image_id = f"fake@sha256:{number:064d}"
        self.process = process
        self.executed: list[tuple[str, ...]] = []
        self.on_execute: OnExecute = lambda command: (0, "")
        self._log = log
        self._ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._run(program))

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    async def stop(self, grace_s: float) -> Exit:
        self.process.thawed.set()
        if grace_s > 0:
            self.process.terminated.set()
            await self._wait_end(grace_s)
        self.crash(137, 9)
        return await self.wait()

    async def execute(self, command: tuple[str, ...], timeout_s: float) -> tuple[int, str]:
        self.executed.append(command)
        return self.on_execute(command)

    async def used(self) -> Used | None:
        return None if self._ended.done() else Used(self.process.cpu_s, self.process.memory_bytes)

    def crash(self, code: int, number: int = 0, oom: bool = False) -> None:
        """Ends it so, from outside."""
        if not self._ended.done():
            said = self.process.said.decode(errors="replace")
            self._end(Exit(code, number, oom, said, self.process.last_words))
            self._task.cancel()

    async def _wait_end(self, grace_s: float) -> None:
        grace = asyncio.get_running_loop().create_task(self.process.clock.sleep(grace_s))
        await asyncio.wait((self._ended, grace), return_when=asyncio.FIRST_COMPLETED)
        grace.cancel()

    async def _run(self, program: Program) -> None:
        try:
            code = await program(self.process)
        except Exception as error:
            self.process.write(f"{error!r}\n".encode(), b"stderr")
            code = 1
        self.crash(code)

    def _end(self, exit_: Exit) -> None:
        self._log.close()
        self._ended.set_result(exit_)


class FakeSandbox:
    """Remembers what was done to it."""

    def __init__(self, runtime: FakeRuntime, plan: PodPlan, port: int | None) -> None:
        self.plan = plan
        self.containers: dict[str, FakeContainer] = {}  # by name, the newest
        self.paused = False
        self.refuses_to_freeze = ""  # why, while it does
        self.removed = False
        self.warnings: tuple[str, ...] = ()
        self._runtime, self._port = runtime, port
        self._all: list[FakeContainer] = []

    @property
    def address(self) -> Address | None:
        return None if self._port is None else Address("127.0.0.1", self._port, self._runtime.inside)

    async def start(self, container: ContainerPlan, tell: Tell = to_nobody) -> FakeContainer:
        container = container.on_port(self._port)
        for step in self._runtime.steps:
            tell("Installing", step)
            await asyncio.sleep(0)
        await self._runtime.installed.wait()
        self._runtime.starts.append((self.plan.instance.name, container.name))
        if self._runtime.start_delay_s:
            await self._runtime.clock.sleep(self._runtime.start_delay_s)
        program = self._runtime.programs.get(container.image)
        if program is None:
            raise StartError("ErrImagePull", f'no such image: "{container.image}"')
        if container.serving and self._port is not None:
            container = _with_port(container, self._port)
        log = LogFile(self.plan.log_dir / f"{container.name}.log")
        process = FakeProcess(container, self._port, self._runtime.clock, log)
        started = FakeContainer(next(self._runtime.numbers), process, program, log)
        started.on_execute = self._runtime.on_execute
        self.containers[container.name] = started
        self._all.append(started)
        return started

    async def pause(self) -> None:
        if self.refuses_to_freeze:
            raise StartError("RunContainerError", self.refuses_to_freeze)
        self.paused = True
        for container in self._all:
            container.process.thawed.clear()

    async def resume(self) -> None:
        self.paused = False
        for container in self._all:
            container.process.thawed.set()

    async def remove(self) -> None:
        for container in self._all:
            container.crash(137, 9)
        self.removed = True
        if self._port is not None:
            self._runtime.ports.give_back(self._port)
        shutil.rmtree(self.plan.scratch_dir, ignore_errors=True)


class FakeRuntime:
    """`sandboxes` by Pod name and `starts` in order are for assertions; `programs` is for tests to add to."""

    name = "fake"

    def __init__(self, clock: Clock | None = None, programs: Mapping[str, Program] | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.programs: dict[str, Program] = {**PROGRAMS, **(programs or {})}
        self.start_delay_s = 0.0
        self.inside: int | None = None  # the port in a network of each Pod's own
        self.steps: list[str] = []  # told of before each start
        self.installed = asyncio.Event()  # which waits for this
        self.installed.set()
        self.on_execute: OnExecute = lambda command: (0, "")  # of containers that start from now on
        self.resolved_with: RegistryAuth = NO_AUTH
        self.unavailable: str | None = None
        self.ports = Ports()
        self.numbers = itertools.count(1)
        self.sandboxes: dict[str, FakeSandbox] = {}
        self.starts: list[tuple[str, str]] = []
        self.prepared: list[tuple[str, int]] = []

    async def run(self, started: Started) -> None:
        started()
        try:
            await asyncio.Event().wait()
        finally:
            for sandbox in self.sandboxes.values():
                await sandbox.remove()

    def available(self) -> str | None:
        return self.unavailable

    async def prepare(self, plan: PodPlan, spares: int) -> None:
        self.prepared.append((plan.template, spares))

    async def resolve(self, container: ContainerPlan, registry_auth: RegistryAuth = NO_AUTH) -> str:
        self.resolved_with = registry_auth
        if container.image not in self.programs:
            raise StartError("ErrImagePull", f'no such image: "{container.image}"')
        return f"{container.image}@sha256:fake"

    async def sandbox(self, plan: PodPlan) -> FakeSandbox:
        for folder in (plan.scratch_dir, plan.log_dir):
            folder.mkdir(parents=True, exist_ok=True)
        sandbox = FakeSandbox(self, plan, None if plan.port is None else self.ports.take())
        self.sandboxes[plan.instance.name] = sandbox
        return sandbox


def _with_port(container: ContainerPlan, port: int) -> ContainerPlan:
    return replace(container, env={**container.env, "PORT": str(port)})
