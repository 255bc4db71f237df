"""The process that will be the next command: forked ahead of need, it waits in a session and a cgroup of its own.

A fork of the spawner and a new cgroup take as long as all the rest of a start of a small program, and nothing in them
depends on the command. So one process is kept that has been through both; told what to be, it only changes user and
folder and executes. The next one is made when the start that took this one has had its time.

Part of the spawner's process: imports only the standard library and neighbors that do the same.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from deploy.runtimes import kernel
from deploy.runtimes.cgroups import Group
from deploy.runtimes.instance import Request, become, begin, fork_for

REFILL_AFTER_S = 0.2
_EXAMPLE = {"argv": ["a"], "env": {"A": "b"}, "uid": None, "id": "c", "mounts": [], "no_new_privileges": False}
MESSAGE_BYTES_MAX = 1 << 20  # the kernel takes less; what does not fit is forked as it comes


@dataclass(frozen=True, slots=True)
class Parked:
    """One that waits. `pipes`: where its stdout, its stderr and the failure of its exec will come from."""

    pid: int
    group: Group | None
    channel: socket.socket
    pipes: tuple[int, int, int]

    def wake(self, request: Request) -> bool:
        """It becomes that command. False: it cannot, and its pipes are closed."""
        with self.channel:
            try:
                self.channel.send(json.dumps(request).encode())
            except OSError:
                self.close_pipes()
                return False
        return True

    def close_pipes(self) -> None:
        for fd in self.pipes:
            os.close(fd)


class ParkingLot:
    """Holds one, from `open` to `close`."""

    def __init__(self, make_group: Callable[[str], Group | None], discard_group: Callable[[Group], None]) -> None:
        self._make_group, self._discard_group = make_group, discard_group
        self._parked: Parked | None = None
        self._refill_at: float | None = None  # monotonic
        self._descriptors = (0, 0)
        self._numbers = itertools.count(1)

    def open(self, descriptors: tuple[int, int]) -> None:
        """`descriptors`: the limits of how many an instance may open."""
        self._descriptors = descriptors
        self._refill_at = time.monotonic()

    def take(self) -> Parked | None:
        """The caller's from now on, group included."""
        parked, self._parked = self._parked, None
        if parked is not None:
            self._refill_at = time.monotonic() + REFILL_AFTER_S
        return parked

    def lose(self, pid: int) -> None:
        """That process has ended; it may have been the one that waited."""
        if self._parked is not None and self._parked.pid == pid:
            self._drop()
            self._refill_at = time.monotonic() + REFILL_AFTER_S

    def close(self) -> None:
        """It ends when its channel does."""
        self._refill_at = None
        self._drop()

    def advance(self, now: float) -> float | None:
        """Parks the one that is due. Returns when the next one is."""
        if self._refill_at is not None and now >= self._refill_at:
            self._refill_at = None
            with contextlib.suppress(OSError):  # no process to be had now: the next start forks, and says so
                self._parked = self._park()
        return self._refill_at

    def _park(self) -> Parked:
        group = self._make_group(f"parked.{next(self._numbers)}")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        (out_r, out_w), (err_r, err_w), (failed_r, failed_w) = os.pipe(), os.pipe(), os.pipe()
        with theirs:
            parent = os.getpid()
            pid, born_inside = fork_for(group)
            if pid == 0:
                pipes, descriptors = (out_w, err_w, failed_w), self._descriptors
                _wait(theirs, failed_w, parent, lambda: begin(group, born_inside, pipes, descriptors))
        for fd in (out_w, err_w, failed_w):
            os.close(fd)
        return Parked(pid, group, ours, (out_r, err_r, failed_r))

    def _drop(self) -> None:
        parked, self._parked = self._parked, None
        if parked is not None:
            parked.channel.close()
            parked.close_pipes()
            if parked.group is not None:
                self._discard_group(parked.group)


def _wait(channel: socket.socket, failed: int, parent: int, first: Callable[[], None]) -> NoReturn:
    """In the child. It holds nothing of the spawner's: another's end of a pipe must not stay open here."""
    try:
        _, descriptors_max = resource.getrlimit(resource.RLIMIT_NOFILE)
        first()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        kernel.die_with_parent()
        if os.getppid() != parent:
            os._exit(127)
        kept = sorted((channel.fileno(), failed))
        for low, high in zip((2, *kept), (*kept, descriptors_max), strict=True):
            os.closerange(low + 1, high)
        json.loads(json.dumps(_EXAMPLE))  # makes its copies of the pages that it will need
        data = channel.recv(MESSAGE_BYTES_MAX)
    except BaseException:
        os._exit(127)
    if not data:
        os._exit(0)  # nobody will tell it any more
    become(json.loads(data), failed, parent)
