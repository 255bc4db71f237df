"""What the processes of one instance use: by its cgroup where it has one of its own, else by /proc, one by one.

A cgroup without a memory controller (an unlimited instance has none on v1) still says who is in it; their memory is
then the sum of their proportional shares, so that what forks share is counted once.
"""

from __future__ import annotations

import os
from typing import Final

from deploy.runtimes.base import Used
from deploy.runtimes.kernel import descends, processes, read_text

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME, _CUTIME, _CSTIME = 11, 12, 13, 14  # in /proc/PID/stat, behind the command


def used_by(pid: int, instance: str) -> Used | None:
    """None where there is no such process any more. `instance` is what its cgroup is named after, where it has one."""
    own = _groups_of(pid, instance.replace("/", "."))
    tree = own.get("") or own.get("freezer")
    pids = _descendants(pid) if tree is None else _numbers(read_text(f"{tree}/cgroup.procs"))
    if not pids:
        return None
    cpu_us = _fields(f"{own['']}/cpu.stat").get("usage_usec") if "" in own else None
    memory = own.get("") or own.get("memory")
    bytes_now = None if memory is None else _memory_of(memory)
    return Used(
        sum(map(_cpu_s, pids)) if cpu_us is None else cpu_us / 1e6,
        sum(map(_share_bytes, pids)) if bytes_now is None else bytes_now,
    )


def _groups_of(pid: int, name: str) -> dict[str, str]:
    """Controller ("" is v2) → the directory of the instance's own group there."""
    paths = {}
    for line in read_text(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if path.rpartition("/")[2] == name:
            paths.update(dict.fromkeys(controllers.split(","), path))
    found = {}
    for line in read_text("/proc/self/mounts").splitlines() if paths else ():
        _, point, kind, options = line.split()[:4]
        for controller in [""] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else ():
            if controller in paths and os.path.isdir(point + paths[controller]):
                found[controller] = point + paths[controller]
    return found


def _memory_of(group: str) -> int | None:
    """Without the pages of files that nobody has looked at lately, as the kubelet counts; None: it does not say."""
    used = _numbers(read_text(f"{group}/memory.current") or read_text(f"{group}/memory.usage_in_bytes"))
    if not used:
        return None
    counts = _fields(f"{group}/memory.stat")
    return max(0, used[0] - counts.get("total_inactive_file", counts.get("inactive_file", 0)))


def _descendants(pid: int) -> list[int]:
    parents = {each: parent for each, parent, _ in processes()}
    return [each for each in parents if descends(each, pid, parents)]


def _cpu_s(pid: int) -> float:
    """Of a process, and of its children that have ended."""
    fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) <= _CSTIME:
        return 0.0
    return sum(int(fields[at]) for at in (_UTIME, _STIME, _CUTIME, _CSTIME)) / _TICKS_PER_S


def _share_bytes(pid: int) -> int:
    """Its memory, with what it shares divided among those who share it."""
    for line in read_text(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _fields(path: str) -> dict[str, int]:
    """A file of names and numbers."""
    pairs = (line.split() for line in read_text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split() if word.isdigit()]
