"""A Deployment's status from its Pods, as Kubernetes writes it. Pure; `deploy/controllers/deployment` calls it.

Conditions and their words are those of pkg/controller/deployment (progress.go, sync.go). A ReplicaSet is named in some
messages although there is none here: tools and people search for these sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.resources.meta import Json
from core.resources.timestamps import epoch_of, rfc3339

DEFAULT_DEADLINE_S = 600
NO_DEADLINE = 2**31 - 1  # how Kubernetes spells "never"


@dataclass(frozen=True, slots=True)
class Counts:
    """Of the Pods that are neither gone nor going. `available`: ready for minReadySeconds. Paused ones do not count.
    `unready`: why one of them is not ready although it runs."""

    total: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    unready: str = ""


def deployment_status(deployment: Json, counts: Counts, max_unavailable: int, now: float) -> Json:
    """The status to write; equal to the one there is where nothing has changed. `now` in epoch seconds."""
    spec, old = deployment["spec"], deployment.get("status") or {}
    replicas = spec.get("replicas", 1)
    status: Json = {"observedGeneration": deployment["metadata"].get("generation", 1)}
    numbers = {
        "replicas": counts.total,
        "updatedReplicas": counts.updated,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "unavailableReplicas": max(0, replicas - counts.available),
    }
    status |= {name: number for name, number in numbers.items() if number}
    if "collisionCount" in old:
        status["collisionCount"] = old["collisionCount"]
    before = {condition["type"]: condition for condition in old.get("conditions", ())}
    status["conditions"] = [
        _available(before.get("Available"), counts.available >= replicas - max_unavailable, now),
        _progressing(deployment, before.get("Progressing"), counts, now),
    ]
    return status


def is_complete(spec: Json, counts: Counts) -> bool:
    """Everything asked for is there, new and available, and nothing else is."""
    replicas = spec.get("replicas", 1)
    return bool(counts.total == counts.updated == counts.available == replicas)


def until_deadline_s(deployment: Json, status: Json, now: float) -> float | None:
    """Seconds until the progress deadline is to be looked at again; None where it cannot pass."""
    progressing = _find(status["conditions"], "Progressing")
    deadline = deployment["spec"].get("progressDeadlineSeconds", DEFAULT_DEADLINE_S)
    if progressing["reason"] in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded") or deadline >= NO_DEADLINE:
        return None
    since = epoch_of(progressing["lastUpdateTime"]) or now
    return float(max(1.0, since + deadline + 1 - now))


def _available(before: Json | None, holds: bool, now: float) -> Json:
    if holds:
        return _condition(
            before, ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."), now
        )
    words = "Deployment does not have minimum availability."
    return _condition(before, ("Available", "False", "MinimumReplicasUnavailable", words), now)


def _progressing(deployment: Json, before: Json | None, counts: Counts, now: float) -> Json:
    spec, old = deployment["spec"], deployment.get("status") or {}
    name = deployment["metadata"]["name"]
    if is_complete(spec, counts):
        words = f'ReplicaSet "{name}" has successfully progressed.'
        return _condition(before, ("Progressing", "True", "NewReplicaSetAvailable", words), now)
    changed = old.get("observedGeneration", 0) < deployment["metadata"].get("generation", 1)
    advanced = (
        counts.updated > old.get("updatedReplicas", 0)
        or counts.ready > old.get("readyReplicas", 0)
        or counts.available > old.get("availableReplicas", 0)
        or counts.total - counts.updated < old.get("replicas", 0) - old.get("updatedReplicas", 0)
    )
    words = f'ReplicaSet "{name}" is progressing.'
    progress = ("Progressing", "True", "ReplicaSetUpdated", words)
    if before is None or (changed and before["reason"] != "NewReplicaSetAvailable"):
        return _condition(None, progress, now, before)
    if before["reason"] == "NewReplicaSetAvailable":
        # A finished rollout that is scaled is not a new rollout: its deadline does not start again.
        return before if counts.updated or not counts.total else _condition(None, progress, now, before)
    if advanced:
        return _condition(None, progress, now, before)
    deadline = spec.get("progressDeadlineSeconds", DEFAULT_DEADLINE_S)
    since = epoch_of(before["lastUpdateTime"]) or now
    if before["reason"] != "ProgressDeadlineExceeded" and now - since > deadline:
        words = f'ReplicaSet "{name}" has timed out progressing{f": {counts.unready}" if counts.unready else "."}'
        return _condition(before, ("Progressing", "False", "ProgressDeadlineExceeded", words), now)
    return before


def _condition(before: Json | None, said: tuple[str, str, str, str], now: float, earlier: Json | None = None) -> Json:
    """Keeps `before` where it says the same; `earlier` lends its transition time where only the update is new."""
    kind, status, reason, message = said
    if before is not None and (before["status"], before["reason"], before["message"]) == (status, reason, message):
        return before
    last = before or earlier
    moved = last["lastTransitionTime"] if last is not None and last["status"] == status else rfc3339(now)
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": rfc3339(now),
        "lastTransitionTime": moved,
    }


def _find(conditions: Sequence[Json], kind: str) -> Json:
    return next(condition for condition in conditions if condition["type"] == kind)
