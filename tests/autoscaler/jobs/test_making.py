from __future__ import annotations

from typing import Any

from autoscaler.jobs.making import make_job
from core.resources.batch import JOB
from core.resources.meta import AdmissionContext, Json


def scaled_job(**pod: Any) -> Json:
    return {
        "metadata": {
            "name": "orders",
            "namespace": "shop",
            "uid": "u-1",
            "generation": 3,
            "labels": {"team": "a"},
            "annotations": {"note": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "spec": {
            "jobTargetRef": {
                "backoffLimit": 1,
                "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c"}], **pod}},
            }
        },
    }


def test_make_job() -> None:
    made = make_job(scaled_job(), "orders-abcde")
    metadata = made["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("orders-abcde", "shop")
    assert metadata["labels"] == {
        "app.kubernetes.io/name": "orders",
        "app.kubernetes.io/part-of": "orders",
        "app.kubernetes.io/managed-by": "pilotlight",
        "team": "a",
        "scaledjob.keda.sh/name": "orders",
    }
    assert metadata["annotations"] == {"note": "b", "scaledjob.keda.sh/generation": "3"}
    assert [each["uid"] for each in metadata["ownerReferences"]] == ["u-1"]
    template = made["spec"]["template"]
    assert template["metadata"]["labels"]["scaledjob.keda.sh/name"] == "orders"
    assert template["metadata"]["labels"]["job-name"] == "orders-abcde"
    assert template["spec"]["restartPolicy"] == "OnFailure"
    assert made["spec"]["backoffLimit"] == 1


def test_labels_that_jobs_shall_not_have() -> None:
    document = scaled_job()
    document["metadata"]["labels"] |= {"foo.bar/environment": "x", "foo.bar/version": "1"}
    document["metadata"]["annotations"]["scaledjob.keda.sh/job-excluded-labels"] = (
        "foo.bar/environment, foo.bar/version"
    )
    labels = make_job(document, "orders-abcde")["metadata"]["labels"]
    assert labels["team"] == "a"
    assert not [name for name in labels if name.startswith("foo.bar/")]


def test_a_policy_that_is_given_stays_and_the_document_is_not_touched() -> None:
    document = scaled_job(restartPolicy="Never")
    before = repr(document)
    assert make_job(document, "orders-1")["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert repr(document) == before


def test_it_is_a_job_that_admission_takes() -> None:
    document = scaled_job()
    document["spec"]["jobTargetRef"]["template"]["spec"]["containers"] = [{"name": "c", "image": "x"}]
    assert JOB.validate(make_job(document, "orders-1"), AdmissionContext()) == []
