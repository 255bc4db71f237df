"""The Linux calls that Python 3.11 does not have, and /proc. Used by the spawner; imports only the standard library."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_INTO_CGROUP = 0x00020000, 0x10000000, 0x200000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = 1, 32, 4096, 16384, 1 << 19
_SYS_CLONE3 = 435  # the same number on every architecture
POLL_S = 0.005
_libc = ctypes.CDLL(None, use_errno=True)


def take_all_descriptors() -> None:
    """As many as this user may have: the spawner holds a few for each instance."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def become_subreaper() -> None:
    """Orphans among the descendants of this process become its children, instead of init's."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """SIGKILL when the thread that forked this process ends. A change of user undoes it."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def forbid_new_privileges() -> None:
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def fork_into(cgroup: int) -> int | None:
    """fork() whose child is born in the v2 cgroup behind that descriptor; None where the kernel cannot.

    Free, where a move by cgroup.procs sometimes waits 15 ms for RCU. Only for a process with one thread, and a child
    that goes on to exec: Python's own after-fork hooks do not run.
    """
    # struct clone_args: flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup
    args = (ctypes.c_uint64 * 11)(_CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, cgroup)
    pid = int(_libc.syscall(_SYS_CLONE3, ctypes.byref(args), ctypes.sizeof(args)))
    return pid if pid >= 0 else None


def mount_privately(mounts: Iterable[tuple[str, str, bool]]) -> None:
    """Bind mounts (source, existing target, read only) that this process and its children alone see. OSError."""
    for number, (source, target, read_only) in enumerate(mounts):
        if number == 0:
            _check(_libc.unshare(_CLONE_NEWNS), "unshare")
        _check(_libc.mount(source.encode(), target.encode(), None, _MS_BIND | _MS_REC, None), target)
        if read_only:
            _libc.mount(None, target.encode(), None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY, None)


def enter_mount_namespace(hosts: str) -> str:
    """Makes `hosts` the /etc/hosts of this process and of all it forks. "" or why that is not possible here.

    As root in a mount namespace, else in a user namespace too, where the system allows that to ordinary users.
    """
    flags = _CLONE_NEWNS if os.geteuid() == 0 else _CLONE_NEWNS | _CLONE_NEWUSER
    child = os.fork()
    if child == 0:  # tried in a child first: a user namespace without the right to mount cannot be left again
        try:
            _replace_hosts(flags, hosts)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        return os.strerror(code) if code > 0 else "killed"
    _replace_hosts(flags, hosts)
    return ""


def processes() -> list[tuple[int, int, int]]:
    """(pid, parent, session) of every live process."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = read_text(f"/proc/{name}/stat").rpartition(")")[2].split()
            if fields and fields[0] not in "ZX":
                found.append((int(name), int(fields[1]), int(fields[3])))
    return found


def descends(pid: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    """Whether it is `ancestor` or came from it."""
    while pid > 1 and pid != ancestor:
        pid = parents.get(pid, 0)
    return pid == ancestor


def kill_descendants(limit_s: float) -> None:
    """SIGKILL to everything that came from this process, again until nothing is left or the limit has passed."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        parents = {pid: parent for pid, parent, _ in processes()}
        mine = [pid for pid in parents if pid != os.getpid() and descends(pid, os.getpid(), parents)]
        if not mine:
            return
        send_signal(mine, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        time.sleep(POLL_S)


def environment_of(pid: int) -> list[bytes]:
    """What it was started with: `NAME=value` each; empty for one that is gone or not ours."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def send_signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def read_text(path: str) -> str:
    """ "" for a file that is not there or may not be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def write_text(path: str, text: str) -> bool:
    """Into a file that exists, as the kernel's own do; whether it was taken."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(fd, text.encode()) > 0
    except OSError:
        return False
    finally:
        os.close(fd)


def _replace_hosts(flags: int, hosts: str) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(flags), "unshare")
    if flags & _CLONE_NEWUSER:
        write_text("/proc/self/setgroups", "deny")
        write_text("/proc/self/uid_map", f"{uid} {uid} 1")
        write_text("/proc/self/gid_map", f"{gid} {gid} 1")
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None), "/")
    _check(_libc.mount(hosts.encode(), b"/etc/hosts", None, _MS_BIND, None), "/etc/hosts")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
