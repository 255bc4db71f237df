"""A scaler, made as the platform makes it and asked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.resources.kinds import KINDS
from core.resources.meta import Json, Kind, ObjectKey
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from scalers.base import AnyDefinition, World
from scalers.params import Parameters, parse
from scalers.pools import Pools
from scalers.readings import Reading, Trigger
from tests.support.clock import FakeClock


def make_trigger(metadata: Mapping[str, str], auth: Mapping[str, str] | None = None, type_: str = "x") -> Trigger:
    return Trigger(ObjectKey("default", "so"), 0, type_, metadata, auth=auth or {})


async def make_world(objects: Iterable[tuple[Kind[Any], Json]] = ()) -> World:
    clock = FakeClock()
    store = MemoryStore(KINDS, clock)
    await store.open()
    for kind, obj in objects:
        await store.create(kind, obj)
    return World(clock, store, StatisticBus(), Pools())


async def read_once(definition: AnyDefinition, trigger: Trigger, world: World) -> Reading:
    """Its one reading; what it borrowed is given back, whatever comes of it."""
    parameters = parse(definition.parameters, trigger)
    assert isinstance(parameters, Parameters), parameters
    scaler = definition.make(parameters, trigger, world)
    try:
        (reading,) = await scaler.read()
    finally:
        await scaler.close()
        assert len(world.pools) == 0
    assert isinstance(reading, Reading)
    return reading
