"""Triggers on what is inside the platform: a world with Deployments and Pods, and scalers in it."""

from __future__ import annotations

from typing import Any

from core.resources.kinds import KINDS
from core.resources.meta import Json, ObjectKey, owner_reference
from core.resources.pods import POD
from core.resources.workloads import DEPLOYMENT
from core.stats import Backlogs, NoUsage, StatisticBus, Usage
from core.store.memory import MemoryStore
from scalers.base import World
from scalers.params import parse
from scalers.pools import Pools
from scalers.readings import TargetRef, Trigger
from scalers.registry import definition_of
from tests.support.clock import FakeClock


def make_world(clock: FakeClock | None = None, usage: Usage | None = None) -> World:
    """With a store that is still to be opened."""
    clock = clock or FakeClock()
    store = MemoryStore(KINDS, clock)
    return World(clock, store, StatisticBus(), Pools(), usage or NoUsage(), Backlogs())


def a_trigger(type_: str, metadata: dict[str, str], **more: Any) -> Trigger:
    """Of ScaledObject shop/orders, which scales Deployment orders."""
    target = more.pop("target", TargetRef("Deployment", "orders"))
    return Trigger(ObjectKey("shop", "orders"), 0, type_, metadata, target=target, **more)


def scaler_of(trigger: Trigger, world: World) -> Any:
    """PermanentError, as its definition's `check` raises; the parameters themselves must be right."""
    definition = definition_of(trigger.type)
    parameters = parse(definition.parameters, trigger)
    assert not isinstance(parameters, list), [str(each) for each in parameters]
    if definition.check is not None:
        definition.check(parameters, trigger)
    return definition.make(parameters, trigger, world)


async def put_deployment(store: MemoryStore, name: str = "orders") -> Json:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return await store.create(DEPLOYMENT, {"metadata": {"namespace": "shop", "name": name}, "spec": spec})


async def put_pod(
    store: MemoryStore, name: str, owner: Json | None = None, *, ready: bool = True, phase: str = "Running", **spec: Any
) -> Json:
    metadata: Json = {"namespace": "shop", "name": name, "labels": spec.pop("labels", {"app": "orders"})}
    if owner is not None:
        metadata["ownerReferences"] = [owner_reference(DEPLOYMENT, owner).to_json()]
    made = {"containers": [{"name": "main", "image": "x"}], **spec}
    pod = await store.create(POD, {"metadata": metadata, "spec": made})
    return await set_status(store, pod["metadata"]["name"], ready=ready, phase=phase)


async def set_status(store: MemoryStore, name: str, *, ready: bool = True, phase: str = "Running") -> Json:
    def change(pod: Json) -> Json:
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        return {**pod, "status": {"phase": phase, "conditions": conditions}}

    return await store.modify(POD, name, "shop", change, "status")
