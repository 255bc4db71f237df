"""All kinds of sources that run here: a literal table, loaded on use. The controllers' registry reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from eventing.controllers.world import World
from eventing.sources.base import Source


def _kafka(world: World) -> Source:
    from eventing.sources.kafka import KafkaSources

    return KafkaSources(world)


def _ping(world: World) -> Source:
    from eventing.sources.ping import PingSources

    return PingSources(world)


def _rabbitmq(world: World) -> Source:
    from eventing.sources.rabbitmq import RabbitmqSources

    return RabbitmqSources(world)


def _container(world: World) -> Source:
    from eventing.sources.container import ContainerSources

    return ContainerSources(world)


def _sink_binding(world: World) -> Source:
    from eventing.sources.sink_binding import SinkBindings

    return SinkBindings(world)


def _api_server(world: World) -> Source:
    from eventing.sources.api_server import ApiServerSources

    return ApiServerSources(world)


SOURCES: Final[Mapping[str, Callable[[World], Source]]] = {
    "kafka": _kafka,
    "ping": _ping,
    "rabbitmq": _rabbitmq,
    "sink_binding": _sink_binding,
    "container": _container,
    "api_server": _api_server,
}
