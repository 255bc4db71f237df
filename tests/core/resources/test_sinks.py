"""KafkaSink and JobSink."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.meta import Json, Kind
from core.resources.sinks import JOB_SINK, KAFKA_SINK
from tests.support.eventing_documents import admitted, document, refusal

KAFKA: Json = {"topic": "t", "bootstrapServers": ["127.0.0.1:9092"]}
POD: Json = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x:1"}]}


def job(**pod: Any) -> Json:
    return {"job": {"spec": {"template": {"spec": {**POD, **pod}}}}}


def test_containers_of_a_job_are_told_how_they_run() -> None:
    told = {"name": "KNATIVE_EXECUTION_MODE", "value": "batch"}
    own = {"name": "KNATIVE_EXECUTION_MODE", "value": "mine"}
    init = [{"name": "i", "image": "x:1", "env": [own]}]
    pod = admitted(JOB_SINK, document(job(initContainers=init)))["spec"]["job"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["env"] == [told]
    assert pod["initContainers"][0]["env"] == [own]
    assert pod.keys() == {"restartPolicy", "containers", "initContainers"}


@pytest.mark.parametrize(
    ("kind", "spec", "text"),
    [
        pytest.param(KAFKA_SINK, KAFKA, "", id="kafka"),
        pytest.param(
            KAFKA_SINK, {}, "invalid value: : spec.topic\ninvalid value: []: spec.bootstrapServers", id="nothing"
        ),
        pytest.param(
            KAFKA_SINK,
            {**KAFKA, "contentMode": "batch", "numPartitions": 0, "replicationFactor": 0},
            "invalid value: 0: spec.numPartitions, spec.replicationFactor\ninvalid value: batch: spec.contentMode",
            id="values",
        ),
        pytest.param(JOB_SINK, job(), "", id="job"),
        pytest.param(JOB_SINK, {}, "missing field(s): spec.job", id="no job"),
        pytest.param(
            JOB_SINK,
            job(restartPolicy="Always"),
            'Unsupported value: "Always": supported values: "Never", "OnFailure": '
            "spec.job.spec.template.spec.restartPolicy",
            id="a job that cannot be",
        ),
    ],
)
def test_refusals(kind: Kind[Any], spec: Json, text: str) -> None:
    assert refusal(kind, document(spec)) == text


def test_the_topic_of_a_sink_never_changes() -> None:
    old = admitted(KAFKA_SINK, document({**KAFKA, "numPartitions": 3}))
    assert refusal(KAFKA_SINK, document({**KAFKA, "numPartitions": 3, "contentMode": "structured"}), old) == ""
    assert refusal(KAFKA_SINK, document({**KAFKA, "topic": "u"}), old) == (
        "Immutable field updated: spec.numPartitions, spec.topic"
    )
