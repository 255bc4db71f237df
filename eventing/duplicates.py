"""A window in which an event that comes again is known: source and id, for so long, so many.

An identity is first *held* by whoever is storing the event, and *kept* only once that has succeeded: a producer that
sends again because the first try failed must not be told that all is well. Who meets a held identity waits for the same
outcome. The window is in memory; after a restart it is filled again from the log.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final, Generic, TypeAlias, TypeVar

Identity: TypeAlias = tuple[str, str]
Holder = TypeVar("Holder")
COUNT_MAX: Final = 1_000_000


def key_of(identity: Identity) -> bytes:
    """Sixteen bytes for an identity of any length: no two that anybody finds share them."""
    source, id = identity
    return blake2b(f"{len(source)}:{source}{id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Window(Generic[Holder]):
    """Remembers at most `count_max` identities by their keys, each for `age_s`; the oldest go first.

    `now` never goes back.
    """

    def __init__(self, age_s: float, count_max: int = COUNT_MAX) -> None:
        self.age_s = age_s
        self.count_max = count_max
        self._kept: OrderedDict[bytes, float] = OrderedDict()  # a dict is slow to lose its first item
        self._held: dict[bytes, Holder] = {}

    def __len__(self) -> int:
        return len(self._kept) + len(self._held)

    def is_kept(self, key: bytes, now: float) -> bool:
        """Whether an event of this identity was stored less than `age_s` ago."""
        oldest = now - self.age_s
        while self._kept:
            first = next(iter(self._kept))
            if self._kept[first] > oldest:
                return key in self._kept
            self._kept.popitem(last=False)
        return False

    def holder(self, key: bytes) -> Holder | None:
        """Who is storing an event of this identity just now."""
        return self._held.get(key)

    def hold(self, key: bytes, holder: Holder) -> None:
        self._held[key] = holder

    def release(self, key: bytes) -> None:
        """It was not stored after all: the next try counts as the first."""
        self._held.pop(key, None)

    def keep(self, key: bytes, now: float) -> None:
        """It is stored. Called in the order of time."""
        self._held.pop(key, None)
        self._kept.pop(key, None)
        self._kept[key] = now
        if len(self._kept) > self.count_max:
            self._kept.popitem(last=False)
