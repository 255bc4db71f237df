"""What the parent and its gateway workers tell each other, and how: pickled, over a socket pair of their own.

Both ends are this program, started by each other; nobody else can write to the socket.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from activator.instances import Endpoint
from activator.limits import GatewayLimits, RevisionLimits
from activator.problem import Problem
from activator.routing import BackendKey, HostRoutes, RouteChanges
from core.stats import InstanceKey, RequestStatistic

_LENGTH: Final = struct.Struct(">I")


# To a worker.


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message. `share` in [0, 1) sets the workers' draws apart."""

    limits: GatewayLimits
    share: float


@dataclass(frozen=True, slots=True)
class Routes:
    changes: RouteChanges


@dataclass(frozen=True, slots=True)
class Sites:
    """What the platform itself answers, as routes to the parent."""

    hosts: Mapping[bytes, HostRoutes]


@dataclass(frozen=True, slots=True)
class Instances:
    """All there is to know of one backend."""

    backend: BackendKey
    limits: RevisionLimits
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Forget:
    backend: BackendKey


@dataclass(frozen=True, slots=True)
class Adopt:
    """Accept from the listening socket that has been sent over the other socket pair."""

    public: bool


@dataclass(frozen=True, slots=True)
class Granted:
    """The ticket has a slot there."""

    ticket: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Refused:
    ticket: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Drain:
    """Say `Drained` once nothing of the instance is under way."""

    instance: InstanceKey


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what is under way, accept nothing more, end."""


# To the parent.


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request asks for a slot, or a place in the line."""

    ticket: int
    backend: BackendKey
    held_bytes: int


@dataclass(frozen=True, slots=True)
class WantedAgain:
    """Nothing of it has reached its instance: back to the front."""

    ticket: int
    reachable: bool


@dataclass(frozen=True, slots=True)
class Done:
    """It has ended, or left the line."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Drained:
    instance: InstanceKey


@dataclass(frozen=True, slots=True)
class Adopted:
    """It does."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Requests that this worker gave away by itself: instance → in flight, last active."""

    loads: Mapping[InstanceKey, tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Report:
    statistics: tuple[RequestStatistic, ...]
    numbers: Mapping[str, float]


class Link(asyncio.Protocol):
    """One end of the socket pair."""

    def __init__(self, receive: Callable[[object], None], lost: Callable[[], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, message: object) -> None:
        if not self._transport.is_closing():
            data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
            self._transport.write(_LENGTH.pack(len(data)) + data)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(buffer, at)
            if len(buffer) - at - _LENGTH.size < size:
                break
            at += _LENGTH.size
            self._receive(pickle.loads(memoryview(buffer)[at : at + size].tobytes()))
            at += size
        del buffer[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
