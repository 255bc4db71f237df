"""Which host names lead to the gateway, told to every runtime whenever they change.

A function reaches another at its `status.address.url` because each runtime gives its instances an /etc/hosts with these
names. They are read from what routes requests: every host of every Ingress, and the core Services. On a cluster this is
the cluster's DNS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from core.clock import Clock
from core.reconcile.controller import Controller, Watched
from core.resources.core_services import CORE_SERVICE, is_placeholder
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.resources.networking import INGRESS
from core.settings.domain import CLUSTER_DOMAIN
from core.store.base import EventType, Store, WatchEvent
from core.tasks import Started

Sink: TypeAlias = Callable[[Sequence[str]], None]
"""Takes all names, in order; called when they differ from those before."""

_ALL = ObjectKey("", "names")  # one key: however many objects change at once, the names are told once
_GATHERED_S = 0.02  # all names are told anew: of a burst the first is told at once, the others together


class Names:
    """Watches, gathers, tells."""

    def __init__(self, store: Store, clock: Clock, sinks: Sequence[Sink]) -> None:
        self._store = store
        self._sinks = sinks
        self._names: dict[tuple[str, ObjectKey], Sequence[str]] = {}  # by plural and object
        self._told: Sequence[str] | None = None
        self._told_at = float("-inf")
        self._clock = clock
        watches = (Watched(INGRESS, self._note_ingress), Watched(CORE_SERVICE, self._note_service))
        self._controller = Controller("names", store, self._reconcile, watches, clock)

    async def run(self, started: Started) -> None:
        """Until cancelled. Every sink hears of the names that there are before this has started, even of none."""
        await self._reconcile(_ALL)
        await self._controller.run(started)

    async def _reconcile(self, key: ObjectKey) -> float | None:
        now = self._clock.monotonic()
        if (left_s := self._told_at + _GATHERED_S - now) > 0:
            return left_s
        names = sorted({name for each in self._names.values() for name in each})
        if names != self._told:
            self._told, self._told_at = names, now
            for sink in self._sinks:
                sink(names)
        return None

    def _note_ingress(self, event: WatchEvent) -> Iterable[ObjectKey]:
        return self._note(INGRESS, event, ingress_names(event.object))

    def _note_service(self, event: WatchEvent) -> Iterable[ObjectKey]:
        # A Route's Ingress has the names of its placeholders.
        return () if is_placeholder(event.object) else self._note(CORE_SERVICE, event, service_names(event.object))

    def _note(self, kind: Kind[Any], event: WatchEvent, names: Sequence[str]) -> Iterable[ObjectKey]:
        place = (kind.plural, key_of(event.object))
        if event.type is EventType.DELETED:
            self._names.pop(place, None)
        elif self._names.get(place) == names:
            return ()
        else:
            self._names[place] = names
        return (_ALL,)


def ingress_names(ingress: Json) -> Sequence[str]:
    """Every host of every rule."""
    rules = ingress["spec"].get("rules") or ()
    return [host for rule in rules for host in rule.get("hosts") or ()]


def service_names(service: Json) -> Sequence[str]:
    """The cluster-local name of a core Service and the short forms of it."""
    metadata = service["metadata"]
    short = f"{metadata['name']}.{metadata['namespace']}"
    return [short, f"{short}.svc", f"{short}.{CLUSTER_DOMAIN}"]
