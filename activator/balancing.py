"""Which instance takes the next request: the one with the fewest, and never more than its limit.

Instances stand in levels by their number of requests, so the choice costs the same with one as with thousands.
Among equals the one that has waited longest is taken. Knative takes the better of two at random, or the first with room
(pkg/activator/net/lb_policy.go): it does not see the requests of its other activators, this sees them all.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class LeastLoaded(Generic[T]):
    """The instances that may be given requests now. `limit` is the containerConcurrency; 0 means none."""

    __slots__ = ("_levels", "_load", "_lowest", "limit")

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self._levels: list[dict[T, None]] = [{}]
        self._load: dict[T, int] = {}
        self._lowest = 0  # no instance stands below

    def __len__(self) -> int:
        return len(self._load)

    def __contains__(self, instance: T) -> bool:
        return instance in self._load

    def add(self, instance: T, load: int = 0) -> None:
        """`load`: what it is working on already, where it was away for a while."""
        if instance not in self._load:
            while len(self._levels) < load:
                self._levels.append({})
            self._enter(instance, load)

    def discard(self, instance: T) -> None:
        """It is given nothing more; what it works on is not counted here any longer."""
        load = self._load.pop(instance, None)
        if load is not None:
            del self._levels[load][instance]

    def acquire(self) -> T | None:
        """The least loaded, counted one up; None where all are at their limit, or there is none."""
        if not self._load:
            return None
        levels, load = self._levels, self._lowest
        while not levels[load]:
            load += 1
        self._lowest = load
        if self.limit and load >= self.limit:
            return None
        level = levels[load]
        instance = next(iter(level))
        del level[instance]
        self._enter(instance, load + 1)
        return instance

    def release(self, instance: T) -> None:
        """One request of it has ended. Nothing happens for an instance that was discarded."""
        load = self._load.get(instance)
        if load:
            del self._levels[load][instance]
            self._enter(instance, load - 1)

    def _enter(self, instance: T, load: int) -> None:
        """At most one level above those that there are."""
        if load == len(self._levels):
            self._levels.append({})
        self._levels[load][instance] = None
        self._load[instance] = load
        if load < self._lowest:
            self._lowest = load
