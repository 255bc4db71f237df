"""The truth table of a Pod's status: what its containers do → phase and conditions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.resources.meta import Json
from deploy.podstatus import (
    CREATING,
    ContainerSeen,
    PodSeen,
    Running,
    Terminated,
    Waiting,
    conditions_by_type,
    ending_reason,
    is_ready,
    pod_phase,
    pod_status,
)

T0 = 1_700_000_000.0
SPEC: Json = {"containers": [{"name": "a"}]}
DONE = Terminated(0, "Completed", T0, T0 + 1)
DIED = Terminated(1, "Error", T0, T0 + 1, message="no luck", container_id="fake://1")
RUN = Running(T0)


def main(state, name: str = "a", ready: bool = False, last: Terminated | None = None) -> ContainerSeen:
    return ContainerSeen(name, state=state, ready=ready, last=last)


def init(state, name: str = "i", sidecar: bool = False, started: bool = False) -> ContainerSeen:
    return ContainerSeen(name, init=True, sidecar=sidecar, state=state, started=started, ready=started)


CASES = [
    # label, containers, restart policy → phase, Initialized, Ready's reason ("" = True)
    ("nothing yet", (main(CREATING),), "Always", "Pending", True, "ContainersNotReady"),
    ("no image", (main(Waiting("ErrImagePull", "x")),), "Always", "Pending", True, "ContainersNotReady"),
    ("runs", (main(RUN),), "Always", "Running", True, "ContainersNotReady"),
    ("ready", (main(RUN, ready=True),), "Always", "Running", True, ""),
    ("one of two ready", (main(RUN, ready=True), main(RUN, "b")), "Always", "Running", True, "ContainersNotReady"),
    ("crashed", (main(DIED),), "Always", "Running", True, "ContainersNotReady"),
    (
        "waits its turn",
        (main(Waiting("CrashLoopBackOff"), last=DIED),),
        "Always",
        "Running",
        True,
        "ContainersNotReady",
    ),
    ("ended well", (main(DONE),), "Never", "Succeeded", True, "PodCompleted"),
    ("ended well, may restart on failure", (main(DONE),), "OnFailure", "Succeeded", True, "PodCompleted"),
    ("ended badly", (main(DIED),), "Never", "Failed", True, "PodFailed"),
    ("ended badly, will be restarted", (main(DIED),), "OnFailure", "Running", True, "ContainersNotReady"),
    ("one ended, one runs", (main(DONE), main(RUN, "b", True)), "Never", "Running", True, "ContainersNotReady"),
    ("one bad, one good", (main(DONE), main(DIED, "b")), "Never", "Failed", True, "PodFailed"),
    ("init at work", (init(RUN), main(CREATING)), "Always", "Pending", False, "ContainersNotReady"),
    ("init done", (init(DONE), main(RUN, ready=True)), "Always", "Running", True, ""),
    ("init failed for good", (init(DIED), main(CREATING)), "Never", "Failed", False, "PodFailed"),
    ("init failed", (init(DIED), main(CREATING)), "Always", "Pending", False, "ContainersNotReady"),
    ("sidecar not up", (init(RUN, sidecar=True), main(CREATING)), "Always", "Pending", False, "ContainersNotReady"),
    ("sidecar up", (init(RUN, sidecar=True, started=True), main(RUN, ready=True)), "Always", "Running", True, ""),
    (
        "sidecar down",
        (init(DIED, sidecar=True), main(RUN, ready=True)),
        "Always",
        "Running",
        False,
        "ContainersNotReady",
    ),
]


@pytest.mark.parametrize(
    ("containers", "policy", "phase", "initialized", "reason"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_truth_table(
    containers: tuple[ContainerSeen, ...], policy: str, phase: str, initialized: bool, reason: str
) -> None:
    seen = PodSeen(containers, policy, "10.0.0.2", "10.0.0.1", T0)
    status = pod_status(SPEC, seen, {}, T0 + 5)
    conditions = conditions_by_type(status)
    assert status["phase"] == pod_phase(seen) == phase
    assert conditions["Initialized"]["status"] == str(initialized)
    assert conditions["Ready"].get("reason", "") == reason
    assert conditions["Ready"]["status"] == conditions["ContainersReady"]["status"] == str(reason == "")
    assert is_ready(seen) is (reason == "")


def test_the_fields_of_a_status() -> None:
    waiting = main(Waiting("CrashLoopBackOff", "back-off 10s"), last=DIED)
    seen = PodSeen((replace(waiting, restarts=2, image="img", container_id="fake://2"),), "Always", "10.0.0.2", "h", T0)
    status = pod_status(SPEC, seen, {}, T0)
    assert status["containerStatuses"] == [
        {
            "name": "a",
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": {
                "terminated": {
                    "exitCode": 1,
                    "reason": "Error",
                    "message": "no luck",
                    "startedAt": "2023-11-14T22:13:20Z",
                    "finishedAt": "2023-11-14T22:13:21Z",
                    "containerID": "fake://1",
                }
            },
            "ready": False,
            "started": False,
            "restartCount": 2,
            "image": "img",
            "imageID": "",
            "containerID": "fake://2",
        }
    ]
    assert (status["podIP"], status["podIPs"], status["hostIP"]) == ("10.0.0.2", [{"ip": "10.0.0.2"}], "h")
    assert status["qosClass"] == "BestEffort"
    assert "initContainerStatuses" not in status
    assert "podIP" not in pod_status(SPEC, PodSeen((main(CREATING),)), {}, T0)


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    seen = PodSeen((main(RUN),), ip="x")
    first = pod_status(SPEC, seen, {}, T0)
    second = pod_status(SPEC, seen, conditions_by_type(first), T0 + 50)
    assert second == first
    third = pod_status(SPEC, replace(seen, containers=(main(RUN, ready=True),)), conditions_by_type(second), T0 + 60)
    before, after = conditions_by_type(second), conditions_by_type(third)
    assert after["Ready"]["lastTransitionTime"] == "2023-11-14T22:14:20Z"
    assert after["Initialized"] == before["Initialized"]


def test_a_paused_pod_is_not_ready_and_its_containers_are() -> None:
    status = pod_status(SPEC, PodSeen((main(RUN, ready=True),), ip="x", paused=True), {}, T0)
    conditions = conditions_by_type(status)
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == ("False", "Paused")
    assert status["reason"] == "Paused"
    assert conditions["ContainersReady"]["status"] == "True"


def test_what_a_probe_said_is_in_the_condition() -> None:
    seen = PodSeen((replace(main(RUN), unready="Readiness probe failed: no"),), ip="x")
    message = conditions_by_type(pod_status(SPEC, seen, {}, T0))["Ready"]["message"]
    assert message == "containers with unready status: [a]; Readiness probe failed: no"


@pytest.mark.parametrize(
    ("code", "oom", "reason"), [(0, False, "Completed"), (1, False, "Error"), (137, True, "OOMKilled")]
)
def test_ending_reasons(code: int, oom: bool, reason: str) -> None:
    assert ending_reason(code, oom) == reason
