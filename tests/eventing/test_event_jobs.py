"""The documents of an event's Job."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.batch import JOB
from core.resources.meta import AdmissionContext, Json, ObjectKey
from eventing.event_jobs import Occasion, end_of, make_job, make_secret, owned_by, read_location
from tests.support.subscribers import event

SINK: Json = {
    "metadata": {"name": "logger", "namespace": "default", "uid": "u-1"},
    "spec": {
        "job": {
            "metadata": {"labels": {"team": "blue"}},
            "spec": {
                "completions": 3,
                "template": {
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "cat:1"}]}
                },
            },
        }
    },
}  # fmt: skip
OCCASION = Occasion(ObjectKey("default", "logger"), "/my/source", "1")


def test_the_job_has_the_event_as_a_file_and_belongs_to_its_sink() -> None:
    job = make_job(SINK, OCCASION)
    assert JOB.validate(job, AdmissionContext()) == []
    metadata, pod = job["metadata"], job["spec"]["template"]["spec"]
    assert metadata["name"].startswith("logger-")
    assert metadata["labels"]["team"] == "blue"
    assert metadata["labels"]["sinks.knative.dev/job-sink-name"] == "logger"
    assert metadata["ownerReferences"][0]["uid"] == "u-1"
    assert job["spec"]["completions"] == 3
    assert job["spec"]["template"]["metadata"]["labels"]["sinks.knative.dev/job-sink-name"] == "logger"
    assert pod["containers"][0]["volumeMounts"] == [
        {"name": "jobsink-event", "mountPath": "/etc/jobsink-event", "readOnly": True}
    ]
    assert pod["volumes"][0]["secret"]["secretName"] == metadata["name"]
    assert "volumes" not in SINK["spec"]["job"]["spec"]["template"]["spec"], "the sink is shared and stays as it is"


def test_the_secret_holds_the_event_and_goes_with_the_job() -> None:
    secret = make_secret(SINK, OCCASION, event("1", data="x"))
    found = json.loads(base64.b64decode(secret["data"]["event"]))
    assert (found["id"], found["source"], found["specversion"]) == ("1", "/test", "1.0")
    assert [each["kind"] for each in secret["metadata"]["ownerReferences"]] == ["JobSink"]
    job = {"metadata": {"name": secret["metadata"]["name"], "uid": "u-2"}}
    assert [each["uid"] for each in owned_by(secret, job)["metadata"]["ownerReferences"]] == ["u-2"]


TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1)


@given(TEXT, TEXT)
def test_a_location_names_its_event_and_no_other(source: str, id: str) -> None:
    occasion = Occasion(ObjectKey("ns", "sink"), source, id)
    assert read_location(occasion.location) == occasion
    assert len(occasion.key.name) <= 63
    assert occasion.label != Occasion(ObjectKey("ns", "sink"), source + id[:1], id[1:]).label


def test_two_events_never_share_a_name_because_of_where_source_ends() -> None:
    sink = ObjectKey("ns", "sink")
    assert Occasion(sink, "a-b", "c").key != Occasion(sink, "a", "b-c").key
    assert Occasion(sink, "a", "b").key == Occasion(sink, "a", "b").key


@pytest.mark.parametrize(
    "path", ["/", "/ns/name", "/namespaces/a/name/b/sources/c/id/d", "/x/a/name/b/sources/c/ids/d"]
)
def test_other_paths_are_none(path: str) -> None:
    assert read_location(path) is None


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("Complete", "True", 200), ("Failed", "True", 400), ("Complete", "False", 202), ("Suspended", "True", 202)],
)
def test_its_end(kind: str, status: str, code: int) -> None:
    job = {"status": {"conditions": [{"type": kind, "status": status, "reason": "BackoffLimitExceeded"}]}}
    assert end_of(job) == (code, "BackoffLimitExceeded" if code == 400 else "")
    assert end_of({}) == (202, "")
