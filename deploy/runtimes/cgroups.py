"""cgroup v1, v2 and the hybrid of both, as far as a spawner needs them: limits, freezing, killing, and who is in.

Used by `deploy/runtimes/spawner` alone. Imports only the standard library and `kernel`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from deploy.runtimes.kernel import POLL_S, descends, processes, read_text, send_signal, write_text

EMPTYING_S = 1.0  # how long the leftovers of an earlier spawner get to die of SIGKILL


class Group:
    """One instance's cgroup directories: `tree` (freeze, kill, who is in it), `memory`, `cpu`; on v2 all the same."""

    def __init__(self, dirs: dict[str, str], v2: bool) -> None:
        self._dirs, self._v2 = dirs, v2
        self.fd = os.open(dirs["tree"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if v2 else -1

    def limit(self, memory_bytes: int | None, cpu_millis: int | None) -> None:
        if memory_bytes and (memory := self._dirs.get("memory")):
            for name in ("memory.max", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
                write_text(f"{memory}/{name}", str(memory_bytes))
            write_text(f"{memory}/memory.swap.max", "0")
            write_text(f"{memory}/memory.oom.group", "1")
        if cpu_millis and (cpu := self._dirs.get("cpu")):
            write_text(f"{cpu}/cpu.max", f"{cpu_millis * 100} 100000")
            write_text(f"{cpu}/cpu.cfs_quota_us", str(cpu_millis * 100))

    def enter(self, entered: bool) -> None:
        """Puts the calling process into it; `entered`: clone3 has done so for the v2 directory."""
        for path in self.doors():
            if not (entered and path == f"{self._dirs['tree']}/cgroup.procs"):
                fd = os.open(path, os.O_WRONLY)
                os.write(fd, b"0")
                os.close(fd)

    def doors(self) -> list[str]:
        """The files that a process id is written to."""
        return [f"{directory}/cgroup.procs" for directory in sorted(set(self._dirs.values()))]

    def pids(self) -> list[int]:
        return [int(pid) for pid in read_text(f"{self._dirs['tree']}/cgroup.procs").split()]

    def kill(self) -> None:
        if not (self._v2 and write_text(f"{self._dirs['tree']}/cgroup.kill", "1")):
            self.freeze(False)  # a v1 freezer would keep a killed process
            send_signal(self.pids(), signal.SIGKILL)

    def freeze(self, frozen: bool) -> bool:
        tree = self._dirs["tree"]
        if self._v2:
            return write_text(f"{tree}/cgroup.freeze", "1" if frozen else "0")
        return write_text(f"{tree}/freezer.state", "FROZEN" if frozen else "THAWED")

    def oom(self) -> bool:
        memory = self._dirs.get("memory")
        if memory is None:
            return False
        events = read_text(f"{memory}/memory.events") or read_text(f"{memory}/memory.oom_control")
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in events.splitlines())

    def remove(self) -> bool:
        """False: still not empty, come again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        for directory in set(self._dirs.values()):
            with contextlib.suppress(FileNotFoundError):
                try:
                    os.rmdir(directory)
                except OSError:
                    return False
        return True


class Cgroups:
    """Which hierarchies this user may write, found once; and a directory of our own in each."""

    def __init__(self, name: str) -> None:
        self._bases: dict[str, str] = {}
        self._v2 = False
        self._find(name)
        self.memory, self.cpu = "memory" in self._bases, "cpu" in self._bases
        self.freezer = "tree" in self._bases

    def make(self, name: str, limited: bool) -> Group | None:
        """A group for one instance; v1 limit hierarchies only where asked for, as each costs a slow move."""
        wanted = ("tree", "memory", "cpu") if limited else ("tree",)
        dirs = {kind: f"{self._bases[kind]}/{name}" for kind in wanted if kind in self._bases}
        if "tree" not in dirs:
            return None
        try:
            for directory in set(dirs.values()):
                os.makedirs(directory, exist_ok=True)
            return Group(dirs, self._v2)
        except OSError:
            return None

    def clear(self) -> None:
        """Kills and removes whatever is in our directories: what a spawner that was killed left behind."""
        for base in set(self._bases.values()):
            for directory in [base, *(entry.path for entry in os.scandir(base) if entry.is_dir())]:
                write_text(f"{directory}/cgroup.freeze", "0")
                write_text(f"{directory}/freezer.state", "THAWED")
                deadline = time.monotonic() + EMPTYING_S
                while (pids := read_text(f"{directory}/cgroup.procs").split()) and time.monotonic() < deadline:
                    send_signal(map(int, pids), signal.SIGKILL)
                    time.sleep(POLL_S)
                if directory != base:
                    with contextlib.suppress(OSError):
                        os.rmdir(directory)

    def remove(self) -> None:
        self.clear()
        for base in set(self._bases.values()):
            with contextlib.suppress(OSError):
                os.rmdir(base)

    def _find(self, name: str) -> None:
        mine = {}  # controller → the path of this process in that hierarchy; "" is v2
        for line in read_text("/proc/self/cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            mine.update(dict.fromkeys(controllers.split(","), path.rstrip("/")))
        mounts = [line.split()[1:4] for line in read_text("/proc/self/mounts").splitlines()]
        for point, kind, options in sorted(mounts, key=lambda mount: mount[1] != "cgroup2"):  # v2 is the better tree
            if kind == "cgroup2" and "" in mine:
                self._adopt_v2(_own(point, mine[""]), name)
            elif kind == "cgroup":
                for controller, use in (("memory", "memory"), ("cpu", "cpu"), ("freezer", "tree")):
                    if controller in options.split(",") and use not in self._bases:
                        self._adopt(use, f"{_own(point, mine.get(controller, ''))}/{name}")

    def _adopt(self, use: str, base: str) -> bool:
        with contextlib.suppress(OSError):
            os.makedirs(base, exist_ok=True)
            if os.access(f"{base}/cgroup.procs", os.W_OK):
                self._bases[use] = base
                return True
        return False

    def _adopt_v2(self, parent: str, name: str) -> None:
        base = f"{parent}/{name}"
        if not self._adopt("tree", base):
            return
        self._v2 = True
        wanted = [use for use in ("memory", "cpu") if use in read_text(f"{parent}/cgroup.controllers").split()]
        if not wanted:
            return
        enable = " ".join(f"+{use}" for use in wanted)
        if not write_text(f"{parent}/cgroup.subtree_control", enable) and _all_ours(parent):
            # A group with processes may not have controllers below it; in one that is all ours, we step aside.
            os.makedirs(f"{parent}/platform", exist_ok=True)
            for pid in read_text(f"{parent}/cgroup.procs").split():
                write_text(f"{parent}/platform/cgroup.procs", pid)
            write_text(f"{parent}/cgroup.subtree_control", enable)
        write_text(f"{base}/cgroup.subtree_control", enable)
        enabled = read_text(f"{base}/cgroup.subtree_control").split()
        self._bases.update({use: base for use in wanted if use in enabled})


def _own(point: str, path: str) -> str:
    """The directory of this process; the mount itself where a container shows a part of the hierarchy only."""
    return point + path if os.path.isdir(point + path) else point


def _all_ours(cgroup: str) -> bool:
    parents = {pid: parent for pid, parent, _ in processes()}
    pids = [int(pid) for pid in read_text(f"{cgroup}/cgroup.procs").split()]
    return bool(pids) and all(descends(pid, os.getppid(), parents) for pid in pids)
