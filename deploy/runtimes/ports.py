"""Loopback ports for instances that share the machine's network with everything else.

A port is probed by binding it, then remembered as taken until it is given back. It is taken from outside the kernel's
range for outgoing connections, since one of those could otherwise occupy it between the probe and the instance's bind.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path

LOWEST, HIGHEST = 20000, 65535
RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
STRIDE = 101  # processes started one after the other are to be this far apart
DEFAULT_OUTGOING = (32768, 60999)


class PortsExhausted(Exception):
    """Every port that instances may have is taken."""


class Ports:
    """Hands out ports in turn, so that one just given back is the last to be used again."""

    def __init__(self, candidates: Iterable[int] | None = None) -> None:
        self._candidates = tuple(candidates if candidates is not None else _outside_outgoing())
        self._taken: set[int] = set()
        # Each platform of a machine begins elsewhere: two that begin at the same port could both find it free before
        # either has an instance that listens.
        self._next = os.getpid() * STRIDE % len(self._candidates)

    def take(self, preferred: int | None = None) -> int:
        """`preferred` where it is free, else the next free one. PortsExhausted."""
        if preferred is not None and preferred not in self._taken and _is_free(preferred):
            self._taken.add(preferred)
            return preferred
        for _ in self._candidates:
            port = self._candidates[self._next]
            self._next = (self._next + 1) % len(self._candidates)
            if port not in self._taken and _is_free(port):
                self._taken.add(port)
                return port
        raise PortsExhausted(f"all {len(self._candidates)} ports for instances are in use")

    def give_back(self, port: int) -> None:
        self._taken.discard(port)


def _is_free(port: int) -> bool:
    """Whether a server could bind it on every IPv4 address, as most do."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def _outside_outgoing() -> Iterable[int]:
    try:
        low, high = map(int, RANGE_FILE.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        low, high = DEFAULT_OUTGOING
    outside = [port for port in range(LOWEST, HIGHEST + 1) if not low <= port <= high]
    return outside or range(low, high + 1)
