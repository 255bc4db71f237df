"""What is refused in `behavior`: the rules of a HorizontalPodAutoscaler's (pkg/apis/autoscaling/validation). Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from core.errors import FieldError
from core.resources.meta import Json
from core.resources.problems import check_allowed, invalid, required
from core.resources.quantities import parse_quantity

WINDOW_MAX_S: Final = 3600
PERIOD_MAX_S: Final = 1800
SELECT_POLICIES: Final = ("Max", "Min", "Disabled")
POLICY_TYPES: Final = ("Pods", "Percent")


def check_behavior(behavior: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for direction in ("scaleUp", "scaleDown"):
        rules = behavior.get(direction)
        if rules is not None:
            errors += _check_rules(rules, f"{path}.{direction}")
    return errors


def _check_rules(rules: Json, path: str) -> list[FieldError]:
    errors = _check_number(
        rules.get("stabilizationWindowSeconds"), 0, WINDOW_MAX_S, f"{path}.stabilizationWindowSeconds"
    )
    errors += check_allowed(rules.get("selectPolicy") or None, SELECT_POLICIES, f"{path}.selectPolicy")
    policies = rules.get("policies")
    if policies == []:
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies or ()):
        at = f"{path}.policies[{index}]"
        errors += check_allowed(policy["type"], POLICY_TYPES, f"{at}.type")
        errors += _check_number(policy["value"], 1, None, f"{at}.value")
        errors += _check_number(policy["periodSeconds"], 1, PERIOD_MAX_S, f"{at}.periodSeconds")
    return errors + _check_tolerance(rules.get("tolerance"), f"{path}.tolerance")


def _check_number(value: int | None, least: int, most: int | None, path: str) -> list[FieldError]:
    if value is None:
        return []
    if value < least:
        return [invalid(path, value, "must be greater than zero" if least else "must be greater than or equal to zero")]
    if most is not None and value > most:
        return [invalid(path, value, f"must be less than or equal to {most}")]
    return []


def _check_tolerance(value: str | float | None, path: str) -> list[FieldError]:
    if value is None:
        return []
    try:
        tolerance = parse_quantity(value)
    except ValueError as error:
        return [invalid(path, value, str(error))]
    return [] if tolerance >= Decimal(0) else [invalid(path, value, "must be greater or equal to zero")]
