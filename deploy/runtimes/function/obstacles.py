"""What an import may leave behind that a fork must not copy: threads, event loops, connections, child processes.

The fork server looks once, after it has imported the function. A copy of any of these would be dead or shared: two
instances on one database connection, a lock held by a thread that is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
import time
from typing import Final

_LEAVING_S: Final = 0.001
_LEAVING_TURNS: Final = 20


def obstacles(sockets_before: set[str]) -> list[str]:
    """Why the function as imported cannot be copied by a fork."""
    found = [
        f"the import started a thread ({thread.name})"
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
    ]
    if not found and not _is_alone() and not _threads_stop_for_forks():
        found.append("the import started native threads")
    if any(isinstance(thing, asyncio.AbstractEventLoop) and not thing.is_closed() for thing in gc.get_objects()):
        found.append("the import made an event loop and left it open")
    found += [f"the import left a {kind} open" for kind in sorted(open_kinds() - sockets_before)]
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
        found.append("the import started a process")
    connection = getattr(sys.modules.get("sqlite3"), "Connection", None)
    if connection is not None and any(isinstance(thing, connection) for thing in gc.get_objects()):
        found.append("the import opened a SQLite database")
    return found


def _is_alone() -> bool:
    """Whether only the main thread is left. One that has been joined may still be on its way out of the kernel."""
    for _ in range(_LEAVING_TURNS):
        if len(os.listdir("/proc/self/task")) == 1:
            return True
        time.sleep(_LEAVING_S)
    return False


def _threads_stop_for_forks() -> bool:
    """Libraries with worker threads that are made for forks (OpenBLAS, so numpy) end them in an atfork handler."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return _is_alone()


def open_kinds() -> set[str]:
    """What is open beside files, as "socket 4711": the inode tells an inherited one from a new one."""
    kinds = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{fd}")
            kind = target.partition(":")[0]
            if kind in ("socket", "pipe"):
                kinds.add(f"{kind} {target[len(kind) + 2 : -1]}")
            elif target.startswith("anon_inode:") and "memfd" not in target:
                kinds.add(f"{target[11:].strip('[]')} {fd}")
    return kinds
