"""Names follow what routes requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.resources.core_services import CORE_SERVICE
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.resources.networking import INGRESS
from core.store.memory import MemoryStore
from core.tasks import start_service
from deploy.names import Names, ingress_names, service_names
from tests.support.clock import FakeClock, settle


def ingress(name: str, *hosts: str) -> Json:
    split = {"serviceNamespace": "default", "serviceName": f"{name}-00001", "percent": 100}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"rules": [{"hosts": list(hosts), "http": {"paths": [{"splits": [split]}]}}]},
    }


def test_every_host_of_an_ingress_and_every_form_of_a_service() -> None:
    assert ingress_names(ingress("a", "a.example", "a.default")) == ["a.example", "a.default"]
    service = {"metadata": {"name": "db", "namespace": "shop"}}
    assert service_names(service) == ["db.shop", "db.shop.svc", "db.shop.svc.cluster.local"]


def test_sinks_hear_of_changes_and_of_nothing_else() -> None:
    async def scenario() -> list[Sequence[str]]:
        clock = FakeClock()
        store = MemoryStore(KINDS, clock)
        told: list[Sequence[str]] = []
        async with asyncio.TaskGroup() as group:
            task = await start_service(group, Names(store, clock, [told.append]).run, "names")

            async def gathered() -> None:
                await settle()
                await clock.advance(0.1)
                await settle()

            await store.create(INGRESS, ingress("a", "a.example"))
            await gathered()
            await store.modify(INGRESS, "a", "default", lambda old: {**old, "status": {}}, "status")
            await store.create(CORE_SERVICE, {"metadata": {"name": "s", "namespace": "n"}, "spec": {}})
            await store.create(CORE_SERVICE, placeholder)
            await gathered()
            await store.delete(INGRESS, "a", "default")
            await gathered()
            task.cancel()
        return told

    route = {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "name": "r", "uid": "1", "controller": True}
    placeholder = {"metadata": {"name": "r", "namespace": "n", "ownerReferences": [route]}, "spec": {}}
    services = ["s.n", "s.n.svc", "s.n.svc.cluster.local"]
    assert asyncio.run(scenario()) == [[], ["a.example"], ["a.example", *services], services]
