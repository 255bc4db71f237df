"""A Job of a ScaledJob, as KEDA makes it (pkg/scaling/executor/scale_jobs.go, generateJobs). Pure."""

from __future__ import annotations

import copy
from typing import Final

from core.resources.batch import JOB
from core.resources.keda_annotations import JOB_EXCLUDED_LABELS, SCALED_JOB_GENERATION, SCALED_JOB_NAME
from core.resources.keda_jobs import SCALED_JOB
from core.resources.meta import AdmissionContext, Json, owner_reference

MANAGED_BY: Final = "pilotlight"


def make_job(scaled_job: Json, job_name: str) -> Json:
    """With what admission would fill in. Labels and annotations of the ScaledJob go on it."""
    metadata = scaled_job["metadata"]
    name = metadata["name"]
    spec = copy.deepcopy(scaled_job["spec"]["jobTargetRef"])
    template = spec.setdefault("template", {})
    template["metadata"] = {**(template.get("metadata") or {})}
    template["metadata"]["labels"] = {**(template["metadata"].get("labels") or {}), SCALED_JOB_NAME: name}
    pod = template.setdefault("spec", {})
    pod["restartPolicy"] = pod.get("restartPolicy") or "OnFailure"  # the default of Pods, Always, is none for Jobs
    said = metadata.get("annotations") or {}
    excluded = {label.strip() for label in said.get(JOB_EXCLUDED_LABELS, "").split(",")}
    annotations = {k: v for k, v in said.items() if not k.startswith("kubectl.")}
    job: Json = {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": job_name,
            "namespace": metadata["namespace"],
            "labels": {
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/managed-by": MANAGED_BY,
                **{k: v for k, v in (metadata.get("labels") or {}).items() if k not in excluded},
                SCALED_JOB_NAME: name,
            },
            "annotations": {**annotations, SCALED_JOB_GENERATION: str(metadata.get("generation", 1))},
            "ownerReferences": [owner_reference(SCALED_JOB, scaled_job).to_json()],
        },
        "spec": spec,
    }
    JOB.default(job, AdmissionContext())
    return job
