"""Job: what Kubernetes fills in, refuses and prints."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.resources.batch import JOB, job_word
from core.resources.meta import AdmissionContext, Json

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
LABELS = {"batch.kubernetes.io/job-name": "pi", "job-name": "pi"}


def job(status: Json | None = None, pod: Json | None = None, **spec: Any) -> Json:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x:1"}], **(pod or {})}}
    return {"metadata": {"name": "pi"}, "spec": {"template": template, **spec}, "status": status or {}}


def admitted(obj: Json) -> Json:
    result = copy.deepcopy(obj)
    JOB.default(result, AdmissionContext())
    once = copy.deepcopy(result)
    JOB.default(result, AdmissionContext())
    assert result == once
    return result


def refusals(obj: Json, old: Json | None = None) -> list[str]:
    return [str(error) for error in JOB.validate(admitted(obj), AdmissionContext(old=old))]


def test_what_a_job_gets() -> None:
    found = admitted(job())
    spec = found["spec"]
    assert {key: value for key, value in spec.items() if key != "template"} == {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "suspend": False,
        "completionMode": "NonIndexed",
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/job-name": "pi"}},
    }
    assert spec["template"]["metadata"]["labels"] == LABELS
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30
    assert "completions" not in admitted(job(parallelism=3))["spec"]
    assert refusals(found) == []


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (
            job(pod={"restartPolicy": "Always"}),
            'spec.template.spec.restartPolicy: Unsupported value: "Always": supported values: "Never", "OnFailure"',
        ),
        (job(backoffLimit=-1), "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"),
        (
            job(completionMode="Indexed", parallelism=2),
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            job(completionMode="Some"),
            'spec.completionMode: Unsupported value: "Some": supported values: "Indexed", "NonIndexed"',
        ),
        (job(manualSelector=True), "spec.selector: Required value"),
        (
            job(manualSelector=True, selector={"matchLabels": {"a": "b"}}),
            "spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`",
        ),
        (job(pod={"containers": []}), "spec.template.spec.containers: Required value"),
        (
            job(podFailurePolicy={"rules": []}, pod={"restartPolicy": "OnFailure"}),
            'spec.podFailurePolicy: Invalid value: {}: only "Never" is supported for restartPolicy when '
            "podFailurePolicy is set",
        ),
        (
            job(podFailurePolicy={"rules": [{"action": "Panic", "onPodConditions": [{"type": "X"}]}]}),
            'spec.podFailurePolicy.rules[0].action: Unsupported value: "Panic": supported values: "Count", "FailJob", '
            '"Ignore"',
        ),
        (
            job(podFailurePolicy={"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [0]}}]}),
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: 0: must not be 0 for the In operator",
        ),
        (
            job(podFailurePolicy={"rules": [{"action": "Count"}]}),
            'spec.podFailurePolicy.rules[0]: Invalid value: {"action":"Count"}: specifying one of OnExitCodes and '
            "OnPodConditions is required, never both",
        ),
    ],
)
def test_what_is_refused(obj: Json, text: str) -> None:
    assert refusals(obj) == [text]


def test_what_never_changes() -> None:
    old = admitted(job())
    assert refusals({**old, "spec": {**old["spec"], "parallelism": 5, "suspend": True}}, old) == []
    changed = refusals({**old, "spec": {**old["spec"], "completions": 5}}, old)
    assert changed == ["spec.completions: Invalid value: 5: field is immutable"]


def condition(kind: str, status: str = "True") -> Json:
    return {"conditions": [{"type": kind, "status": status}]}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({}, "Running"),
        (condition("Complete"), "Complete"),
        (condition("Complete", "False"), "Running"),
        (condition("Failed"), "Failed"),
        (condition("Suspended"), "Suspended"),
        (condition("FailureTarget"), "FailureTarget"),
        (condition("SuccessCriteriaMet"), "SuccessCriteriaMet"),
    ],
)
def test_the_word_for_a_job(status: Json, word: str) -> None:
    assert job_word(job(status)) == word


def test_a_job_on_its_way_out_is_terminating() -> None:
    gone = job()
    gone["metadata"]["deletionTimestamp"] = "2023-11-14T22:13:20Z"
    assert job_word(gone) == "Terminating"


@pytest.mark.parametrize(
    ("obj", "completions", "duration"),
    [
        (job(), "0/1", ""),
        (job({"startTime": "2023-11-14T22:13:10Z"}), "0/1", "10s"),
        (
            job(
                {"succeeded": 2, "startTime": "2023-11-14T22:00:00Z", "completionTime": "2023-11-14T22:01:05Z"},
                completions=3,
            ),
            "2/3",
            "65s",
        ),
        (job(parallelism=4), "0/1 of 4", ""),
    ],
)
def test_what_is_printed(obj: Json, completions: str, duration: str) -> None:
    found = admitted(obj)
    cells = {c.name: c.value(found) for c in JOB.columns if c.value} | {
        c.name: c.told(found, NOW) for c in JOB.columns if c.told
    }
    assert (cells["Completions"], cells["Duration"]) == (completions, duration)
    assert (cells["Containers"], cells["Images"]) == ("a", "x:1")


def test_what_one_machine_has_no_use_for_is_warned_of() -> None:
    found = admitted(job(successPolicy={"rules": []}, maxFailedIndexes=1))
    assert JOB.warn(found, AdmissionContext()) == [
        "spec.successPolicy: accepted, not honored on one machine",
        "spec.maxFailedIndexes: accepted, not honored on one machine",
    ]
