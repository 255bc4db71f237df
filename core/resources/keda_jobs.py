"""ScaledJob (`keda.sh/v1alpha1`): a Job for each portion of the work that waits.

(apis/keda/v1alpha1/scaledjob_types.go, of KEDA 2.20.) Types and kind; `keda_job_rules` has what is refused.
`jobTargetRef` is a JobSpec as `batch` has it.
"""

from __future__ import annotations

from pydantic import Field

from core.resources.batch import JobSpec
from core.resources.fields import doc
from core.resources.keda import ACTIVE, BOUNDS_COLUMNS, PAUSED_CONDITION, READY, TRIGGERS_COLUMNS, condition_column
from core.resources.keda_annotations import GROUP, VERSION
from core.resources.keda_job_rules import validate_scaled_job, warn_scaled_job
from core.resources.keda_scalars import spell_scalars
from core.resources.keda_triggers import ScaleTrigger, TriggersStatus
from core.resources.meta import Kind, Model, Resource


class ScalingStrategy(Model):
    strategy: str | None = doc("default, custom, accurate or eager; default.")
    custom_scaling_queue_length_deduction: int | None = doc("With custom: taken off the length of the queue.")
    custom_scaling_running_job_percentage: str | None = doc("With custom: share of running Jobs taken off, as 0.5.")
    pending_pod_conditions: list[str] | None = doc("Conditions of a Pod; while one is not true its Job is pending.")
    multiple_scalers_calculation: str | None = doc("max, min, avg or sum of several triggers; max.")


class Rollout(Model):
    strategy: str | None = doc("immediate ends Jobs of the old document, gradual lets them run; immediate.")
    propagation_policy: str | None = doc("background or foreground; background.")


class ScaledJobSpec(Model):
    job_target_ref: JobSpec = Field(default_factory=JobSpec, description="What to make Jobs from.")
    polling_interval: int | None = doc("Seconds from reading to reading; 30.")
    successful_jobs_history_limit: int | None = doc("Jobs to keep that have succeeded; 100.")
    failed_jobs_history_limit: int | None = doc("Jobs to keep that have failed; 100.")
    rollout_strategy: str | None = doc("Older name of rollout.strategy.")
    rollout: Rollout | None = doc("What becomes of running Jobs when this document changes.")
    env_source_container_name: str | None = doc("Container whose variables ...FromEnv names; the first.")
    min_replica_count: int | None = doc("Jobs that run in any case; 0.")
    max_replica_count: int | None = doc("Most Jobs at a time; 100.")
    scaling_strategy: ScalingStrategy | None = doc("How many Jobs a queue's length stands for.")
    triggers: list[ScaleTrigger] = Field(default_factory=list, description="What counts the work.")


class ScaledJobStatus(TriggersStatus):
    paused: str | None = doc("Older sign of a pause.", alias="Paused")


class ScaledJob(Resource):
    """Makes Jobs for the work that waits."""

    spec: ScaledJobSpec = Field(default_factory=ScaledJobSpec, description="Which Jobs, by what.")
    status: ScaledJobStatus | None = doc("How it is.")


SCALED_JOB: Kind[ScaledJob] = Kind(
    group=GROUP,
    version=VERSION,
    kind="ScaledJob",
    plural="scaledjobs",
    model=ScaledJob,
    short_names=("sj",),
    columns=(
        *BOUNDS_COLUMNS,
        *(condition_column(name) for name in (READY, ACTIVE, PAUSED_CONDITION)),
        *TRIGGERS_COLUMNS,
    ),
    spell=spell_scalars,
    validate=validate_scaled_job,
    warn=warn_scaled_job,
    merge_patch_only=True,
)
