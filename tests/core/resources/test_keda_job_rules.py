"""ScaledJob: what is refused, and what is warned of."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.apiserver.admission import admit_create
from core.errors import Invalid
from core.resources.keda_job_rules import job_template
from core.resources.keda_jobs import SCALED_JOB
from core.resources.keda_trigger_rules import NO_TRIGGERS
from core.resources.meta import AdmissionContext, Json

CONTEXT = AdmissionContext()
TRIGGER: Json = {"type": "rabbitmq", "metadata": {"queueName": "q"}}
JOB: Json = {"template": {"spec": {"containers": [{"name": "a", "image": "x:1"}]}}}


def scaled(**spec: Any) -> Json:
    given = {"jobTargetRef": JOB, "triggers": [TRIGGER], **spec}
    return {"metadata": {"name": "a", "namespace": "ns"}, "spec": copy.deepcopy(given)}


def refusals(obj: Json) -> list[str]:
    try:
        admit_create(SCALED_JOB, obj, CONTEXT, "Strict")
    except Invalid as refusal:
        return [f"{cause.path}: {cause.message}" for cause in refusal.causes]
    return []


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"scalingStrategy": {"strategy": "eager", "multipleScalersCalculation": "sum"}},
        {
            "scalingStrategy": {
                "strategy": "custom",
                "customScalingQueueLengthDeduction": 1,
                "customScalingRunningJobPercentage": "0.5",
            }
        },
        {"rollout": {"strategy": "gradual", "propagationPolicy": "foreground"}},
        {"jobTargetRef": {**JOB, "parallelism": 1, "completions": 1, "activeDeadlineSeconds": 600, "backoffLimit": 6}},
        {"minReplicaCount": 1, "maxReplicaCount": 100, "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 5},
    ],
)
def test_what_is_taken(spec: Json) -> None:
    assert refusals(scaled(**spec)) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"triggers": []}, f"spec.triggers: Required value: {NO_TRIGGERS}"),
        ({"jobTargetRef": {"template": {}}}, "spec.jobTargetRef.template.spec.containers: Required value"),
        (
            {"jobTargetRef": {"template": {"spec": {**JOB["template"]["spec"], "restartPolicy": "Always"}}}},
            'spec.jobTargetRef.template.spec.restartPolicy: Unsupported value: "Always": supported values: "Never", '
            '"OnFailure"',
        ),
        (
            {"jobTargetRef": {**JOB, "backoffLimit": -1}},
            "spec.jobTargetRef.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            {"scalingStrategy": {"strategy": "Custom"}},
            'spec.scalingStrategy.strategy: Unsupported value: "Custom": supported values: "accurate", "custom", '
            '"default", "eager"',
        ),
        (
            {"scalingStrategy": {"multipleScalersCalculation": "most"}},
            'spec.scalingStrategy.multipleScalersCalculation: Unsupported value: "most": supported values: "avg", '
            '"max", "min", "sum"',
        ),
        (
            {"scalingStrategy": {"strategy": "custom", "customScalingRunningJobPercentage": "50%"}},
            'spec.scalingStrategy.customScalingRunningJobPercentage: Invalid value: "50%": must be a number of at '
            "least 0 such as 0.5, which is half of them",
        ),
        (
            {"rollout": {"strategy": "slow"}},
            'spec.rollout.strategy: Unsupported value: "slow": supported values: "default", "gradual", "immediate"',
        ),
        (
            {"rollout": {"propagationPolicy": "orphan"}},
            'spec.rollout.propagationPolicy: Unsupported value: "orphan": supported values: "background", "foreground"',
        ),
        (
            {"failedJobsHistoryLimit": -1},
            "spec.failedJobsHistoryLimit: Invalid value: -1: spec.failedJobsHistoryLimit in body should be greater "
            "than or equal to 0",
        ),
        (
            {"triggers": [{**TRIGGER, "name": "a"}, {**TRIGGER, "name": "a"}]},
            'spec.triggers[1].name: Duplicate value: "a"',
        ),
    ],
)
def test_what_is_refused(spec: Json, text: str) -> None:
    assert refusals(scaled(**spec)) == [text]


def test_a_document_without_jobs() -> None:
    obj = scaled()
    del obj["spec"]["jobTargetRef"]
    assert refusals(obj) == ["spec.jobTargetRef.template.spec.containers: Required value"]


def test_the_job_that_is_asked_for() -> None:
    obj = scaled()
    before = copy.deepcopy(obj)
    job = job_template(obj)
    assert obj == before
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"
    assert (job["spec"]["completions"], job["spec"]["backoffLimit"]) == (1, 6)


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        ({}, []),
        (
            {"minReplicaCount": 5, "maxReplicaCount": 3},
            ["spec.minReplicaCount: 5 is above maxReplicaCount, so 3 it is"],
        ),
        (
            {"scalingStrategy": {"strategy": "accurate", "customScalingRunningJobPercentage": "0.5"}},
            ["spec.scalingStrategy.customScalingRunningJobPercentage: has no effect, the strategy is accurate"],
        ),
        ({"envSourceContainerName": "a"}, []),
        (
            {"envSourceContainerName": "b"},
            ["spec.envSourceContainerName: there is no container b; there is a"],
        ),
        (
            {"rolloutStrategy": "gradual", "rollout": {"strategy": "immediate"}},
            ["spec.rollout.strategy: has no effect, spec.rolloutStrategy, its older name, wins"],
        ),
        (
            {"scalingStrategy": {"strategy": "custom", "customScalingQueueLengthDeduction": 1}},
            ["spec.scalingStrategy.strategy: custom without customScalingRunningJobPercentage counts as default"],
        ),
        (
            {"triggers": [{**TRIGGER, "metricType": "Value"}]},
            ["spec.triggers[0].metricType: has no effect, Jobs are counted by the average value"],
        ),
        (
            {"jobTargetRef": {**JOB, "successPolicy": {"rules": []}}},
            ["spec.jobTargetRef.successPolicy: accepted, not honored on one machine"],
        ),
    ],
)
def test_what_is_warned_of(spec: Json, texts: list[str]) -> None:
    assert list(admit_create(SCALED_JOB, scaled(**spec), CONTEXT, "Strict").warnings) == texts


def test_annotations_of_scaled_objects_have_no_effect_here() -> None:
    obj = scaled()
    obj["metadata"]["annotations"] = {
        "autoscaling.keda.sh/paused": "true",
        "autoscaling.keda.sh/paused-replicas": "3",
        "pilotlight.dev/drain-time": "30s",
        "pilotlight.dev/polling-interval": "500ms",
    }
    assert admit_create(SCALED_JOB, obj, CONTEXT, "Strict").warnings == (
        "metadata.annotations[autoscaling.keda.sh/paused-replicas]: has no effect on a ScaledJob",
        "metadata.annotations[pilotlight.dev/drain-time]: has no effect on a ScaledJob",
    )
