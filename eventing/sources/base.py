"""What all kinds of sources have in common: how the roof runs one, and how its status tells of its sink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from core.reconcile.controller import Controller
from core.reconcile.references import References
from core.resources.conditions import Conditions
from core.resources.meta import Json, Kind, ObjectKey
from core.resources.sources import OIDC_IDENTITY_CREATED, SINK_PROVIDED
from core.tasks import Service
from eventing.controllers.resolving import Unresolved, referents, resolve
from eventing.controllers.world import World
from eventing.event import Value


class Source(Protocol):
    """One kind of source. `services` run before its controller does, and end after it."""

    @property
    def services(self) -> Sequence[tuple[str, Service]]:
        """By name; none where reconciling is all there is to do."""

    def controller(self) -> Controller:
        """Made once."""


@runtime_checkable
class EarlySource(Protocol):
    """One whose objects are to be in force before the first request is taken."""

    kind: Kind[Any]

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Called for each of them."""


class Sinks:
    """Sinks of one kind of source; `references` tells whom a change of a sink concerns (`resolving.followed`)."""

    def __init__(self, world: World) -> None:
        self.references = References()
        self._world = world

    async def find(self, source: Json, conditions: Conditions, status: Json) -> str | None:
        """The sink's URL, marked and noted in the status; None where there is none (yet)."""
        namespace, sink = source["metadata"]["namespace"], source["spec"].get("sink") or {}
        key = ObjectKey(namespace, source["metadata"]["name"])
        self.references.set(key, referents([sink], namespace))
        conditions.mark_true(OIDC_IDENTITY_CREATED, "authentication-oidc feature disabled", "")
        try:
            url = await resolve(self._world, self._world.hosts, sink, namespace)
        except Unresolved as error:
            conditions.mark_false(SINK_PROVIDED, "NotFound", str(error))
            return None
        conditions.mark_true(SINK_PROVIDED)
        status["sinkUri"] = url
        if sink.get("CACerts"):
            status["sinkCACerts"] = sink["CACerts"]
        return url

    def forget(self, key: ObjectKey) -> None:
        self.references.set(key, ())


def overrides(source: Json) -> dict[str, Value | None]:
    """The attributes that `ceOverrides` sets in each event."""
    return dict((source["spec"].get("ceOverrides") or {}).get("extensions") or {})
