"""Connections that triggers share: one per cluster and credential, closed when the last borrower has gone."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar, cast


class Closable(Protocol):
    async def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Pools:
    """Things by key. The key says all that makes two borrowers want the same thing: its sort, address, credential."""

    def __init__(self) -> None:
        self._lent: dict[Hashable, tuple[Any, int]] = {}

    def borrow(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing of that key, made if nobody has it. Each call is to be matched by one of `give_back`."""
        thing, borrowers = self._lent.get(key) or (make(), 0)
        self._lent[key] = (thing, borrowers + 1)
        return cast(T, thing)

    async def give_back(self, key: Hashable) -> None:
        """Closes it when nobody has it any more."""
        thing, borrowers = self._lent[key]
        if borrowers > 1:
            self._lent[key] = (thing, borrowers - 1)
            return
        del self._lent[key]
        await thing.close()

    def __len__(self) -> int:
        return len(self._lent)
