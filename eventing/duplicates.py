"""A window in which an event that comes again is known: source and id, for so long, so many.

An identity is first *held* by whoever is storing the event, and *kept* only once that has succeeded: a producer that
sends again because the first try failed must not be told that all is well. Who meets a held identity waits for the same
outcome. The window is in memory; after a restart it is filled again from the log.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Generic, TypeAlias, TypeVar

Identity: TypeAlias = tuple[str, str]
Holder = TypeVar("Holder")


class Window(Generic[Holder]):
    """Remembers at most `count_max` identities, each for `age_s`; the oldest go first. `now` never goes back."""

    def __init__(self, age_s: float, count_max: int = 1_000_000) -> None:
        self.age_s = age_s
        self.count_max = count_max
        self._kept: dict[bytes, float] = {}  # in the order of their times, which is that of insertion
        self._held: dict[bytes, Holder] = {}

    def __len__(self) -> int:
        return len(self._kept) + len(self._held)

    def is_kept(self, identity: Identity, now: float) -> bool:
        """Whether an event of this identity was stored less than `age_s` ago."""
        self._expire(now)
        return _key(identity) in self._kept

    def holder(self, identity: Identity) -> Holder | None:
        """Who is storing an event of this identity just now."""
        return self._held.get(_key(identity))

    def hold(self, identity: Identity, holder: Holder) -> None:
        self._held[_key(identity)] = holder

    def release(self, identity: Identity) -> None:
        """It was not stored after all: the next try counts as the first."""
        self._held.pop(_key(identity), None)

    def keep(self, identity: Identity, now: float) -> None:
        """It is stored. Called in the order of time."""
        key = _key(identity)
        self._held.pop(key, None)
        self._kept.pop(key, None)
        self._kept[key] = now
        if len(self._kept) > self.count_max:
            del self._kept[next(iter(self._kept))]

    def _expire(self, now: float) -> None:
        oldest = now - self.age_s
        while self._kept:
            key = next(iter(self._kept))
            if self._kept[key] > oldest:
                return
            del self._kept[key]


def _key(identity: Identity) -> bytes:
    """Sixteen bytes for an identity of any length: no two that anybody finds share them."""
    source, id = identity
    return blake2b(f"{len(source)}:{source}{id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
