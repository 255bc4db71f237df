"""The spawner's end of the fork servers: instances that begin as a copy of a process instead of a new program.

A fork server (a *template*) is an instance like any other, with a control socket beside; `function/zygote.py` describes
what is said on it. Forked instances are its children, so it tells how they ended; in all else (log, cgroup, freezing,
stopping) they are the spawner's like those that it forked itself. Each template keeps one *spare*: forked, in its
cgroups and warm, it only waits for its environment, so that a start costs neither a fork nor a move.

Part of the spawner's process: imports only the standard library and neighbors that do the same.
"""

from __future__ import annotations

import array
import contextlib
import itertools
import json
import os
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deploy.runtimes.cgroups import Group
from deploy.runtimes.instance import Instance, Request
from deploy.runtimes.kernel import write_text

MESSAGE_BYTES_MAX = 1 << 20
REFILL_AFTER_S = 0.2  # a spare is made when the start that took the last one has had its time


class Loop:
    """Who is called when which descriptor is readable."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        self.selector.register(fd, selectors.EVENT_READ, callback)

    def unwatch(self, fd: int) -> None:
        """Closes it, too."""
        self.selector.unregister(fd)
        os.close(fd)

    def round(self, timeout_s: float | None) -> None:
        for key, _ in self.selector.select(timeout_s):
            if key.fd in self.selector.get_map():  # an earlier callback of this round may have closed it
                key.data()


@dataclass(slots=True)
class Spare:
    """An instance forked ahead of its time, which waits on `channel` to be told who it is."""

    id: str
    group: Group | None
    channel: socket.socket
    pid: int = 0  # 0: not forked yet


@dataclass(slots=True)
class ForkServer:
    """One template, as the spawner keeps it."""

    request: Request  # what it was started with
    control: socket.socket
    spare: Spare | None = None
    refill_at: float | None = None  # monotonic; when the next spare is due
    waiting: dict[str, Instance] = field(default_factory=dict)  # asked to be forked


@dataclass(frozen=True, slots=True)
class Books:
    """What the fork servers need of the spawner."""

    by_pid: dict[int, Instance]
    make_group: Callable[[Request], Group | None]
    discard_group: Callable[[Group], None]
    send: Callable[[Request], None]
    ended: Callable[[int, int], None]


class ForkServers:
    """All templates of one spawner."""

    def __init__(self, loop: Loop, books: Books) -> None:
        self._loop, self._books = loop, books
        self._servers: dict[str, ForkServer] = {}
        self._numbers = itertools.count(1)

    def open(self, request: Request) -> int:
        """A control socket for a template that is about to start: the descriptor for its process, to close here."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)  # a template that does not read must not hold up the others
        self._servers[request["id"]] = ForkServer(request, ours)
        self._loop.watch(ours.fileno(), lambda: self._hear(request["id"]))
        return theirs.detach()

    def take_spare(self, template: str) -> Spare | None:
        """Whoever takes it gives it to `fork`. Another one is made a little later."""
        server = self._servers.get(template)
        if server is None or server.spare is None or not server.spare.pid:
            return None
        spare, server.spare = server.spare, None
        server.refill_at = time.monotonic() + REFILL_AFTER_S
        return spare

    def fork(self, instance: Instance, outputs: tuple[int, int], spare: Spare | None) -> None:
        """Answers the request of `instance`, now or when the template has forked it."""
        if spare is not None and self._wake(instance, outputs, spare):
            return
        server = self._servers.get(instance.request["template"])
        message = {"id": instance.id, "env": instance.request["env"], "groups": self._doors(instance)}
        if server is None or not _send(server.control, message, outputs):
            self._fail(instance, "the template has ended")
        else:
            server.waiting[instance.id] = instance

    def retire(self, template: str) -> None:
        """It forks no more, and ends when its last instance has; of which it tells until then."""
        server = self._servers.get(template)
        if server is not None:
            server.refill_at = None
            if server.spare is not None:
                self._drop(server)
            with contextlib.suppress(OSError):
                server.control.shutdown(socket.SHUT_WR)

    def retire_all(self) -> None:
        for template in list(self._servers):
            self.retire(template)

    def advance(self, now: float) -> float | None:
        """Makes the spares that are due. Returns when the next one is."""
        for server in self._servers.values():
            if server.refill_at is not None and now >= server.refill_at:
                server.refill_at = None
                self._park(server)
        return min(
            (server.refill_at for server in self._servers.values() if server.refill_at is not None), default=None
        )

    def _wake(self, instance: Instance, outputs: tuple[int, int], spare: Spare) -> bool:
        with spare.channel as channel:
            if not _send(channel, {"env": instance.request["env"]}, outputs):
                return False
        instance.pid, instance.launching = spare.pid, False
        self._books.by_pid[spare.pid] = instance
        self._books.send({"seq": instance.request["seq"], "pid": spare.pid})
        return True

    def _park(self, server: ForkServer) -> None:
        id_ = f"{server.request['id']}.{next(self._numbers)}"
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            group = self._books.make_group({**server.request, "id": id_})
            doors = group.doors() if group is not None and server.request["uid"] is None else []
            server.spare = Spare(id_, group, ours)
            if not _send(server.control, {"id": id_, "park": True, "groups": doors}, (theirs.fileno(),)):
                self._drop(server)

    def _drop(self, server: ForkServer) -> None:
        """The spare ends when its channel closes."""
        assert server.spare is not None
        server.spare.channel.close()
        if server.spare.group is not None:
            self._books.discard_group(server.spare.group)
        server.spare = None

    def _hear(self, template: str) -> None:
        server = self._servers[template]
        try:
            data = server.control.recv(MESSAGE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose(template)
            return
        message: dict[str, Any] = json.loads(data)
        if "status" in message:
            if server.spare is not None and server.spare.pid == message["pid"]:
                self._drop(server)  # it died while it waited; the next start forks
            self._books.ended(message["pid"], message["status"])
        elif "pid" in message:
            self._begin(server, message["id"], message["pid"])
        else:
            if "ready" in message:
                server.refill_at = time.monotonic() + REFILL_AFTER_S
            self._books.send({"event": "template", "id": template, **message})

    def _begin(self, server: ForkServer, id_: str, pid: int) -> None:
        """It has forked an instance or a spare."""
        spare, instance = server.spare, server.waiting.pop(id_, None)
        if instance is not None:
            instance.pid, instance.launching = pid, False
            self._books.by_pid[pid] = instance  # its parent is the template, and tells; should that die, we inherit it
            self._books.send({"seq": instance.request["seq"], "pid": pid})
        elif spare is not None and spare.id == id_:
            spare.pid = pid
        group = instance.group if instance is not None else spare and spare.group
        if group and server.request["uid"] is not None:
            for door in group.doors():
                write_text(door, str(pid))

    def _lose(self, template: str) -> None:
        server = self._servers.pop(template)
        self._loop.unwatch(server.control.detach())
        if server.spare is not None:
            self._drop(server)
        for instance in server.waiting.values():
            self._fail(instance, "the template has ended")

    def _doors(self, instance: Instance) -> list[str]:
        """Whoever runs as another user may not move itself: the spawner does so once it knows the process."""
        return instance.group.doors() if instance.group is not None and instance.request["uid"] is None else []

    def _fail(self, instance: Instance, why: str) -> None:
        instance.launching, instance.failed, instance.status = False, True, 0
        self._books.send({"seq": instance.request["seq"], "error": why})


def _send(to: socket.socket, message: Request, descriptors: tuple[int, ...]) -> bool:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    try:
        to.sendmsg([json.dumps(message).encode()], rights)
    except OSError:
        return False
    return True
