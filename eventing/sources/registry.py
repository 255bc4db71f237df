"""All kinds of sources that run here: a literal table, loaded on use. The controllers' registry reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.resources.sources import API_SERVER_SOURCE, CONTAINER_SOURCE, PING_SOURCE, SINK_BINDING
from core.resources.sources_kafka import KAFKA_SOURCE
from core.resources.sources_rabbitmq import RABBITMQ_SOURCE
from eventing.controllers.late import Plugin

SOURCES: Final[Mapping[str, Plugin]] = {
    "kafka": Plugin(KAFKA_SOURCE, "eventing.sources.kafka", "KafkaSources"),
    "ping": Plugin(PING_SOURCE, "eventing.sources.ping", "PingSources"),
    "rabbitmq": Plugin(RABBITMQ_SOURCE, "eventing.sources.rabbitmq", "RabbitmqSources"),
    "sink_binding": Plugin(SINK_BINDING, "eventing.sources.sink_binding", "SinkBindings"),
    "container": Plugin(CONTAINER_SOURCE, "eventing.sources.container", "ContainerSources"),
    "api_server": Plugin(API_SERVER_SOURCE, "eventing.sources.api_server", "ApiServerSources"),
}
