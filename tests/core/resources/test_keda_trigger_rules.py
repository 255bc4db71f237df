"""Triggers, and the numbers that ScaledObject and ScaledJob share."""

from __future__ import annotations

import pytest

from core.resources.keda_trigger_rules import NO_TRIGGERS, check_least, check_triggers, warn_triggers
from core.resources.meta import Json

KAFKA: Json = {"type": "kafka", "metadata": {}}
CRON: Json = {"type": "cron", "metadata": {}}
CPU: Json = {"type": "cpu", "metadata": {}}


@pytest.mark.parametrize(
    "triggers",
    [
        [KAFKA],
        [KAFKA, CRON, CPU, KAFKA],
        [{**KAFKA, "name": "a"}, {**KAFKA, "name": "b"}, {**KAFKA, "name": ""}, {**KAFKA, "name": ""}],
        [{**KAFKA, "useCachedMetrics": True, "metricType": "Value"}, {**CPU, "metricType": "Utilization"}],
        [{**CRON, "useCachedMetrics": False, "metricType": "AverageValue"}],
        [{**KAFKA, "authenticationRef": {"name": "a"}}],
        [{**KAFKA, "authenticationRef": {"name": "a", "kind": "ClusterTriggerAuthentication"}}],
    ],
)
def test_what_is_taken(triggers: list[Json]) -> None:
    assert check_triggers(triggers) == []


@pytest.mark.parametrize(
    ("triggers", "text"),
    [
        ([], f"spec.triggers: Required value: {NO_TRIGGERS}"),
        ([{"metadata": {}}], "spec.triggers[0].type: Required value"),
        ([{**KAFKA, "name": "a"}, CRON, {**CRON, "name": "a"}], 'spec.triggers[2].name: Duplicate value: "a"'),
        (
            [{**CRON, "useCachedMetrics": True}],
            "spec.triggers[0].useCachedMetrics: Forbidden: is not supported for the cron scaler",
        ),
        (
            [KAFKA, {**CPU, "useCachedMetrics": True}],
            "spec.triggers[1].useCachedMetrics: Forbidden: is not supported for the cpu scaler",
        ),
        (
            [{**KAFKA, "metricType": "Utilization"}],
            'spec.triggers[0].metricType: Invalid value: "Utilization": is for cpu and memory; use AverageValue or '
            "Value",
        ),
        (
            [KAFKA, {**CPU, "metricType": "Value"}],
            'spec.triggers[1].metricType: Unsupported value: "Value": supported values: "AverageValue", "Utilization"',
        ),
        (
            [{**KAFKA, "metricType": "average"}],
            'spec.triggers[0].metricType: Unsupported value: "average": supported values: "AverageValue", "Value"',
        ),
        ([{**KAFKA, "authenticationRef": {"name": ""}}], "spec.triggers[0].authenticationRef.name: Required value"),
        (
            [{**KAFKA, "authenticationRef": {"name": "a", "kind": "Secret"}}],
            'spec.triggers[0].authenticationRef.kind: Unsupported value: "Secret": supported values: '
            '"ClusterTriggerAuthentication", "TriggerAuthentication"',
        ),
    ],
)
def test_what_is_refused(triggers: list[Json], text: str) -> None:
    assert [str(error) for error in check_triggers(triggers)] == [text]


def test_names_of_metrics_are_made_up() -> None:
    named = {"metadata": {"metricName": "m"}}
    assert warn_triggers([KAFKA, {**named, "type": "prometheus"}, {**named, "type": "aws-cloudwatch"}]) == [
        "spec.triggers[1].metadata.metricName: has no effect, metrics are named after their trigger"
    ]


@pytest.mark.parametrize(("value", "wrong"), [(None, False), (0, True), (1, False), (2**31 - 1, False), (2**31, True)])
def test_numbers_have_a_least_and_32_bits(value: int | None, wrong: bool) -> None:
    errors = check_least({"n": value, "other": -1}, {"n": 1}, "spec")
    assert [error.path for error in errors] == (["spec.n"] if wrong else [])
