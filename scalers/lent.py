"""A client that all triggers of one server and credential share, at wherever the server's name leads now.

Documents name core Services, as on a cluster; here such a name leads to ready Pods, which come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, Self, TypeVar

from scalers.base import World
from scalers.pools import Closable
from scalers.readings import Trigger
from scalers.service_addresses import addresses_of


class Access(Protocol):
    """Where a server is and as whom; equal ones share a connection."""

    @property
    def addresses(self) -> Sequence[str]:
        """`host:port` each; none where it is reached otherwise."""

    def at(self, addresses: Sequence[str]) -> Self:
        """The same elsewhere: one address or more."""


A = TypeVar("A", bound=Access)
C = TypeVar("C", bound=Closable)


class Lent(Generic[A, C]):
    """One trigger's. Nothing is made before the first `client`."""

    def __init__(self, access: A, make: Callable[[A], C], trigger: Trigger, world: World) -> None:
        self._access = access
        self._make = make
        self._namespace = trigger.owner.namespace
        self._world = world
        self._lent: tuple[A, C] | None = None

    async def client(self) -> C:
        """TemporaryError: it is a Service, and nothing is ready behind it."""
        access = await self._found()
        if self._lent is None or self._lent[0] != access:
            before = self._lent
            self._lent = access, self._world.pools.borrow(_key(access), lambda: self._make(access))
            if before is not None:
                await self._world.pools.give_back(_key(before[0]))
        return self._lent[1]

    async def give_back(self) -> None:
        if self._lent is not None:
            lent, self._lent = self._lent, None
            await self._world.pools.give_back(_key(lent[0]))

    async def _found(self) -> A:
        known = list(self._access.addresses)
        store = self._world.store
        found = [each for address in known for each in await addresses_of(store, address, self._namespace)]
        return self._access if found == known else self._access.at(found)


def _key(access: Access) -> tuple[type[Access], Access]:
    return type(access), access
