"""Configuration → a Revision per generation, and which of them is the latest ready one.

knative.dev/serving/pkg/reconciler/configuration.
"""

from __future__ import annotations

from core.errors import AlreadyExists, TemporaryError
from core.reconcile.controller import Controller, Watched, itself, owner
from core.resources.conditions import FALSE, TRUE, find_condition, is_current_and
from core.resources.meta import Json, ObjectKey
from core.resources.serving import CONFIGURATION, REVISION
from core.resources.serving_labels import CONFIGURATION_LABEL
from deploy import revisions
from deploy.controllers.changes import when_desired_changes, when_readiness_changes
from deploy.controllers.world import World
from deploy.revisions import NameState


class ConfigurationReconciler:
    def __init__(self, world: World) -> None:
        self._world = world

    def controller(self) -> Controller:
        watches = (
            Watched(CONFIGURATION, when_desired_changes(itself)),
            Watched(REVISION, when_readiness_changes(owner(CONFIGURATION))),
        )
        return Controller("configuration", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> None:
        configuration = await self._world.find_live(CONFIGURATION, key)
        if configuration is None:
            return
        created = await self._created(configuration)
        if created is None:
            name = revisions.revision_name(configuration)
            message = f'{REVISION.resource} "{name}" already exists'
            status = revisions.decide_failed_creation(configuration, message, self._world.now())
            await self._world.write_status(CONFIGURATION, configuration, status)
            return
        latest = revisions.choose_latest_ready(configuration, created, await self._candidates(configuration, created))
        status = revisions.decide_status(configuration, created, latest, self._world.now())
        await self._world.write_status(CONFIGURATION, configuration, status)
        await self._tell(configuration, created, status)

    async def _created(self, configuration: Json) -> Json | None:
        """The Revision of the present generation, made where it is missing; None where another has its name."""
        name, namespace = revisions.revision_name(configuration), configuration["metadata"]["namespace"]
        existing = await self._world.find(REVISION, ObjectKey(namespace, name))
        if existing is None:
            return await self._create(configuration)
        if revisions.given_name(configuration):
            return existing if revisions.check_name(configuration, existing) is NameState.OURS else None
        return existing if revisions.is_of_generation(existing, configuration) else None

    async def _create(self, configuration: Json) -> Json:
        revision = revisions.make_revision(configuration, self._world.now())
        try:
            created = await self._world.store.create(REVISION, revision)
        except AlreadyExists as error:
            raise TemporaryError(error.message) from error
        name = created["metadata"]["name"]
        await self._world.recorder.event(configuration, "Normal", "Created", f'Created Revision "{name}"')
        return created

    async def _candidates(self, configuration: Json, created: Json) -> list[Json]:
        """All its Revisions, where the newest is not ready and an older one may be the latest ready one."""
        if is_current_and(created, TRUE) or configuration["metadata"]["generation"] == 1:
            return [created]
        metadata = configuration["metadata"]
        wanted = {CONFIGURATION_LABEL: metadata["name"]}
        return (await self._world.store.list(REVISION, metadata["namespace"], wanted)).items

    async def _tell(self, configuration: Json, created: Json, status: Json) -> None:
        before = configuration.get("status") or {}
        old, new = before.get("latestReadyRevisionName"), status.get("latestReadyRevisionName")
        recorder = self._world.recorder
        if new and not old:
            await recorder.event(configuration, "Normal", "ConfigurationReady", "Configuration becomes ready")
        if new and new != old:
            message = f'LatestReadyRevisionName updated to "{new}"'
            await recorder.event(configuration, "Normal", "LatestReadyUpdate", message)
        ready = find_condition({"status": status}) or {}
        if ready.get("status") == FALSE and ready != find_condition(configuration):
            name = created["metadata"]["name"]
            which = "Latest ready" if name == new else "Latest created"
            reason = f"{which.title().replace(' ', '')}Failed"
            await recorder.event(configuration, "Warning", reason, f'{which} revision "{name}" has failed')
