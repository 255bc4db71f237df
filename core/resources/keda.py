"""ScaledObject (`keda.sh/v1alpha1`): what to scale, by which triggers, within which bounds.

(apis/keda/v1alpha1/scaledobject_types.go, of KEDA 2.20.) Types and kind; ScaledJob is in `keda_jobs`, authentication in
`keda_auth`, what is refused in `keda_validation`. `autoscaler` acts on it. What a document leaves out stays out:
whoever reads it takes `keda_defaults`.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from core.resources.fields import doc
from core.resources.hpa import HpaBehavior
from core.resources.keda_annotations import GROUP, VERSION
from core.resources.keda_scalars import spell_scalars
from core.resources.keda_triggers import ScaleTrigger, TriggersStatus
from core.resources.keda_validation import default_scaled_object, validate_scaled_object, warn_scaled_object
from core.resources.meta import Column, Kind, Model, Resource

READY, ACTIVE, FALLBACK, PAUSED_CONDITION = "Ready", "Active", "Fallback", "Paused"
HAPPY, FAILING = "Happy", "Failing"


class ScaleTarget(Model):
    name: str = Field(default="", description="Name of the object to scale, in this namespace.")
    api_version: str | None = doc("Its API version; apps/v1.")
    kind: str | None = doc("Its kind: Deployment, or Service of serving.knative.dev/v1; Deployment.")
    env_source_container_name: str | None = doc("Container whose variables ...FromEnv names; the first.")


class Fallback(Model):
    failure_threshold: int = Field(description="Failed polls in a row; with more, the fallback is in force.")
    replicas: int = Field(description="Replicas in the meantime.")
    behavior: str | None = doc(
        "static, currentReplicas, currentReplicasIfHigher, currentReplicasIfLower or scalingModifiers; static."
    )


class HpaConfig(Model):
    name: str | None = doc("Name of the HorizontalPodAutoscaler that shows what is done; keda-hpa- and its own.")
    behavior: HpaBehavior | None = doc("How fast replicas may come and go.")


class ScalingModifiers(Model):
    formula: str | None = doc("One number of all triggers, by their names.")
    target: str | None = doc("What that number is held at for each replica.")
    activation_target: str | None = doc("Active where it is greater; 0.")
    metric_type: str | None = doc("AverageValue or Value; AverageValue.")


class Advanced(Model):
    horizontal_pod_autoscaler_config: HpaConfig | None = doc("How fast replicas may come and go.")
    restore_to_original_replica_count: bool | None = doc("Whether deletion brings back the replicas it began with.")
    scaling_modifiers: ScalingModifiers | None = doc("One metric made of all triggers.")


class ScaledObjectSpec(Model):
    scale_target_ref: ScaleTarget = Field(default_factory=ScaleTarget, description="What is scaled.")
    polling_interval: int | None = doc("Seconds from reading to reading; 30.")
    initial_cooldown_period: int | None = doc("Seconds after its creation before it may first go to zero; 0.")
    cooldown_period: int | None = doc("Seconds from the last activity to zero; 300.")
    idle_replica_count: int | None = doc("Replicas while no trigger is active; fewer than the minimum.")
    min_replica_count: int | None = doc("Least replicas; 0.")
    max_replica_count: int | None = doc("Most replicas; 100.")
    advanced: Advanced | None = doc("How fast, and by what formula.")
    triggers: list[ScaleTrigger] = Field(
        default_factory=list, description="What counts the work; the largest demand wins."
    )
    fallback: Fallback | None = doc("What holds while triggers cannot be read.")


class GroupVersionKindResource(Model):
    group: str = Field(description="API group.")
    version: str = Field(description="API version.")
    kind: str = Field(description="Kind.")
    resource: str = Field(description="Plural name.")


class HealthStatus(Model):
    number_of_failures: int | None = doc("Failed polls in a row.")
    status: str | None = doc("Happy or Failing.")


class TriggerActivity(Model):
    is_active: bool | None = doc("Whether it is active.")


class ScaledObjectStatus(TriggersStatus):
    scale_target_kind: str | None = doc("What is scaled, such as apps/v1.Deployment.")
    scale_target_gvkr: GroupVersionKindResource | None = doc("The same, taken apart.", alias="scaleTargetGVKR")
    original_replica_count: int | None = doc("Replicas it began with.")
    external_metric_names: list[str] | None = doc("Metrics of its triggers.")
    resource_metric_names: list[str] | None = doc("Which of cpu and memory are measured.")
    composite_scaler_name: str | None = doc("Name of the formula's metric.")
    health: dict[str, HealthStatus] | None = doc("How each metric can be read.")
    triggers_activity: dict[str, TriggerActivity] | None = doc("Which metrics are active.")
    paused_replica_count: int | None = doc("Replicas that a pause has written.")
    hpa_name: str | None = doc("Name of the HorizontalPodAutoscaler that shows what is done.")


class ScaledObject(Resource):
    """Scales a Deployment or a Service by the work that waits for it."""

    spec: ScaledObjectSpec = Field(default_factory=ScaledObjectSpec, description="What is scaled, by what.")
    status: ScaledObjectStatus | None = doc("How it is.")


def condition_column(name: str) -> Column:
    return Column(name, f"status.conditions[type={name}].status")


TRIGGERS_COLUMNS: Final = (
    Column("Triggers", "status.triggersTypes"),
    Column("Authentications", "status.authenticationsTypes"),
    Column("Age", "metadata.creationTimestamp", "date"),
)
BOUNDS_COLUMNS: Final = (
    Column("Min", "spec.minReplicaCount", "integer"),
    Column("Max", "spec.maxReplicaCount", "integer"),
)

SCALED_OBJECT: Kind[ScaledObject] = Kind(
    group=GROUP,
    version=VERSION,
    kind="ScaledObject",
    plural="scaledobjects",
    model=ScaledObject,
    short_names=("so",),
    columns=(
        Column("ScaleTargetKind", "status.scaleTargetKind"),
        Column("ScaleTargetName", "spec.scaleTargetRef.name"),
        *BOUNDS_COLUMNS,
        *(condition_column(name) for name in (READY, ACTIVE, FALLBACK, PAUSED_CONDITION)),
        *TRIGGERS_COLUMNS,
    ),
    spell=spell_scalars,
    default=default_scaled_object,
    validate=validate_scaled_object,
    warn=warn_scaled_object,
    merge_patch_only=True,
)
