"""Why a revision's instances do not come up, read off its Pods as the kubelet writes them.

`endpoints` asks after each change of a Pod; where every Pod of a revision fails, its waiters are told at once and not
at the end of their patience.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.resources.meta import Json
from core.resources.pilotlight import RETRY_AT
from core.resources.pods import is_restarting

WAITING_REASONS: Final = frozenset(
    ("CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
     "ImageInspectError", "RegistryUnavailable", "CreateContainerConfigError", "CreateContainerError",
     "RunContainerError", "StartError", "PostStartHookError")
)  # fmt: skip
BACK_OFF_S: Final = 10
"""The kubelet's first back-off, where nothing better is known: sooner than that another try gives the same answer."""


@dataclass(frozen=True, slots=True)
class Failure:
    """`reason` is the kubelet's word, `message` its sentence; `retry_at`, where that is known, when it tries again (in
    seconds since the epoch)."""

    reason: str
    message: str
    retry_at: float | None = None


def failure_of(pod: Json) -> Failure | None:
    """None while it may still become ready."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        if waiting := state.get("waiting"):
            if waiting.get("reason") in WAITING_REASONS:
                return _waiting(container, waiting, _retry_at(pod))
        elif (ended := state.get("terminated")) and ended.get("exitCode", 0) != 0 and not is_restarting(pod, container):
            return _terminated(ended)
    if status.get("phase") == "Failed":
        return Failure(status.get("reason") or "PodFailed", status.get("message") or "The Pod has failed")
    return None


def _waiting(container: Json, waiting: Json, retry_at: float | None) -> Failure:
    """A crash loop is explained by how it ended last."""
    ended = (container.get("lastState") or {}).get("terminated")
    message = waiting.get("message") or ""
    if waiting["reason"] == "CrashLoopBackOff" and ended:
        message = ". ".join(part for part in (message, _terminated(ended).message) if part)
    return Failure(waiting["reason"], message, retry_at)


def _retry_at(pod: Json) -> float | None:
    text = (pod["metadata"].get("annotations") or {}).get(RETRY_AT, "")
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _terminated(ended: Json) -> Failure:
    signal = f", signal {ended['signal']}" if ended.get("signal") else ""
    output = (ended.get("message") or "").strip()
    text = f"The container ended with exit code {ended.get('exitCode', 0)}{signal}"
    return Failure(ended.get("reason") or "Error", f"{text}: {output}" if output else text)
