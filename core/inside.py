"""Requests that never meet a socket: what a part of the platform asks of a function, and what it answers itself.

The activator is the `Caller`: a call joins the same line, limits and statistics as a request that came over the
network. Whoever serves something of its own at the gateway (the broker's ingress, a channel, a sink) is a `Site`,
registered by host name in `Sites`; its answer leaves on the connection that the request came by. So an event travels
from producer to subscriber in two transfers. Knows nothing of HTTP's syntax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

REPLY_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of a reply's body, which is held in memory whole."""
CALL_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of a request's body to a site that names no limit of its own."""

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Names in lower case, values without the white space around them; neither holds a line end."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request, whole. `host` may carry a port."""

    method: bytes
    host: bytes
    target: bytes  # path and query
    fields: Fields = ()
    body: bytes = b""

    def value(self, name: bytes) -> bytes | None:
        """Of the first field of that name."""
        return next((value for other, value in self.fields if other == name), None)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, whole. A site leaves Content-Length to the gateway."""

    status: int
    fields: Fields = ()
    body: bytes = b""

    def value(self, name: bytes) -> bytes | None:
        """Of the first field of that name."""
        return next((value for other, value in self.fields if other == name), None)


class CallFailed(Exception):
    """There is no whole reply: the time was up, the connection broke, or it was too large. Says which."""


class Caller(Protocol):
    """Reaches what the gateway serves, without a socket to ourselves."""

    def serves(self, host: bytes) -> bool:
        """Whether a host (with or without a port) is one of ours."""

    async def call(self, call: Call, timeout_s: float) -> Reply:
        """The reply, the gateway's own refusals (404, 503, 504 …) included. CallFailed."""

    def wake(self, host: bytes) -> None:
        """A call is about to come: a function that sleeps begins to start. Nothing where there is none."""


class Site(Protocol):
    """Something of ours that is asked at the gateway."""

    body_bytes_max: int  # above it the gateway answers 413

    def answer(self, call: Call, done: Callable[[Reply], None]) -> None:
        """Calls `done` once, now or later, on the loop that called. The asker may have left by then."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a site is. `public`: from outside, too."""

    site: Site
    public: bool


@dataclass(slots=True)
class Sites:
    """Every site by its host name (lower case, no port). It comes before a Route of the same host."""

    places: dict[str, Place] = field(default_factory=dict)
    changed: Callable[[Mapping[str, Place]], None] = lambda places: None

    def put(self, host: str, site: Site, *, public: bool = False) -> None:
        self.places[host] = Place(site, public)
        self.changed(self.places)

    def remove(self, host: str) -> None:
        if self.places.pop(host, None) is not None:
            self.changed(self.places)
