"""One command that the spawner has started: how it becomes a process, and everything that comes from it.

Part of the spawner's process: imports only the standard library and neighbors that do the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
from collections.abc import Callable
from typing import Any, NoReturn

from deploy.runtimes import kernel
from deploy.runtimes.cgroups import Group
from deploy.runtimes.logfile import LogFile

READ_BYTES = 64 << 10
MESSAGE_BYTES_MAX = 2048  # what a termination message holds when it falls back to the log
EXEC_OUTPUT_BYTES_MAX = 10 << 10  # what an exec probe keeps (kubelet's maxRespBodyLength)
MARKER = "PILOTLIGHT_INSTANCE"  # in the environment: finds processes that left the session, where there are no cgroups

Request = dict[str, Any]


class Instance:
    """A command that was started, and everything that came from it."""

    def __init__(self, request: Request, group: Group | None) -> None:
        self.id: str = request["id"]
        self.request = request
        self.group = group  # None also for an exec, which lives in the group of another
        self.pid = 0
        self.launching = True  # until exec is known to have worked or not
        self.failed = False
        self.status: int | None = None  # of its first process, from waitpid
        self.ended_at = 0.0
        self.kill_at: float | None = None  # monotonic; set once it is to end
        self.outputs: set[int] = set()  # descriptors still open
        self.tail = b""
        self._tail_bytes = EXEC_OUTPUT_BYTES_MAX if self.is_exec else MESSAGE_BYTES_MAX
        self._log: LogFile | None = None

    def open_log(self) -> None:
        """Before anything is read."""
        if not self.is_exec:
            self._log = LogFile(self.request["log"])

    @property
    def is_exec(self) -> bool:
        return "inside" in self.request

    def members(self) -> list[int]:
        """Every process that belongs to it and is alive."""
        if self.group is not None:
            return self.group.pids()
        table = kernel.processes()
        parents = {pid: parent for pid, parent, _ in table}
        mark = f"{MARKER}={self.id}".encode()
        me = os.getpid()
        return [
            pid
            for pid, parent, session in table
            if session == self.pid
            or kernel.descends(pid, self.pid, parents)
            or (parent == me and mark in kernel.environment_of(pid))  # it daemonized: we are its subreaper
        ]

    def signal(self, number: int) -> None:
        """To its process group: what a terminal would do, and what the children of a shell need."""
        if self.pid:  # 0: still to be forked, and to the kernel our own group
            with contextlib.suppress(OSError):
                os.killpg(self.pid, number)

    def freeze(self, frozen: bool) -> None:
        if self.group is None or not self.group.freeze(frozen):
            kernel.send_signal(self.members(), signal.SIGSTOP if frozen else signal.SIGCONT)
        elif self.request["template"]:
            self.signal(signal.SIGSTOP if frozen else signal.SIGCONT)  # it may not have entered its group yet

    def kill(self) -> None:
        if self.group is not None:
            self.group.kill()
            if self.status is None:
                self.signal(signal.SIGKILL)  # one that was forked from a template enters its group a little later
        else:
            kernel.send_signal(self.members(), signal.SIGKILL)

    def read(self, fd: int, stream: bytes) -> bool:
        """Moves what it wrote to the log; False at the end of that stream."""
        data = os.read(fd, READ_BYTES)
        if data:
            if self._log is not None:
                self._log.write(stream, data)
            self.tail = (self.tail + data)[-self._tail_bytes :]
        return bool(data)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()


CONTROL = "@control"  # in a fork server's argv: becomes the descriptor of its control socket


def spawn(request: Request, group: Group | None, pipes: tuple[int, int, int]) -> int:
    """Forks and execs. The third pipe yields nothing once exec has worked, else why it has not."""
    parent = os.getpid()
    pid, born_inside = fork_for(group)
    if pid == 0:
        become(request, pipes[2], parent, lambda: begin(group, born_inside, pipes, request["descriptors"]))
    return pid


def fork_for(group: Group | None) -> tuple[int, bool]:
    """The pid, 0 in the child; and whether the child was born in that group. `begin` does the rest."""
    pid = kernel.fork_into(group.fd) if group is not None and group.fd >= 0 else None
    return (os.fork(), False) if pid is None else (pid, True)


def begin(group: Group | None, born_inside: bool, pipes: tuple[int, int, int], descriptors: tuple[int, int]) -> None:
    """In the child: whatever does not depend on the command."""
    if group is not None:
        group.enter(born_inside)
    os.setsid()
    null = os.open("/dev/null", os.O_RDONLY)
    for target, source in enumerate((null, pipes[0], pipes[1])):
        os.dup2(source, target)
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_NOFILE, descriptors)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two, and exec would hand that on
        signal.signal(number, signal.SIG_DFL)


def become(request: Request, failed: int, parent: int, first: Callable[[], None] = lambda: None) -> NoReturn:
    """In the child: turns into the command, or tells on the pipe `failed` why it cannot."""
    try:
        first()
        _turn_into(request, parent)
    except BaseException as error:
        why = getattr(error, "strerror", None) or str(error)
        reason = {
            "error": why,
            "missing": isinstance(error, FileNotFoundError),
            "at": os.fsdecode(getattr(error, "filename", None) or ""),
        }
        os.write(failed, json.dumps(reason).encode())
    finally:
        os._exit(127)


def _turn_into(request: Request, parent: int) -> NoReturn:
    kernel.mount_privately(request["mounts"])
    _set_ids(request["uid"], request["gid"])
    if request["no_new_privileges"]:
        kernel.forbid_new_privileges()
    os.chdir(request["cwd"])
    kernel.die_with_parent()  # after the change of user, which would clear it
    if os.getppid() != parent:
        os._exit(127)
    argv = request["argv"]
    if request["control"] is not None:
        os.set_inheritable(request["control"], True)
        argv = [str(request["control"]) if argument == CONTROL else argument for argument in argv]
    os.execvpe(argv[0], argv, {**request["env"], MARKER: request["id"]})


def _set_ids(uid: int | None, gid: int | None) -> None:
    if uid is None and gid is None:
        return
    if os.geteuid() == 0:
        os.setgroups([] if gid is None else [gid])
    if gid is not None and gid != os.getgid():
        os.setresgid(gid, gid, gid)
    if uid is not None and uid != os.getuid():
        os.setresuid(uid, uid, uid)
