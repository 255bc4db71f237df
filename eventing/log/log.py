"""The event log: append, read, subscribe. `eventing/log/base.py` has its vocabulary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from core.clock import Clock
from core.tasks import Started
from eventing.event import Event
from eventing.log.base import Attempt, DeadLetter, Entry, Fate, Record, Retention, Start, StreamInfo
from eventing.log.positions import Position


class Cursor:
    """One subscription's way through its stream. All of it is called on the loop, and none of it waits."""

    subscription: str
    stream: str
    position: Position
    missed: int
    """Events that retention had taken before a released subscription came back."""

    @property
    def backlog(self) -> int:
        """Events not yet acknowledged, exactly."""
        raise NotImplementedError

    def ack(self, offset: int, end: int | None = None) -> None:
        """Acknowledges [offset, end), or the one; synced with a later commit, so a crash may repeat it. TooFarAhead."""
        raise NotImplementedError

    def fail(self, offset: int, attempt: Attempt) -> None:
        """Notes a failed attempt; on disk with a later commit, forgotten with the acknowledgement."""
        raise NotImplementedError

    def attempts(self, offset: int) -> Sequence[Attempt]:
        """The failed attempts at an unacknowledged event, also those before a restart."""
        raise NotImplementedError

    def dead_letter(self, offset: int, event: Event | None, reason: str) -> asyncio.Future[int]:
        """Moves the event to the dead letters with its attempts and acknowledges it, in one transaction.

        The result is the dead letter's number, after the sync. StoreFull: nothing has changed, call again.
        """
        raise NotImplementedError


class DeadLetters:
    """The dead letters of all subscriptions, of every broker class."""

    def add(self, letter: DeadLetter) -> asyncio.Future[int]:
        """Keeps one of a broker that holds its own positions; `number` is ignored. Done after the sync. StoreFull."""
        raise NotImplementedError

    async def list(self, subscription: str | None = None, after: int = 0, count_max: int = 100) -> list[DeadLetter]:
        """Those with a number above `after`, ascending."""
        raise NotImplementedError

    async def get(self, number: int) -> DeadLetter | None:
        raise NotImplementedError

    def mark(self, numbers: Sequence[int], fate: Fate) -> asyncio.Future[int]:
        """Says what has become of them. StoreFull."""
        raise NotImplementedError

    def drop(self, numbers: Sequence[int]) -> asyncio.Future[int]:
        """Deletes them. StoreFull."""
        raise NotImplementedError


class EventLog:
    """One file, all streams."""

    dead_letters: DeadLetters

    def __init__(self, path: Path, clock: Clock) -> None:
        raise NotImplementedError

    async def open(self) -> None:
        """Makes or reads the file. PermanentError, StoreFull."""
        raise NotImplementedError

    async def close(self) -> None:
        """Waits for what is being written, writes all acknowledgements, closes the file."""
        raise NotImplementedError

    async def run(self, started: Started) -> None:
        """Service: retention and the upkeep of the file, until canceled."""
        raise NotImplementedError

    def append_nowait(self, stream: str, events: Sequence[Event]) -> asyncio.Future[int]:
        """Appends all of them in order, or none. The future has the first one's offset, after the sync, or StoreFull.

        TooManyRequests, at once, where more waits for the disk than may.
        """
        raise NotImplementedError

    async def flush(self) -> None:
        """Returns when everything noted so far is synced, acknowledgements too. StoreFull."""
        raise NotImplementedError

    def fresh(self, stream: str, offset: int, count_max: int) -> Sequence[Record] | None:
        """Records from `offset` on, if they were appended lately enough to be in memory still; None: `read` them."""
        raise NotImplementedError

    async def read(self, stream: str, offset: int, count_max: int = 256, bytes_max: int = 1 << 20) -> Sequence[Entry]:
        """What follows from `offset` on without a gap, at least one entry unless `offset` is at the tail.

        Offsets below the head are skipped: look at the first entry's.
        """
        raise NotImplementedError

    def listen(self, stream: str, listener: Callable[[Sequence[Record]], None]) -> Callable[[], None]:
        """Calls `listener` on the loop with the records of each commit, after the sync; returns what ends that."""
        raise NotImplementedError

    def tail(self, stream: str, offset: int | None = None) -> AsyncIterator[Entry]:
        """Every entry from `offset` (None: from now) on, for ever."""
        raise NotImplementedError

    async def offset_at(self, stream: str, time_s: float) -> int:
        """The first offset that was accepted at that time or later; the tail where there is none."""
        raise NotImplementedError

    async def find(self, stream: str, id: str, count_max: int = 10) -> list[Record]:
        """The newest records whose event has this id, whatever its source, newest first."""
        raise NotImplementedError

    def streams(self) -> list[StreamInfo]:
        raise NotImplementedError

    def stream(self, name: str) -> StreamInfo:
        """An unknown stream is an empty one."""
        raise NotImplementedError

    def retain(self, stream: str, retention: Retention) -> None:
        raise NotImplementedError

    async def drop_stream(self, name: str) -> None:
        """Deletes a stream with its records and subscriptions; its dead letters stay."""
        raise NotImplementedError

    async def subscribe(self, subscription: str, stream: str, start: Start) -> Cursor:
        """The subscription's cursor: where it was, or a new one at `start`, synced before it is returned. StoreFull."""
        raise NotImplementedError

    async def unsubscribe(self, subscription: str, keep_position: bool = False) -> None:
        """Lets go: retention no longer waits for it. With `keep_position`, `subscribe` goes on where it was."""
        raise NotImplementedError

    def cursor(self, subscription: str) -> Cursor | None:
        raise NotImplementedError
