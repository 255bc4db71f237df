"""Loopback ports for instances that share the machine's network with everything else.

A port is probed by binding it, then held until it is given back: against this platform by remembering it, against
others on the machine by an abstract Unix socket of its number, which goes with its owner. It is taken from outside the
kernel's range for outgoing connections, since one of those could occupy it between the probe and the instance's bind.
One is probed ahead of need, and kept bound until it is taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

LOWEST, HIGHEST = 20000, 65535
RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
STRIDE = 101  # processes started one after the other are to be this far apart
DEFAULT_OUTGOING = (32768, 60999)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER without time: a try leaves nothing in TIME_WAIT that would hold the port


class PortsExhausted(Exception):
    """Every port that instances may have is taken."""


class Ports:
    """Hands out ports in turn, so that one just given back is the last to be used again."""

    def __init__(self, candidates: Iterable[int] | None = None) -> None:
        self._candidates = tuple(candidates if candidates is not None else _outside_outgoing())
        self._taken: dict[int, socket.socket] = {}
        self._ready: tuple[int, socket.socket] | None = None  # the next one, and what keeps everybody else from it
        # Each platform of a machine begins elsewhere: two that begin at the same port would meet at every turn.
        self._next = os.getpid() * STRIDE % len(self._candidates)

    def take(self, preferred: int | None = None) -> int:
        """`preferred` where it is free, else the next free one. PortsExhausted."""
        if self._ready is not None and preferred in (None, self._ready[0]):
            (port, keeper), self._ready = self._ready, None
            keeper.close()
            return port
        if preferred is not None and self._hold(preferred):
            return preferred
        return self._find()

    def prepare(self) -> None:
        """Finds the next one, so that whoever takes it does not wait for that."""
        if self._ready is not None:
            return
        with contextlib.suppress(PortsExhausted):
            port, keeper = self._find(), socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                keeper.bind(("0.0.0.0", port))
            except OSError:  # somebody was faster
                keeper.close()
                self.give_back(port)
                return
            self._ready = port, keeper

    def _find(self) -> int:
        for _ in self._candidates:
            port = self._candidates[self._next]
            self._next = (self._next + 1) % len(self._candidates)
            if self._hold(port):
                return port
        raise PortsExhausted(f"all {len(self._candidates)} ports for instances are in use")

    def give_back(self, port: int) -> None:
        if (held := self._taken.pop(port, None)) is not None:
            held.close()

    def _hold(self, port: int) -> bool:
        if port in self._taken:
            return False
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind(f"\0pilotlight/port/{port}")
        except OSError:
            mark.close()  # another platform has it
            return False
        if not _is_free(port):
            mark.close()
            return False
        self._taken[port] = mark
        return True


def _is_free(port: int) -> bool:
    """Whether a server could bind it on every IPv4 address, as most do, and would be reached there.

    A container engine that publishes a port by a rule of the firewall alone leaves it unbound; a rule may outlive its
    container, too. Whoever connects is led elsewhere then.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("0.0.0.0", port))
            server.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.connect_ex(("127.0.0.1", port))  # on loopback it is answered within the call
            try:
                server.accept()[0].close()
            except OSError:
                return False
    return True


def _outside_outgoing() -> Iterable[int]:
    try:
        low, high = map(int, RANGE_FILE.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        low, high = DEFAULT_OUTGOING
    outside = [port for port in range(LOWEST, HIGHEST + 1) if not low <= port <= high]
    return outside or range(low, high + 1)
