"""Functions that do not come up, that hang, that end with a request in them: what callers are told, and when."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.user import QUICK_SLEEP, SERVING, User, condition, make_function, make_service, quick_server

PATIENCE_S = 15.0
"""Whoever waits for a start that is known to have failed is told long before; timeoutSeconds is 300."""
WAITERS = 10


def make_big(name: str) -> dict[str, Any]:
    """One that no machine can hold."""
    service = make_service(name)
    service["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "10k"}}
    return service


@pytest.mark.parametrize(
    ("name", "make", "reason", "words"),
    [
        ("no-command", lambda n: make_service(n, ("/does/not/exist",)), "RunContainerError", "/does/not/exist"),
        ("not-found", lambda n: make_service(n, ("does-not-exist",)), "RunContainerError", "not found in $PATH"),
        ("no-folder", lambda n: make_function(n, Path("/does/not/exist")), "ContainerMissing", "/does/not/exist"),
        ("exits", lambda n: make_service(n, ("sh", "-c", "echo out of luck >&2; exit 3")), "ExitCode3", "out of luck"),
        ("too-big", lambda n: make_big(n), "Unschedulable", "Insufficient cpu"),
        ("too-short", lambda n: make_service(n, ("true",)), "ExitCode0", "exited with no error"),
    ],
)
def test_what_cannot_start_says_why(
    user: User, name: str, make: Callable[[str], dict[str, Any]], reason: str, words: str
) -> None:
    user.create(make(name))
    failed = user.until_failed(name)
    assert words in condition(failed)["message"]
    assert condition(user.revision(f"{name}-00001"))["reason"] == reason
    user.delete(name)


def test_a_port_that_is_never_bound_ends_at_the_progress_deadline(user: User) -> None:
    user.create(make_service("deaf", ("sleep", "1000"), annotations={"serving.knative.dev/progress-deadline": "2s"}))
    assert condition(user.until_failed("deaf"))["reason"] == "RevisionFailed"
    assert condition(user.revision("deaf-00001"))["reason"] == "ProgressDeadlineExceeded"
    user.delete("deaf")


@dataclass(frozen=True)
class Sleepers:
    """Services that were ready once, and sleep. While the file of that name exists, `sick` exits with the code in it,
    and `mute` does not listen."""

    folder: Path

    @property
    def sick(self) -> Path:
        return self.folder / "sick"

    @property
    def mute(self) -> Path:
        return self.folder / "mute"


@pytest.fixture(scope="module")
def sleepers(user: User, tmp_path_factory: pytest.TempPathFactory) -> Sleepers:
    sleepers = Sleepers(tmp_path_factory.mktemp("sleepers"))
    user.create(make_service("sick", annotations=QUICK_SLEEP, env={"SICK": str(sleepers.sick)}))
    marks = {**QUICK_SLEEP, "serving.knative.dev/progress-deadline": "2s"}
    user.create(make_service("mute", annotations=marks, env={"DEAF": str(sleepers.mute)}))
    for name in ("sick", "mute"):
        user.until_ready(name)
    for name in ("sick", "mute"):
        user.until_asleep(name)
    return sleepers


def refusals(user: User, service: str) -> list[dict[str, Any]]:
    """What so many callers of a sleeping service are told, each of them soon."""

    def call(_: int) -> dict[str, Any]:
        began = time.monotonic()
        reply = user.call(service, timeout_s=60)
        assert time.monotonic() - began < PATIENCE_S
        assert (reply.status, reply.headers["content-type"]) == (503, "application/problem+json")
        assert int(reply.headers["retry-after"]) > 0
        return reply.json

    with ThreadPoolExecutor(WAITERS) as pool:
        return list(pool.map(call, range(WAITERS)))


def test_all_who_wait_for_a_crash_are_told_and_it_recovers(user: User, sleepers: Sleepers) -> None:
    sleepers.sick.write_text("7")
    for problem in refusals(user, "sick"):
        assert problem["reason"] == "ExitCode7"
        assert "no luck today" in problem["message"]
    until_told(user, "sick", problem)
    began = time.monotonic()
    assert user.call("sick").status == 503
    assert time.monotonic() - began < 5, "a crash loop keeps nobody waiting"
    sleepers.sick.unlink()
    user.until("it has recovered", lambda: user.call("sick").status == 200, timeout_s=40)
    until_healthy(user, "sick")


def test_all_who_wait_for_a_port_that_is_never_bound_are_told_at_the_deadline(user: User, sleepers: Sleepers) -> None:
    sleepers.mute.touch()
    for problem in refusals(user, "mute"):
        assert problem["reason"] == "ProgressDeadlineExceeded"
        assert "connection refused" in problem["message"]
    until_told(user, "mute", problem)
    began = time.monotonic()
    assert user.call("mute").status == 503
    assert time.monotonic() - began < 5
    sleepers.mute.unlink()
    user.until("it has recovered", lambda: user.call("mute").status == 200)
    until_healthy(user, "mute")


def until_told(user: User, service: str, problem: dict[str, Any]) -> None:
    """Everything from the Revision up says what the callers were told; the split in force stays."""
    failed = user.until_failed(service)
    ready = condition(user.revision(f"{service}-00001"))
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", problem["reason"], problem["message"])
    configuration = condition(user.get(f"{SERVING}/configurations/{service}"))
    assert (configuration["status"], configuration["reason"]) == ("False", "RevisionFailed")
    assert problem["message"] in configuration["message"]
    assert problem["message"] in condition(failed, "ConfigurationsReady")["message"]
    assert condition(failed, "RoutesReady")["reason"] == "RevisionMissing"
    assert failed["status"]["latestReadyRevisionName"] == f"{service}-00001", "it never moves backwards"
    assert failed["status"]["traffic"][0]["revisionName"] == f"{service}-00001"


def until_healthy(user: User, service: str) -> None:
    ready = user.until_ready(service)
    assert condition(ready, "ConfigurationsReady")["status"] == "True"
    assert condition(user.revision(f"{service}-00001"), "ResourcesAvailable")["status"] == "True"
    user.until_asleep(service)
    assert condition(user.service(service))["status"] == "True", "it sleeps in good health"

    def asleep() -> bool:
        return condition(user.revision(f"{service}-00001"), "Active").get("reason") == "NoTraffic"

    user.until("it says so", asleep)


def test_one_that_ends_while_serving_is_a_502_and_is_started_again_at_once(user: User) -> None:
    """Where the request must not be sent twice."""
    name = user.deploy(make_service("dies"))
    reply = user.call(name, "/exit/5", "POST")
    assert (reply.status, reply.json["reason"]) == (502, "BadGateway")
    # One that it accepted while it went is lost with it, too.
    user.until("it has been started again", lambda: user.call(name).status == 200, timeout_s=5)
    assert user.pods(name)[0]["status"]["containerStatuses"][0]["restartCount"] == 1
    user.delete(name)


def test_a_request_whose_instance_dies_is_given_to_the_next(user: User, tmp_path: Path) -> None:
    """The only one takes the request and ends without a word: the caller waits for the one started in its place."""
    name = user.deploy(make_service("once"))
    mark = tmp_path / "mark"
    first = user.call(name).text
    mark.touch()
    reply = user.call(name, f"/exit-once{mark}")
    assert (reply.status, mark.exists()) == (200, False)
    assert reply.text != first
    assert user.pods(name)[0]["status"]["containerStatuses"][0]["restartCount"] == 1
    user.delete(name)


def test_a_request_that_kills_is_not_sent_for_ever(user: User) -> None:
    name = user.deploy(make_service("poisoned"))
    assert user.call(name, "/exit/5").status in (502, 503)

    def deaths() -> int:
        status = user.pods(name)[0]["status"]["containerStatuses"][0]
        return int(status["restartCount"]) + ("running" not in status["state"])

    user.until("it has died twice", lambda: deaths() == 2)
    user.until("it has been started again", lambda: user.call(name).status == 200, timeout_s=30)
    assert deaths() == 2
    user.delete(name)


def test_a_connection_that_is_accepted_and_closed_at_once_costs_no_request(user: User, tmp_path: Path) -> None:
    slam = tmp_path / "slam"
    name = user.deploy(make_service("slams", env={"SLAM": str(slam)}))
    for _ in range(5):
        slam.touch()
        assert (user.call(name).status, slam.exists()) == (200, False)
    user.delete(name)


def test_an_instance_killed_under_load_costs_no_request_that_may_be_sent_twice(user: User) -> None:
    name = user.deploy(make_service("killed", quick_server(), annotations={"min-scale": "2"}))
    user.until_running(name, 2)
    victim = int(user.call(name).text)
    ended = threading.Event()

    answers: list[list[int]] = [[] for _ in range(8)]

    def call(statuses: list[int]) -> None:
        while not ended.is_set():
            statuses.append(user.call(name).status)

    def restarted() -> int:
        return sum(pod["status"]["containerStatuses"][0]["restartCount"] for pod in user.pods(name))

    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(call, statuses) for statuses in answers]
        try:
            user.until("they are at work", lambda: sum(map(len, answers)) > 100)
            os.kill(victim, signal.SIGKILL)
            user.until("it has been started again", lambda: restarted() == 1)
            user.until_running(name, 2)
        finally:
            ended.set()
        for caller in callers:
            caller.result()
    assert {status for statuses in answers for status in statuses} == {200}
    user.delete(name)


def test_an_answer_cut_short_is_never_a_whole_one(user: User) -> None:
    name = user.deploy(make_service("halves"))
    with pytest.raises((http.client.HTTPException, OSError)):
        user.call(name, "/half")
    user.until("it has been started again", lambda: user.call(name).status == 200)
    user.delete(name)


def test_one_that_hangs_is_a_504_after_its_timeout_and_goes_to_zero(user: User) -> None:
    name = user.deploy(make_service("hangs", annotations=QUICK_SLEEP, timeoutSeconds=1))
    began = time.monotonic()
    reply = user.call(name, "/slow/30")
    assert (reply.status, reply.json["reason"]) == (504, "Timeout")
    assert 0.9 < time.monotonic() - began < 5
    user.until_asleep(name)
    user.delete(name)
