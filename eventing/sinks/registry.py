"""All kinds of sinks that are served here: a literal table, loaded on use. The controllers' registry reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from eventing.controllers.world import World
from eventing.sinks.base import Sink


def _job(world: World) -> Sink:
    from eventing.sinks.job import JobSinks

    return JobSinks(world)


def _kafka(world: World) -> Sink:
    from eventing.sinks.kafka import KafkaSinks

    return KafkaSinks(world)


SINKS: Final[Mapping[str, Callable[[World], Sink]]] = {
    "job": _job,
    "kafka": _kafka,
}
