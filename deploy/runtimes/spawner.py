"""The process that forks: small, single-threaded, and the parent of every process instance of one platform.

`deploy/runtimes/spawning.py` runs it as a process of its own and talks to it over one socket, a JSON object per line
each way. It imports only the standard library and its neighbors that do the same, so it stays small enough to fork in
a fifth of a millisecond. It knows nothing of Pods: an instance here is a command, an environment and a log.

What it promises: an instance starts in a session of its own with stdin at /dev/null and no descriptor but 0, 1 and 2;
its output is written to a `LogFile`; when its first process ends, all of it ends; and when the platform's end of the
socket closes, for whatever reason, every process that ever came from here is told to go (SIGTERM), then made to.

Requests  {"op": "configure" | "start" | "stop" | "freeze" | "exec", "seq": n, …}
Replies   {"seq": n, …} or {"seq": n, "error": text, …}; one for each request, not always in order
Events    {"event": "exited", "id": …, "code": …, "signal": …, "oom": …, "message": …}
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time

from deploy.runtimes import kernel
from deploy.runtimes.cgroups import Cgroups, Group
from deploy.runtimes.forking import Books, ForkServers, Loop, Spare
from deploy.runtimes.instance import Instance, Request, spawn
from deploy.runtimes.parked import Parked, ParkingLot

ORPHANED_GRACE_S = 2.0  # between SIGTERM and SIGKILL when the platform is gone
LINGER_S = 1.0  # how long output may stay open when all processes have gone (a stranger may hold the descriptor)
POLL_S = 0.005  # how often a group that should empty is looked at
RECEIVE_BYTES = 64 << 10
REKILL_S = 0.1  # a fork may have raced the first SIGKILL


class Spawner:
    """One `select` loop over the control socket, the outputs of every instance, and SIGCHLD."""

    def __init__(self, control: socket.socket) -> None:
        self._control, self._buffer = control, b""
        self._loop = Loop()
        self._cgroups: Cgroups | None = None
        self._descriptors = (0, 0)  # the limits that instances get: those that the platform was started with
        self._instances: dict[str, Instance] = {}
        self._by_pid: dict[int, Instance] = {}
        self._stale: list[Group] = []  # removed as soon as the kernel lets us
        self._open = True
        self._lot = ParkingLot(
            make_group=lambda id_: make_group(self._cgroups, {"id": id_, "memory": None, "cpu": None}),
            discard_group=self._stale.append,
        )
        self._fork_servers = ForkServers(
            self._loop,
            Books(
                by_pid=self._by_pid,
                make_group=lambda request: make_group(self._cgroups, request),
                discard_group=self._stale.append,
                send=self._send,
                ended=self._ended,
            ),
        )

    def run(self) -> None:
        """Until the platform is gone and nothing of ours is left."""
        kernel.become_subreaper()
        kernel.take_all_descriptors()
        woken_r, woken_w = os.pipe()
        os.set_blocking(woken_w, False)
        os.set_blocking(woken_r, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._close())
        signal.set_wakeup_fd(woken_w, warn_on_full_buffer=False)
        self._loop.watch(woken_r, lambda: self._reap(woken_r))
        self._loop.watch(self._control.fileno(), self._receive)
        timeout: float | None = None
        while self._open or self._instances:
            self._loop.round(timeout)
            timeout = self._advance(time.monotonic())
        kernel.kill_descendants(ORPHANED_GRACE_S)  # daemons that left their instance's session
        if self._cgroups is not None:
            self._cgroups.remove()

    def _advance(self, now: float) -> float | None:
        """Does what is due: kills after the grace, and the end of instances whose processes have all gone. Returns
        the seconds until something may be due again."""
        for instance in list(self._instances.values()):
            if instance.kill_at is not None and now >= instance.kill_at:
                instance.kill()
                instance.kill_at = now + REKILL_S
            if instance.status is None or instance.launching or instance.members():
                continue
            if not instance.outputs or now >= instance.ended_at + LINGER_S:
                self._finish(instance)
        self._stale[:] = [group for group in self._stale if not group.remove()]
        refills = [at for at in (self._fork_servers.advance(now), self._lot.advance(now)) if at is not None]
        if self._stale or any(instance.status is not None for instance in self._instances.values()):
            return POLL_S
        due = [instance.kill_at for instance in self._instances.values() if instance.kill_at is not None]
        return max(0.0, min([*due, *refills]) - now) if due or refills else None

    def _finish(self, instance: Instance) -> None:
        for fd in instance.outputs:
            self._loop.unwatch(fd)
        instance.close()
        del self._instances[instance.id]
        oom = False
        if instance.group is not None:
            oom = instance.group.oom()
            self._stale.append(instance.group)
        if instance.failed:
            return
        code = os.waitstatus_to_exitcode(instance.status or 0)
        number = max(-code, 0)
        code = 128 + number if number else code
        text = instance.tail.decode(errors="replace")
        if instance.is_exec:
            self._send({"seq": instance.request["seq"], "code": code, "output": text})
        else:
            ending = {"code": code, "signal": number, "oom": oom, "message": text}
            self._send({"event": "exited", "id": instance.id, **ending})

    def _reap(self, woken: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(woken, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                self._ended(*ended)

    def _ended(self, pid: int, status: int) -> None:
        instance = self._by_pid.pop(pid, None)
        if instance is None:
            self._lot.lose(pid)
            return  # or an orphan that we adopted
        instance.status, instance.ended_at = status, time.monotonic()
        if instance.kill_at is None and not instance.is_exec:
            instance.kill()  # its first process has gone unasked: the rest goes at once, as in a container

    # --- requests

    def _receive(self) -> None:
        try:
            data = self._control.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            try:
                getattr(self, "_on_" + request["op"])(request)
            except OSError as error:
                self._send({"seq": request["seq"], "error": str(error)})

    def _on_configure(self, request: Request) -> None:
        self._cgroups = Cgroups(request["name"])
        self._descriptors = tuple(request["descriptors"])
        self._cgroups.clear()
        names = kernel.enter_mount_namespace(request["hosts"])
        facts = {"memory": self._cgroups.memory, "cpu": self._cgroups.cpu, "freezer": self._cgroups.freezer}
        self._send({"seq": request["seq"], **facts, "names": names})
        self._lot.open(self._descriptors)

    def _on_start(self, request: Request) -> None:
        spare = self._fork_servers.take_spare(request["template"])
        # What a template's request says of limits is meant for its spares.
        wanted = {**request, "memory": None, "cpu": None} if request["is_template"] else request
        limited = wanted["memory"] or wanted["cpu"]  # a group with limits is made as it is wanted
        parked = None if limited or request["template"] or request["is_template"] else self._lot.take()
        ready = spare or parked
        instance = Instance(request, ready.group if ready is not None else make_group(self._cgroups, wanted))
        self._launch(instance, instance.group, spare, parked)

    def _on_exec(self, request: Request) -> None:
        inside = self._instances.get(request["inside"])
        if inside is None or inside.status is not None:
            self._send({"seq": request["seq"], "error": "the container is not running"})
            return
        instance = Instance({**inside.request, **request}, None)
        instance.kill_at = time.monotonic() + request["timeout"]
        self._launch(instance, inside.group)

    def _on_retire(self, request: Request) -> None:
        self._fork_servers.retire(request["id"])
        self._send({"seq": request["seq"]})

    def _on_stop(self, request: Request) -> None:
        instance = self._instances.get(request["id"])
        if instance is not None:
            self._stop(instance, request["grace"], request["signal"])
        self._send({"seq": request["seq"]})

    def _on_freeze(self, request: Request) -> None:
        instance = self._instances.get(request["id"])
        if instance is not None:
            instance.freeze(request["frozen"])
        self._send({"seq": request["seq"]})

    def _stop(self, instance: Instance, grace_s: float, number: int) -> None:
        due = time.monotonic() + grace_s
        instance.kill_at = due if instance.kill_at is None else min(due, instance.kill_at)
        if grace_s > 0:
            instance.signal(number)
            instance.freeze(False)

    def _launch(
        self, instance: Instance, group: Group | None, spare: Spare | None = None, parked: Parked | None = None
    ) -> None:
        """Whatever comes from it is taken from here on."""
        if parked is not None and parked.wake({**instance.request, "control": None}):
            instance.pid, (out, err, failed) = parked.pid, parked.pipes
            self._by_pid[instance.pid] = instance
        else:
            out, err, failed = self._begin(instance, group, spare)
        self._instances[instance.id] = instance
        instance.outputs = {out, err}
        self._loop.watch(out, lambda: self._read(instance, out, b"stdout"))
        self._loop.watch(err, lambda: self._read(instance, err, b"stderr"))
        if failed >= 0:
            self._loop.watch(failed, lambda: self._launched(instance, failed))
        try:
            instance.open_log()
        except OSError:
            instance.failed = True
            instance.kill()
            raise

    def _begin(self, instance: Instance, group: Group | None, spare: Spare | None) -> tuple[int, int, int]:
        """A new process. Returns its stdout, its stderr, and where the failure of its exec would come from, if any."""
        (out_r, out_w), (err_r, err_w) = os.pipe(), os.pipe()
        failed_r = -1
        if instance.request["template"] and not instance.is_exec:
            self._fork_servers.fork(instance, (out_w, err_w), spare)
        else:
            failed_r, failed_w = os.pipe()
            control = self._fork_servers.open(instance.request) if instance.request["is_template"] else None
            request = {**instance.request, "control": control, "descriptors": self._descriptors}
            instance.pid = spawn(request, group, (out_w, err_w, failed_w))
            self._by_pid[instance.pid] = instance
            for fd in (failed_w, control):
                if fd is not None:
                    os.close(fd)
        for fd in (out_w, err_w):
            os.close(fd)
        return out_r, err_r, failed_r

    def _launched(self, instance: Instance, failed: int) -> None:
        """Exec has worked (the pipe closed with it), or it has not and the pipe says why."""
        text = os.read(failed, 4096)
        self._loop.unwatch(failed)
        instance.launching = False
        if text:
            instance.failed = True
            self._send({"seq": instance.request["seq"], **json.loads(text)})
        elif not instance.is_exec:
            self._send({"seq": instance.request["seq"], "pid": instance.pid})

    def _read(self, instance: Instance, fd: int, stream: bytes) -> None:
        if not instance.read(fd, stream):
            instance.outputs.discard(fd)
            self._loop.unwatch(fd)

    # --- the end

    def _close(self) -> None:
        """The platform has gone: so does everything."""
        if self._open:
            self._open = False
            self._loop.unwatch(self._control.fileno())
            self._fork_servers.retire_all()
            self._lot.close()
            for instance in list(self._instances.values()):
                self._stop(instance, ORPHANED_GRACE_S, signal.SIGTERM)

    def _send(self, message: Request) -> None:
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(message).encode() + b"\n")


def make_group(cgroups: Cgroups | None, request: Request) -> Group | None:
    """A cgroup for one instance, with its limits; None where this user may make none."""
    assert cgroups is not None
    group = cgroups.make(request["id"].replace("/", "."), bool(request["memory"] or request["cpu"]))
    if group is not None:
        group.limit(request["memory"], request["cpu"])
    return group


def main() -> None:
    """`argv[-1]` is the descriptor of the control socket."""
    control = socket.socket(fileno=os.dup(int(sys.argv[-1])))
    os.close(int(sys.argv[-1]))
    Spawner(control).run()
