"""The /etc/hosts that instances see: the names that lead to the gateway, after the lines that such a file begins with.

One file for all processes and functions, bound over /etc/hosts where they live (`kernel`), and one for all containers,
mounted into each. Both are rewritten in place: a name that comes up later resolves in instances that run already.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

MACHINE_FILE: Final = Path("/etc/hosts")
LOOPBACK_LINES: Final = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
INSTANCES_KEPT: Final = 1024
"""Names of instances; the oldest go first, long after they have looked themselves up."""


class HostsFile:
    """Constructed without effect; the file is made by the first write. `begin` says its first lines: a name that they
    give an address keeps it. `gateway` is the address that names lead to; None: not known yet."""

    def __init__(self, path: Path, begin: Callable[[], str], gateway: str | None = None) -> None:
        self.path = path
        self._begin, self._gateway = begin, gateway
        self._names: tuple[str, ...] = ()
        self._instances: deque[str] = deque(maxlen=INSTANCES_KEPT)

    def set_names(self, names: Iterable[str]) -> None:
        """Every name that leads to the gateway."""
        self._names = tuple(names)
        self._write()

    def set_gateway(self, address: str) -> None:
        """Where instances reach this machine."""
        self._gateway = address
        self._write()

    def add(self, hostname: str) -> None:
        """An instance with a network of its own looks up its own name (a JVM does at its start): its own loopback."""
        self._instances.append(hostname)
        self._write()

    def text(self, aliases: Mapping[str, str] | None = None) -> str:
        """The whole file; `aliases` (name → address) are a Pod's own."""
        begin = self._begin()
        lines = [begin if begin.endswith("\n") else f"{begin}\n"]
        lines += [f"{address} {name}\n" for name, address in (aliases or {}).items()]
        if self._gateway is not None:
            lines += [f"{self._gateway} {name}\n" for name in self._names]
        lines += [f"127.0.1.1 {name}\n" for name in self._instances]
        return "".join(lines)

    def _write(self) -> None:
        """A mounted file that is replaced would stay the old one inside."""
        data = self.text().encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(descriptor, data, 0)
            os.ftruncate(descriptor, len(data))
        finally:
            os.close(descriptor)


def machine_lines() -> str:
    """This machine's own."""
    return MACHINE_FILE.read_text() if MACHINE_FILE.exists() else LOOPBACK_LINES


def loopback_lines() -> str:
    """What a container's file begins with."""
    return LOOPBACK_LINES
