"""Deadlines by the thousand for the price of an attribute: a coarse timer wheel.

Every connection has one `due` time. Setting it later costs a store; only setting it earlier than it is filed costs a
dictionary operation. `expire` looks into the buckets that have come up, returns what is due and files the rest anew.
Knows no clock: the gateway's loop calls it a few times a second.
"""

from __future__ import annotations

from math import inf
from typing import Final, Generic, Protocol, TypeVar

TICK_S: Final = 0.1
NEVER: Final = inf


class Timed(Protocol):
    """`due` may be moved later at will; to move it earlier call `Wheel.arm`. `filed` belongs to the wheel."""

    due: float
    filed: float


class Due(Timed, Protocol):
    """Something that acts when its time has come."""

    def expire(self, now: float) -> None: ...


T = TypeVar("T", bound=Timed)


class Wheel(Generic[T]):
    """Things with a deadline."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, set[T]] = {}

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def arm(self, item: T, due: float) -> None:
        """It is due then, and not before."""
        item.due = due
        if due < item.filed:
            self.remove(item)
            self._file(item, due)

    def remove(self, item: T) -> None:
        bucket = self._buckets.get(int(item.filed / TICK_S)) if item.filed != NEVER else None
        if bucket is not None:
            bucket.discard(item)
        item.filed = NEVER

    def expire(self, now: float) -> list[T]:
        """What is due, at most one tick late. Each is out of the wheel until armed again."""
        expired: list[T] = []
        end = int(now / TICK_S)
        for tick in [tick for tick in self._buckets if tick < end]:
            for item in self._buckets.pop(tick):
                item.filed = NEVER
                if item.due <= now:
                    expired.append(item)
                elif item.due != NEVER:
                    self._file(item, item.due)
        return expired

    def _file(self, item: T, due: float) -> None:
        item.filed = due
        self._buckets.setdefault(int(due / TICK_S), set()).add(item)
