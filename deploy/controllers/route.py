"""Route → its Ingress and placeholder Services (knative.dev/serving/pkg/reconciler/route).

The Ingress is written only when every target resolves and is ready; until then the old one stays. It is durable: what
is in force does not change by a restart, and the gateway serves it before this controller has looked at anything.
"""

from __future__ import annotations

from typing import Final

from core.errors import TemporaryError
from core.reconcile.controller import Controller, Watched, itself, owner
from core.reconcile.references import References
from core.resources import serving_labels as labels
from core.resources.conditions import FALSE, Conditions
from core.resources.core_services import CORE_SERVICE
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json, ObjectKey, key_of
from core.resources.networking import INGRESS
from core.resources.serving import CONFIGURATION, REVISION, ROUTE
from core.settings import config_maps
from core.settings.features import FeatureSettings, Flag
from deploy import route_status
from deploy.controllers.changes import when_desired_changes, when_readiness_changes, when_settings_change
from deploy.controllers.ingresses import apply_ingress
from deploy.controllers.placeholders import Placeholders
from deploy.controllers.world import World
from deploy.hostnames import HostnameError, Naming
from deploy.rollout import NANOSECONDS, Rollout, observe_ready, parse_rollout, step
from deploy.routes import Program, make_ingress, make_status_traffic, rollout_duration_s
from deploy.traffic import DEFAULT_TAG, Traffic, TrafficProblem, referred_names, resolve_traffic

SETTINGS: Final = (config_maps.NETWORK, config_maps.DOMAIN, config_maps.FEATURES)


class RouteReconciler:
    def __init__(self, world: World) -> None:
        self._world = world
        self._placeholders = Placeholders(world)
        self._references = References()
        self._routes: set[ObjectKey] = set()

    def controller(self) -> Controller:
        watches = (
            Watched(ROUTE, when_desired_changes(itself)),
            Watched(INGRESS, owner(ROUTE)),
            Watched(CORE_SERVICE, owner(ROUTE)),
            Watched(CONFIGURATION, self._references.of(CONFIGURATION)),
            Watched(REVISION, when_readiness_changes(self._references.of(REVISION))),
            Watched(CONFIG_MAP, when_settings_change(SETTINGS, lambda: tuple(self._routes))),
        )
        return Controller("route", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> float | None:
        route = await self._world.find_live(ROUTE, key)
        if route is None:
            self._references.set(key, ())
            self._routes.discard(key)
            return None
        self._routes.add(key)
        settings = self._world.settings
        naming = Naming(await settings.network(), await settings.domain(), self._world.hosts)
        conditions = route_status.begin(route, self._world.now())
        traffic = await self._resolve(route)
        try:
            if isinstance(traffic, TrafficProblem):
                await self._keep_old_split(route, conditions, traffic, naming)
                return None
            return await self._program(route, conditions, traffic, naming)
        except HostnameError as error:
            problem = TrafficProblem(FALSE, "ErrorConfig", str(error))
            route_status.mark_problem(conditions, problem)
            await self._world.write_status(ROUTE, route, route_status.make_status(route, conditions, {}))
            return None

    async def _resolve(self, route: Json) -> Traffic | TrafficProblem:
        """Reads all that the Route names, and hears of its changes from now on."""
        namespace = route["metadata"]["namespace"]
        names, revision_names = referred_names(route["spec"].get("traffic") or ())
        configurations: dict[str, Json] = {}
        for name in names:
            found = await self._world.find(CONFIGURATION, ObjectKey(namespace, name))
            if found is not None:
                configurations[name] = found
                latest = (found.get("status") or {}).get("latestReadyRevisionName")
                revision_names |= {latest} if latest else set()
        revisions: dict[str, Json] = {}
        for name in revision_names:
            found = await self._world.find(REVISION, ObjectKey(namespace, name))
            if found is not None:
                revisions[name] = found
        self._references.set(
            key_of(route),
            [(CONFIGURATION, ObjectKey(namespace, name)) for name in names]
            + [(REVISION, ObjectKey(namespace, name)) for name in revision_names],
        )
        return resolve_traffic(route, configurations, revisions)

    async def _keep_old_split(
        self, route: Json, conditions: Conditions, problem: TrafficProblem, naming: Naming
    ) -> None:
        """Not everything is there: nothing changes for requests."""
        route_status.mark_problem(conditions, problem)
        tags = route_status.remembered_tags(route)
        visible = await self._placeholders.visibilities(route, tags, naming)
        await self._placeholders.make(route, tags, naming)
        changes = {"url": naming.url(route, DEFAULT_TAG, visible[DEFAULT_TAG])}
        await self._world.write_status(ROUTE, route, route_status.make_status(route, conditions, changes))

    async def _program(self, route: Json, conditions: Conditions, traffic: Traffic, naming: Naming) -> float | None:
        conditions.mark_true(route_status.ALL_TRAFFIC_ASSIGNED)
        route_status.mark_no_tls(conditions)
        visible = await self._placeholders.visibilities(route, traffic.by_tag, naming)
        stored = await self._world.find(INGRESS, key_of(route))
        rollout, due_ns = self._roll_out(route, traffic, stored, naming)
        program = Program(traffic, rollout, visible, naming, await self._is_tag_header_on())
        changes: Json = {
            "url": naming.url(route, DEFAULT_TAG, visible[DEFAULT_TAG]),
            "address": {"url": naming.hosts.local_url(naming.local_host(route, DEFAULT_TAG))},
            "traffic": make_status_traffic(route, program),
        }
        if taken := await self._placeholders.make(route, traffic.by_tag, naming):
            message = f'There is an existing placeholder Service "{taken}" that we do not own.'
            conditions.mark_false(route_status.INGRESS_READY, "NotOwned", message)
            await self._world.write_status(ROUTE, route, route_status.make_status(route, conditions, changes))
            raise TemporaryError(message)
        await self._placeholders.drop(route, traffic.by_tag, naming)
        await apply_ingress(self._world, route, make_ingress(route, program), stored)
        if rollout.done:
            conditions.mark_true(route_status.INGRESS_READY)
        else:
            route_status.mark_rollout(conditions)
        await self._world.write_status(ROUTE, route, route_status.make_status(route, conditions, changes))
        return max(0.0, due_ns / NANOSECONDS - self._world.clock.wall()) if due_ns else None

    def _roll_out(self, route: Json, traffic: Traffic, stored: Json | None, naming: Naming) -> tuple[Rollout, int]:
        """The split in force now, and when it is to move on; from what was in force, if anything was."""
        wanted = traffic.rollout()
        duration_s = rollout_duration_s(route, naming.network)
        if duration_s <= 0:
            return wanted, 0
        now_ns = int(self._world.clock.wall() * NANOSECONDS)
        notes = (stored["metadata"].get("annotations") or {}) if stored is not None else {}
        previous = parse_rollout(notes.get(labels.ROLLOUT_ANNOTATION))
        if previous is not None:
            # This Ingress was ready when it was written: the gateway has taken the first percent over.
            previous = observe_ready(previous, now_ns, duration_s)
        return step(wanted, previous, now_ns)

    async def _is_tag_header_on(self) -> bool:
        features: FeatureSettings = await self._world.settings.features()
        return features.tag_header_based_routing == Flag.ENABLED
