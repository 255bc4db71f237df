"""Who has which host, where several objects name one: a change of one object as the few hosts that it changes.

A thousand Services make thousands of hosts, and one more Service must not cost a look at them all. `endpoints` says
what an object claims; what comes back is handed to the gateway. Order of precedence: Ingress over core Service, and of
two of a sort the older one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeAlias

from activator.routing import Compiled, HostRoutes, RouteChanges
from core.resources.meta import ObjectKey


class Sort(IntEnum):
    """What claims; the lesser comes first."""

    INGRESS = 0
    SERVICE = 1


Claimant: TypeAlias = tuple[Sort, ObjectKey]


class Claims:
    """`hosts` is the table that the changes are applied to."""

    def __init__(self, hosts: Mapping[bytes, HostRoutes]) -> None:
        self._hosts = hosts
        self._claims: dict[Claimant, tuple[str, tuple[bytes, ...]]] = {}  # when it was created, and what it claims
        self._contested: dict[bytes, dict[Claimant, HostRoutes]] = {}  # where more than one claims a host

    def put(self, claimant: Claimant, created: str, compiled: Compiled) -> RouteChanges:
        """These are all the hosts that it claims from now on; no host: it is gone."""
        _, before = self._claims.pop(claimant, ("", ()))
        changes: dict[bytes, HostRoutes | None] = {}
        for host in before:
            if host not in compiled:
                changes[host] = self._withdraw(claimant, host)
        contested = {host for host in compiled if host in self._contested or self._is_anothers(host, before)}
        for host in contested:
            rivals = self._contested.setdefault(host, {}) or self._contest(host)
            rivals[claimant] = compiled[host]
        if compiled:
            self._claims[claimant] = (created, tuple(compiled))
        for host, routes in compiled.items():
            changes[host] = self._first(host) if host in contested else routes
        return changes

    def _is_anothers(self, host: bytes, own: tuple[bytes, ...]) -> bool:
        return host not in own and host in self._hosts

    def _contest(self, host: bytes) -> dict[Claimant, HostRoutes]:
        """The second claim of a host: looks for the first, which is rare enough to look at all."""
        holder = next(claimant for claimant, (_, hosts) in self._claims.items() if host in hosts)
        self._contested[host][holder] = self._hosts[host]
        return self._contested[host]

    def _withdraw(self, claimant: Claimant, host: bytes) -> HostRoutes | None:
        rivals = self._contested.get(host)
        if rivals is None:
            return None
        del rivals[claimant]
        first = self._first(host)
        if len(rivals) == 1:
            del self._contested[host]
        return first

    def _first(self, host: bytes) -> HostRoutes:
        rivals = self._contested[host]
        return rivals[min(rivals, key=lambda each: (each[0], self._claims[each][0], str(each[1])))]
