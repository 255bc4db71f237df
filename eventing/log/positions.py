"""How far a subscription has come, where acknowledgements arrive in any order.

Everything below `low` is acknowledged, and so is every range above it; ranges are merged as they touch. The log's
cursors hold one each and write it with the next commit.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable

AHEAD_MAX = 65_536
"""How far above the lowest unacknowledged offset an acknowledgement may lie: it bounds the ranges."""

_HEADER = struct.Struct("<Q")
_RANGE = struct.Struct("<II")  # from low, and its length


class TooFarAhead(Exception):
    """The offset lies AHEAD_MAX or more above the lowest unacknowledged one: deliver that one first."""


class Position:
    """The acknowledged offsets of one subscription."""

    __slots__ = ("_ends", "_firsts", "low")

    def __init__(self, low: int, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self.low = low
        self._firsts: list[int] = []
        self._ends: list[int] = []
        for first, end in ranges:
            self.ack(first, end)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The acknowledged ranges above `low`, ascending, as [first, end)."""
        return list(zip(self._firsts, self._ends, strict=True))

    @property
    def acked_above(self) -> int:
        return sum(self._ends) - sum(self._firsts)

    @property
    def top(self) -> int:
        """The offset after the highest acknowledged one."""
        return self._ends[-1] if self._ends else self.low

    def is_acked(self, offset: int) -> bool:
        if offset < self.low:
            return True
        place = bisect_right(self._firsts, offset) - 1
        return place >= 0 and offset < self._ends[place]

    def acked_below(self, offset: int) -> int:
        """How many of the offsets from `low` to before this one are acknowledged."""
        return sum(min(end, offset) - first for first, end in self.ranges if first < offset)

    def next_unacked(self, offset: int) -> int:
        """The lowest unacknowledged offset that is not below this one."""
        if offset <= self.low:
            return self.low
        place = bisect_right(self._firsts, offset) - 1
        return max(offset, self._ends[place]) if place >= 0 else offset

    def ack(self, first: int, end: int | None = None) -> None:
        """Acknowledges [first, end), or the one offset; again is no harm. TooFarAhead."""
        end = first + 1 if end is None else end
        firsts, ends = self._firsts, self._ends
        if first <= self.low:
            if end > self.low:
                self.low = end
                self._absorb()
            return
        if end <= first:
            return
        if end > self.low + AHEAD_MAX:
            raise TooFarAhead(f"offset {end - 1} is {end - 1 - self.low} above the lowest unacknowledged one")
        # The ranges that touch [first, end): from the last that begins at or before it to the last that begins in it.
        left = bisect_right(firsts, first)
        if left and ends[left - 1] >= first:
            left -= 1
            first = firsts[left]
        right = bisect_right(firsts, end)
        if right > left:
            end = max(end, ends[right - 1])
        firsts[left:right] = [first]
        ends[left:right] = [end]

    def _absorb(self) -> None:
        """Takes into `low` the ranges that it has reached."""
        count = 0
        while count < len(self._firsts) and self._firsts[count] <= self.low:
            self.low = max(self.low, self._ends[count])
            count += 1
        del self._firsts[:count], self._ends[:count]

    def copy(self) -> Position:
        other = Position(self.low)
        other._firsts, other._ends = self._firsts.copy(), self._ends.copy()
        return other

    def encode(self) -> bytes:
        low = self.low
        ranges = zip(self._firsts, self._ends, strict=True)
        pairs = [value for first, end in ranges for value in (first - low, end - first)]
        return struct.pack(f"<Q{len(pairs)}I", low, *pairs)

    @staticmethod
    def decode(data: bytes) -> Position:
        """The reverse of `encode`. ValueError where it cannot be one."""
        if len(data) < _HEADER.size or (len(data) - _HEADER.size) % _RANGE.size:
            raise ValueError("not a position")
        (low,) = _HEADER.unpack_from(data)
        pairs = _RANGE.iter_unpack(data[_HEADER.size :])
        return Position(low, [(low + above, low + above + length) for above, length in pairs])
