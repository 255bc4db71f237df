"""The service account `default` that every namespace has (pkg/controller/serviceaccount).

Tools wait for it after they made a namespace, and it is where pull secrets for all of a namespace's Pods are named. One
that is deleted comes back, without what was written into it.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.clock import Clock
from core.errors import AlreadyExists, NotFound
from core.reconcile.controller import Controller, Watched, itself
from core.resources.core_v1 import NAMESPACE, SERVICE_ACCOUNT
from core.resources.meta import ObjectKey
from core.store.base import EventType, Store, WatchEvent
from core.tasks import Started

DEFAULT = "default"


class ServiceAccountController:
    """Makes the account in namespaces that have none and are here to stay."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        watches = [Watched(NAMESPACE, itself), Watched(SERVICE_ACCOUNT, _deleted_default, changes_only=True)]
        self._controller = Controller("service-accounts", store, self.reconcile, watches, clock)

    async def run(self, started: Started) -> None:
        """Runs until cancelled."""
        await self._controller.run(started)

    async def reconcile(self, key: ObjectKey) -> None:
        try:
            namespace = await self._store.get(NAMESPACE, key.name)
        except NotFound:
            return
        if "deletionTimestamp" in namespace["metadata"]:
            return
        account = {
            "apiVersion": SERVICE_ACCOUNT.api_version,
            "kind": SERVICE_ACCOUNT.kind,
            "metadata": {"name": DEFAULT, "namespace": key.name},
        }
        try:
            await self._store.create(SERVICE_ACCOUNT, account)
        except AlreadyExists:
            return


def _deleted_default(event: WatchEvent) -> Iterable[ObjectKey]:
    metadata = event.object["metadata"]
    if event.type is EventType.DELETED and metadata["name"] == DEFAULT:
        yield ObjectKey("", metadata["namespace"])
