"""The process that will be the next command: forked ahead of need, it waits in a session and a cgroup of its own.

A fork of the spawner and a new cgroup take as long as all the rest of a start of a small program, and nothing in them
depends on the command. So one process is kept that has been through both; told what to be, it only changes user and
folder and executes. The next one is made when the start that took this one has had its time.

Part of the spawner's process: imports only the standard library and neighbors that do the same.
"""

from __future__ import annotations

import array
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
from typing import Any, NoReturn

from deploy.runtimes import kernel
from deploy.runtimes.cgroups import Group
from deploy.runtimes.instance import Request, become, begin, fork_for

REFILL_AFTER_S = 0.2
MESSAGE_BYTES_MAX = 1 << 20  # the kernel takes less; what does not fit is forked as it comes
DESCRIPTORS = 3


@dataclass(frozen=True, slots=True)
class Parked:
    """One that waits."""

    pid: int
    group: Group | None
    channel: socket.socket

    def wake(self, request: Request, pipes: tuple[int, int, int]) -> bool:
        """It becomes that command, with those pipes as for `instance.spawn`. False: it cannot; forget it."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", pipes))]
        with self.channel:
            try:
                self.channel.sendmsg([json.dumps(request).encode()], rights)
            except OSError:
                return False
        return True


class ParkingLot:
    """Holds one, from `open` to `close`."""

    def __init__(self, make_group: Callable[[str], Group | None], discard_group: Callable[[Group], None]) -> None:
        self._make_group, self._discard_group = make_group, discard_group
        self._parked: Parked | None = None
        self._refill_at: float | None = None  # monotonic
        self._numbers = itertools.count(1)

    def open(self) -> None:
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
        with theirs:
            parent = os.getpid()
            pid, born_inside = fork_for(group)
            if pid == 0:
                _wait(theirs, parent, lambda: begin(group, born_inside))
        return Parked(pid, group, ours)

    def _drop(self) -> None:
        parked, self._parked = self._parked, None
        if parked is not None:
            parked.channel.close()
            if parked.group is not None:
                self._discard_group(parked.group)


def _wait(channel: socket.socket, parent: int, first: Callable[[], None]) -> NoReturn:
    """In the child. It holds nothing of the spawner's: another's end of a pipe must not stay open here."""
    try:
        first()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        kernel.die_with_parent()
        if os.getppid() != parent:
            os._exit(127)
        _, descriptors_max = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.closerange(3, channel.fileno())
        os.closerange(channel.fileno() + 1, descriptors_max)
        request, pipes = _receive(channel)
    except BaseException:
        os._exit(127)
    become(request, pipes, parent)


def _receive(channel: socket.socket) -> tuple[Request, tuple[int, int, int]]:
    """Ends the process where nobody will tell it any more."""
    space = socket.CMSG_SPACE(DESCRIPTORS * 4)
    data, ancillary, _, _ = channel.recvmsg(MESSAGE_BYTES_MAX, space, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for _, _, payload in ancillary:
        descriptors.frombytes(payload)
    if not data or len(descriptors) != DESCRIPTORS:
        os._exit(0)
    request: dict[str, Any] = json.loads(data)
    return request, (descriptors[0], descriptors[1], descriptors[2])
