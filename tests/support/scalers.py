"""Scalers as the autoscaler makes and asks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.clock import Clock
from core.errors import PermanentError
from core.resources.kinds import KINDS
from core.resources.meta import ObjectKey
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from scalers.base import Scaler, World
from scalers.params import Parameters, parse
from scalers.pools import Pools
from scalers.readings import Reading, Target, Trigger
from scalers.registry import definition_of
from tests.support.clock import FakeClock


def make_world(clock: Clock | None = None) -> World:
    """With a clock that stands still, unless another is given."""
    clock = clock or FakeClock()
    return World(clock, MemoryStore(KINDS, clock), StatisticBus(), Pools())


def make_trigger(type_: str, metadata: Mapping[str, str], **more: Any) -> Trigger:
    """`more`: auth, env, pod_identity."""
    return Trigger(ObjectKey("default", "orders"), 0, type_, metadata, **more)


def parsed(trigger: Trigger) -> Parameters:
    """PermanentError: what is wrong, as its message."""
    definition = definition_of(trigger.type)
    found = parse(definition.parameters, trigger)
    if isinstance(found, list):
        raise PermanentError("; ".join(map(str, found)))
    if definition.check is not None:
        definition.check(found, trigger)
    assert isinstance(found, Parameters)
    return found


def make_scaler(trigger: Trigger, world: World | None = None) -> Scaler:
    made: Scaler = definition_of(trigger.type).make(parsed(trigger), trigger, world or make_world())
    return made


async def target_of(scaler: Scaler) -> Target:
    (target,) = await scaler.targets()
    return target


async def reading_of(scaler: Scaler) -> Reading:
    (reading,) = await scaler.read()
    return reading
