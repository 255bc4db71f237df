"""The /etc/hosts that process and Python instances see: this machine's own, and the names that lead to the gateway.

One file, bound over /etc/hosts where instances live (`kernel`), and rewritten in place so that a name that comes up
later resolves in instances that run already.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

MACHINE_FILE = Path("/etc/hosts")


class HostsFile:
    """Constructed without effect; the file is made by the first write. `gateway`: the address that names lead to."""

    def __init__(self, path: Path, gateway: str) -> None:
        self.path = path
        self._gateway = gateway

    def set_names(self, names: Sequence[str]) -> None:
        machine = MACHINE_FILE.read_text() if MACHINE_FILE.exists() else "127.0.0.1 localhost\n"
        write_in_place(self.path, make_hosts(machine, self._gateway, names))


def make_hosts(machine: str, gateway: str, names: Iterable[str]) -> str:
    """The machine's lines first: a name that it gives an address keeps it."""
    lines = machine if machine.endswith("\n") else machine + "\n"
    return lines + "".join(f"{gateway} {name}\n" for name in names)


def write_in_place(path: Path, text: str) -> None:
    """A mounted file that is replaced would stay the old one inside."""
    data = text.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)
