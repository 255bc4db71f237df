"""DomainMapping → a claim on its domain, and an Ingress (knative.dev/serving/pkg/reconciler/domainmapping)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from core.errors import AlreadyExists
from core.reconcile.controller import Controller, Watched, owner
from core.reconcile.objects import is_controlled_by
from core.reconcile.references import References
from core.resources.core_services import CORE_SERVICE
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.resources.networking import CLUSTER_DOMAIN_CLAIM, INGRESS
from core.resources.serving import DOMAIN_MAPPING, ROUTE, SERVICE
from core.settings import config_maps
from core.settings.network import NetworkSettings
from core.store.base import WatchEvent
from deploy import domain_mappings
from deploy.controllers.changes import when_settings_change
from deploy.controllers.ingresses import apply_ingress
from deploy.controllers.world import World
from deploy.domain_mappings import Unresolved

TARGETS: Final = (SERVICE, ROUTE, CORE_SERVICE)


class DomainMappingReconciler:
    def __init__(self, world: World) -> None:
        self._world = world
        self._references = References()
        self._mappings: set[ObjectKey] = set()

    def controller(self) -> Controller:
        watches = [
            Watched(DOMAIN_MAPPING, self._same_name),
            Watched(INGRESS, owner(DOMAIN_MAPPING)),
            Watched(CLUSTER_DOMAIN_CLAIM, self._claimants),
            Watched(CONFIG_MAP, when_settings_change((config_maps.NETWORK,), lambda: tuple(self._mappings))),
        ]
        watches += [Watched(kind, self._references.of(kind)) for kind in TARGETS]
        return Controller("domain-mapping", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> None:
        mapping = await self._world.find_live(DOMAIN_MAPPING, key)
        if mapping is None:
            self._references.set(key, ())
            self._mappings.discard(key)
            await self._release(key)
            return
        self._mappings.add(key)
        network = await self._world.settings.network()
        conditions = domain_mappings.begin(mapping, self._world.now())
        claim = await self._claim(key, mapping, network)
        is_owner = domain_mappings.mark_claim(conditions, mapping, claim)
        domain_mappings.mark_tls(conditions, mapping)
        host = domain_mappings.target_host(mapping, await self._target(key, mapping))
        ingress_key = ObjectKey(key.namespace, domain_mappings.ingress_name(mapping))
        stored = await self._world.find(INGRESS, ingress_key)
        if isinstance(host, Unresolved):
            conditions.mark_false(domain_mappings.REFERENCE_RESOLVED, "ResolveFailed", host.message)
        else:
            conditions.mark_true(domain_mappings.REFERENCE_RESOLVED)
        if is_owner and not isinstance(host, Unresolved):
            await apply_ingress(self._world, mapping, domain_mappings.make_ingress(mapping, host, network), stored)
            conditions.mark_true(domain_mappings.INGRESS_READY)
        elif not is_owner and stored is not None and is_controlled_by(stored, mapping):
            await self._world.delete(INGRESS, ingress_key)
        hosts = self._world.hosts
        url = hosts.public_url(key.name, domain_mappings.scheme(mapping, network))
        status = domain_mappings.make_status(mapping, conditions, url, hosts.public_url(key.name))
        await self._world.write_status(DOMAIN_MAPPING, mapping, status)

    async def _claim(self, key: ObjectKey, mapping: Json, network: NetworkSettings) -> Json | None:
        """The claim on the domain; where there is none, made for the oldest mapping if the settings allow it."""
        claim = await self._world.find_live(CLUSTER_DOMAIN_CLAIM, key)
        if claim is not None or not network.autocreate_cluster_domain_claims:
            return claim
        first = domain_mappings.oldest([mapping, *await self._rivals(key)])
        try:
            return await self._world.store.create(CLUSTER_DOMAIN_CLAIM, domain_mappings.make_claim(first))
        except AlreadyExists:
            return await self._world.find_live(CLUSTER_DOMAIN_CLAIM, key)

    async def _release(self, key: ObjectKey) -> None:
        """The claim that was made for a mapping that is gone."""
        claim = await self._world.find(CLUSTER_DOMAIN_CLAIM, key)
        if claim is not None and domain_mappings.goes_with(claim, key.namespace):
            await self._world.delete(CLUSTER_DOMAIN_CLAIM, ObjectKey("", key.name))

    def _claimants(self, event: WatchEvent) -> Iterable[ObjectKey]:
        """All mappings of the domain, also one that the claim is left over from."""
        name = event.object["metadata"]["name"]
        named = ObjectKey(event.object["spec"].get("namespace", ""), name)
        return {named, *(other for other in self._mappings if other.name == name)}

    async def _rivals(self, key: ObjectKey) -> list[Json]:
        """Mappings of the same domain in other namespaces."""
        others = (other for other in tuple(self._mappings) if other.name == key.name and other != key)
        found = [await self._world.find_live(DOMAIN_MAPPING, other) for other in others]
        return [mapping for mapping in found if mapping is not None]

    async def _target(self, key: ObjectKey, mapping: Json) -> Json | None:
        kind = _target_kind(mapping["spec"]["ref"])
        if kind is None:
            self._references.set(key, ())
            return None
        target = ObjectKey(key.namespace, mapping["spec"]["ref"].get("name", ""))
        self._references.set(key, [(kind, target)])
        return await self._world.find(kind, target)

    def _same_name(self, event: WatchEvent) -> Iterable[ObjectKey]:
        """All mappings of the domain: who goes makes room for the next."""
        key = key_of(event.object)
        self._mappings.add(key)
        return {other for other in self._mappings if other.name == key.name}


def _target_kind(reference: Json) -> Kind[Any] | None:
    wanted = (reference.get("apiVersion", ""), reference.get("kind", ""))
    return next((kind for kind in TARGETS if (kind.api_version, kind.kind) == wanted), None)
