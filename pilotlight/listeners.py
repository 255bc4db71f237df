"""The sockets of a platform: bound before anything runs, so that a port in use is one clear sentence at the start."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from core.resources.hosts import Hosts

_IP_FREEBIND = 15  # linux/in.h; the module socket has no name for it before Python 3.13
INSIDE_ADDRESSES = tuple(f"127.80.0.{last}" for last in range(1, 33))
"""Loopback addresses of our own, one per platform on a machine: instances reach the gateway there, on port 80 where
this user may listen on it."""


class PortProblem(Exception):
    """A port cannot be had; the message says which, why, and what to type."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket and the address that it got."""

    socket: socket.socket
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the gateway listens: for clients, and for instances of this machine."""

    public_port: int
    inside_host: str
    inside_port: int

    @property
    def hosts(self) -> Hosts:
        return Hosts(self.public_port, self.inside_port)


def bind(purpose: str, host: str, port: int, *, shared: bool = False, early: bool = False) -> Listener:
    """Listens there; port 0 picks a free one. `shared`: other processes of ours will listen there too. `early`:
    the address need not be one of this machine yet."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        if early:
            listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        listener.bind((host, port))
        listener.listen(4096)
    except OSError as error:
        listener.close()
        raise PortProblem(_explain(purpose, host, port, error)) from error
    listener.setblocking(False)
    return Listener(listener, host, listener.getsockname()[1])


def bind_inside(public_port: int) -> Listener | None:
    """Port 80, or else the gateway's own port, on the first loopback address of ours where that is free; None where a
    machine has one loopback address only."""
    for port in (80, public_port):
        for address in INSIDE_ADDRESSES:
            if (listener := bind_if_free(address, port)) is not None:
                return listener
    return None


def bind_if_free(host: str, port: int) -> Listener | None:
    """Where public URLs lead an instance, whose names have the gateway's address inside and their own port."""
    try:
        return bind("gateway", host, port)
    except PortProblem:
        return None


def _explain(purpose: str, host: str, port: int, error: OSError) -> str:
    option = f"--{purpose}-port"
    if error.errno == errno.EADDRINUSE:
        return f"{purpose} port {port} on {host} is in use by another program: choose one with {option} (0: any free)"
    if error.errno == errno.EACCES:
        return f"{purpose} port {port} on {host} needs privileges this user lacks: choose one above 1023 with {option}"
    return f"{purpose} port {port} on {host}: {error.strerror}"
