"""Sinks: KafkaSink (`eventing.knative.dev/v1alpha1`) and JobSink (`sinks.knative.dev/v1alpha1`).

A sink takes events in at its address and hands them to what is no service: a Kafka topic, or a Job for each event.
Types, rules, kinds and condition sets.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final

from pydantic import Field

from core.errors import FieldError
from core.resources.batch import Job, default_job, validate_job
from core.resources.conditions import ConditionSet
from core.resources.containers import LocalObjectReference
from core.resources.core_v1 import AGE
from core.resources.duck_v1 import AddressStatus
from core.resources.eventing import ADDRESSABLE, EVENT_POLICIES_READY, READY, URL, AppliedEventPolicy
from core.resources.eventing_labels import GROUP, SINKS_GROUP, WEBHOOK
from core.resources.eventing_rules import stamp_user
from core.resources.fields import doc
from core.resources.knative_errors import Errors, generic, invalid, missing, via
from core.resources.meta import AdmissionContext, Json, Kind, Model, Resource
from core.resources.sources_kafka import Net

CONTENT_MODES: Final = ("binary", "structured")
EXECUTION_MODE: Final = "KNATIVE_EXECUTION_MODE"
BATCH: Final = "batch"
SINK_NAME_LABEL: Final = f"{SINKS_GROUP}/job-sink-name"  # on the Jobs of a JobSink
SINK_ID_LABEL: Final = f"{SINKS_GROUP}/job-sink-id"  # … by event

KAFKA_SINK_CONDITIONS: Final = ConditionSet((ADDRESSABLE, "TopicReady", "ConfigMapUpdated", "ProbeSucceeded"))
JOB_SINK_CONDITIONS: Final = ConditionSet((ADDRESSABLE, EVENT_POLICIES_READY))


class AuthSecret(Model):
    ref: LocalObjectReference | None = doc("Secret with protocol, user, password and certificates.")


class KafkaSinkAuth(Model):
    secret: AuthSecret | None = doc("Where user and certificates are.")
    net: Net | None = doc("The same as KafkaSource says it.")


class KafkaSinkSpec(Model):
    topic: str | None = doc("Topic that events go to; never changes.")
    num_partitions: int | None = doc("Partitions of a topic that is made; never changes.")
    replication_factor: int | None = doc("Copies of a topic that is made; never changes.")
    bootstrap_servers: list[str] | None = doc("Addresses of the cluster, as host:port.")
    content_mode: str | None = doc("binary or structured; binary.")
    auth: KafkaSinkAuth | None = doc("How the cluster is spoken to.")


class KafkaSinkStatus(AddressStatus):
    policies: list[AppliedEventPolicy] | None = doc("Policies that apply.")


class KafkaSink(Resource):
    """Takes events in and writes them to a Kafka topic."""

    spec: KafkaSinkSpec = Field(default_factory=KafkaSinkSpec, description="Which topic.")
    status: KafkaSinkStatus | None = doc("Where it takes events, and how it is.")


class JobSinkSpec(Model):
    job: Job | None = doc("The Job that is made for each event.")


class JobOfSink(Model):
    selector: str | None = doc("Labels of its Jobs.")


class JobSinkStatus(AddressStatus):
    job: JobOfSink | None = doc("How its Jobs are found.")
    policies: list[AppliedEventPolicy] | None = doc("Policies that apply.")


class JobSink(Resource):
    """Takes events in and runs a Job for each of them; one that is sent again gets the same Job."""

    spec: JobSinkSpec = Field(default_factory=JobSinkSpec, description="Which Job.")
    status: JobSinkStatus | None = doc("Where it takes events, and how it is.")


def default_kafka_sink(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    spec["contentMode"] = spec.get("contentMode") or CONTENT_MODES[0]
    stamp_user(obj, context, GROUP)


def validate_kafka_sink(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors: Errors = [] if spec["contentMode"] in CONTENT_MODES else invalid(spec["contentMode"], "contentMode")
    errors += [] if spec.get("bootstrapServers") else invalid([], "bootstrapServers")
    errors += [] if spec.get("topic") else invalid("", "topic")
    for field in ("replicationFactor", "numPartitions"):
        if spec.get(field) is not None and spec[field] <= 0:
            errors += invalid(spec[field], field)
    if context.old is not None:
        before = context.old.get("spec") or {}
        changed = [f for f in ("topic", "replicationFactor", "numPartitions") if before.get(f) != spec.get(f)]
        errors += generic("Immutable field updated", *changed) if changed else []
    return via("spec", errors)


def default_job_sink(obj: Json, context: AdmissionContext) -> None:
    """Each container is told that it runs for an event and then ends."""
    job = obj.setdefault("spec", {}).get("job") or {}
    pod = ((job.get("spec") or {}).get("template") or {}).get("spec") or {}
    for field in ("containers", "initContainers"):
        for container in pod.get(field) or ():
            variables = container.setdefault("env", [])
            if not any(variable.get("name") == EXECUTION_MODE for variable in variables):
                variables.append({"name": EXECUTION_MODE, "value": BATCH})
    stamp_user(obj, context, SINKS_GROUP)


def validate_job_sink(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    """The Job must be one that could be made: upstream tries it on the API server."""
    job = obj["spec"].get("job")
    if job is None:
        return missing("spec.job")
    tried = {"metadata": {"name": "job"}, **copy.deepcopy(job)}
    default_job(tried, AdmissionContext())
    return via("spec.job", validate_job(tried, AdmissionContext()))


KAFKA_SINK: Kind[KafkaSink] = Kind(
    group=GROUP,
    version="v1alpha1",
    kind="KafkaSink",
    plural="kafkasinks",
    model=KafkaSink,
    categories=("all", "knative", "eventing", "kafkasink"),
    columns=(URL, AGE, *READY),
    default=default_kafka_sink,
    validate=validate_kafka_sink,
    merge_patch_only=True,
    webhook="validation.webhook.kafka.eventing.knative.dev",
)
JOB_SINK: Kind[JobSink] = Kind(
    group=SINKS_GROUP,
    version="v1alpha1",
    kind="JobSink",
    plural="jobsinks",
    model=JobSink,
    categories=("all", "knative", "eventing", "sinks"),
    columns=(URL, AGE, *READY),
    default=default_job_sink,
    validate=validate_job_sink,
    merge_patch_only=True,
    webhook=WEBHOOK,
)
