"""One running copy of a revision as the data path sees it: where it answers, what it works on, its idle connections.

`throttler` gives requests to instances and takes the slots back; `upstream` makes and uses the connections kept here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from activator.ledger import Timeline
from core.stats import InstanceKey

IDLE_CONNECTIONS_MAX: Final = 256
"""Kept per instance for reuse; more are closed after use."""
FRESH_S: Final = 1.0
"""A connection that was idle for less cannot be one that the server is just closing: the shortest keep-alive timeout in
use is gunicorn's 2 s. Requests that must not be sent twice ride on these or on new ones."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to reach it. `timeline` is that of its start, or of its last thaw."""

    key: InstanceKey
    host: str
    port: int
    timeline: Timeline | None = None

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port


class Connection(Protocol):
    """An idle connection to it."""

    idle_since: float

    def close(self) -> None: ...


class Instance:
    """State of one instance within one backend. Compared by identity."""

    __slots__ = ("draining", "endpoint", "failures", "idle", "in_flight", "last_active", "retired")

    def __init__(self, endpoint: Endpoint, now: float) -> None:
        self.endpoint = endpoint
        self.in_flight = 0
        self.last_active = now
        self.failures = 0  # connects that failed in a row
        self.retired = False  # given nothing more
        self.idle: list[Connection] = []  # the one used last comes last
        self.draining: list[asyncio.Future[None]] = []

    def take(self, now: float, *, repeatable: bool) -> Connection | None:
        """An idle connection, the freshest. `repeatable`: a request that may be sent again where this one is stale."""
        if not self.idle or not (repeatable or now - self.idle[-1].idle_since < FRESH_S):
            return None
        return self.idle.pop()

    def put(self, connection: Connection, now: float) -> None:
        """Back after use."""
        if self.retired or len(self.idle) >= IDLE_CONNECTIONS_MAX:
            connection.close()
            return
        connection.idle_since = now
        self.idle.append(connection)

    def drop(self, connection: Connection) -> None:
        """It was closed while idle."""
        if connection in self.idle:
            self.idle.remove(connection)

    def retire(self) -> None:
        """No new request reaches it; those under way go on."""
        self.retired = True
        self.close_idle()

    def close_idle(self, unused_since: float | None = None) -> None:
        """All idle connections, or those that were last used before."""
        kept: list[Connection] = []
        for connection in self.idle:
            if unused_since is None or connection.idle_since < unused_since:
                connection.close()
            else:
                kept.append(connection)
        self.idle = kept

    def ended(self, now: float) -> None:
        """One request less."""
        self.in_flight -= 1
        self.last_active = now
        if not self.in_flight and self.draining:
            for waiter in self.draining:
                if not waiter.done():
                    waiter.set_result(None)
            self.draining.clear()

    async def drained(self) -> None:
        """Returns once nothing is in flight."""
        if self.in_flight:
            waiter = asyncio.get_running_loop().create_future()
            self.draining.append(waiter)
            await waiter
