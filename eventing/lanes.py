"""Which delivery of one subscription may start next: bounded in flight, bounded in rate, in order where that is asked.

An ordered subscription has a lane per key: one delivery of a lane at a time, the next after it succeeded or was
buried. A lane whose head waits for a retry holds up nobody but itself. Without a key everything is one crowd. The
dispatcher puts deliveries in as they come and tells what became of each. Pure: `now` is passed in.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """`key` is what an item was put in with: None for no order at all."""

    __slots__ = ("_concurrency", "_lanes", "_ready", "held", "in_flight")

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._ready: deque[tuple[T, str | None]] = deque()
        self._lanes: dict[str, deque[T]] = {}  # of every key with an item that is not over: those behind its head
        self.held = 0  # put in and not over
        self.in_flight = 0

    def put(self, item: T, key: str | None) -> None:
        """It came, after all that were put in before."""
        self.held += 1
        if key is not None and (lane := self._lanes.get(key)) is not None:
            lane.append(item)
            return
        if key is not None:
            self._lanes[key] = deque()
        self._ready.append((item, key))

    def start(self) -> tuple[T, str | None] | None:
        """The next that may go; None where none may now."""
        if not self._ready or self.in_flight >= self._concurrency:
            return None
        self.in_flight += 1
        return self._ready.popleft()

    def rest(self) -> None:
        """One in flight failed and waits for its next attempt: it keeps its lane, and lets others go."""
        self.in_flight -= 1

    def again(self, item: T, key: str | None) -> None:
        """One that rested may go again, before those that came after it."""
        self._ready.appendleft((item, key))

    def over(self, key: str | None) -> None:
        """One in flight is done with."""
        self.in_flight -= 1
        self.held -= 1
        if key is None:
            return
        lane = self._lanes[key]
        if lane:
            self._ready.append((lane.popleft(), key))
        else:
            del self._lanes[key]


class Rate:
    """At most so many starts a second, with a burst of a tenth of a second's worth (GCRA, ITU-T I.371)."""

    __slots__ = ("_burst_s", "_due", "_interval_s")

    def __init__(self, per_s: float) -> None:
        self._interval_s = 1 / per_s
        self._burst_s = max(0.1 - self._interval_s, 0.0)
        self._due = 0.0

    def delay_s(self, now: float) -> float:
        """How long the next start has to wait; 0 counts it as started."""
        wait_s = self._due - self._burst_s - now
        if wait_s > 0:
            return wait_s
        self._due = max(self._due, now) + self._interval_s
        return 0.0
