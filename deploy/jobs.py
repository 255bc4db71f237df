"""A Job against its Pods: whom to start, whom to stop, what has ended, and what its status says. Pure.

`deploy/controllers/job` carries the plan out. The rules are those of Kubernetes (pkg/controller/job/job_controller.go):

    enough have succeeded                    → SuccessCriteriaMet, then Complete once none runs any more
    more failures than backoffLimit, too old → FailureTarget, then Failed likewise
    suspended                                → its Pods are stopped, and count for nothing
    a Pod has failed                         → the next one after 10 s, 20 s, 40 s … 600 s, until one succeeds
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from core.resources.batch import COMPLETE, FAILED, FAILURE_TARGET, SUCCESS_CRITERIA_MET, SUSPENDED
from core.resources.meta import Json
from core.resources.timestamps import epoch_of, rfc3339
from deploy.job_failures import Action, Verdict
from deploy.job_indexes import read_indexes, write_indexes

BACKOFF_S: Final = 10.0
BACKOFF_S_MAX: Final = 600.0
STARTS_MAX: Final = 500
"""Pods made at once, as upstream."""


class RunState(Enum):
    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Run:
    """One Pod of the Job. `finished`: epoch seconds, 0 while it runs. `counted`: the status has it already."""

    name: str
    state: RunState = RunState.ACTIVE
    leaving: bool = False  # asked to go, and not gone yet
    counted: bool = False
    ready: bool = False
    index: int | None = None
    restarts: int = 0
    finished: float = 0.0
    verdict: Verdict | None = None  # of the Job's podFailurePolicy, where that speaks of it


@dataclass(frozen=True, slots=True)
class JobPlan:
    """`start` has one entry per Pod to make, its index or None. `count` and `stop` name Pods; those to stop that are in
    `count`, too, count for nothing. `wait_s`: when to look again by itself."""

    status: Json
    start: Sequence[int | None] = ()
    stop: Sequence[str] = ()
    count: Sequence[str] = ()
    wait_s: float | None = None
    remove: bool = False  # it has ended and its time is over


@dataclass(slots=True)
class _Tally:
    """What has ended, in this life of the platform and before."""

    succeeded: int
    failed: int
    indexes: set[int]
    wants_failure: Verdict | None = None
    fresh: list[str] = field(default_factory=list)


def plan_job(job: Json, runs: Sequence[Run], now: float) -> JobPlan:
    """What to do about a Job that is not on its way out."""
    spec, old = job["spec"], job.get("status") or {}
    tally = _count(spec, old, runs)
    active = [run for run in runs if run.state is RunState.ACTIVE and not run.leaving]
    leaving = [run for run in runs if run.leaving and run.state is RunState.ACTIVE]
    status = _numbers(old, tally, active, leaving, indexed=_is_indexed(spec))
    if ended := _ended_at(old):
        return _afterwards(spec, status, active, ended, now)
    started = epoch_of(old.get("startTime") or "")
    suspended = bool(spec.get("suspend"))
    if not suspended and started is None:
        started = now
    conditions = list(old.get("conditions") or ())
    over = _verdict(spec, conditions, tally, active, started if not suspended else None, now)
    if over is not None:
        return _finish(status, conditions, over, _Pods(active, leaving, tally.fresh), (started, now))
    if suspended:
        status.pop("startTime", None)
        _set(conditions, (SUSPENDED, "True", "JobSuspended", "Job suspended"), now)
        names = [run.name for run in active]
        return JobPlan(_with(status, conditions), stop=names, count=[*tally.fresh, *names])
    if any(each["type"] == SUSPENDED and each["status"] == "True" for each in conditions):
        _set(conditions, (SUSPENDED, "False", "JobResumed", "Job resumed"), now)
        started = now
    status["startTime"] = rfc3339(started) if started is not None else None
    return _carry_on(spec, _with(status, conditions), tally, runs, now)


def _count(spec: Json, old: Json, runs: Iterable[Run]) -> _Tally:
    """A Pod that somebody has deleted while it ran has failed."""
    tally = _Tally(old.get("succeeded") or 0, old.get("failed") or 0, read_indexes(old.get("completedIndexes") or ""))
    for run in runs:
        if run.counted or (run.state is RunState.ACTIVE and not run.leaving):
            continue
        tally.fresh.append(run.name)
        if run.state is RunState.SUCCEEDED:
            if not _is_indexed(spec):
                tally.succeeded += 1
            elif run.index is not None and run.index < spec["completions"]:
                tally.indexes.add(run.index)
                tally.succeeded = len(tally.indexes)
        elif run.verdict is None or run.verdict.action is not Action.IGNORE:
            tally.failed += 1
            if run.verdict is not None and run.verdict.action is Action.FAIL_JOB:
                tally.wants_failure = run.verdict
    return tally


_Said = tuple[str, str, str]


def _verdict(
    spec: Json, conditions: Sequence[Json], tally: _Tally, active: Sequence[Run], started: float | None, now: float
) -> _Said | None:
    """Which end the Job has come to (Complete or Failed), its reason and message; None: it goes on."""
    for kind, end in ((FAILURE_TARGET, FAILED), (SUCCESS_CRITERIA_MET, COMPLETE)):
        for each in conditions:
            if each["type"] == kind and each["status"] == "True":
                return end, each.get("reason", ""), each.get("message", "")
    if tally.wants_failure is not None:
        return FAILED, "PodFailurePolicy", tally.wants_failure.message
    if tally.failed > spec["backoffLimit"] or _restarted_too_often(spec, active):
        return FAILED, "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    deadline = spec.get("activeDeadlineSeconds")
    if started is not None and deadline is not None and now - started >= deadline:
        return FAILED, "DeadlineExceeded", "Job was active longer than specified deadline"
    completions = spec.get("completions")
    enough = tally.succeeded > 0 and not active if completions is None else tally.succeeded >= completions
    return (COMPLETE, "CompletionsReached", "Reached expected number of succeeded pods") if enough else None


def _restarted_too_often(spec: Json, active: Sequence[Run]) -> bool:
    """Containers that the node starts again within their Pod (`OnFailure`) are failures of the Job, too."""
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(run.restarts for run in active)
    return bool(restarts >= max(1, spec["backoffLimit"]))


@dataclass(frozen=True, slots=True)
class _Pods:
    active: Sequence[Run]
    leaving: Sequence[Run]
    fresh: Sequence[str]


def _finish(
    status: Json, conditions: list[Json], over: _Said, pods: _Pods, times: tuple[float | None, float]
) -> JobPlan:
    """Stops what still runs; says that it has ended once nothing does."""
    end, reason, message = over
    started, now = times
    status["startTime"] = rfc3339(started if started is not None else now)
    _set(conditions, (FAILURE_TARGET if end == FAILED else SUCCESS_CRITERIA_MET, "True", reason, message), now)
    names = [run.name for run in pods.active]
    if not names and not pods.leaving:
        _set(conditions, (end, "True", reason, message), now)
        if end == COMPLETE:
            status["completionTime"] = rfc3339(now)
    # What runs on beside enough successes has not failed; what a failed Job takes with it has.
    uncounted = names if end == COMPLETE else []
    return JobPlan(_with(status, conditions), stop=names, count=[*pods.fresh, *uncounted])


def _carry_on(spec: Json, status: Json, tally: _Tally, runs: Sequence[Run], now: float) -> JobPlan:
    """As many Pods as are wanted, after the back-off."""
    active = [run for run in runs if run.state is RunState.ACTIVE and not run.leaving]
    parallelism, completions = spec["parallelism"], spec.get("completions")
    if completions is None:
        wanted = min(len(active), parallelism) if tally.succeeded else parallelism
    else:
        wanted = min(parallelism, completions - tally.succeeded)
    waits = _deadline(spec, status, now)
    if len(active) > wanted:
        last_first = sorted(active, key=lambda run: (run.ready, -(run.index or 0)))
        names = [run.name for run in last_first[: len(active) - wanted]]
        return JobPlan(status, stop=names, count=[*tally.fresh, *names], wait_s=min(waits, default=None))
    held = len(active)
    if spec.get("podReplacementPolicy") == "Failed":
        held += sum(run.leaving and run.state is RunState.ACTIVE for run in runs)
    missing = min(max(0, wanted - held), STARTS_MAX)
    rest_s = backoff_s(runs, now)
    if missing and rest_s > 0:
        return JobPlan(status, count=tally.fresh, wait_s=min([*waits, rest_s]))
    start: Sequence[int | None] = [None] * missing
    if _is_indexed(spec):
        taken = tally.indexes | {run.index for run in active}
        start = [index for index in range(spec["completions"]) if index not in taken][:missing]
    return JobPlan(status, start=start, count=tally.fresh, wait_s=min(waits, default=None))


def backoff_s(runs: Iterable[Run], now: float) -> float:
    """Seconds until the next Pod may be made: the failures since the last success say how long after the last one."""
    last_success = max((run.finished for run in runs if run.state is RunState.SUCCEEDED), default=0.0)
    failures = [
        run.finished
        for run in runs
        if run.state is RunState.FAILED and run.finished > last_success and not _is_ignored(run)
    ]
    if not failures:
        return 0.0
    rest_s = min(BACKOFF_S_MAX, BACKOFF_S * 2.0 ** min(len(failures) - 1, 16))
    return float(min(rest_s, max(0.0, max(failures) + rest_s - now)))  # a clock that went back delays nothing further


def _is_ignored(run: Run) -> bool:
    return run.verdict is not None and run.verdict.action is Action.IGNORE


def _deadline(spec: Json, status: Json, now: float) -> list[float]:
    deadline, started = spec.get("activeDeadlineSeconds"), epoch_of(status.get("startTime") or "")
    return [] if deadline is None or started is None else [max(0.0, started + deadline - now)]


def _afterwards(spec: Json, status: Json, active: Sequence[Run], ended: float, now: float) -> JobPlan:
    names = [run.name for run in active]
    ttl = spec.get("ttlSecondsAfterFinished")
    if ttl is None:
        return JobPlan(status, stop=names)
    left_s = ended + ttl - now
    return JobPlan(status, stop=names, wait_s=max(0.0, left_s) if left_s > 0 else None, remove=left_s <= 0)


def _ended_at(status: Json) -> float | None:
    for each in status.get("conditions") or ():
        if each["type"] in (COMPLETE, FAILED) and each["status"] == "True":
            return epoch_of(each.get("lastTransitionTime") or "") or 0.1
    return None


def _numbers(old: Json, tally: _Tally, active: Sequence[Run], leaving: Sequence[Run], *, indexed: bool) -> Json:
    status: Json = {key: old[key] for key in ("startTime", "completionTime", "conditions") if key in old}
    counts = {"active": len(active), "succeeded": tally.succeeded, "failed": tally.failed}
    status |= {key: number for key, number in counts.items() if number}
    status |= {"ready": sum(run.ready for run in active), "terminating": len(leaving)}
    if indexed:
        status["completedIndexes"] = write_indexes(tally.indexes)
    return status


def _with(status: Json, conditions: Sequence[Json]) -> Json:
    return {**status, "conditions": list(conditions)} if conditions else status


def _set(conditions: list[Json], said: tuple[str, str, str, str], now: float) -> None:
    """One that says the same stays as it is."""
    kind, state, reason, message = said
    place = next((n for n, each in enumerate(conditions) if each["type"] == kind), None)
    if place is not None and conditions[place]["status"] == state:
        return
    at = rfc3339(now)
    fresh = {
        "type": kind,
        "status": state,
        "reason": reason,
        "message": message,
        "lastProbeTime": at,
        "lastTransitionTime": at,
    }
    if place is None:
        conditions.append(fresh)
    else:
        conditions[place] = fresh


def _is_indexed(spec: Json) -> bool:
    return spec.get("completionMode") == "Indexed"
