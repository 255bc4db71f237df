"""The status of a Revision, from what can be seen of it (knative.dev/serving: revision_lifecycle.go).

    ResourcesAvailable   False: the runtime is away, no Pod can be made, an image cannot be pulled, the deadline passed
    ContainerHealthy     False: a container ended, or its image does not exist
    both True            from the first time that the initial scale is reached; kept while the Revision sleeps
    Active               what the PodAutoscaler says; never touches Ready

A failure is taken back by the next instance that becomes ready. Called by the Revision controller. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.resources import pilotlight
from core.resources.conditions import FALSE, TRUE, Conditions, ConditionSet, find_condition
from core.resources.meta import Json
from core.resources.pod_failures import (
    CONTAINER_HEALTHY,
    PROGRESS_DEADLINE_EXCEEDED,
    RESOURCES_AVAILABLE,
    Failure,
    failure_of,
)
from deploy.images import ImageProblem, Resolved, RuntimeProblem
from deploy.revision_workloads import was_ready

CONDITIONS = ConditionSet((RESOURCES_AVAILABLE, CONTAINER_HEALTHY))
ACTIVE = "Active"
CONTAINER_MISSING = "ContainerMissing"
RUNTIME_UNAVAILABLE = "RuntimeUnavailable"
DEPLOYING = "Deploying"


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is of a Revision. `deployment` and `scaler` None: not made yet. `late`: a Pod of it has had its time
    to become ready."""

    deployment: Json | None = None
    scaler: Json | None = None
    pods: Sequence[Json] = ()
    digests: Sequence[Json] = ()
    init_digests: Sequence[Json] = ()
    not_owned: str = ""  # the sentence about a child of that name that is another's
    late: Failure | None = None


def decide_status(revision: Json, seen: Seen, now: str) -> Json:
    """The whole status, but for what keeps a Revision from having children at all (`decide_unresolved`)."""
    before = revision.get("status") or {}
    conditions = CONDITIONS.manage(before, now)
    initialized = was_ready(revision) or _is_initialized(seen.scaler)
    _forget_problem(conditions, initialized)
    for kind in CONDITIONS.dependents:
        if not conditions.is_false(kind):
            _start_out(conditions, kind, initialized)
    if not initialized and conditions.get(RESOURCES_AVAILABLE).get("reason") == DEPLOYING:
        conditions.mark_unknown(RESOURCES_AVAILABLE, DEPLOYING, _progress(seen))
    ready = _count(seen.deployment, "readyReplicas")
    failure = None if ready else _failure(seen, initialized)
    if seen.not_owned:
        conditions.mark_false(RESOURCES_AVAILABLE, "NotOwned", seen.not_owned)
    elif failure is not None:
        conditions.mark_false(failure.condition, failure.reason, failure.message)
    elif ready:
        conditions.mark_true(CONTAINER_HEALTHY)
        _start_out(conditions, RESOURCES_AVAILABLE, initialized)
    _propagate_scaler(conditions, seen.scaler, initialized)
    return _status(revision, seen, conditions, initialized)


def decide_unresolved(revision: Json, problem: ImageProblem | RuntimeProblem | None, now: str) -> Json:
    """While its images have no digest: being asked for (None), or not to be had."""
    before = revision.get("status") or {}
    conditions = CONDITIONS.manage(before, now)
    if problem is None:
        conditions.mark_unknown(RESOURCES_AVAILABLE, "ResolvingDigests")
    elif isinstance(problem, ImageProblem):
        conditions.mark_false(CONTAINER_HEALTHY, CONTAINER_MISSING, problem.message)
    else:
        conditions.mark_false(RESOURCES_AVAILABLE, RUNTIME_UNAVAILABLE, problem.message)
    generation = revision["metadata"].get("generation")
    return {**before, "conditions": conditions.to_json(), "observedGeneration": generation}


def missing_message(image: str, message: str) -> str:
    return f'Unable to fetch image "{image}": {message}'


def has_digests(revision: Json) -> bool:
    """Whether every container's image has been resolved: that is done once in a Revision's life."""
    status, spec = revision.get("status") or {}, revision["spec"]
    known = len(status.get("containerStatuses") or ()) + len(status.get("initContainerStatuses") or ())
    return known == len(spec.get("containers") or ()) + len(spec.get("initContainers") or ())


def digest_entry(container: Json, resolved: Resolved) -> Json:
    return {"name": container.get("name", ""), **({"imageDigest": resolved.digest} if resolved.digest else {})}


def progress_of(pod: Json) -> str:
    """What a Pod that is being started waits for, in the runtime's words."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") == "ContainerCreating" and waiting.get("message"):
            return str(waiting["message"])
    return ""


def _progress(seen: Seen) -> str:
    return next(filter(None, map(progress_of, seen.pods)), "")


def _failure(seen: Seen, initialized: bool) -> Failure | None:
    """Of a Deployment that wants Pods and has none that is ready."""
    if seen.deployment is None or not seen.deployment["spec"].get("replicas", 0):
        return None
    for pod in seen.pods:
        if "deletionTimestamp" not in pod["metadata"] and (found := failure_of(pod)):
            return found
    if seen.late is not None and initialized:
        return seen.late  # a first start has until the Deployment's deadline
    for condition in (seen.deployment.get("status") or {}).get("conditions") or ():
        stuck = condition["type"] == "Progressing" and condition["status"] == FALSE
        refused = condition["type"] == "ReplicaFailure" and condition["status"] == TRUE
        if stuck or refused:
            reason = condition.get("reason") or (PROGRESS_DEADLINE_EXCEEDED if stuck else "FailedCreate")
            return Failure(RESOURCES_AVAILABLE, reason, condition.get("message", ""))
    return None


def _forget_problem(conditions: Conditions, initialized: bool) -> None:
    """What kept it from being resolved is over, or we would not be here."""
    if conditions.get(CONTAINER_HEALTHY).get("reason") == CONTAINER_MISSING:
        _start_out(conditions, CONTAINER_HEALTHY, initialized)
    if conditions.get(RESOURCES_AVAILABLE).get("reason") in (RUNTIME_UNAVAILABLE, "ResolvingDigests", "NotOwned"):
        _start_out(conditions, RESOURCES_AVAILABLE, initialized)


def _start_out(conditions: Conditions, kind: str, initialized: bool) -> None:
    """Nothing speaks against it: True once it has been ready, Unknown until then."""
    if initialized:
        conditions.mark_true(kind)
    else:
        conditions.mark_unknown(kind, DEPLOYING)


def _propagate_scaler(conditions: Conditions, scaler: Json | None, initialized: bool) -> None:
    active = find_condition(scaler, ACTIVE) if scaler is not None else None
    if active is None:
        if not conditions.get(ACTIVE):
            conditions.mark_unknown(ACTIVE, DEPLOYING)
        return
    if active["status"] == FALSE and not initialized and not _is_failed(conditions):
        # It went to zero without ever having been up: the autoscaler gave up on it.
        conditions.mark_false(RESOURCES_AVAILABLE, PROGRESS_DEADLINE_EXCEEDED, "Initial scale was never achieved")
    conditions.copy_from(ACTIVE, active)


def _is_failed(conditions: Conditions) -> bool:
    return any(conditions.is_false(kind) for kind in CONDITIONS.dependents)


def _status(revision: Json, seen: Seen, conditions: Conditions, initialized: bool) -> Json:
    status: Json = {
        "conditions": conditions.to_json(),
        "observedGeneration": revision["metadata"].get("generation"),
        "containerStatuses": list(seen.digests),
    }
    if seen.init_digests:
        status["initContainerStatuses"] = list(seen.init_digests)
    # Before the autoscaler has spoken (the platform has just started) the last word stands.
    scaler, before = (seen.scaler or {}).get("status") or {}, revision.get("status") or {}
    for ours, theirs in (("actualReplicas", "actualScale"), ("desiredReplicas", "desiredScale")):
        count = scaler.get(theirs, before.get(ours, -1))
        if count >= 0:
            status[ours] = count
    if initialized:
        status["annotations"] = {pilotlight.INITIALIZED: "true"}
    return status


def _is_initialized(scaler: Json | None) -> bool:
    """Whether the autoscaler has seen the initial scale reached."""
    if scaler is None:
        return False
    condition = find_condition(scaler, "ScaleTargetInitialized")
    return condition is not None and condition["status"] == TRUE


def _count(deployment: Json | None, name: str) -> int:
    return int(((deployment or {}).get("status") or {}).get(name) or 0)
