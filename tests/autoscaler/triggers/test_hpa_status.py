"""autoscaler/triggers/hpa_status.py: replicas, metrics and conditions of the view, by the decisions they come from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.triggers.decide import Outcome
from autoscaler.triggers.demand import Demand
from autoscaler.triggers.hpa_document import Metric, MetricSource
from autoscaler.triggers.hpa_status import Told, View, conditions_of, current_of, status_of
from autoscaler.triggers.spec import Behavior, Modifiers, Policy, PolicyType, ScalingRules, ScalingSpec
from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER
from core.resources.meta import Json
from scalers.readings import MetricType
from tests.autoscaler.triggers.cases import cpu, failing, once, read
from tests.autoscaler.triggers.test_hpa_document import skeleton

AVERAGE, VALUE, UTILIZATION = MetricType.AVERAGE_VALUE, MetricType.VALUE, MetricType.UTILIZATION
ORDERS = Metric(MetricSource.EXTERNAL, "s0-orders", "s0-orders", AVERAGE, 10.0)
CPU = Metric(MetricSource.RESOURCE, "cpu", "s1-cpu", UTILIZATION, 50.0)
COMPOSITE = Metric(MetricSource.EXTERNAL, "composite-metric", "composite-metric", AVERAGE, 2.0)
SLOW = replace(Behavior(), up=ScalingRules(policies=(Policy(PolicyType.PODS, 1, 60.0),)))
SPEC = ScalingSpec(min_replicas=0, max_replicas=5)
NOW = "2026-03-01T00:00:00Z"


def told(outcome: Outcome, replicas: int, *metrics: Metric) -> dict[str, tuple[str, str, str]]:
    found = conditions_of(outcome, metrics or (ORDERS,), replicas, "orders")
    return {each.type: (each.status, each.reason, each.message) for each in found}


@pytest.mark.parametrize(
    ("outcome", "replicas", "able", "active", "limited"),
    [
        pytest.param(
            once(SPEC, 2, read(20.0)),
            2,
            "ReadyForNewScale",
            ("True", "ValidMetricFound"),
            ("False", "DesiredWithinRange"),
            id="as many as are wanted",
        ),
        pytest.param(
            once(SPEC, 2, read(30.0)),
            2,
            "SucceededRescale",
            ("True", "ValidMetricFound"),
            ("False", "DesiredWithinRange"),
            id="more",
        ),
        pytest.param(
            once(SPEC, 2, read(300.0)),
            5,
            "ReadyForNewScale",
            ("True", "ValidMetricFound"),
            ("True", "TooManyReplicas"),
            id="the bound above",
        ),
        pytest.param(
            once(replace(SPEC, min_replicas=2), 2, read(1.0)),
            2,
            "ReadyForNewScale",
            ("True", "ValidMetricFound"),
            ("True", "TooFewReplicas"),
            id="the bound below",
        ),
        pytest.param(
            once(replace(SPEC, behavior=SLOW), 2, read(50.0)),
            3,
            "ReadyForNewScale",
            ("True", "ValidMetricFound"),
            ("True", "ScaleUpLimit"),
            id="a rate",
        ),
        pytest.param(
            once(SPEC, 4, read(11.0)),
            4,
            "ScaleDownStabilized",
            ("True", "ValidMetricFound"),
            ("False", "DesiredWithinRange"),
            id="a window",
        ),
        pytest.param(
            once(SPEC, 0, read(0.0)),
            0,
            "ReadyForNewScale",
            ("False", "ScalingDisabled"),
            ("False", "DesiredWithinRange"),
            id="none",
        ),
        pytest.param(
            once(SPEC, 3, failing()),
            3,
            "ReadyForNewScale",
            ("False", "FailedGetExternalMetric"),
            ("False", "DesiredWithinRange"),
            id="not known",
        ),
        pytest.param(
            once(SPEC, 3, failing(name="other"), read(100.0)),
            5,
            "ReadyForNewScale",
            ("True", "ValidMetricFound"),
            ("True", "TooManyReplicas"),
            id="not known, and another asks for more",
        ),
    ],
)
def test_conditions(
    outcome: Outcome, replicas: int, able: str, active: tuple[str, str], limited: tuple[str, str]
) -> None:
    found = told(outcome, replicas)
    assert found["AbleToScale"][:2] == ("True", able)
    assert found["ScalingActive"][:2] == active
    assert found["ScalingLimited"][:2] == limited


def test_messages() -> None:
    found = told(once(SPEC, 2, read(20.0), cpu(10.0)), 2, ORDERS, CPU)
    assert found["ScalingActive"][2] == (
        "the HPA was able to successfully calculate a replica count from external metric s0-orders("
        "&LabelSelector{MatchLabels:map[string]string{scaledobject.keda.sh/name: orders,},"
        "MatchExpressions:[]LabelSelectorRequirement{},})"
    )
    found = told(once(SPEC, 2, read(1.0), cpu(100.0)), 2, ORDERS, CPU)
    assert found["ScalingActive"][2].endswith(" from cpu resource utilization (percentage of request)")
    assert told(once(SPEC, 2, failing()), 2)["ScalingActive"][2] == (
        "the HPA was unable to compute the replica count: s0-orders: connection refused"
    )
    assert told(once(SPEC, 2, read(30.0)), 2)["AbleToScale"][2].endswith("to update the target scale to 3")


def test_a_formula_speaks_for_its_triggers() -> None:
    spec = replace(SPEC, modifiers=Modifiers("orders / 10", 2.0))
    outcome = once(spec, 2, read(40.0))
    assert "external metric composite-metric(" in told(outcome, 2, COMPOSITE)["ScalingActive"][2]
    demands = {demand.metric: demand for demand in outcome.demands}
    assert current_of(COMPOSITE, demands["composite-metric"], 2) == {"averageValue": "2"}


def test_before_anything_is_read_nothing_is_said_of_metrics() -> None:
    outcome = replace(once(SPEC, 2, read(20.0)), demands=(), reasons=())
    assert set(told(outcome, 2)) == {"AbleToScale", "ScalingLimited"}


@pytest.mark.parametrize(
    ("metric", "demand", "replicas", "current"),
    [
        (ORDERS, Demand("m", 2, True, value=7.0), 2, {"averageValue": "3500m"}),
        (ORDERS, Demand("m", 2, True, value=7.0), 0, {"averageValue": "7"}),
        (ORDERS, Demand("m", None, None, value=None, error="down"), 2, None),
        (ORDERS, None, 2, None),
        (ORDERS._replace(type=VALUE), Demand("m", 2, True, value=7.0), 2, {"value": "7"}),
        (CPU, Demand("m", 2, None, value=41.6), 2, {"averageUtilization": 42}),
        (CPU._replace(type=AVERAGE), Demand("m", 2, None, value=3.0, ready=2), 9, {"averageValue": "1500m"}),
    ],
)
def test_what_was_read_as_its_target_is_said(
    metric: Metric, demand: Demand | None, replicas: int, current: Json | None
) -> None:
    assert current_of(metric, demand, replicas) == current


def obj(status: Json | None = None) -> Json:
    return {"metadata": {"generation": 3}, "status": status}


def test_the_status_as_a_document() -> None:
    view = View(
        skeleton(),
        (ORDERS, CPU),
        replicas=2,
        desired=3,
        conditions=(Told("AbleToScale", "True", "ReadyForNewScale", "yes"),),
        scaled_at=1_772_323_200.0,
        current=(None, {"averageUtilization": 40}),
    )
    status = status_of(view, obj(), NOW)
    assert status == {
        "observedGeneration": 3,
        "currentReplicas": 2,
        "desiredReplicas": 3,
        "lastScaleTime": "2026-03-01T00:00:00Z",
        "currentMetrics": [
            {"type": ""},
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40}}},
        ],
        "conditions": [
            {
                "type": "AbleToScale",
                "status": "True",
                "reason": "ReadyForNewScale",
                "message": "yes",
                "lastTransitionTime": NOW,
            }
        ],
    }
    HORIZONTAL_POD_AUTOSCALER.parse({**obj(status), "spec": view.skeleton["spec"]})
    unknown = status_of(replace(view, current=(None, None), conditions=(), scaled_at=None), obj(), NOW)
    assert set(unknown) == {"observedGeneration", "currentReplicas", "desiredReplicas"}


def test_the_time_of_a_condition_is_that_of_its_status() -> None:
    view = View(skeleton(), conditions=(Told("AbleToScale", "True", "ReadyForNewScale", "yes"),))
    before = status_of(view, obj(), NOW)
    other = replace(view, conditions=(Told("AbleToScale", "True", "SucceededRescale", "to 3"),))
    assert status_of(other, obj(before), "later")["conditions"][0]["lastTransitionTime"] == NOW
    failed = replace(view, conditions=(Told("AbleToScale", "False", "FailedGetScale", "no"),))
    assert status_of(failed, obj(before), "later")["conditions"][0]["lastTransitionTime"] == "later"


def test_values_that_drift_are_no_difference() -> None:
    view = View(skeleton(), (ORDERS,), 2, 2, current=({"averageValue": "1"},))
    assert view == replace(view, current=(None,))
    assert view != replace(view, desired=3)
    assert view.document == replace(view, desired=3).document
    assert view.document != replace(view, metrics=()).document
