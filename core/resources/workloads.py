"""Deployment (apps/v1): how many Pods of one template there shall be.

The Revision controller makes one per revision; users make their own. The autoscaler writes `spec.replicas` through
`/scale`. On one machine `deploy` plays the Deployment controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from core.errors import FieldError
from core.resources.containers import IntOrString
from core.resources.fields import doc, keyed, unhonored
from core.resources.meta import AdmissionContext, Column, Json, Kind, Lifetime, Model, Resource, Scale
from core.resources.pod_rules import default_pod_spec, warn_pod_spec
from core.resources.pod_validation import validate_pod_spec
from core.resources.pods import PodTemplate
from core.resources.problems import check_allowed, forbidden, invalid, required
from core.resources.quantities import scaled
from core.resources.selectors import LabelSelectorModel, check_labels, check_selector, selector_of


class RollingUpdate(Model):
    max_surge: IntOrString | None = doc("Pods above replicas during an update, as a count or percentage; 25%.")
    max_unavailable: IntOrString | None = doc("Pods below replicas during an update, as a count or percentage; 25%.")


class DeploymentStrategy(Model):
    type: str | None = doc("RollingUpdate or Recreate; RollingUpdate.")
    rolling_update: RollingUpdate | None = doc("Bounds of a rolling update.")


class DeploymentSpec(Model):
    replicas: int | None = doc("How many Pods; 1.")
    selector: LabelSelectorModel = Field(
        default_factory=LabelSelectorModel,
        description="Which Pods are its own; must match the template's labels and never changes.",
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
    )
    template: PodTemplate = Field(default_factory=PodTemplate, description="What to make Pods from.")
    strategy: DeploymentStrategy | None = Field(
        default=None,
        description="How Pods are replaced when the template changes.",
        json_schema_extra={"x-kubernetes-patch-strategy": "retainKeys"},
    )
    min_ready_seconds: int | None = doc("Seconds a Pod must be ready to count as available; 0.")
    progress_deadline_seconds: int | None = doc("Seconds without progress that make it fail; 600.")
    paused: bool | None = doc("Whether changes of the template wait.")
    revision_history_limit: int | None = unhonored("Old ReplicaSets to keep; 10.")


class DeploymentCondition(Model):
    type: str = Field(description="Available, Progressing or ReplicaFailure.")
    status: str = Field(description="True, False or Unknown.")
    reason: str | None = doc("Why, in one word.")
    message: str | None = doc("Why, in a sentence.")
    last_update_time: str | None = doc("When it was last written.")
    last_transition_time: str | None = doc("When its status last changed.")


class DeploymentStatus(Model):
    observed_generation: int | None = doc("Generation this status is about.")
    replicas: int | None = doc("Pods there are.")
    updated_replicas: int | None = doc("Pods of the present template.")
    ready_replicas: int | None = doc("Pods that are ready.")
    available_replicas: int | None = doc("Pods that have been ready for minReadySeconds.")
    unavailable_replicas: int | None = doc("Pods still missing.")
    terminating_replicas: int | None = doc("Pods on their way out.")
    conditions: list[DeploymentCondition] | None = keyed("Available, Progressing, ReplicaFailure.", "type")
    collision_count: int | None = doc("Collisions of the hash in Pod names.")


class Deployment(Resource):
    spec: DeploymentSpec = Field(default_factory=DeploymentSpec, description="What shall run.")
    status: DeploymentStatus | None = doc("What runs.")


def default_deployment(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("progressDeadlineSeconds", 600)
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("strategy", {})
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def validate_deployment(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = [
        invalid(f"spec.{field}", spec[field], "must be greater than or equal to 0")
        for field in ("replicas", "minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit")
        if spec.get(field, 0) < 0
    ]
    if spec.get("progressDeadlineSeconds", 600) <= spec.get("minReadySeconds", 0):
        errors.append(
            invalid(
                "spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"], "must be greater than minReadySeconds"
            )
        )
    errors += _check_selection(spec, context)
    errors += _check_strategy(spec.get("strategy") or {})
    pod = spec["template"]["spec"]
    errors += validate_pod_spec(pod, "spec.template.spec")
    if pod.get("restartPolicy", "Always") in ("OnFailure", "Never"):
        errors += check_allowed(pod["restartPolicy"], ("Always",), "spec.template.spec.restartPolicy")
    return errors


def _check_selection(spec: Json, context: AdmissionContext) -> list[FieldError]:
    selector = spec.get("selector") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        return [required("spec.selector")]
    errors = check_selector(selector, "spec.selector")
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    errors += check_labels(labels, "spec.template.metadata.labels")
    if not errors and not selector_of(selector).matches(labels):
        errors.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    if context.old is not None and context.old["spec"].get("selector") != selector:
        errors.append(invalid("spec.selector", selector, "field is immutable"))
    return errors


def _check_strategy(strategy: Json) -> list[FieldError]:
    path = "spec.strategy"
    errors = check_allowed(strategy.get("type"), ("Recreate", "RollingUpdate"), f"{path}.type")
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        return errors
    if strategy.get("type") == "Recreate":
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [*errors, forbidden(f"{path}.rollingUpdate", why)]
    counts: dict[str, int] = {}
    for field in ("maxSurge", "maxUnavailable"):
        try:
            counts[field] = scaled(rolling.get(field, 0), 100, round_up=True)
        except ValueError as error:
            errors.append(invalid(f"{path}.rollingUpdate.{field}", rolling[field], str(error)))
    errors += [
        invalid(f"{path}.rollingUpdate.{field}", rolling[field], "must be greater than or equal to 0")
        for field, count in counts.items()
        if count < 0
    ]
    if counts == {"maxSurge": 0, "maxUnavailable": 0}:
        message = "may not be 0 when `maxSurge` is 0"
        errors.append(invalid(f"{path}.rollingUpdate.maxUnavailable", rolling.get("maxUnavailable"), message))
    return errors


def warn_deployment(obj: Json, context: AdmissionContext) -> Sequence[str]:
    return warn_pod_spec(obj["spec"]["template"]["spec"], "spec.template.spec")


def _of_template(field: str) -> Any:
    def names(obj: Json) -> str:
        return ",".join(str(c.get(field, "")) for c in obj["spec"]["template"]["spec"].get("containers", ()))

    return names


def _ready(obj: Json) -> str:
    return f"{obj.get('status', {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 1)}"


DEPLOYMENT: Kind[Deployment] = Kind(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    model=Deployment,
    short_names=("deploy",),
    categories=("all",),
    lifetime=Lifetime.OWNED,
    scale=Scale(),
    default=default_deployment,
    validate=validate_deployment,
    warn=warn_deployment,
    columns=(
        Column("Ready", "", value=_ready, description="Pods that are ready, of those asked for."),
        Column("Up-to-date", "", value=lambda obj: str(obj.get("status", {}).get("updatedReplicas", 0))),
        Column("Available", "", value=lambda obj: str(obj.get("status", {}).get("availableReplicas", 0))),
        Column("Age", "metadata.creationTimestamp", "date"),
        Column("Containers", "", priority=1, value=_of_template("name")),
        Column("Images", "", priority=1, value=_of_template("image")),
        Column("Selector", "", priority=1, value=lambda obj: str(selector_of(obj["spec"].get("selector")))),
    ),
)
