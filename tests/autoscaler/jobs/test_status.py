from __future__ import annotations

import pytest

from autoscaler.jobs.status import Facts, announce, status_of

BROKEN = (("s0-q", "down"),)


@pytest.mark.parametrize(
    ("facts", "ready", "active", "paused"),
    [
        pytest.param(Facts(1), "True/ScaledJobReady", "Unknown/UnknownState", "False/ScaledJobUnpaused", id="new"),
        pytest.param(
            Facts(1, active=True), "True/ScaledJobReady", "True/ScalerActive", "False/ScaledJobUnpaused", id="on"
        ),
        pytest.param(
            Facts(1, active=False, paused=True),
            "True/ScaledJobReady",
            "False/ScalerNotActive",
            "True/ScaledJobPaused",
            id="paused",
        ),
        pytest.param(
            Facts(2, BROKEN, active=True),
            "Unknown/PartialTriggerError",
            "True/ScalerActive",
            "False/ScaledJobUnpaused",
            id="one of two fails",
        ),
        pytest.param(
            Facts(1, BROKEN),
            "False/ScaledJobCheckFailed",
            "Unknown/UnknownState",
            "False/ScaledJobUnpaused",
            id="no scaler can be made",
        ),
        pytest.param(
            Facts(1, BROKEN, ("kafka",)),
            "False/TriggerError",
            "False/ScalerNotActive",
            "False/ScaledJobUnpaused",
            id="all fail",
        ),
        pytest.param(
            Facts(2, BROKEN, ("kafka",)),
            "Unknown/PartialTriggerError",
            "Unknown/UnknownState",
            "False/ScaledJobUnpaused",
            id="one fails, the other has no work",
        ),
    ],
)
def test_conditions(facts: Facts, ready: str, active: str, paused: str) -> None:
    conditions = status_of(facts, {})["conditions"]
    assert [f"{each['status']}/{each['reason']}" for each in conditions] == [ready, active, paused]
    if facts.errors:
        assert conditions[0]["message"].endswith("s0-q: down")


def test_the_time_of_the_last_work_stays() -> None:
    assert status_of(Facts(active_at=0.0), {})["lastActiveTime"] == "1970-01-01T00:00:00Z"
    before = {"lastActiveTime": "2026-01-01T00:00:00Z", "other": 1}
    assert status_of(Facts(types="kafka"), before).items() >= {**before, "triggersTypes": "kafka"}.items()


@pytest.mark.parametrize(
    ("before", "now", "reasons"),
    [
        pytest.param(None, Facts(1), [], id="nothing is known yet"),
        pytest.param(Facts(1), Facts(1, active=False), ["ScaledJobReady"], id="read for the first time"),
        pytest.param(Facts(1, active=False), Facts(1, active=True), [], id="work"),
        pytest.param(
            Facts(1), Facts(1, built=("kafka",)), ["KEDAScalersStarted", "KEDAScalersStarted"], id="its scaler stands"
        ),
        pytest.param(
            Facts(1, built=("kafka",), active=True),
            Facts(1, BROKEN, ("kafka",)),
            ["KEDAScalerFailed"],
            id="it fails",
        ),
        pytest.param(
            Facts(1, BROKEN, ("kafka",)), Facts(1, (("s0-q", "still"),), ("kafka",)), [], id="and goes on failing"
        ),
        pytest.param(
            Facts(1, BROKEN, ("kafka",)), Facts(1, (), ("kafka",), True), ["ScaledJobReady"], id="it has recovered"
        ),
        pytest.param(
            Facts(1),
            Facts(1, BROKEN),
            ["KEDAScalersStarted", "KEDAScalerFailed", "ScaledJobCheckFailed"],
            id="no scaler can be made",
        ),
        pytest.param(Facts(1, active=True), Facts(1, active=True, paused=True), ["ScaledJobPaused"], id="paused"),
        pytest.param(Facts(1, active=True, paused=True), Facts(1, active=True), ["ScaledJobUnpaused"], id="unpaused"),
    ],
)
def test_announcements(before: Facts | None, now: Facts, reasons: list[str]) -> None:
    assert [each.reason for each in announce(before, now)] == reasons
