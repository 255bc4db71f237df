"""The platform's end of the spawner: starts that process, asks it to fork, and hears how each fork ended.

Runtimes whose instances are processes of this machine share one. When the spawner dies (the kernel kills its children
with it), everything it ran is reported as ended, and another one is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import structlog

from core.tasks import Started
from deploy.runtimes.base import Exit
from deploy.runtimes.mount_points import MountPoints

_log = structlog.get_logger()

BOOT = "import sys; sys.path.append(sys.argv[1]); from deploy.runtimes.spawner import main; main()"
LINE_BYTES_MAX = 1 << 20
REPLY_S_MAX = 10.0  # the spawner answers within a millisecond or is dead
LEAVING_S = 6.0  # its own two graces and some
RESTART_S = 0.2
SPAWNER_DIED = Exit(137, signal.SIGKILL, message="the process that runs instances has died, and they with it")


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `id` is unique for ever; `mounts` are (source, target that exists, read only)."""

    id: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    log: str
    uid: int | None = None
    gid: int | None = None
    memory: int | None = None  # bytes
    cpu: int | None = None  # thousandths of a core
    mounts: tuple[tuple[str, str, bool], ...] = ()
    no_new_privileges: bool = False
    template: str = ""  # the id of a fork server that makes a copy of itself instead; argv and cwd are its own
    is_template: bool = False  # a fork server: `@control` in argv becomes its control socket's descriptor


COMMAND_FIELDS = tuple(field.name for field in fields(Command))


@dataclass(frozen=True, slots=True)
class Facts:
    """What this machine lets the spawner do."""

    memory: bool = False  # limits of memory and of CPU can be set
    cpu: bool = False
    freezer: bool = False  # instances can be frozen and killed as a whole, by cgroup
    names: str = "the spawner does not run"  # "" or why service names do not resolve inside instances


class SpawnFailed(Exception):
    """`missing`: a file was not found; `at` names it."""

    def __init__(self, message: str, missing: bool = False, at: str = "") -> None:
        super().__init__(message)
        self.message, self.missing, self.at = message, missing, at


class Process:
    """One started command, with all that came from it."""

    def __init__(self, link: SpawnerLink, command: Command) -> None:
        self.command = command
        self.pid = 0
        self._link = link
        self._ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    @property
    def has_ended(self) -> bool:
        return self._ended.done()

    def end(self, exit_: Exit) -> None:
        """For the link: it is gone, and so is all that came from it."""
        if not self._ended.done():
            self._ended.set_result(exit_)

    async def stop(self, grace_s: float, number: int = signal.SIGTERM) -> Exit:
        """The signal to its group, SIGKILL to whatever is left after the grace; returns when nothing is."""
        if not self._ended.done():
            with contextlib.suppress(SpawnFailed):
                await self._link.request("stop", id=self.command.id, grace=grace_s, signal=number)
        return await self.wait()

    async def freeze(self, frozen: bool) -> None:
        if not self._ended.done():
            await self._link.request("freeze", id=self.command.id, frozen=frozen)

    async def execute(self, argv: tuple[str, ...], timeout_s: float) -> tuple[int, str]:
        """Beside it, with its environment, user, folder and limits: exit code and output (10 KiB at most)."""
        try:
            fields = {"id": self._link.make_id("exec"), "inside": self.command.id, "argv": argv, "timeout": timeout_s}
            reply = await self._link.request("exec", extra_s=timeout_s, **fields)
        except SpawnFailed as error:
            return 126, f"{argv[0]}: {error.message}"
        return int(reply["code"]), str(reply["output"])


class Template(Process):
    """A fork server: what names it as its `template` begins as a copy of it."""

    def __init__(self, link: SpawnerLink, command: Command) -> None:
        super().__init__(link, command)
        self._verdict: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def verdict(self) -> str:
        """Once it has imported what it is to copy: "" where it can fork, else why not."""
        return await asyncio.shield(self._verdict)

    def hear(self, message: Mapping[str, Any]) -> None:
        """For the link: what the fork server has to say."""
        if not self._verdict.done():
            self._verdict.set_result(message.get("failed") or "; ".join(message.get("unsafe", ())))

    def end(self, exit_: Exit) -> None:
        self.hear({"failed": exit_.message or f"it ended with {exit_.code}"})
        super().end(exit_)

    async def retire(self) -> None:
        """It ends when its last copy has."""
        if not self.has_ended:
            with contextlib.suppress(SpawnFailed):
                await self._link.request("retire", id=self.command.id)


class SpawnerLink:
    """`name` is unique per data folder: an earlier spawner's leftovers are found by it. `hosts` becomes /etc/hosts."""

    def __init__(self, name: str, hosts: Path) -> None:
        self._name, self.hosts = name, hosts
        self.mount_points = MountPoints()
        self._descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)  # the gateway raises ours, not the instances'
        self.facts = Facts()
        self.is_up = False
        self._ids = itertools.count(1)
        self._seqs = itertools.count(1)
        self._writer: asyncio.StreamWriter | None = None
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._processes: dict[str, Process] = {}

    async def run(self, started: Started) -> None:
        """Keeps a spawner running; cancelled, it returns when that and all instances are gone."""
        while True:
            await self._run_once(started)
            _log.warning("the spawner died; starting another")
            await asyncio.sleep(RESTART_S)

    def make_id(self, prefix: str) -> str:
        return f"{prefix}.{next(self._ids)}"

    async def start(self, command: Command) -> Process:
        """Returns once it runs. SpawnFailed."""
        process = Process(self, command)
        await self._start(process)
        return process

    async def start_template(self, command: Command) -> Template:
        """Returns while it is still importing. SpawnFailed."""
        template = Template(self, replace(command, is_template=True))
        await self._start(template)
        return template

    async def _start(self, process: Process) -> None:
        command = process.command
        self._processes[command.id] = process
        try:
            reply = await self.request("start", **{name: getattr(command, name) for name in COMMAND_FIELDS})
        except SpawnFailed:
            del self._processes[command.id]
            raise
        except asyncio.CancelledError:
            self._tell("stop", id=command.id, grace=0.0, signal=signal.SIGKILL)  # nobody else will know of it
            raise
        process.pid = int(reply["pid"])

    async def request(self, op: str, extra_s: float = 0.0, **fields: Any) -> dict[str, Any]:
        """SpawnFailed, also where the spawner has died."""
        if self._writer is None:
            raise SpawnFailed("the process that runs instances is being started")
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        seq = self._tell(op, **fields)
        self._replies[seq] = reply
        try:
            async with asyncio.timeout(REPLY_S_MAX + extra_s):
                answer = await reply
        except TimeoutError:
            raise SpawnFailed(f"no answer to {op} from the process that runs instances") from None
        finally:
            self._replies.pop(seq, None)
        if "error" in answer:
            raise SpawnFailed(answer["error"], bool(answer.get("missing")), str(answer.get("at", "")))
        return answer

    def _tell(self, op: str, **fields: Any) -> int:
        seq = next(self._seqs)
        if self._writer is not None:
            self._writer.write(json.dumps({"op": op, "seq": seq, **fields}).encode() + b"\n")
        return seq

    async def _run_once(self, started: Started) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            root = str(Path(__file__).parents[2])
            spawner = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", BOOT, root, str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={},
                start_new_session=True,  # a Ctrl-C in the terminal is the platform's to handle
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_BYTES_MAX)
        self._writer = writer
        try:
            async with asyncio.TaskGroup() as group:
                configuring = group.create_task(self._configure(started), name="spawner:configure")
                await self._read(reader)
                configuring.cancel()
        finally:
            self.is_up, self._writer = False, None
            writer.close()
            await self._wait_gone(spawner)
            self._end_all()

    async def _configure(self, started: Started) -> None:
        with contextlib.suppress(SpawnFailed):
            fields: dict[str, Any] = {"name": self._name, "hosts": str(self.hosts), "descriptors": self._descriptors}
            answer = await self.request("configure", **fields)
            self.facts = Facts(answer["memory"], answer["cpu"], answer["freezer"], answer["names"])
            self.is_up = True
            started()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            if message.get("event") == "template":
                template = self._processes.get(message["id"])
                if isinstance(template, Template):
                    template.hear(message)
            elif "event" in message:
                process = self._processes.pop(message["id"], None)
                if process is not None:
                    process.end(Exit(message["code"], message["signal"], message["oom"], message["message"]))
            elif (reply := self._replies.get(message["seq"])) is not None and not reply.done():
                reply.set_result(message)

    async def _wait_gone(self, spawner: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(LEAVING_S):
                await spawner.wait()
        except TimeoutError:
            spawner.kill()
            await spawner.wait()

    def _end_all(self) -> None:
        for reply in self._replies.values():
            if not reply.done():
                reply.set_result({"error": "the process that runs instances has died"})
        for process in self._processes.values():
            process.end(SPAWNER_DIED)
        self._processes.clear()
