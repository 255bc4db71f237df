"""Why a Pod does not become ready (core/resources/pod_failures.py): the same for conditions and for whoever waits."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.meta import Json
from core.resources.pod_failures import Failure, failure_of, overdue, ready_deadline_s, unready_of

READY_ONCE = {"pilotlight.dev/timeline": "created=1,started=2,ready=3"}


def pod(status: Json | None = None, annotations: dict[str, str] | None = None, **metadata: Any) -> Json:
    return {"metadata": {"name": "p", "annotations": annotations or {}, **metadata}, "status": status or {}}


def containers(*states: Json, last: Json | None = None) -> Json:
    return pod({"containerStatuses": [{"state": state, "lastState": last or {}} for state in states]})


def first(state: Json) -> Json:
    return pod({"initContainerStatuses": [{"state": state}]})


def ended(code: int, message: str = "", reason: str = "Error") -> Json:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def restarted(state: Json, times: int) -> Json:
    """One that was ready once, and has ended since."""
    return pod({"containerStatuses": [{"state": state, "restartCount": times, "lastState": ended(5)}]}, READY_ONCE)


RESOURCES, CONTAINER = "ResourcesAvailable", "ContainerHealthy"
FAILURES = {
    "nothing known": (pod(), None),
    "being created": (containers(waiting("ContainerCreating")), None),
    "running": (containers({"running": {}}), None),
    "running again": (containers({"running": {}}, last=ended(1, "x")), None),
    "no image": (containers(waiting("ErrImagePull", "denied")), (RESOURCES, "ErrImagePull", "denied")),
    "a missing secret": (
        containers(waiting("CreateContainerConfigError", 'secret "s" not found')),
        (RESOURCES, "CreateContainerConfigError", 'secret "s" not found'),
    ),
    "the second container": (
        containers({"running": {}}, waiting("CreateContainerError")),
        (RESOURCES, "CreateContainerError", ""),
    ),
    "ended badly": (containers(ended(1, "boom\n")), (CONTAINER, "ExitCode1", "Container failed with: boom")),
    "a server that ended well": (
        containers(ended(0, reason="Completed")),
        (CONTAINER, "ExitCode0", "Container failed with: container exited with no error"),
    ),
    "out of memory": (
        containers(ended(137, "", "OOMKilled")),
        (CONTAINER, "ExitCode137", "Container failed with: OOMKilled"),
    ),
    "a crash loop says how it ended": (
        containers(waiting("CrashLoopBackOff", "back-off 10s"), last=ended(7, "boom\n")),
        (CONTAINER, "ExitCode7", "Container failed with: boom"),
    ),
    "a crash loop of which nothing is known": (
        containers(waiting("CrashLoopBackOff", "back-off 10s")),
        (CONTAINER, "CrashLoopBackOff", "back-off 10s"),
    ),
    "an init container that is done": (first(ended(0)), None),
    "an init container that failed": (
        first(ended(2, "bad")),
        (CONTAINER, "ExitCode2", "Container failed with: bad"),
    ),
    "no place to run": (
        pod(
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}]}
        ),
        (RESOURCES, "Unschedulable", "full"),
    ),
    "evicted": (
        pod({"phase": "Failed", "reason": "Evicted", "message": "disk"}),
        (RESOURCES, "Evicted", "disk"),
    ),
    "first end of one that was ready": (restarted(ended(5), 0), None),
    "running again after that": (restarted({"running": {}}, 1), None),
    "its second end": (restarted(ended(5), 1), (CONTAINER, "ExitCode5", "Container failed with: Error")),
}


@pytest.mark.parametrize(("obj", "failure"), FAILURES.values(), ids=FAILURES)
def test_why_a_pod_fails(obj: Json, failure: tuple[str, str, str] | None) -> None:
    assert failure_of(obj) == (Failure(*failure) if failure else None)


@pytest.mark.parametrize(("text", "moment"), [("1700000000.5", 1700000000.5), ("", None), ("soon", None)])
def test_when_it_is_tried_again(text: str, moment: float | None) -> None:
    obj = containers(waiting("ErrImagePull"))
    obj["metadata"]["annotations"]["pilotlight.dev/retry-at"] = text
    found = failure_of(obj)
    assert found is not None
    assert found.retry_at == moment


RUNS: Json = {"containerStatuses": [{"name": "c", "ready": False, "state": {"running": {}}}]}
UNREADY = {
    "nothing runs": (pod(), ""),
    "it runs": (pod(RUNS), "container c is not ready"),
    "it says why": (
        pod({**RUNS, "conditions": [{"type": "ContainersReady", "status": "False", "message": "too cold"}]}),
        "too cold",
    ),
    "it is ready": (pod({"containerStatuses": [{"name": "c", "ready": True, "state": {"running": {}}}]}), ""),
    "it does not run yet": (pod({"containerStatuses": [{"ready": False, "state": {"waiting": {}}}]}), ""),
    "it is on its way out": (pod(RUNS, deletionTimestamp="2024-01-01T00:00:00Z"), ""),
    "it is frozen": (pod(RUNS, {"pilotlight.dev/paused": "true"}), ""),
}


@pytest.mark.parametrize(("obj", "why"), UNREADY.values(), ids=UNREADY)
def test_running_and_not_ready(obj: Json, why: str) -> None:
    assert unready_of(obj) == why


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300), ("200ms", 0.2), ("soon", 120), ("", 120)])
def test_how_long_it_may_run_in_vain(text: str, seconds: float) -> None:
    assert ready_deadline_s({"serving.knative.dev/progress-deadline": text} if text else {}) == seconds


def test_one_that_had_its_time() -> None:
    message = "it has run for 2 s and is not ready: too cold"
    assert overdue(2.0, "too cold") == Failure(RESOURCES, "ProgressDeadlineExceeded", message)
