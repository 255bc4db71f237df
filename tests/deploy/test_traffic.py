"""Traffic resolved to revisions, or the reason why not."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.meta import Json
from deploy.rollout import Share, TargetRollout, make_rollout
from deploy.traffic import Target, Traffic, TrafficProblem, referred_names, resolve_traffic


def conditions(ready: str) -> list[Json]:
    return [{"type": "Ready", "status": ready}]


def revision(name: str, ready: str = "True", service: str = "", configuration: str = "c") -> Json:
    labels = {"serving.knative.dev/configuration": configuration}
    if service:
        labels["serving.knative.dev/service"] = service
    return {
        "metadata": {"name": name, "generation": 1, "labels": labels},
        "status": {"observedGeneration": 1, "conditions": conditions(ready)},
    }


def configuration(latest: str | None, ready: str = "True") -> Json:
    status = {"conditions": conditions(ready)}
    return {"metadata": {"name": "c"}, "status": {**status, **({"latestReadyRevisionName": latest} if latest else {})}}


def resolve(
    *traffic: Json, service: str = "", parent: Json | None = None, **revisions: Json
) -> Traffic | TrafficProblem:
    labels = {"serving.knative.dev/service": service} if service else {}
    route = {"metadata": {"name": "r", "labels": labels}, "spec": {"traffic": list(traffic)}}
    return resolve_traffic(route, {"c": parent} if parent else {}, revisions)


def pinned(name: str, percent: int = 100, **fields: Any) -> Json:
    return {"revisionName": name, "percent": percent, "latestRevision": False, **fields}


def latest(percent: int = 100, **fields: Any) -> Json:
    return {"configurationName": "c", "percent": percent, "latestRevision": True, **fields}


def test_the_latest_ready_revision() -> None:
    found = resolve(latest(), parent=configuration("a"), a=revision("a"))
    assert isinstance(found, Traffic)
    assert found.flat == (Target("", "a", "c", 100, True),)
    assert found.rollout() == make_rollout([TargetRollout("c", "", 100, (Share("a", 100),))])


def test_tags_are_part_of_the_main_split_and_have_all_of_their_own() -> None:
    found = resolve(latest(90), pinned("b", 10, tag="old"), parent=configuration("a"), a=revision("a"), b=revision("b"))
    assert isinstance(found, Traffic)
    assert found.by_tag == {
        "": (Target("", "a", "c", 90, True), Target("old", "b", "c", 10, False)),
        "old": (Target("old", "b", "c", 100, False),),
    }


def test_entries_that_say_the_same_are_one() -> None:
    found = resolve(pinned("a", 30), pinned("a", 30), pinned("a", 40, tag="t"), a=revision("a"))
    assert isinstance(found, Traffic)
    assert [(t.tag, t.percent) for t in found.flat] == [("", 60), ("t", 40)]
    assert [(t.revision, t.percent) for t in found.by_tag[""]] == [("a", 100)]


def test_only_what_follows_the_latest_rolls_out() -> None:
    found = resolve(
        pinned("b", 50), latest(50), latest(0, tag="t"), parent=configuration("a"), a=revision("a"), b=revision("b")
    )
    assert isinstance(found, Traffic)
    rolled = {(t.tag, t.percent) for t in found.rollout().targets}
    assert rolled == {("", 50), ("t", 100)}


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        pytest.param(
            resolve(pinned("a")),
            ("False", "RevisionMissing", 'Revision "a" referenced in traffic not found.'),
            id="no such revision",
        ),
        pytest.param(
            resolve(latest()),
            ("False", "ConfigurationMissing", 'Configuration "c" referenced in traffic not found.'),
            id="no such configuration",
        ),
        pytest.param(
            resolve(latest(), parent=configuration(None, "Unknown")),
            ("Unknown", "RevisionMissing", 'Configuration "c" is waiting for a Revision to become ready.'),
            id="nothing ready yet",
        ),
        pytest.param(
            resolve(latest(), parent=configuration(None, "False")),
            ("False", "RevisionMissing", 'Configuration "c" does not have any ready Revision.'),
            id="nothing ready ever",
        ),
        pytest.param(
            resolve(pinned("a"), a=revision("a", "Unknown")),
            ("Unknown", "RevisionMissing", 'Revision "a" is not yet ready.'),
            id="not ready yet",
        ),
        pytest.param(
            resolve(pinned("a"), a=revision("a", "False")),
            ("False", "RevisionMissing", 'Revision "a" failed to become ready.'),
            id="failed",
        ),
        pytest.param(
            resolve(pinned("a"), service="s", a=revision("a", service="other")),
            ("False", "RevisionNotOwned", 'Revision "a" belongs to Service "other", not Service "s".'),
            id="another service's",
        ),
        pytest.param(
            resolve(pinned("a"), service="s", a=revision("a")),
            ("False", "RevisionNotOwned", 'Revision "a" does not belong to Service "s".'),
            id="nobody's",
        ),
        pytest.param(
            resolve(pinned("a", 50), pinned("b", 50), a=revision("a", "Unknown")),
            ("False", "RevisionMissing", 'Revision "b" referenced in traffic not found.'),
            id="a failure outweighs what is late",
        ),
    ],
)
def test_problems(found: Traffic | TrafficProblem, problem: tuple[str, str, str]) -> None:
    assert found == TrafficProblem(*problem)


def test_a_route_of_its_own_may_name_any_revision() -> None:
    assert isinstance(resolve(pinned("a"), a=revision("a", service="other")), Traffic)


def test_readiness_of_an_older_generation_does_not_count() -> None:
    stale = revision("a")
    stale["metadata"]["generation"] = 2
    found = resolve(pinned("a"), a=stale)
    assert isinstance(found, TrafficProblem)
    assert found.status == "Unknown"


def test_what_a_traffic_list_names() -> None:
    assert referred_names([latest(), pinned("a"), pinned("b"), {}]) == ({"c"}, {"a", "b"})
