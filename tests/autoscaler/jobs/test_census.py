from __future__ import annotations

from typing import Any

import pytest

from autoscaler.jobs.census import Census, History, count, ended, of_old_document, too_many
from core.resources.meta import Json


def job(name: str, end: str = "", at: str = "", generation: int = 1, **metadata: Any) -> Json:
    annotations = {"scaledjob.keda.sh/generation": str(generation)} if generation else {}
    status: Json = {}
    if end:
        status["conditions"] = [{"type": end, "status": "True", "lastTransitionTime": at}]
    if end == "Complete":
        status["completionTime"] = at
    return {"metadata": {"name": name, "annotations": annotations, **metadata}, "status": status}


def pod(phase: str = "Pending", *conditions: str) -> Json:
    return {"status": {"phase": phase, "conditions": [{"type": each, "status": "True"} for each in conditions]}}


@pytest.mark.parametrize(
    ("jobs", "pods", "conditions", "expected"),
    [
        pytest.param([], {}, [], Census(0, 0), id="none"),
        pytest.param([job("a")], {}, [], Census(1, 1), id="no Pod yet"),
        pytest.param([job("a")], {"a": [pod()]}, [], Census(1, 1), id="pending"),
        pytest.param([job("a")], {"a": [pod("Running")]}, [], Census(1, 0), id="runs"),
        pytest.param([job("a")], {"a": [pod("Failed"), pod("Succeeded")]}, [], Census(1, 0), id="has run"),
        pytest.param([job("a", "Complete"), job("b", "Failed"), job("c")], {}, [], Census(1, 1), id="ended ones"),
        pytest.param([job("a")], {"a": [pod("Running", "Ready")]}, ["Ready", "Warm"], Census(1, 1), id="one condition"),
        pytest.param([job("a")], {"a": [pod("Running", "Ready", "Warm")]}, ["Ready", "Warm"], Census(1, 0), id="both"),
        pytest.param(
            [job("a")],
            {"a": [pod("Failed", "Ready"), pod("Running", "Warm")]},
            ["Ready", "Warm"],
            Census(1, 1),
            id="of two Pods together they do not count",
        ),
        pytest.param([job("a", deletionTimestamp="now")], {}, [], Census(0, 0), id="on its way out"),
    ],
)
def test_count(jobs: list[Json], pods: dict[str, list[Json]], conditions: list[str], expected: Census) -> None:
    assert count(jobs, pods, conditions) == expected


def test_a_condition_that_is_not_true_ends_nothing() -> None:
    running = {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Complete", "status": "False"}]}}
    assert ended(running) == ""
    assert ended(job("a", "Failed")) == "Failed"


def test_the_oldest_beyond_what_is_kept_go() -> None:
    jobs = [
        job("new", "Complete", "2026-01-03T00:00:00Z"),
        job("old", "Complete", "2026-01-01T00:00:00Z"),
        job("mid", "Complete", "2026-01-02T00:00:00Z"),
        job("bad", "Failed", "2026-01-01T00:00:00Z"),
        job("worse", "Failed", "2026-01-02T00:00:00Z"),
        job("runs"),
    ]
    assert [each["metadata"]["name"] for each in too_many(jobs, History(2, 1))] == ["old", "bad"]
    assert [each["metadata"]["name"] for each in too_many(jobs, History(0, 0))] == ["old", "mid", "new", "bad", "worse"]
    assert too_many(jobs, History()) == []


def test_jobs_of_another_document() -> None:
    jobs = [job("same", generation=2), job("other", generation=1), job("unmarked", generation=0)]
    assert [each["metadata"]["name"] for each in of_old_document(jobs, 2)] == ["other", "unmarked"]
