"""What a PodAutoscaler says of itself, row by row of the table in autoscaler.status."""

from __future__ import annotations

import pytest

from autoscaler.decide import Phase, ScaleState
from autoscaler.status import status_of, told
from core.resources.conditions import find_condition
from core.resources.meta import Json

THEN, NOW = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"

ROWS = [
    (ScaleState(0.0, Phase.ACTIVATING), ("Unknown", "Queued"), ("Unknown", None), ("Unknown", "Queued")),
    (ScaleState(0.0, Phase.ACTIVE, initialized=True), ("True", None), ("True", None), ("True", None)),
    (
        ScaleState(0.0, Phase.INACTIVE, initialized=True, desired=0),
        ("False", "NoTraffic"),
        ("True", None),
        ("False", "NoTraffic"),
    ),
    (ScaleState(0.0, Phase.INACTIVE, timed_out=True), ("False", "TimedOut"), ("Unknown", None), ("False", "TimedOut")),
]


@pytest.mark.parametrize(("state", "active", "initialized", "ready"), ROWS)
def test_conditions(
    state: ScaleState, active: tuple[str, str], initialized: tuple[str, str], ready: tuple[str, str]
) -> None:
    status = status_of(told(state, 0, 3), "r", {}, NOW)

    def found(kind: str) -> tuple[str, str | None]:
        condition: Json = find_condition({"status": status}, kind) or {}
        return condition["status"], condition.get("reason")

    assert (found("Active"), found("ScaleTargetInitialized"), found("Ready")) == (active, initialized, ready)
    assert status["observedGeneration"] == 3
    assert status["desiredScale"] == (-1 if state.desired is None else state.desired)


def test_a_transition_time_moves_only_with_its_condition() -> None:
    asleep = ScaleState(0.0, Phase.INACTIVE, initialized=True, desired=0)
    first = status_of(told(asleep, 1, 1), "r", {}, THEN)
    second = status_of(told(asleep, 0, 1), "r", first, NOW)
    assert second["conditions"] == first["conditions"]
    assert second["actualScale"] == 0


def test_a_class_that_is_not_served_says_so() -> None:
    awake = ScaleState(0.0, Phase.ACTIVE, desired=1, initialized=True)
    active = find_condition({"status": status_of(told(awake, 1, 1, scaled=False), "r", {}, NOW)}, "Active")
    assert active is not None
    assert (active["status"], active["reason"]) == ("True", "NotScaled")
    assert "min-scale" in active["message"]
