"""Values by key where nearly every key has one: indices that must not weigh more than what they point at.

A set with one member takes 216 bytes, a tuple 48; a thousand sleeping Services have thousands of them. The store's
index of owners and the controllers' indices of references are made of this.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

_FEW = 8  # a tuple of more costs more time to change than a dictionary costs memory

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class Multimap(Generic[K, V]):
    """Each value once per key, in the order in which they came."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[K, tuple[V, ...] | dict[V, None]] = {}

    def __len__(self) -> int:
        """Keys that have a value."""
        return len(self._values)

    def of(self, key: K) -> Collection[V]:
        """A copy, or what is never changed."""
        values = self._values.get(key, ())
        return values if isinstance(values, tuple) else tuple(values)

    def add(self, key: K, value: V) -> None:
        values = self._values.get(key, ())
        if isinstance(values, dict):
            values[value] = None
        elif value not in values:
            self._values[key] = (*values, value) if len(values) < _FEW else dict.fromkeys((*values, value))

    def discard(self, key: K, value: V) -> None:
        values = self._values.get(key, ())
        if isinstance(values, dict):
            values.pop(value, None)
        elif value in values:
            values = self._values[key] = tuple(each for each in values if each != value)
        if not values:
            self._values.pop(key, None)
