"""Garbage collection of revisions: who goes, who stays."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.meta import Json
from core.resources.timestamps import rfc3339
from core.settings.gc import GcSettings
from deploy.revision_gc import choose_collectable

NOW = 1_700_000_000.0
HOUR = 3600.0


def revision(name: str, age_h: float, idle_h: float | None = None, state: str = "reserve", **annotations: str) -> Json:
    marks = {f"serving.knative.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    if idle_h is not None:
        marks["serving.knative.dev/routingStateModified"] = rfc3339(NOW - idle_h * HOUR)
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": rfc3339(NOW - age_h * HOUR),
            "labels": {"serving.knative.dev/routingState": state} if state else {},
            "annotations": marks,
        }
    }


def chosen(revisions: list[Json], latest: str = "", **settings: Any) -> list[str]:
    defaults = {"min_non_active_revisions": 1, "max_non_active_revisions": None}
    return choose_collectable(revisions, latest, GcSettings(**{**defaults, **settings}), NOW)


OLD = [revision(f"r{i}", 100 - i, 90 - i) for i in range(5)]


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        pytest.param({}, ["r0", "r1", "r2", "r3"], id="stale ones until the minimum is left"),
        pytest.param({"min_non_active_revisions": 3}, ["r0", "r1"], id="a greater minimum"),
        pytest.param({"min_non_active_revisions": 5}, [], id="not more than the minimum"),
        pytest.param({"retain_since_create_s": 98.5 * HOUR}, ["r0", "r1"], id="too young"),
        pytest.param({"retain_since_last_active_s": 88.5 * HOUR}, ["r0", "r1"], id="needed too recently"),
        pytest.param(
            {"retain_since_create_s": None, "retain_since_last_active_s": None},
            [],
            id="no time set: none is stale",
        ),
        pytest.param(
            {"retain_since_create_s": None, "retain_since_last_active_s": None, "max_non_active_revisions": 2},
            ["r0", "r1", "r2"],
            id="beyond the maximum the oldest go, stale or not",
        ),
        pytest.param(
            {"retain_since_create_s": 99.5 * HOUR, "max_non_active_revisions": 3},
            ["r0", "r1"],
            id="stale ones count towards the maximum",
        ),
        pytest.param(
            {
                "retain_since_create_s": None,
                "retain_since_last_active_s": None,
                "min_non_active_revisions": 0,
                "max_non_active_revisions": 0,
            },
            ["r0", "r1", "r2", "r3", "r4"],
            id="none at all",
        ),
        pytest.param(
            {"retain_since_create_s": None, "max_non_active_revisions": None},
            ["r0", "r1", "r2", "r3"],
            id="one of the times is enough",
        ),
    ],
)
def test_who_goes(settings: dict[str, Any], names: list[str]) -> None:
    assert chosen(OLD, **settings) == names


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(revision("x", 1000, 1000, state="active"), id="routed to"),
        pytest.param(revision("x", 1000, None, state="pending"), id="not looked at yet"),
        pytest.param(revision("x", 1000, None, state=""), id="without a state"),
        pytest.param(revision("x", 1000, 1000, no_gc="True"), id="marked"),
        pytest.param(revision("latest", 1000, 1000), id="latest ready"),
    ],
)
def test_who_is_never_collected(kept: Json) -> None:
    assert chosen([*OLD, kept], latest="latest", min_non_active_revisions=0) == ["r0", "r1", "r2", "r3", "r4"]


def test_order_is_by_last_activity_not_by_age() -> None:
    revisions = [revision("young-but-idle", 50, 50), revision("old-but-used", 100, 20), revision("middle", 70, 30)]
    assert chosen(revisions) == ["young-but-idle", "middle"]


def test_without_a_state_change_creation_counts() -> None:
    assert chosen([revision("a", 60), revision("b", 80)]) == ["b"]
