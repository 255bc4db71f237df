"""Job (batch/v1): Pods that run until so many of them have succeeded.

JobSink makes one for each event; users make their own. What is said below is Kubernetes' API; on one machine `deploy`
plays its controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import Field

from core.errors import FieldError
from core.resources.ages import human_duration
from core.resources.core_v1 import AGE
from core.resources.fields import doc, keyed, unhonored, unique, whole
from core.resources.meta import AdmissionContext, Column, Json, Kind, Model, Resource
from core.resources.pod_rules import default_pod_spec, warn_pod_spec
from core.resources.pod_validation import validate_pod_spec
from core.resources.pods import PodTemplate
from core.resources.problems import check_allowed, invalid, required
from core.resources.selectors import LabelSelectorModel, check_labels, selector_of
from core.resources.timestamps import epoch_of

GROUP: Final = "batch"
JOB_NAME_LABELS: Final = ("batch.kubernetes.io/job-name", "job-name")
JOB_UID_LABELS: Final = ("batch.kubernetes.io/controller-uid", "controller-uid")
INDEX_ANNOTATION: Final = "batch.kubernetes.io/job-completion-index"
FAILURE_ACTIONS: Final = ("Count", "FailJob", "Ignore")
COMPLETE, FAILED, SUSPENDED, FAILURE_TARGET = "Complete", "Failed", "Suspended", "FailureTarget"
SUCCESS_CRITERIA_MET: Final = "SuccessCriteriaMet"
_IMMUTABLE: Final = (
    "completions",
    "completionMode",
    "selector",
    "template",
    "podFailurePolicy",
    "backoffLimitPerIndex",
)


class OnExitCodes(Model):
    container_name: str | None = doc("The container; any.")
    operator: str | None = doc("In or NotIn.")
    values: list[int] | None = unique("Exit codes.")


class OnPodCondition(Model):
    type: str | None = doc("Type of the condition.")
    status: str | None = doc("Its status; True.")


class PodFailureRule(Model):
    action: str | None = doc("FailJob, Ignore or Count.")
    on_exit_codes: OnExitCodes | None = doc("Exit codes that it is about.")
    on_pod_conditions: list[OnPodCondition] | None = doc("Conditions of a Pod that it is about.")


class PodFailurePolicy(Model):
    rules: list[PodFailureRule] | None = doc("The first that fits decides; without one a failure counts.")


class JobSpec(Model):
    parallelism: int | None = doc("Most Pods that run at a time; 1.")
    completions: int | None = doc("Pods that must succeed; 1.")
    backoff_limit: int | None = doc("Failures until the Job has failed; 6.")
    active_deadline_seconds: int | None = doc("Seconds until a Job that still runs has failed.")
    ttl_seconds_after_finished: int | None = doc("Seconds until a Job that has ended is removed.")
    completion_mode: str | None = doc("NonIndexed, or Indexed to give each Pod a number; NonIndexed.")
    suspend: bool | None = doc("Whether no Pods run for now.")
    selector: LabelSelectorModel | None = whole("Which Pods are its own; set by the platform.")
    manual_selector: bool | None = doc("Whether the user sets the selector.")
    template: PodTemplate = Field(default_factory=PodTemplate, description="What to make Pods from.")
    pod_failure_policy: PodFailurePolicy | None = doc("Which failures count, and which are the end of it.")
    success_policy: dict[str, Any] | None = unhonored("Which Pods must succeed.")
    backoff_limit_per_index: int | None = unhonored("Failures of one number.")
    max_failed_indexes: int | None = unhonored("Numbers that may fail.")
    pod_replacement_policy: str | None = doc(
        "TerminatingOrFailed, or Failed to replace Pods only once they have ended."
    )
    managed_by: str | None = doc("Which controller is in charge; the platform leaves the Job to it.")
    scheduling: dict[str, Any] | None = unhonored("How its Pods are placed together.")


class JobCondition(Model):
    type: str = Field(description="Complete, Failed or Suspended.")
    status: str = Field(description="True, False or Unknown.")
    reason: str | None = doc("Why, in one word.")
    message: str | None = doc("Why, in a sentence.")
    last_probe_time: str | None = doc("When it was last checked.")
    last_transition_time: str | None = doc("When its status last changed.")


class UncountedPods(Model):
    succeeded: list[str] | None = unique("UIDs of Pods that have succeeded and are not counted yet.")
    failed: list[str] | None = unique("UIDs of Pods that have failed and are not counted yet.")


class JobStatus(Model):
    conditions: list[JobCondition] | None = keyed("Complete, Failed, Suspended.", "type")
    start_time: str | None = doc("When it began.")
    completion_time: str | None = doc("When it had succeeded.")
    active: int | None = doc("Pods that run.")
    ready: int | None = doc("Pods that are ready.")
    terminating: int | None = doc("Pods on their way out.")
    succeeded: int | None = doc("Pods that have succeeded.")
    failed: int | None = doc("Pods that have failed.")
    completed_indexes: str | None = doc("Numbers that have succeeded, such as 1,3-5.")
    failed_indexes: str | None = doc("Numbers that have failed.")
    uncounted_terminated_pods: UncountedPods | None = doc("Pods that have ended and are not counted yet.")


class Job(Resource):
    """Pods that run until so many of them have succeeded."""

    spec: JobSpec = Field(default_factory=JobSpec, description="What runs, and how often.")
    status: JobStatus | None = doc("What has run.")


def default_job(obj: Json, context: AdmissionContext) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    for field, value in (("parallelism", 1), ("backoffLimit", 6), ("suspend", False)):
        if spec.get(field) is None:
            spec[field] = value
    spec["completionMode"] = spec.get("completionMode") or "NonIndexed"
    spec["podReplacementPolicy"] = spec.get("podReplacementPolicy") or "TerminatingOrFailed"
    template = spec.setdefault("template", {})
    default_pod_spec(template.setdefault("spec", {}))
    if not spec.get("manualSelector"):
        _select_by_name(obj, template)


def _select_by_name(obj: Json, template: Json) -> None:
    """Kubernetes selects by the Job's uid, which it does not have yet here; a name is as good while it lives."""
    name = obj["metadata"].get("name", "")
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **dict.fromkeys(JOB_NAME_LABELS, name)}
    obj["spec"].setdefault("selector", {"matchLabels": {JOB_NAME_LABELS[0]: name}})


def validate_job(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    errors = [
        invalid(f"spec.{field}", spec[field], "must be greater than or equal to 0")
        for field in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished")
        if spec.get(field, 0) < 0
    ]
    errors += check_allowed(spec["completionMode"], ("NonIndexed", "Indexed"), "spec.completionMode")
    errors += check_allowed(
        spec["podReplacementPolicy"], ("Failed", "TerminatingOrFailed"), "spec.podReplacementPolicy"
    )
    if spec["completionMode"] == "Indexed" and spec.get("completions") is None:
        errors.append(required("spec.completions", "when completion mode is Indexed"))
    errors += _check_selection(spec) + _check_failure_policy(spec)
    pod = spec["template"]["spec"]
    errors += validate_pod_spec(pod, "spec.template.spec")
    if pod.get("restartPolicy") == "Always":
        errors += check_allowed(pod["restartPolicy"], ("OnFailure", "Never"), "spec.template.spec.restartPolicy")
    if context.old is not None:
        errors += [
            invalid(f"spec.{field}", spec.get(field), "field is immutable")
            for field in _IMMUTABLE
            if context.old["spec"].get(field) != spec.get(field)
        ]
    return errors


def _check_selection(spec: Json) -> list[FieldError]:
    selector = spec.get("selector")
    if not selector:
        return [required("spec.selector")]
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    errors = check_labels(labels, "spec.template.metadata.labels")
    if not errors and not selector_of(selector).matches(labels):
        errors.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    return errors


def _check_failure_policy(spec: Json) -> list[FieldError]:
    path, policy = "spec.podFailurePolicy", spec.get("podFailurePolicy")
    if policy is None:
        return []
    errors: list[FieldError] = []
    if spec["template"]["spec"].get("restartPolicy") != "Never":
        errors.append(invalid(path, {}, 'only "Never" is supported for restartPolicy when podFailurePolicy is set'))
    for number, rule in enumerate(policy.get("rules") or ()):
        errors += _check_failure_rule(rule, f"{path}.rules[{number}]")
    return errors


def _check_failure_rule(rule: Json, at: str) -> list[FieldError]:
    action, codes, conditions = rule.get("action"), rule.get("onExitCodes"), rule.get("onPodConditions")
    errors = check_allowed(action, FAILURE_ACTIONS, f"{at}.action") if action else [required(f"{at}.action")]
    if (codes is None) is not bool(conditions):
        errors.append(invalid(at, rule, "specifying one of OnExitCodes and OnPodConditions is required, never both"))
    if codes is not None:
        values = codes.get("values") or []
        errors += check_allowed(codes.get("operator") or "", ("In", "NotIn"), f"{at}.onExitCodes.operator")
        if not values or len(values) > 255:
            errors.append(invalid(f"{at}.onExitCodes.values", values, "must have 1 to 255 items"))
        if codes.get("operator") == "In" and 0 in values:
            errors.append(invalid(f"{at}.onExitCodes.values", 0, "must not be 0 for the In operator"))
    return errors + [
        required(f"{at}.onPodConditions[{number}].type")
        for number, each in enumerate(conditions or ())
        if not each.get("type")
    ]


def warn_job(obj: Json, context: AdmissionContext) -> Sequence[str]:
    unread = (
        "successPolicy",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
        "scheduling",
    )
    warnings = [f"spec.{field}: accepted, not honored on one machine" for field in unread if obj["spec"].get(field)]
    return [*warnings, *warn_pod_spec(obj["spec"]["template"]["spec"], "spec.template.spec")]


def job_word(obj: Json) -> str:
    """The STATUS column (pkg/printers/internalversion/printers.go, printJob)."""
    conditions = {c["type"] for c in (obj.get("status") or {}).get("conditions") or () if c.get("status") == "True"}
    for kind in (COMPLETE, FAILED):
        if kind in conditions:
            return kind
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind in (SUSPENDED, FAILURE_TARGET, SUCCESS_CRITERIA_MET):
        if kind in conditions:
            return kind
    return "Running"


def _completions(obj: Json) -> str:
    spec, done = obj["spec"], (obj.get("status") or {}).get("succeeded") or 0
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _duration(obj: Json, now: float) -> str:
    status = obj.get("status") or {}
    started = epoch_of(status.get("startTime") or "")
    if started is None:
        return ""
    ended = epoch_of(status.get("completionTime") or "")
    return human_duration((now if ended is None else ended) - started)


def _of_containers(field: str) -> Any:
    def cell(obj: Json) -> str:
        return ",".join(str(c.get(field, "")) for c in obj["spec"]["template"]["spec"].get("containers", ()))

    return cell


JOB: Kind[Job] = Kind(
    group=GROUP,
    version="v1",
    kind="Job",
    plural="jobs",
    model=Job,
    categories=("all",),
    columns=(
        Column("Status", "", value=job_word),
        Column("Completions", "", value=_completions),
        Column("Duration", "", told=_duration),
        AGE,
        Column("Containers", "", priority=1, value=_of_containers("name")),
        Column("Images", "", priority=1, value=_of_containers("image")),
        Column("Selector", "", priority=1, value=lambda obj: str(selector_of(obj["spec"].get("selector")))),
    ),
    default=default_job,
    validate=validate_job,
    warn=warn_job,
)
