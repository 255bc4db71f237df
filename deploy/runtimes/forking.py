"""The spawner's end of the fork servers: instances that begin as a copy of a process instead of a new program.

A fork server (a *template*) is an instance like any other, with a control socket beside; `function/zygote.py` describes
what is said on it. Forked instances are its children, so it tells how they ended; in all else (log, cgroup, freezing,
stopping) they are the spawner's like those that it forked itself. Part of the spawner's process: imports only the
standard library and neighbors that do the same.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import selectors
import socket
from collections.abc import Callable
from typing import Any

from deploy.runtimes.instance import Instance, Request
from deploy.runtimes.kernel import write_text

MESSAGE_BYTES_MAX = 1 << 20


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


class ForkServers:
    """`by_pid` are the spawner's books, `send` answers the platform, `ended` is told who has died."""

    def __init__(
        self,
        loop: Loop,
        by_pid: dict[int, Instance],
        send: Callable[[Request], None],
        ended: Callable[[int, int], None],
    ) -> None:
        self._loop, self._by_pid, self._send, self._ended = loop, by_pid, send, ended
        self._controls: dict[str, socket.socket] = {}
        self._waiting: dict[str, tuple[str, Instance]] = {}  # asked to be forked: instance → (template, itself)

    def open(self, template: str) -> int:
        """A control socket for a template that is about to start: the descriptor for its process, to close here."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)  # a template that does not read must not hold up the others
        self._controls[template] = ours
        self._loop.watch(ours.fileno(), lambda: self._hear(template))
        return theirs.detach()

    def fork(self, instance: Instance, outputs: tuple[int, int]) -> None:
        template = instance.request["template"]
        self._waiting[instance.id] = (template, instance)
        # Whoever runs as another user may not move itself: the spawner does so once it knows the process.
        doors = instance.group.doors() if instance.group is not None and instance.request["uid"] is None else []
        request = {"id": instance.id, "env": instance.request["env"], "groups": doors}
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", outputs))]
        try:
            self._controls[template].sendmsg([json.dumps(request).encode()], rights)
        except (KeyError, OSError) as error:
            self._fail(instance, f"the template cannot fork: {error}")

    def retire(self, template: str) -> None:
        """It forks no more, and ends when its last instance has; of which it tells until then."""
        control = self._controls.get(template)
        if control is not None:
            with contextlib.suppress(OSError):
                control.shutdown(socket.SHUT_WR)

    def _hear(self, template: str) -> None:
        try:
            data = self._controls[template].recv(MESSAGE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.unwatch(self._controls.pop(template).detach())
            for asked, instance in list(self._waiting.values()):
                if asked == template:
                    self._fail(instance, "the template has ended")
            return
        message: dict[str, Any] = json.loads(data)
        if "status" in message:
            self._ended(message["pid"], message["status"])
        elif "pid" in message:
            self._begin(message["id"], message["pid"])
        else:
            self._send({"event": "template", "id": template, **message})

    def _begin(self, id_: str, pid: int) -> None:
        _, instance = self._waiting.pop(id_)
        instance.pid, instance.launching = pid, False
        if instance.group is not None and instance.request["uid"] is not None:
            for door in instance.group.doors():
                write_text(door, str(pid))
        self._by_pid[pid] = instance  # its parent is the template, and tells; should that die, we inherit it
        self._send({"seq": instance.request["seq"], "pid": pid})

    def _fail(self, instance: Instance, why: str) -> None:
        del self._waiting[instance.id]
        instance.launching, instance.failed, instance.status = False, True, 0
        self._send({"seq": instance.request["seq"], "error": why})
