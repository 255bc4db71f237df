"""The life of a Deployment's status, step by step."""

from __future__ import annotations

from core.resources.meta import Json
from deploy.deployment_status import Counts, deployment_status, is_complete, until_deadline_s

T0 = 1_700_000_000.0


def deployment(replicas: int, status: Json | None = None, generation: int = 1, deadline: int = 600) -> Json:
    return {
        "metadata": {"name": "web", "generation": generation},
        "spec": {"replicas": replicas, "progressDeadlineSeconds": deadline},
        "status": status or {},
    }


def said(status: Json) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def step(
    old: Json | None, replicas: int, counts: Counts, after: float, generation: int = 1, unavailable: int = 0
) -> Json:
    return deployment_status(deployment(replicas, old, generation), counts, unavailable, T0 + after)


def test_a_rollout_that_succeeds() -> None:
    first = step(None, 2, Counts(), 0)
    assert said(first) == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "ReplicaSetUpdated"),
    }
    assert first["unavailableReplicas"] == 2
    assert "replicas" not in first, "zeros are left out"
    one = step(first, 2, Counts(2, 2, 1, 1), 5)
    assert said(one)["Progressing"] == ("True", "ReplicaSetUpdated")
    done = step(one, 2, Counts(2, 2, 2, 2), 6)
    assert said(done) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert {name: done[name] for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")} == {
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    assert step(done, 2, Counts(2, 2, 2, 2), 99) == done, "nothing changed, nothing to write"
    assert until_deadline_s(deployment(2, done), done, T0) is None


def test_a_rollout_that_never_gets_ready_times_out_and_can_recover() -> None:
    first = step(None, 1, Counts(1, 1, 0, 0), 0)
    assert until_deadline_s(deployment(1), first, T0) == 601
    assert said(step(first, 1, Counts(1, 1, 0, 0), 600))["Progressing"][0] == "True"
    late = step(step(first, 1, Counts(1, 1, 0, 0), 1), 1, Counts(1, 1, 0, 0), 700)
    assert said(late)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert late["conditions"][1]["message"] == 'ReplicaSet "web" has timed out progressing.'
    why = step(first, 1, Counts(1, 1, 0, 0, "it does not listen"), 700)["conditions"][1]["message"]
    assert why == 'ReplicaSet "web" has timed out progressing: it does not listen'
    assert until_deadline_s(deployment(1), late, T0 + 700) is None
    assert said(step(late, 1, Counts(1, 1, 1, 1), 800))["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_progress_starts_the_deadline_again() -> None:
    first = step(None, 2, Counts(2, 2, 0, 0), 0)
    second = step(first, 2, Counts(2, 2, 1, 1), 500)
    assert until_deadline_s(deployment(2), second, T0 + 500) == 601
    assert second["conditions"][1]["lastTransitionTime"] == first["conditions"][1]["lastTransitionTime"]


def test_asleep_it_is_complete_and_waking_is_no_new_rollout() -> None:
    asleep = step(None, 0, Counts(), 0)
    assert is_complete({"replicas": 0}, Counts())
    assert said(asleep) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    waking = step(asleep, 1, Counts(1, 1, 0, 0), 9000, generation=2)
    assert said(waking) == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_a_new_template_is_a_new_rollout() -> None:
    done = step(None, 1, Counts(1, 1, 1, 1), 0)
    rolling = step(done, 1, Counts(1, 0, 1, 1), 100, generation=2)
    assert said(rolling)["Progressing"] == ("True", "ReplicaSetUpdated")
    assert rolling["observedGeneration"] == 2


def test_max_unavailable_counts_for_available() -> None:
    assert said(step(None, 4, Counts(4, 4, 3, 3), 0, unavailable=1))["Available"] == (
        "True",
        "MinimumReplicasAvailable",
    )
    assert said(step(None, 4, Counts(4, 4, 3, 3), 0, unavailable=0))["Available"][0] == "False"
