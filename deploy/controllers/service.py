"""Service → its Configuration and its Route, and their conditions back (knative.dev/serving/pkg/reconciler/service)."""

from __future__ import annotations

from typing import Any

from core.errors import AlreadyExists, TemporaryError
from core.reconcile.controller import Controller, Watched, itself, owner
from core.reconcile.objects import is_controlled_by
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.resources.serving import CONFIGURATION, REVISION, ROUTE, SERVICE
from deploy import services
from deploy.controllers.changes import when_desired_changes
from deploy.controllers.world import World
from deploy.revisions import NameState, check_name, given_name


class ServiceReconciler:
    def __init__(self, world: World) -> None:
        self._world = world

    def controller(self) -> Controller:
        watches = (
            Watched(SERVICE, when_desired_changes(itself)),
            Watched(CONFIGURATION, owner(SERVICE)),
            Watched(ROUTE, owner(SERVICE)),
        )
        return Controller("service", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> None:
        service = await self._world.find_live(SERVICE, key)
        if service is None:
            return
        configuration = await self._child(service, CONFIGURATION, services.CONFIGURATIONS_READY)
        # A revision that brings its name must exist under it before traffic may go there.
        route = None
        taken = ""
        if services.is_observed(configuration) or not given_name(configuration):
            if await self._is_taken(configuration):
                taken = given_name(configuration)
            else:
                route = await self._child(service, ROUTE, services.ROUTES_READY)
        status = services.decide_status(service, configuration, route, taken, self._world.now())
        await self._world.write_status(SERVICE, service, status)

    async def _is_taken(self, configuration: Json) -> bool:
        name = given_name(configuration)
        if not name:
            return False
        key = ObjectKey(configuration["metadata"]["namespace"], name)
        return check_name(configuration, await self._world.find(REVISION, key)) is NameState.TAKEN

    async def _child(self, service: Json, kind: Kind[Any], condition: str) -> Json:
        """The Configuration or Route as the Service wants it: made, mended, or taken by another."""
        stored = await self._world.find(kind, key_of(service))
        if stored is None:
            return await self._create(service, kind)
        if not is_controlled_by(stored, service):
            message = services.not_owned_message(kind.kind, stored["metadata"]["name"])
            await self._fail(service, condition, message)
            raise TemporaryError(message)
        desired = self._desired(service, kind, stored)
        if not services.differs(desired, stored):
            return stored
        return await self._world.store.update(kind, services.with_desired(desired, stored))

    async def _create(self, service: Json, kind: Kind[Any]) -> Json:
        name = service["metadata"]["name"]
        try:
            created = await self._world.store.create(kind, self._desired(service, kind, None))
        except AlreadyExists as error:
            raise TemporaryError(error.message) from error
        await self._world.recorder.event(service, "Normal", "Created", f'Created {kind.kind} "{name}"')
        return created

    def _desired(self, service: Json, kind: Kind[Any], stored: Json | None) -> Json:
        return services.make_configuration(service, stored) if kind is CONFIGURATION else services.make_route(service)

    async def _fail(self, service: Json, condition: str, message: str) -> None:
        conditions = services.CONDITIONS.manage(service.get("status"), self._world.now())
        conditions.mark_false(condition, "NotOwned", message)
        status = {
            **(service.get("status") or {}),
            "conditions": conditions.to_json(),
            "observedGeneration": service["metadata"].get("generation"),
        }
        await self._world.write_status(SERVICE, service, status)
