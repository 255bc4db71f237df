"""Kafka and RabbitMQ: core/resources/sources_kafka.py, core/resources/sources_rabbitmq.py."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.meta import Json, Kind
from core.resources.sources_kafka import KAFKA_SOURCE
from core.resources.sources_rabbitmq import RABBITMQ_BROKER_CONFIG, RABBITMQ_SOURCE
from tests.support.eventing_documents import SINK, admitted, document, refusal

KAFKA: Json = {"sink": SINK, "topics": ["t"], "bootstrapServers": ["127.0.0.1:9092"]}
CLUSTER: Json = {"connectionSecret": {"name": "s"}}
QUEUE: Json = {"queueName": "q", "exchangeName": "e"}
RABBITMQ: Json = {"sink": SINK, "rabbitmqClusterReference": CLUSTER, "rabbitmqResourcesConfig": QUEUE}


def test_what_a_kafka_source_gets() -> None:
    spec = admitted(KAFKA_SOURCE, document(KAFKA))["spec"]
    assert spec == {
        **KAFKA,
        "sink": {"ref": {**SINK["ref"], "namespace": "ns"}},
        "consumers": 1,
        "consumerGroup": "knative-kafka-source-ns-x",
        "initialOffset": "latest",
        "ordering": "ordered",
    }


def test_what_a_rabbitmq_source_gets() -> None:
    spec = admitted(RABBITMQ_SOURCE, document(RABBITMQ))["spec"]
    assert spec["rabbitmqResourcesConfig"] == {**QUEUE, "parallelism": 1, "queueType": "quorum"}
    assert spec["rabbitmqClusterReference"] == {**CLUSTER, "namespace": "ns"}


@pytest.mark.parametrize(
    ("kind", "spec", "text"),
    [
        pytest.param(KAFKA_SOURCE, {**KAFKA, "consumers": 0, "ordering": "unordered"}, "", id="kafka"),
        pytest.param(
            KAFKA_SOURCE, {"sink": SINK}, "missing field(s): spec.bootstrapServers, spec.topics", id="nothing"
        ),
        pytest.param(
            KAFKA_SOURCE,
            {**KAFKA, "initialOffset": "first", "ordering": "sorted", "consumers": -1, "delivery": {"retry": -1}},
            "invalid value: -1: spec.consumers, spec.delivery.retry\n"
            "invalid value: first: spec.initialOffset\n"
            "invalid value: sorted: spec.ordering",
            id="values",
        ),
        pytest.param(RABBITMQ_SOURCE, RABBITMQ, "", id="rabbitmq"),
        pytest.param(
            RABBITMQ_SOURCE,
            {"sink": SINK},
            "missing field(s): spec.rabbitmqClusterReference, spec.rabbitmqResourcesConfig",
            id="nothing of rabbitmq",
        ),
        pytest.param(
            RABBITMQ_SOURCE,
            {**RABBITMQ, "rabbitmqResourcesConfig": {"queueName": "q", "predeclared": True, "parallelism": 1001}},
            "expected 1 <= 1001 <= 1000: spec.rabbitmqResourcesConfig.parallelism",
            id="parallelism",
        ),
        pytest.param(
            RABBITMQ_SOURCE,
            {**RABBITMQ, "rabbitmqResourcesConfig": {"queueType": "stream"}},
            "Name of exchange must be provided when spec.predeclared is false: "
            "spec.rabbitmqResourcesConfig.exchangeName\n"
            "invalid value: stream: spec.rabbitmqResourcesConfig.queueType\n"
            "missing field(s): spec.rabbitmqResourcesConfig.queueName",
            id="queue",
        ),
        pytest.param(
            RABBITMQ_SOURCE,
            {**RABBITMQ, "rabbitmqClusterReference": {"name": "r", **CLUSTER}},
            "must not set the field(s): spec.rabbitmqClusterReference.connectionSecret",
            id="two references",
        ),
        pytest.param(RABBITMQ_BROKER_CONFIG, {"rabbitmqClusterReference": {"name": "r"}}, "", id="config"),
        pytest.param(
            RABBITMQ_BROKER_CONFIG,
            {"rabbitmqClusterReference": {}, "queueType": "stream"},
            "invalid value: stream: spec.queueType\nmissing field(s): spec.rabbitmqClusterReference.name",
            id="config refused",
        ),
    ],
)
def test_refusals(kind: Kind[Any], spec: Json, text: str) -> None:
    assert refusal(kind, document(spec)) == text


def test_the_type_of_kafkas_keys_is_a_label() -> None:
    obj = document(KAFKA)
    obj["metadata"]["labels"] = {"kafkasources.sources.knative.dev/key-type": "int"}
    assert refusal(KAFKA_SOURCE, obj) == ""
    obj["metadata"]["labels"] = {"kafkasources.sources.knative.dev/key-type": "long"}
    assert refusal(KAFKA_SOURCE, obj) == (
        "invalid value: long: metadata.labels[kafkasources.sources.knative.dev/key-type]\n"
        "must be one of string, int, float, byte-array"
    )


@pytest.mark.parametrize(
    ("kind", "spec", "change", "field"),
    [
        (KAFKA_SOURCE, KAFKA, {"consumerGroup": "other"}, "consumerGroup"),
        (
            RABBITMQ_SOURCE,
            RABBITMQ,
            {"rabbitmqResourcesConfig": {**QUEUE, "queueName": "r"}},
            "rabbitmqResourcesConfig",
        ),
        (RABBITMQ_BROKER_CONFIG, {"rabbitmqClusterReference": CLUSTER}, {"queueType": "classic"}, "queueType"),
    ],
)
def test_what_never_changes(kind: Kind[Any], spec: Json, change: Json, field: str) -> None:
    old = admitted(kind, document(spec))
    assert refusal(kind, document(spec), old) == ""
    changed = refusal(kind, document({**spec, **change}), old)
    assert changed.startswith(f"Immutable fields changed (-old +new): spec.{field}\n")


def test_a_kafka_source_with_a_made_up_name_names_its_group() -> None:
    obj = {"metadata": {"generateName": "k-", "namespace": "ns"}, "spec": KAFKA}
    assert refusal(KAFKA_SOURCE, obj) == ("a source whose name is made up must name its group: spec.consumerGroup")
