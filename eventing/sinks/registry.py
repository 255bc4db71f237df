"""All kinds of sinks that are served here: a literal table, loaded on use. The controllers' registry reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.resources.sinks import JOB_SINK, KAFKA_SINK
from eventing.controllers.late import Plugin

SINKS: Final[Mapping[str, Plugin]] = {
    "job": Plugin(JOB_SINK, "eventing.sinks.job", "JobSinks"),
    "kafka": Plugin(KAFKA_SINK, "eventing.sinks.kafka", "KafkaSinks"),
}
