"""The work queue of a controller: which keys are due, each at most once, none twice at a time.

client-go's rate-limiting workqueue as one plain value: no lock, no task, and the present is handed in. A key that is
asked for while it is being worked on comes again when that work has ended; a key that is asked for twice is worked on
once, at the earlier of the two times; a key that fails comes again after a delay that doubles.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from core.resources.meta import ObjectKey

_STALE_MIN = 64  # stale entries that are not worth a sweep


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before the n-th retry: `base_s` doubled n-1 times, never above `cap_s`."""

    base_s: float = 0.005
    cap_s: float = 60.0

    def delay(self, failures: int) -> float:
        # 2**64 would leave the range of a float's exact integers long after any cap has been met.
        return min(self.base_s * 2.0 ** min(failures - 1, 64), self.cap_s)


class WorkQueue:
    """Keys and when they are due. All times are seconds of one monotonic clock.

    It cannot outgrow the number of distinct keys by more than a few times: keys are deduplicated, and what is stale in
    the heap is swept out before it is the larger part.
    """

    def __init__(self, backoff: Backoff | None = None) -> None:
        self._backoff = backoff or Backoff()
        self._due: dict[ObjectKey, tuple[float, int]] = {}  # waiting key → its due time and its ticket
        # Entries whose ticket is no longer the one in `_due` are stale and skipped when they surface.
        self._heap: list[tuple[float, int, ObjectKey]] = []
        self._working: set[ObjectKey] = set()
        self._failures: dict[ObjectKey, int] = {}
        self._tickets = 0

    def __len__(self) -> int:
        """Keys that wait, now or for a later time."""
        return len(self._due)

    def add(self, key: ObjectKey, now: float, after_s: float = 0.0) -> None:
        """Asks for the key; where it waits already, the earlier time holds."""
        due = now + after_s
        waiting = self._due.get(key)
        if waiting is not None and waiting[0] <= due:
            return
        self._tickets += 1
        self._due[key] = (due, self._tickets)
        if key not in self._working:
            self._push((due, self._tickets, key))

    def take(self, now: float) -> ObjectKey | None:
        """The key that has been due for longest; it counts as being worked on until `finish` or `retry`."""
        while self._heap and self._heap[0][0] <= now:
            due, ticket, key = heapq.heappop(self._heap)
            if self._due.get(key) != (due, ticket):
                continue
            del self._due[key]
            self._working.add(key)
            return key
        return None

    def finish(self, key: ObjectKey) -> None:
        """The work on the key ended well: its failures are forgotten."""
        self._failures.pop(key, None)
        self._release(key)

    def retry(self, key: ObjectKey, now: float, after_s: float | None = None) -> float:
        """The work on the key failed: it comes again after `after_s` or its back-off. Returns that delay."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = self._backoff.delay(failures) if after_s is None else after_s
        self.add(key, now, delay)
        self._release(key)
        return delay

    def failures(self, key: ObjectKey) -> int:
        """How many times in a row the key has failed."""
        return self._failures.get(key, 0)

    def next_due(self) -> float | None:
        """When `take` will have something to give; None while nothing waits (keys being worked on aside)."""
        while self._heap:
            due, ticket, key = self._heap[0]
            if self._due.get(key) == (due, ticket):
                return due
            heapq.heappop(self._heap)
        return None

    def _release(self, key: ObjectKey) -> None:
        self._working.discard(key)
        if waiting := self._due.get(key):
            self._push((*waiting, key))

    def _push(self, entry: tuple[float, int, ObjectKey]) -> None:
        heapq.heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._due) + _STALE_MIN:
            # A key that comes again in an hour and is asked for every millisecond leaves an entry each time.
            waiting = self._due.items()
            self._heap = [(*at, key) for key, at in waiting if key not in self._working]
            heapq.heapify(self._heap)
