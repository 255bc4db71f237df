"""Bounds of the autoscaling annotations, in Knative's words."""

from __future__ import annotations

import pytest

from core.resources.knative_errors import sentences
from core.resources.serving_autoscaling import validate_autoscaling
from core.settings.autoscaler import AutoscalerSettings

P = "autoscaling.knative.dev/"


def refusal(annotations: dict[str, str], **settings: object) -> str:
    named = {P + name: value for name, value in annotations.items()}
    return sentences(validate_autoscaling(named, AutoscalerSettings(**settings)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"class": "kpa.autoscaling.knative.dev"},
        {"class": "my.scaler.example.com", "metric": "anything"},
        {"class": "hpa.autoscaling.knative.dev", "metric": "memory"},
        {"metric": "rps", "target": "0.01"},
        {"min-scale": "0", "max-scale": "0"},
        {"min-scale": "3", "max-scale": "3"},
        {"minScale": "1", "maxScale": "2"},
        {"window": "6s"},
        {"window": "1h"},
        {"window": "1m30s"},
        {"panic-window-percentage": "1"},
        {"panic-threshold-percentage": "1000.0"},
        {"target-utilization-percentage": "100"},
        {"target-burst-capacity": "-1"},
        {"target-burst-capacity": "0"},
        {"scale-down-delay": "0s"},
        {"scale-to-zero-pod-retention-period": "1m2.5s"},
        {"activation-scale": "2"},
        {"initial-scale": "1"},
    ],
    ids=str,
)
def test_accepted(annotations: dict[str, str]) -> None:
    assert refusal(annotations) == ""


@pytest.mark.parametrize(
    ("annotations", "text"),
    [
        ({"class": "mine.knative.dev"}, "invalid value: mine.knative.dev: {P}class"),
        ({"metric": "cpu"}, "invalid value: cpu: {P}metric"),
        ({"class": "hpa.autoscaling.knative.dev", "metric": ""}, "invalid value: : {P}metric"),
        ({"min-scale": "-1"}, "expected 0 <= -1 <= 2147483647: {P}min-scale"),
        ({"minScale": "one"}, "invalid value: one: {P}minScale"),
        ({"max-scale": "4294967296"}, "expected 0 <= 4294967296 <= 2147483647: {P}max-scale"),
        ({"min-scale": "4", "max-scale": "2"}, "max-scale=2 is less than min-scale=4: {P}max-scale, {P}min-scale"),
        ({"activation-scale": "1"}, "activation-scale=1 must be greater than 1: {P}activation-scale"),
        ({"activation-scale": "two"}, "invalid value: two: {P}activation-scale"),
        (
            {"activation-scale": "2", "min-scale": "3"},
            "min-scale=3 is greater than activation-scale=2: {P}activation-scale",
        ),
        (
            {"activation-scale": "3", "max-scale": "2"},
            "max-scale=2 is less than activation-scale=3: {P}activation-scale",
        ),
        ({"target": "0.001"}, "target 0.001 should be at least 0.01: {P}target"),
        ({"target": "much"}, "invalid value: much: {P}target"),
        ({"panic-window-percentage": "0.5"}, "expected 1 <= 0.5 <= 100: {P}panic-window-percentage"),
        ({"panicThresholdPercentage": "109"}, "expected 110 <= 109 <= 1000: {P}panicThresholdPercentage"),
        ({"target-utilization-percentage": "101"}, "expected 1 <= 101 <= 100: {P}target-utilization-percentage"),
        ({"target-burst-capacity": "-2"}, "invalid value: -2: {P}target-burst-capacity"),
        ({"window": "5s"}, "expected 6s <= 5s <= 1h0m0s: {P}window"),
        ({"window": "7.5s"}, "must be specified with at most second precision: {P}window"),
        ({"window": "jerry"}, "invalid value: jerry: {P}window"),
        ({"scale-down-delay": "2h"}, "expected 0s <= 2h <= 1h0m0s: {P}scale-down-delay"),
        (
            {"scale-to-zero-pod-retention-period": "-4s"},
            "expected 0s <= -4s <= 1h0m0s: {P}scale-to-zero-pod-retention-period",
        ),
        ({"initial-scale": "0"}, "invalid value: 0: {P}initial-scale=0 not allowed by cluster"),
        ({"initial-scale": "-1"}, "invalid value: -1: {P}initial-scale must be greater than 0"),
        (
            {"class": "kpa.autoscaling.knative.dev", "metric-aggregation-algorithm": "cubic"},
            "invalid value: cubic: {P}metric-aggregation-algorithm",
        ),
    ],
    ids=str,
)
def test_refused(annotations: dict[str, str], text: str) -> None:
    assert refusal(annotations) == text.replace("{P}", P)


def test_the_cluster_sets_limits_of_its_own() -> None:
    assert refusal({"initial-scale": "0"}, allow_zero_initial_scale=True) == ""
    assert refusal({"max-scale": "11"}, max_scale_limit=10) == f"expected 1 <= 11 <= 10: {P}max-scale"
    assert refusal({"max-scale": "0"}, max_scale_limit=10) == (
        f"max-scale=0 (unlimited), must be less than 10: {P}max-scale"
    )
