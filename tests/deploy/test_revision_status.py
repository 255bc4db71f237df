"""The status of a Revision as a table: what is seen, and what is said of it (also deploy/images.py)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.resources.meta import Json
from core.resources.pod_failures import overdue
from deploy.images import ImageProblem, Resolved, RuntimeProblem
from deploy.revision_status import (
    Seen,
    decide_status,
    decide_unresolved,
    digest_entry,
    has_digests,
    missing_message,
)

NOW = "2026-01-01T00:00:00Z"
DIGESTS = [{"name": "c", "imageDigest": "i@1"}]


def revision(status: Json | None = None) -> Json:
    return {
        "metadata": {"name": "r", "generation": 1},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": status or {},
    }


def deployment(replicas: int, ready: int = 0, *conditions: Json) -> Json:
    return {"spec": {"replicas": replicas}, "status": {"readyReplicas": ready, "conditions": list(conditions)}}


def scaler(active: str, initialized: str = "Unknown", desired: int = 1, actual: int = 0, reason: str = "") -> Json:
    conditions = [
        {"type": "Active", "status": active, "reason": reason},
        {"type": "ScaleTargetInitialized", "status": initialized},
    ]
    return {"status": {"conditions": conditions, "desiredScale": desired, "actualScale": actual}}


def pod(state: Json, *, init: bool = False, last: Json | None = None, scheduled: Json | None = None) -> Json:
    container = {"name": "c", "state": state, **({"lastState": last} if last else {})}
    status: Json = {"initContainerStatuses" if init else "containerStatuses": [container]}
    if scheduled:
        status["conditions"] = [{"type": "PodScheduled", **scheduled}]
    return {"metadata": {"name": "p"}, "status": status}


def ended(code: int, message: str = "", reason: str = "Error") -> Json:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def told(status: Json) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("reason", "")) for c in status["conditions"]}


LATE = overdue(2.0, "connection refused")
T, U = ("True", ""), ("Unknown", "Deploying")
ASLEEP = decide_status(
    revision(), Seen(deployment(0), scaler("False", "True", 0, 0, "NoTraffic"), (), DIGESTS), NOW
)  # it has been ready, and sleeps


@pytest.mark.parametrize(
    ("before", "seen", "resources", "container", "active"),
    [
        pytest.param(None, Seen(), U, U, U, id="nothing made yet"),
        pytest.param(None, Seen(deployment(1), scaler("Unknown")), U, U, ("Unknown", ""), id="starting"),
        pytest.param(None, Seen(deployment(1, 1), scaler("Unknown")), U, T, ("Unknown", ""), id="up, not yet counted"),
        pytest.param(None, Seen(deployment(1, 1), scaler("True", "True")), T, T, T, id="up"),
        pytest.param(
            None,
            Seen(deployment(0), scaler("False", "True", reason="NoTraffic")),
            T,
            T,
            ("False", "NoTraffic"),
            id="asked to begin at zero",
        ),
        pytest.param(ASLEEP, Seen(), T, T, ("False", "NoTraffic"), id="asleep, after a restart"),
        pytest.param(
            ASLEEP,
            Seen(deployment(0), scaler("False", "True", reason="NoTraffic")),
            T,
            T,
            ("False", "NoTraffic"),
            id="asleep",
        ),
        pytest.param(
            ASLEEP,
            Seen(deployment(1), scaler("Unknown", "True", reason="Queued")),
            T,
            T,
            ("Unknown", "Queued"),
            id="waking",
        ),
        pytest.param(
            None,
            Seen(deployment(1), scaler("Unknown"), [pod(ended(5))]),
            U,
            ("False", "ExitCode5"),
            ("Unknown", ""),
            id="ended at its first start",
        ),
        pytest.param(
            ASLEEP,
            Seen(deployment(1), scaler("Unknown", "True"), [pod(ended(5))]),
            T,
            ("False", "ExitCode5"),
            ("Unknown", ""),
            id="ended at a later start",
        ),
        pytest.param(
            ASLEEP,
            Seen(deployment(2, 1), scaler("True", "True"), [pod(ended(5))]),
            T,
            T,
            T,
            id="one of two ended",
        ),
        pytest.param(
            None,
            Seen(deployment(1), scaler("Unknown"), [pod(waiting("ErrImagePull", "denied"))]),
            ("False", "ErrImagePull"),
            U,
            ("Unknown", ""),
            id="cannot be pulled",
        ),
        pytest.param(
            None,
            Seen(
                deployment(1, 0, {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}),
                scaler("Unknown"),
            ),
            ("False", "ProgressDeadlineExceeded"),
            U,
            ("Unknown", ""),
            id="too late",
        ),
        pytest.param(
            None,
            Seen(deployment(1), scaler("Unknown"), [pod({})], late=LATE),
            U,
            U,
            ("Unknown", ""),
            id="a first start has until the Deployment's deadline",
        ),
        pytest.param(
            ASLEEP,
            Seen(deployment(1), scaler("Unknown", "True", reason="Queued"), [pod({})], late=LATE),
            ("False", "ProgressDeadlineExceeded"),
            T,
            ("Unknown", "Queued"),
            id="woken, and never ready",
        ),
        pytest.param(
            ASLEEP,
            Seen(deployment(2, 1), scaler("True", "True"), [pod({})], late=LATE),
            T,
            T,
            T,
            id="one of two is never ready",
        ),
        pytest.param(
            None,
            Seen(
                deployment(1, 0, {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}),
                scaler("Unknown"),
            ),
            ("False", "FailedCreate"),
            U,
            ("Unknown", ""),
            id="no Pod can be made",
        ),
        pytest.param(
            None,
            Seen(deployment(0), scaler("False", "Unknown", 0, 0, "TimedOut")),
            ("False", "ProgressDeadlineExceeded"),
            U,
            ("False", "TimedOut"),
            id="given up",
        ),
        pytest.param(
            None, Seen(not_owned="not ours"), ("False", "NotOwned"), U, U, id="a child of that name is another's"
        ),
    ],
)
def test_table(
    before: Json | None, seen: Seen, resources: tuple[str, str], container: tuple[str, str], active: tuple[str, str]
) -> None:
    status = told(decide_status(revision(before), seen, NOW))
    assert status["ResourcesAvailable"] == resources
    assert status["ContainerHealthy"] == container
    assert status["Active"] == active
    parts = {resources[0], container[0]}
    assert status["Ready"][0] == ("False" if "False" in parts else "Unknown" if "Unknown" in parts else "True")


def after(*seen: Seen) -> dict[str, tuple[str, str]]:
    obj = revision()
    for each in seen:
        obj = revision(decide_status(obj, each, NOW))
    return told(obj["status"])


UP = Seen(deployment(1, 1), scaler("True", "True"))
BROKEN = Seen(deployment(1), scaler("Unknown", "True"), [pod(ended(1))])
DOWN = Seen(deployment(0), scaler("False", "True", 0))


def test_a_failure_stays_until_an_instance_is_ready() -> None:
    assert after(UP, BROKEN)["Ready"] == ("False", "ExitCode1")
    assert after(UP, BROKEN, DOWN)["Ready"] == ("False", "ExitCode1"), "that it was stopped proves nothing"
    starting = Seen(deployment(1), scaler("Unknown", "True"))
    assert after(UP, BROKEN, DOWN, starting)["Ready"] == ("False", "ExitCode1")
    assert after(UP, BROKEN, DOWN, starting, UP)["Ready"] == T


@pytest.mark.parametrize("problem", ["late", "gone"])
def test_a_wake_that_fails_is_taken_back_by_one_that_does_not(problem: str) -> None:
    gone = [pod(waiting("ErrImagePull", "no such image"))]
    bad = Seen(deployment(1), scaler("Unknown", "True"), [] if problem == "late" else gone)
    bad = replace(bad, late=LATE if problem == "late" else None)
    assert after(UP, DOWN)["Ready"] == T
    assert after(UP, DOWN, bad)["Ready"][0] == "False"
    assert after(UP, DOWN, bad, DOWN)["Ready"][0] == "False"
    assert after(UP, DOWN, bad, DOWN, UP)["Ready"] == T


def test_before_the_first_start_nothing_is_true() -> None:
    problem = ImageProblem(missing_message("i", "manifest unknown"))
    status = decide_unresolved(revision(), problem, NOW)
    assert told(status)["Ready"] == ("False", "ContainerMissing")
    assert told(decide_unresolved(revision(), RuntimeProblem("no engine"), NOW))["Ready"] == (
        "False",
        "RuntimeUnavailable",
    )
    assert told(decide_unresolved(revision(), None, NOW))["Ready"] == ("Unknown", "ResolvingDigests")
    later = decide_status(revision(status), Seen(deployment(1), scaler("Unknown")), NOW)
    assert told(later)["ContainerHealthy"] == U, "it has been resolved since"


def test_counts_come_from_the_autoscaler() -> None:
    status = decide_status(revision(), Seen(deployment(3, 2), scaler("True", "True", 3, 2), (), DIGESTS), NOW)
    assert (status["desiredReplicas"], status["actualReplicas"]) == (3, 2)
    unknown = decide_status(revision(), Seen(deployment(3, 2), scaler("True", "True", -1, 2)), NOW)
    assert "desiredReplicas" not in unknown


def test_the_digests_are_kept() -> None:
    first = [{"name": "first", "imageDigest": "f@1"}]
    status = decide_status(revision(), Seen(digests=DIGESTS, init_digests=first), NOW)
    assert (status["containerStatuses"], status["initContainerStatuses"]) == (DIGESTS, first)
    assert has_digests(revision({"containerStatuses": DIGESTS}))
    assert not has_digests(revision())
    assert digest_entry({"name": "c"}, Resolved("i@1")) == DIGESTS[0]
    assert digest_entry({"name": "c"}, Resolved()) == {"name": "c"}


def test_a_pod_on_its_way_out_proves_nothing() -> None:
    leaving: dict[str, Any] = pod(ended(1))
    leaving["metadata"]["deletionTimestamp"] = NOW
    status = decide_status(revision(ASLEEP), Seen(deployment(1), scaler("Unknown", "True"), [leaving]), NOW)
    assert told(status)["Ready"] == T
