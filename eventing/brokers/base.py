"""What every broker class has in common: it takes events durably, and feeds each subscription those that match.

The ingress appends, the dispatcher takes and tells what became of each delivery. One dispatcher serves all classes;
failed attempts and dead letters of all of them are in the event log. What a class promises is in `docs/eventing.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.tasks import Started
from eventing.event import Event
from eventing.filters.clauses import Filter
from eventing.log.base import Attempt, Start


@dataclass(slots=True, eq=False)
class Delivery:
    """An event on its way to one subscription. `place` is the feed's own; `offset` what people may know it by."""

    event: Event
    place: object
    offset: int | None
    attempts: Sequence[Attempt] = ()
    """Those that failed before, in earlier lives of the platform too."""
    lane: str | None = None
    """Where the feed itself knows what keeps an order: deliveries of one lane do, whatever their attributes say."""


class Feed(Protocol):
    """One subscription's events. Called on the loop."""

    changed: Callable[[], None]
    """Called when `take` may give more."""

    async def run(self, started: Started) -> None:
        """Whatever work there is between the broker and `take`, until canceled."""

    def take(self, count: int) -> Sequence[Delivery]:
        """The next that match, in order; none where there are none now."""

    def failed(self, delivery: Delivery, attempt: Attempt) -> None:
        """Notes an attempt, for whoever asks and for the next life."""

    def ack(self, delivery: Delivery) -> None:
        """Done with. Durable soon: a crash before that repeats the delivery."""

    async def bury(self, delivery: Delivery, letter: Event, reason: str) -> int:
        """Done with, as a dead letter: `letter`, stored first. Returns its number. StoreFull: call again."""

    @property
    def backlog(self) -> int:
        """Events that wait or are under way. An estimate from above where not everything has been matched yet."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What a subscription asks of a broker. `name` is unique in the platform: `trigger/NAMESPACE/NAME`.

    `filter` is compiled from `filter_source`, by which two interests are compared.
    """

    name: str
    filter: Filter = field(compare=False)
    filter_source: str
    start: Start = field(compare=False)  # of a new one; one that has begun does not go back


class Broker(Protocol):
    """One broker or channel of any class."""

    name: str

    @property
    def trouble(self) -> str:
        """Why it has never been able to take an event; empty once it could."""

    async def run(self, started: Started) -> None:
        """Its upkeep and its connections, until canceled."""

    def append(self, events: Sequence[Event]) -> asyncio.Future[int]:
        """All of them, or none. Done once they are durable, with the first one's offset where there are offsets.

        StoreFull, TooManyRequests, TemporaryError.
        """

    async def reserve(self, name: str, start: Start) -> None:
        """What comes from now on waits for a subscription that cannot run yet."""

    async def subscribe(self, interest: Interest) -> Feed:
        """From where it was, or from its start. A subscription whose filter changes subscribes again."""

    async def unsubscribe(self, name: str, *, keep_position: bool = False) -> None:
        """It will not come back; with `keep_position` it may, and goes on where it was."""

    async def erase(self) -> None:
        """Forgets everything that it stored: it will not come back. TemporaryError: call again."""
