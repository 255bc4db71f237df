"""`behavior`: the rules of a HorizontalPodAutoscaler's."""

from __future__ import annotations

from typing import Any

import pytest

from core.resources.hpa_behavior import check_behavior
from core.resources.meta import Json


def policy(**fields: Any) -> Json:
    return {"type": "Pods", "value": 4, "periodSeconds": 15, **fields}


def found(behavior: Json) -> list[str]:
    return [str(error) for error in check_behavior(behavior, "b")]


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"stabilizationWindowSeconds": 0, "selectPolicy": "Min", "policies": [policy()]},
        {"stabilizationWindowSeconds": 3600, "selectPolicy": "Disabled"},
        {"policies": [policy(), policy(type="Percent", value=100, periodSeconds=1800)]},
        {"tolerance": "50m"},
        {"tolerance": 0.05},
        {"tolerance": 0},
    ],
)
def test_what_is_taken(rules: Json) -> None:
    assert found({"scaleUp": rules, "scaleDown": rules}) == []


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (
            {"stabilizationWindowSeconds": 3601},
            "stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
        ),
        (
            {"stabilizationWindowSeconds": -1},
            "stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero",
        ),
        (
            {"selectPolicy": "Most"},
            'selectPolicy: Unsupported value: "Most": supported values: "Disabled", "Max", "Min"',
        ),
        ({"policies": []}, "policies: Required value: must specify at least one Policy"),
        (
            {"policies": [policy(), policy(type="Nodes")]},
            'policies[1].type: Unsupported value: "Nodes": supported values: "Percent", "Pods"',
        ),
        ({"policies": [policy(value=0)]}, "policies[0].value: Invalid value: 0: must be greater than zero"),
        (
            {"policies": [policy(periodSeconds=1801)]},
            "policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
        ),
        (
            {"policies": [policy(periodSeconds=0)]},
            "policies[0].periodSeconds: Invalid value: 0: must be greater than zero",
        ),
        ({"tolerance": "-1m"}, 'tolerance: Invalid value: "-1m": must be greater or equal to zero'),
    ],
)
def test_what_is_refused_of_behavior(rules: Json, text: str) -> None:
    assert found({"scaleDown": rules}) == [f"b.scaleDown.{text}"]
    assert found({"scaleUp": rules, "scaleDown": {}}) == [f"b.scaleUp.{text}"]


def test_a_tolerance_that_is_no_number() -> None:
    (text,) = found({"scaleUp": {"tolerance": "much"}})
    assert text.startswith('b.scaleUp.tolerance: Invalid value: "much": ')
