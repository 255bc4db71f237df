"""The /etc/hosts that all containers of the platform see: the names of services, and of the containers themselves.

One file, mounted into every container and rewritten in place, so that a name that comes up later resolves in those
that run already. `container` keeps it; the roof says which names lead to the gateway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from deploy.runtimes.container_config import make_hostname
from deploy.runtimes.hosts import write_in_place

INSTANCES_KEPT: Final = 1024
"""Names of containers; the oldest go first, long after their containers have looked themselves up."""
_BASE = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


class Hosts:
    """Constructed without effect; the file is made by the first write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: tuple[str, ...] = ()
        self._gateway: str | None = None
        self._instances: deque[str] = deque(maxlen=INSTANCES_KEPT)

    def set_names(self, names: Iterable[str]) -> None:
        """Every name that leads to the gateway."""
        self._names = tuple(names)
        self._write()

    def set_gateway(self, address: str) -> None:
        """Where containers reach this machine."""
        self._gateway = address
        self._write()

    def add(self, instance: str) -> None:
        """A container looks up its own name (a JVM does at its start): it is the container's own loopback."""
        self._instances.append(make_hostname(instance))
        self._write()

    def text(self, aliases: Mapping[str, str] | None = None) -> str:
        """The whole file; `aliases` (name → address) are a Pod's own."""
        lines = [f"{address} {name}\n" for name, address in (aliases or {}).items()]
        if self._gateway is not None:
            lines += [f"{self._gateway} {name}\n" for name in self._names]
        lines += [f"127.0.1.1 {name}\n" for name in self._instances]
        return _BASE + "".join(lines)

    def _write(self) -> None:
        write_in_place(self.path, self.text())
