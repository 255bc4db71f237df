"""Why a Pod does not become ready, read off what the kubelet writes.

The conditions of a Revision (deploy) and the answers to whoever waits for it (activator) say the same, because both ask
here. The words are Knative's (revision_lifecycle.go): a container that ended is `ExitCode<n>`, one that had its time to
become ready `ProgressDeadlineExceeded`; what kept it from being created has the kubelet's own reason. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.resources.conditions import FALSE
from core.resources.meta import Json
from core.resources.pilotlight import PAUSED, RETRY_AT
from core.resources.pods import is_restarting
from core.resources.serving_labels import PROGRESS_DEADLINE_ANNOTATION
from core.settings.durations import parse_duration

RESOURCES_AVAILABLE: Final = "ResourcesAvailable"
CONTAINER_HEALTHY: Final = "ContainerHealthy"
PROGRESS_DEADLINE_EXCEEDED: Final = "ProgressDeadlineExceeded"
CRASH_LOOP: Final = "CrashLoopBackOff"
NOT_CREATED: Final = frozenset(
    ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError",
     "RegistryUnavailable", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError",
     "PostStartHookError")
)  # fmt: skip
"""Reasons for which a container waits without having run."""
READY_S: Final = 120.0
"""An instance that runs for so long and is not ready will not be, where its revision does not say a progress deadline:
the default of that, 600 s, is for a first start; nobody is to wait for a later one for so long."""


@dataclass(frozen=True, slots=True)
class Failure:
    """`condition` is the one of a Revision that it makes False; `retry_at`, where that is known, when another try is
    made (in seconds since the epoch)."""

    condition: str
    reason: str
    message: str
    retry_at: float | None = None


def failure_of(pod: Json) -> Failure | None:
    """None while it may still become ready."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == FALSE:
            return Failure(RESOURCES_AVAILABLE, condition.get("reason", "Unschedulable"), condition.get("message", ""))
    for field, is_init in (("initContainerStatuses", True), ("containerStatuses", False)):
        for container in status.get(field) or ():
            if not is_restarting(pod, container) and (found := _container_failure(container, is_init, _retry_at(pod))):
                return found
    if status.get("phase") == "Failed":
        return Failure(RESOURCES_AVAILABLE, status.get("reason") or "PodFailed", status.get("message") or "")
    return None


def unready_of(pod: Json) -> str:
    """Why it is not ready although all its containers run; "" where that is not so, or where it is not meant to be."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    if "deletionTimestamp" in metadata or (metadata.get("annotations") or {}).get(PAUSED) == "true":
        return ""
    containers = status.get("containerStatuses") or ()
    waiting = [each for each in containers if not each.get("ready")]
    if not waiting or any("running" not in (each.get("state") or {}) for each in containers):
        return ""
    for condition in status.get("conditions") or ():
        if condition["type"] == "ContainersReady" and condition.get("message"):
            return str(condition["message"])
    return f"container {waiting[0].get('name', '')} is not ready"


def ready_deadline_s(revision_annotations: Mapping[str, str]) -> float:
    """How long an instance may run without being ready."""
    text = revision_annotations.get(PROGRESS_DEADLINE_ANNOTATION, "")
    try:
        return parse_duration(text) if text else READY_S
    except ValueError:
        return READY_S


def overdue(ready_s: float, unready: str) -> Failure:
    """Of a Pod that has run for so long; `unready` as `unready_of` says."""
    message = f"it has run for {ready_s:g} s and is not ready: {unready}"
    return Failure(RESOURCES_AVAILABLE, PROGRESS_DEADLINE_EXCEEDED, message)


def _container_failure(container: Json, is_init: bool, retry_at: float | None) -> Failure | None:
    """A crash loop is explained by how it ended last."""
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason = waiting.get("reason", "")
    if reason in NOT_CREATED:
        return Failure(RESOURCES_AVAILABLE, reason, waiting.get("message", ""), retry_at)
    ended = state.get("terminated")
    if reason == CRASH_LOOP:
        ended = (container.get("lastState") or {}).get("terminated")
        if not ended:
            return Failure(CONTAINER_HEALTHY, reason, waiting.get("message", ""), retry_at)
    if not ended or (is_init and not ended.get("exitCode", 0)):
        return None
    code, message = ended.get("exitCode", 0), (ended.get("message") or "").strip()
    text = message or ("container exited with no error" if code == 0 else ended.get("reason", ""))
    return Failure(CONTAINER_HEALTHY, f"ExitCode{code}", f"Container failed with: {text}", retry_at)


def _retry_at(pod: Json) -> float | None:
    text = (pod["metadata"].get("annotations") or {}).get(RETRY_AT, "")
    try:
        return float(text) if text else None
    except ValueError:
        return None
