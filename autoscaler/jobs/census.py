"""The Jobs of a ScaledJob, counted: which run, which have not begun, which may go. Pure.

`loop` reads them from the store each time: what it has made itself is there, so nothing is made twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.resources.batch import COMPLETE, FAILED
from core.resources.keda_annotations import SCALED_JOB_GENERATION
from core.resources.meta import Json


@dataclass(frozen=True, slots=True)
class Census:
    """`running` have not ended, `pending` of them have not begun."""

    running: int = 0
    pending: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """How many ended Jobs are kept."""

    successful: int = 100
    failed: int = 100


def count(jobs: Iterable[Json], pods_by_job: Mapping[str, Sequence[Json]], conditions: Sequence[str]) -> Census:
    """`conditions` are those that a Pod must have to have begun (pendingPodConditions); none: it runs or has run."""
    unfinished = [job for job in jobs if ended(job) == "" and not _is_leaving(job)]
    pending = sum(not _has_begun(pods_by_job.get(job["metadata"]["name"], ()), conditions) for job in unfinished)
    return Census(len(unfinished), pending)


def ended(job: Json) -> str:
    """Complete or Failed, empty where it has not."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] in (COMPLETE, FAILED) and condition["status"] == "True":
            return str(condition["type"])
    return ""


def too_many(jobs: Iterable[Json], history: History) -> list[Json]:
    """Ended Jobs beyond what is kept of them: the oldest."""
    found: list[Json] = []
    kept = list(jobs)
    for type_, limit in ((COMPLETE, history.successful), (FAILED, history.failed)):
        of_type = sorted((job for job in kept if ended(job) == type_ and not _is_leaving(job)), key=_ended_at)
        found += of_type[: max(0, len(of_type) - limit)]
    return found


def of_old_document(jobs: Iterable[Json], generation: int) -> list[Json]:
    """Jobs that another generation of the ScaledJob made: with rollout `immediate` they go."""
    return [
        job
        for job in jobs
        if (job["metadata"].get("annotations") or {}).get(SCALED_JOB_GENERATION) != str(generation)
        and not _is_leaving(job)
    ]


def _has_begun(pods: Sequence[Json], conditions: Sequence[str]) -> bool:
    if conditions:
        return any(set(conditions) <= _true_conditions(pod) for pod in pods)
    return any((pod.get("status") or {}).get("phase") in ("Running", "Succeeded") for pod in pods)


def _true_conditions(pod: Json) -> set[str]:
    said = (pod.get("status") or {}).get("conditions") or ()
    return {condition["type"] for condition in said if condition["status"] == "True"}


def _ended_at(job: Json) -> tuple[str, str]:
    """A failed one has no completionTime: when it was found to have failed counts."""
    status = job["status"]
    times = [
        each.get("lastTransitionTime") or "" for each in status["conditions"] if each["type"] in (COMPLETE, FAILED)
    ]
    return status.get("completionTime") or max(times, default=""), job["metadata"]["name"]


def _is_leaving(job: Json) -> bool:
    return "deletionTimestamp" in job["metadata"]
