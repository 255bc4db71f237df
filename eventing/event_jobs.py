"""The Job of an event, as documents: its name, the Secret that it reads the event from, where its end is asked for.

(knative.dev/eventing/cmd/jobsink.) The name comes from the event's source and id, so an event that is sent again gets
the Job that it has. Pure.
"""

from __future__ import annotations

import base64
import copy
import hashlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from core.resources.batch import COMPLETE, FAILED, JOB
from core.resources.child_names import child_name
from core.resources.core_v1 import SECRET
from core.resources.meta import AdmissionContext, Json, ObjectKey, owner_reference
from core.resources.sinks import JOB_SINK, SINK_ID_LABEL, SINK_NAME_LABEL
from eventing.codec import encode_structured
from eventing.event import Event
from eventing.hops import stripped

VOLUME: Final = "jobsink-event"
FOLDER: Final = "/etc/jobsink-event"
FILE: Final = "event"


@dataclass(frozen=True, slots=True)
class Occasion:
    """One event at one JobSink."""

    sink: ObjectKey
    source: str
    id: str

    @property
    def label(self) -> str:
        return hashlib.blake2b(f"{self.source}\0{self.id}".encode(), digest_size=16).hexdigest()

    @property
    def key(self) -> ObjectKey:
        """Of the Job, and of its Secret."""
        return ObjectKey(self.sink.namespace, child_name(self.sink.name, f"-{self.label}"))

    @property
    def location(self) -> str:
        """The path at which the Job's end is asked for."""
        source, id = quote(self.source, safe=""), quote(self.id, safe="")
        return f"/namespaces/{self.sink.namespace}/name/{self.sink.name}/sources/{source}/ids/{id}"


def read_location(path: str) -> Occasion | None:
    parts = path.removesuffix("/").split("/")
    if len(parts) != 9 or (parts[0], *parts[1:8:2]) != ("", "namespaces", "name", "sources", "ids"):
        return None
    namespace, name, source, id = (unquote(part) for part in parts[2::2])
    return Occasion(ObjectKey(namespace, name), source, id)


def make_secret(sink: Json, occasion: Occasion, event: Event) -> Json:
    """Goes with the JobSink until its Job is there, then with that."""
    _, body = encode_structured(stripped(event))
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            **_metadata(occasion),
            "ownerReferences": [{**owner_reference(JOB_SINK, sink).to_json(), "controller": False}],
        },
        "type": "Opaque",
        "data": {FILE: base64.b64encode(body).decode()},
    }


def make_job(sink: Json, occasion: Occasion) -> Json:
    """With what admission would fill in."""
    given: Json = copy.deepcopy(sink["spec"]["job"])
    metadata, own = given.get("metadata") or {}, _metadata(occasion)
    job: Json = {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            **own,
            "labels": {**(metadata.get("labels") or {}), **own["labels"]},
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": [owner_reference(JOB_SINK, sink).to_json()],
        },
        "spec": given.get("spec") or {},
    }
    template = job["spec"].setdefault("template", {})
    marks = template.setdefault("metadata", {})
    marks["labels"] = {**(marks.get("labels") or {}), **own["labels"]}  # `kubectl logs -l` finds them by these
    pod = template.setdefault("spec", {})
    pod["volumes"] = [
        *(each for each in pod.get("volumes") or () if each.get("name") != VOLUME),
        {"name": VOLUME, "secret": {"secretName": occasion.key.name}},
    ]
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        mounts = [each for each in container.get("volumeMounts") or () if each.get("name") != VOLUME]
        container["volumeMounts"] = [*mounts, {"name": VOLUME, "mountPath": FOLDER, "readOnly": True}]
    JOB.default(job, AdmissionContext())
    return job


def owned_by(secret: Json, job: Json) -> Json:
    """The Secret, gone when its Job is."""
    reference = {**owner_reference(JOB, job).to_json(), "controller": False}
    return {**secret, "metadata": {**secret["metadata"], "ownerReferences": [reference]}}


def end_of(job: Json) -> tuple[int, str]:
    """200 where it is done, 202 where it runs, 400 where it has failed, and why."""
    for each in (job.get("status") or {}).get("conditions") or ():
        if each["status"] == "True" and each["type"] in (COMPLETE, FAILED):
            return (200, "") if each["type"] == COMPLETE else (400, each.get("message") or each.get("reason") or "")
    return 202, ""


def _metadata(occasion: Occasion) -> Json:
    return {
        "name": occasion.key.name,
        "namespace": occasion.key.namespace,
        "labels": {SINK_NAME_LABEL: occasion.sink.name, SINK_ID_LABEL: occasion.label},
    }
