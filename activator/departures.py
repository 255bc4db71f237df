"""Notices that a client hangs up while nobody reads from it.

A request that waits for an instance is not read any further, so the end of its connection would go unseen behind the
unread body. epoll's EPOLLRDHUP tells of it without reading; all watched sockets share one epoll of their own, whose
descriptor the event loop polls. Where there is no epoll, or where the end is still stuck behind more bytes
than the kernel has taken, such a client is found gone when its turn comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from typing import Protocol

EVENTS_MAX = 256


class Leaver(Protocol):
    """A client's connection."""

    def departed(self) -> None:
        """The client has closed its side, or the connection is broken."""


class Departures:
    """The sockets that are watched."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[int, Leaver] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._poll)

    def watch(self, descriptor: int, leaver: Leaver) -> None:
        if self._epoll is not None and descriptor >= 0 and descriptor not in self._watched:
            self._watched[descriptor] = leaver
            self._epoll.register(descriptor, select.EPOLLRDHUP | select.EPOLLONESHOT)

    def unwatch(self, descriptor: int) -> None:
        """Also before the socket is closed: its number will be used again."""
        if self._epoll is not None and self._watched.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(descriptor)

    def close(self) -> None:
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _poll(self) -> None:
        if self._epoll is None:
            return
        for descriptor, _ in self._epoll.poll(0, EVENTS_MAX):
            if (leaver := self._watched.get(descriptor)) is not None:
                self.unwatch(descriptor)
                leaver.departed()
