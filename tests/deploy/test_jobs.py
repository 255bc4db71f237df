"""Jobs against their Pods, as tables: starts, stops, counts, ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.meta import Json
from core.resources.timestamps import rfc3339
from deploy.job_failures import Action, Verdict
from deploy.jobs import Run, RunState, backoff_s, plan_job

NOW = 1_700_000_000.0
ACTIVE, GOOD, BAD = RunState.ACTIVE, RunState.SUCCEEDED, RunState.FAILED


def job(status: Json | None = None, restart: str = "Never", **spec: Any) -> Json:
    asked = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "template": {"spec": {"restartPolicy": restart}}}
    return {"metadata": {"name": "j"}, "spec": {**asked, **spec}, "status": status or {}}


def runs(*states: RunState, **fields: Any) -> list[Run]:
    return [
        Run(f"p{n}", state, finished=NOW if state is not ACTIVE else 0.0, **fields) for n, state in enumerate(states)
    ]


def words(status: Json) -> list[str]:
    return [each["type"] for each in status.get("conditions") or () if each["status"] == "True"]


DONE, LOST, LOSING = ["SuccessCriteriaMet", "Complete"], ["FailureTarget", "Failed"], ["FailureTarget"]
REACHED, TOO_MANY = "CompletionsReached", "BackoffLimitExceeded"
STARTED = {"startTime": rfc3339(NOW - 100)}


@pytest.mark.parametrize(
    ("label", "given", "present", "starts", "stops", "numbers"),
    [
        ("new", job(), [], 1, 0, (0, 0, 0)),
        ("running", job(STARTED), runs(ACTIVE), 0, 0, (1, 0, 0)),
        ("several at a time", job(STARTED, parallelism=3, completions=5), runs(ACTIVE), 2, 0, (1, 0, 0)),
        ("no more than are left", job({**STARTED, "succeeded": 4}, parallelism=3, completions=5), [], 1, 0, (0, 4, 0)),
        ("parallelism lowered", job(STARTED, parallelism=1, completions=5), runs(ACTIVE, ACTIVE), 0, 1, (2, 0, 0)),
        ("a work queue", job(STARTED, parallelism=2, completions=None), runs(ACTIVE), 1, 0, (1, 0, 0)),
        ("one of it is done", job(STARTED, parallelism=2, completions=None), runs(ACTIVE, GOOD), 0, 0, (1, 1, 0)),
        ("none wanted", job(STARTED, parallelism=0), [], 0, 0, (0, 0, 0)),
        ("after a failure it waits", job(STARTED), runs(BAD), 0, 0, (0, 0, 1)),
        ("a deleted one has failed", job(STARTED), runs(ACTIVE, leaving=True), 1, 0, (0, 0, 1)),
        (
            "replaced when it has ended",
            job(STARTED, podReplacementPolicy="Failed"), runs(ACTIVE, leaving=True), 0, 0, (0, 0, 1),
        ),
        ("counted before", job({**STARTED, "failed": 1}), runs(ACTIVE, leaving=True, counted=True), 1, 0, (0, 0, 1)),
        (
            "a failure that is ignored",
            job(STARTED), runs(BAD, verdict=Verdict(Action.IGNORE, "")), 1, 0, (0, 0, 0),
        ),
    ],
)  # fmt: skip
def test_running(
    label: str, given: Json, present: list[Run], starts: int, stops: int, numbers: tuple[int, int, int]
) -> None:
    plan = plan_job(given, present, NOW)
    assert (len(plan.start), len(plan.stop)) == (starts, stops), label
    found = tuple(plan.status.get(name, 0) for name in ("active", "succeeded", "failed"))
    assert found == numbers, label
    assert words(plan.status) == [], label


@pytest.mark.parametrize(
    ("label", "given", "present", "ends", "reason"),
    [
        ("complete", job(STARTED), runs(GOOD), DONE, REACHED),
        ("a work queue", job(STARTED, completions=None), runs(GOOD, BAD), DONE, REACHED),
        ("nothing to do", job(STARTED, completions=0), [], DONE, REACHED),
        ("too many failures", job(STARTED, backoffLimit=1), runs(BAD, BAD), LOST, TOO_MANY),
        ("no failure allowed", job(STARTED, backoffLimit=0), runs(BAD), LOST, TOO_MANY),
        ("others stop first", job(STARTED, backoffLimit=0, parallelism=2), runs(BAD, ACTIVE), LOSING, TOO_MANY),
        ("restarts in a Pod", job(STARTED, "OnFailure", backoffLimit=3), runs(ACTIVE, restarts=3), LOSING, TOO_MANY),
        ("too old", job(STARTED, activeDeadlineSeconds=100), runs(ACTIVE), LOSING, "DeadlineExceeded"),
        ("not too old", job(STARTED, activeDeadlineSeconds=101), runs(ACTIVE), [], ""),
        ("a rule ends it", job(STARTED), runs(BAD, verdict=Verdict(Action.FAIL_JOB, "x")), LOST, "PodFailurePolicy"),
        ("suspended", job(STARTED, suspend=True), runs(ACTIVE), ["Suspended"], "JobSuspended"),
    ],
)  # fmt: skip
def test_ending(label: str, given: Json, present: list[Run], ends: list[str], reason: str) -> None:
    plan = plan_job(given, present, NOW)
    assert words(plan.status) == ends, label
    assert plan.start == () or not list(plan.start), label
    if ends:
        assert plan.status["conditions"][-1]["reason"] == reason, label
        assert set(plan.stop) == {run.name for run in present if run.state is ACTIVE}, label
    assert ("completionTime" in plan.status) == (ends[-1:] == ["Complete"]), label


def test_an_end_is_said_when_the_last_pod_has_gone() -> None:
    given = job({**STARTED, "failed": 0}, backoffLimit=0, parallelism=2)
    first = plan_job(given, runs(BAD, ACTIVE), NOW)
    assert words(first.status) == LOSING
    stopping = [Run("p0", BAD, counted=True, finished=NOW), Run("p1", ACTIVE, leaving=True)]
    second = plan_job({**given, "status": first.status}, stopping, NOW + 1)
    assert words(second.status) == LOSING
    assert second.status["failed"] == 2
    third = plan_job({**given, "status": second.status}, stopping[:1], NOW + 2)
    assert words(third.status) == LOST
    assert third.status["failed"] == 2


def test_what_is_suspended_goes_on_with_its_counts_and_a_new_start() -> None:
    given = job({**STARTED, "succeeded": 1}, completions=2, suspend=True)
    held = plan_job(given, runs(ACTIVE), NOW)
    assert "startTime" not in held.status
    assert (held.status["succeeded"], held.stop, held.count) == (1, ["p0"], ["p0"])
    resumed = plan_job({**given, "spec": {**given["spec"], "suspend": False}, "status": held.status}, [], NOW + 50)
    assert (resumed.status["startTime"], len(resumed.start)) == (rfc3339(NOW + 50), 1)
    assert words(resumed.status) == []


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (60, 600)])
def test_the_wait_doubles(failures: int, seconds: float) -> None:
    assert backoff_s(runs(*[BAD] * failures), NOW) == seconds
    assert backoff_s([Run("good", GOOD, finished=NOW - 1), *runs(*[BAD] * failures)], NOW) == seconds
    assert backoff_s([Run("good", GOOD, finished=NOW + 1), *runs(*[BAD] * failures)], NOW) == 0


def test_the_wait_ends_and_a_clock_that_goes_back_does_not_lengthen_it() -> None:
    assert backoff_s(runs(BAD), NOW + 11) == 0
    assert backoff_s(runs(BAD), NOW - 3600) == 10


def test_indexes_are_given_out_once() -> None:
    given = job({**STARTED, "completedIndexes": "0,2"}, completionMode="Indexed", parallelism=2, completions=5)
    plan = plan_job(given, [Run("p", ACTIVE, index=1)], NOW)
    assert list(plan.start) == [3]
    done = plan_job(given, [Run("p", GOOD, index=1, finished=NOW), Run("q", GOOD, index=1, finished=NOW)], NOW)
    assert (done.status["completedIndexes"], done.status["succeeded"]) == ("0-2", 3)


def test_time_to_live() -> None:
    ended = {"type": "Complete", "status": "True", "lastTransitionTime": rfc3339(NOW)}
    given = job({**STARTED, "conditions": [ended]}, ttlSecondsAfterFinished=60)
    assert plan_job(given, [], NOW + 20).wait_s == 40
    assert plan_job(given, [], NOW + 60).remove
    assert not plan_job(job({"conditions": [ended]}), [], NOW + 1e6).remove


@given(st.lists(st.sampled_from([ACTIVE, GOOD, BAD]), max_size=8), st.integers(0, 4), st.integers(1, 5))
def test_never_more_pods_than_asked_for(states: list[RunState], parallelism: int, completions: int) -> None:
    present = runs(*states)
    plan = plan_job(job(STARTED, parallelism=parallelism, completions=completions), present, NOW)
    active = states.count(ACTIVE)
    assert active - len(plan.stop) + len(plan.start) <= max(parallelism, 0)
    marked = [replace(run, counted=run.state is not ACTIVE) for run in present]
    again = plan_job(job(plan.status, parallelism=parallelism, completions=completions), marked, NOW)
    for number in ("succeeded", "failed"):
        assert again.status.get(number) == plan.status.get(number), "counted twice"
