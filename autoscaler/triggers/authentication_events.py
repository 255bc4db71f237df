"""Says of each TriggerAuthentication that it is there, and that it has changed, as KEDA's operator does.

(controllers/keda/triggerauthentication_controller.go.) A service of its own: nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from core.clock import Clock
from core.errors import NotFound
from core.reconcile.controller import Controller, Watched
from core.reconcile.events import Recorder
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.meta import Kind, ObjectKey, key_of
from core.store.base import EventType, Store, WatchEvent
from core.tasks import Started

COMPONENT: Final = "keda-operator"
UPDATED: Final = "ClusterTriggerAuthenticationUpdated"
"""Of both kinds, and so is its sentence: KEDA's event reasons have it so, and scripts wait for what KEDA says."""


class AuthenticationEvents:
    """Both kinds in one controller: a key without a namespace is a ClusterTriggerAuthentication's."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._recorder = Recorder(store, clock, COMPONENT)
        kinds = (TRIGGER_AUTHENTICATION, CLUSTER_TRIGGER_AUTHENTICATION)
        watches = [Watched(kind, _changed) for kind in kinds]
        self._controller = Controller("authentication-events", store, self._reconcile, watches, clock)

    async def run(self, started: Started) -> None:
        await self._controller.run(started)

    async def _reconcile(self, key: ObjectKey) -> None:
        kind: Kind[Any] = TRIGGER_AUTHENTICATION if key.namespace else CLUSTER_TRIGGER_AUTHENTICATION
        try:
            obj = await self._store.get(kind, key.name, key.namespace)
        except NotFound:
            return
        about = {**obj, "apiVersion": kind.api_version, "kind": kind.kind}
        if obj["metadata"].get("generation", 1) == 1:
            await self._recorder.event(about, "Normal", f"{kind.kind}Added", f"New {kind.kind} configured")
        else:
            said = f"{CLUSTER_TRIGGER_AUTHENTICATION.kind} {key.name} is updated"
            await self._recorder.event(about, "Normal", UPDATED, said)


def _changed(event: WatchEvent) -> Iterable[ObjectKey]:
    """New, or with another spec."""
    if event.type is EventType.DELETED:
        return ()
    old = event.old["metadata"].get("generation") if event.old is not None else None
    return () if old == event.object["metadata"].get("generation") else (key_of(event.object),)
