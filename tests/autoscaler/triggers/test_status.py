"""autoscaler/triggers/status.py, announcements.py, facts.py: conditions and events, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.triggers import status
from autoscaler.triggers.announcements import announce, not_scaled, scaled
from autoscaler.triggers.circuit import State
from autoscaler.triggers.documents import TargetKey
from autoscaler.triggers.facts import Facts, MetricFacts
from core.resources.keda import SCALED_OBJECT
from core.resources.meta import Json

TARGET = TargetKey("apps/v1", "Deployment", "default", "orders")
LAG = MetricFacts("s0-kafka-orders", "kafka", active=True)
IDLE = replace(LAG, active=False)
DOWN = replace(LAG, active=None, error="no route to host", circuit=State.OPEN, failures=4)
CPU = MetricFacts("s1-cpu", "cpu", active=None)


def facts(*metrics: MetricFacts, active: bool | None = True, **more: object) -> Facts:
    return replace(Facts(TARGET, metrics=metrics, decided=True, active=active), **more)  # type: ignore[arg-type]


def test_what_is_never_counted_is_told_by_the_condition() -> None:
    condition, reason, message = status.ready(
        facts(replace(LAG, caveat="unacknowledged messages are not counted: why"))
    )
    assert (condition, reason) == ("True", "ScaledObjectReady")
    assert message.endswith(", but s0-kafka-orders: unacknowledged messages are not counted: why")


@pytest.mark.parametrize(
    ("found", "ready", "active"),
    [
        pytest.param(facts(LAG), ("True", "ScaledObjectReady"), ("True", "ScalerActive"), id="work"),
        pytest.param(facts(IDLE, active=False), ("True", "ScaledObjectReady"), ("False", "ScalerNotActive"), id="none"),
        pytest.param(
            facts(IDLE, active=False, cooling=True),
            ("True", "ScaledObjectReady"),
            ("False", "ScalerCooldown"),
            id="none any more",
        ),
        pytest.param(facts(DOWN, LAG), ("Unknown", "PartialTriggerError"), ("True", "ScalerActive"), id="some fail"),
        pytest.param(facts(DOWN, active=None), ("False", "TriggerError"), ("Unknown", "UnknownState"), id="all fail"),
        pytest.param(
            facts(DOWN, active=None, has_fallback=True),
            ("Unknown", "PartialTriggerError"),
            ("Unknown", "UnknownState"),
            id="all fail, and there is a fallback",
        ),
        pytest.param(
            facts(problem="Target resource doesn't exist"),
            ("False", "ScaledObjectCheckFailed"),
            ("Unknown", "UnknownState"),
            id="no target",
        ),
        pytest.param(
            facts(replace(LAG, active=None), decided=False, active=None),
            ("True", "ScaledObjectReady"),
            ("Unknown", "UnknownState"),
            id="not read yet",
        ),
        pytest.param(facts(IDLE, forced=True), ("True", "ScaledObjectReady"), ("True", "ScalerActive"), id="forced"),
    ],
)
def test_ready_and_active(found: Facts, ready: tuple[str, str], active: tuple[str, str]) -> None:
    assert status.ready(found)[:2] == ready
    assert status.active(found)[:2] == active


def test_messages_name_the_metric_the_error_and_the_circuit() -> None:
    said = status.ready(facts(DOWN, LAG))[2]
    assert said.endswith(": s0-kafka-orders: no route to host (circuit Open)")
    assert status.active(facts(IDLE, forced=True))[2] == status.FORCED_MESSAGE
    assert status.active(facts(LAG, forced=True))[2] == status.ACTIVE_MESSAGE


def test_the_status_as_a_document() -> None:
    before: Json = {"lastActiveTime": "2026-03-01T00:00:00Z", "pausedReplicaCount": 3, "hpaName": "another"}
    found = facts(LAG, CPU, original=2, types="kafka,cpu", fallback=True, hpa_name="keda-hpa-orders")
    told = status.status_of(found, before)
    assert told["lastActiveTime"] == "2026-03-01T00:00:00Z"
    assert told["hpaName"] == "keda-hpa-orders"
    assert "pausedReplicaCount" not in told
    assert told["externalMetricNames"] == ["s0-kafka-orders"]
    assert told["resourceMetricNames"] == ["cpu"]
    assert [each["type"] for each in told["conditions"]] == ["Ready", "Active", "Fallback", "Paused"]
    assert {each["type"]: each["status"] for each in told["conditions"]}["Fallback"] == "True"
    SCALED_OBJECT.parse(
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "orders"},
            "spec": {"scaleTargetRef": {"name": "orders"}, "triggers": []},
            "status": told,
        }
    )
    assert "hpaName" not in status.status_of(facts(LAG, paused=True), told)
    later = status.status_of(facts(LAG, active_at=1_772_323_200.0), told)
    assert later["lastActiveTime"] == "2026-03-01T00:00:00Z"
    assert status.status_of(facts(LAG), told)["originalReplicaCount"] == 2


def reasons(before: Facts | None, now: Facts) -> list[str]:
    return [each.reason for each in announce(before, now)]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        pytest.param(
            None, facts(LAG), ["KEDAScalersStarted", "KEDAScalersStarted", "ScaledObjectReady"], id="the first time"
        ),
        pytest.param(None, facts(replace(LAG, built=False)), [], id="not asked yet"),
        pytest.param(
            facts(replace(LAG, built=False)),
            facts(LAG),
            ["KEDAScalersStarted", "KEDAScalersStarted", "ScaledObjectReady"],
            id="asked for the first time",
        ),
        pytest.param(
            None,
            facts(replace(DOWN, built=False)),
            ["KEDAScalersStarted", "KEDAScalerFailed"],
            id="its scaler cannot be made",
        ),
        pytest.param(facts(LAG), facts(LAG, CPU), ["KEDAScalersStarted"], id="one more"),
        pytest.param(facts(LAG), facts(IDLE, active=False), [], id="nothing that is an event"),
        pytest.param(facts(LAG), facts(DOWN), ["KEDAScalerFailed"], id="one fails"),
        pytest.param(facts(DOWN), facts(replace(DOWN, failures=9)), [], id="and fails"),
        pytest.param(facts(DOWN, active=None), facts(LAG), ["ScaledObjectReady"], id="and comes back"),
        pytest.param(facts(LAG), facts(LAG, paused=True), ["ScaledObjectPaused"], id="paused"),
        pytest.param(facts(LAG, paused=True), facts(LAG), ["ScaledObjectUnpaused"], id="unpaused"),
        pytest.param(facts(DOWN), facts(DOWN, fallback=True), ["ScaledObjectFallbackActivated"], id="falls back"),
        pytest.param(
            facts(LAG, fallback=True), facts(LAG), ["ScaledObjectFallbackDeactivated"], id="does not any more"
        ),
        pytest.param(
            facts(LAG),
            facts(problem="gone"),
            ["ScaledObjectCheckFailed", "ScaledObjectCheckFailed"],
            id="target gone",
        ),
        pytest.param(facts(problem="gone"), facts(problem="gone"), [], id="still"),
        pytest.param(
            facts(problem="gone"),
            facts(LAG),
            ["KEDAScalersStarted", "KEDAScalersStarted", "ScaledObjectReady"],
            id="target is back",
        ),
    ],
)
def test_announcements(before: Facts | None, now: Facts, said: list[str]) -> None:
    assert reasons(before, now) == said


def test_events_are_in_kedas_words_and_order() -> None:
    said = [each.message for each in announce(None, facts(LAG))]
    assert said == ["Scaler kafka is built", "Started scalers watch", "ScaledObject is ready for scaling"]
    gone = f"{status.WRONG_TARGET}: {status.NO_TARGET}: there is no apps/v1.Deployment default/orders"
    assert [each.message for each in announce(None, facts(problem=gone))] == [status.NO_TARGET, status.WRONG_TARGET]
    wrong = f"{status.WRONG_TARGET}: {status.NO_SCALE}: spec.scaleTargetRef is a apps/v1.DaemonSet"
    assert [each.message for each in announce(None, facts(problem=wrong))] == [status.NO_SCALE, status.WRONG_TARGET]


def test_scales_in_words() -> None:
    up = scaled(TARGET, 0, 4, ["s0-kafka-orders", "s1-cron"], forced=False)
    assert up is not None
    what = "apps/v1.Deployment default/orders from 0 to 4"
    assert up == ("Normal", "KEDAScaleTargetActivated", f"Scaled {what}, triggered by s0-kafka-orders;s1-cron")
    forced = scaled(TARGET, 0, 1, [], forced=True)
    assert forced is not None
    assert forced.message.endswith("caused by forced activation annotation")
    assert scaled(TARGET, 4, 2, [], forced=False) is None
    assert not_scaled(TARGET, 4, 0, "disk full").reason == "KEDAScaleTargetDeactivationFailed"
    assert not_scaled(TARGET, 0, 4, "disk full").reason == "KEDAScaleTargetActivationFailed"


def test_what_changes_by_itself_is_no_reason_to_hurry() -> None:
    one, other = facts(DOWN, active_at=1.0), facts(replace(DOWN, failures=5), active_at=2.0)
    assert one == other
    assert one.drift != other.drift
    assert facts(DOWN) != facts(replace(DOWN, error="other"))
