"""Which host names lead to the gateway, told to every runtime whenever they change.

A function reaches another at its `status.address.url` because each runtime gives its instances an /etc/hosts with these
names. They are read from what routes requests: every host of every Ingress, and the core Services. On a cluster this is
the cluster's DNS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from core.clock import Clock
from core.reconcile.controller import Controller, Watched
from core.resources.core_services import CORE_SERVICE
from core.resources.meta import Json, ObjectKey
from core.resources.networking import INGRESS
from core.settings.domain import CLUSTER_DOMAIN
from core.store.base import Store, WatchEvent
from core.tasks import Started

Sink: TypeAlias = Callable[[Sequence[str]], None]
"""Takes all names, in order; called when they differ from those before."""

_ALL = ObjectKey("", "names")  # one key: however many objects change at once, the names are gathered once


class Names:
    """Watches, gathers, tells."""

    def __init__(self, store: Store, clock: Clock, sinks: Sequence[Sink]) -> None:
        self._store = store
        self._sinks = sinks
        self._told: Sequence[str] | None = None
        watches = (Watched(INGRESS, _everything), Watched(CORE_SERVICE, _everything))
        self._controller = Controller("names", store, self._reconcile, watches, clock)

    async def run(self, started: Started) -> None:
        """Until cancelled. Every sink hears of the names that there are before this has started, even of none."""
        await self._reconcile(_ALL)
        await self._controller.run(started)

    async def _reconcile(self, key: ObjectKey) -> None:
        ingresses, services = await asyncio.gather(self._store.list(INGRESS), self._store.list(CORE_SERVICE))
        names = gather_names(ingresses.items, services.items)
        if names != self._told:
            self._told = names
            for sink in self._sinks:
                sink(names)


def gather_names(ingresses: Iterable[Json], services: Iterable[Json]) -> Sequence[str]:
    """Every host once, sorted; a core Service has its cluster-local name and the short forms of it."""
    names = {
        host for ingress in ingresses for rule in ingress["spec"].get("rules") or () for host in rule.get("hosts") or ()
    }
    for service in services:
        metadata = service["metadata"]
        short = f"{metadata['name']}.{metadata['namespace']}"
        names |= {short, f"{short}.svc", f"{short}.{CLUSTER_DOMAIN}"}
    return sorted(names)


def _everything(event: WatchEvent) -> Iterable[ObjectKey]:
    return (_ALL,)
