"""The line in front of a revision: first in, first out, bounded in count and bytes, for itself and with all others.

Age is the third bound: every request waits under its own deadline (the least of the revision's timeouts), and whoever
keeps the deadlines takes it out of the line. Holds anything that says what it weighs; decides nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar


class Weighed(Protocol):
    """`held_bytes` is what it keeps in memory while it waits. It may shrink when out of the line, not in it."""

    held_bytes: int


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What may wait."""

    count_max: int = 10_000  # Knative's nominal depth of a revision's breaker
    bytes_max: int = 64 * 1024 * 1024

    def room(self, count: int, held_bytes: int) -> bool:
        return count <= self.count_max and held_bytes <= self.bytes_max


EACH_LIMITS = QueueLimits()
TOTAL_LIMITS = QueueLimits(50_000, 256 * 1024 * 1024)
"""Of all revisions together."""


@dataclass(slots=True)
class Total:
    """What all the lines hold together."""

    limits: QueueLimits = TOTAL_LIMITS
    count: int = 0
    held_bytes: int = 0


W = TypeVar("W", bound=Weighed)
_NOBODY: Final[OrderedDict[Any, int]] = OrderedDict()
"""Every empty line's: one of its own would be as large as all the rest that a sleeping revision has here."""


class Queue(Generic[W]):
    """One revision's line."""

    __slots__ = ("_entries", "_limits", "_total", "held_bytes")

    def __init__(self, limits: QueueLimits, total: Total) -> None:
        self._entries: OrderedDict[W, int] = _NOBODY
        self._limits = limits
        self._total = total
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, entry: W) -> bool:
        return entry in self._entries

    def push(self, entry: W) -> bool:
        """At the end. False where a bound would be passed."""
        total, weight = self._total, entry.held_bytes
        own = self._limits.room(len(self._entries) + 1, self.held_bytes + weight)
        if not own or not total.limits.room(total.count + 1, total.held_bytes + weight):
            return False
        self._add(entry, weight)
        return True

    def push_front(self, entry: W) -> None:
        """Back to where it was: it had been let through, so no bound applies."""
        self._add(entry, entry.held_bytes)
        self._entries.move_to_end(entry, last=False)

    def pop(self) -> W | None:
        """The oldest."""
        if not self._entries:
            return None
        entry, weight = self._entries.popitem(last=False)
        self._forget(weight)
        return entry

    def remove(self, entry: W) -> bool:
        """Wherever it stands. False where it does not stand here."""
        weight = self._entries.pop(entry, None)
        if weight is None:
            return False
        self._forget(weight)
        return True

    def clear(self) -> list[W]:
        """All of them, oldest first."""
        entries = list(self._entries)
        for entry in entries:
            self.remove(entry)
        return entries

    def _add(self, entry: W, weight: int) -> None:
        if self._entries is _NOBODY:
            self._entries = OrderedDict()
        self._entries[entry] = weight
        self.held_bytes += weight
        self._total.count += 1
        self._total.held_bytes += weight

    def _forget(self, weight: int) -> None:
        if not self._entries:
            self._entries = _NOBODY
        self.held_bytes -= weight
        self._total.count -= 1
        self._total.held_bytes -= weight
