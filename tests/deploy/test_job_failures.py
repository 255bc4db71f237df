"""podFailurePolicy: which rule decides on a Pod."""

from __future__ import annotations

import pytest

from core.resources.meta import Json
from deploy.job_failures import Action, judge


def pod(code: int, *conditions: tuple[str, str]) -> Json:
    ended = {"name": "main", "state": {"terminated": {"exitCode": code}}}
    said = [{"type": kind, "status": status} for kind, status in conditions]
    return {
        "metadata": {"name": "p", "namespace": "d"},
        "status": {"containerStatuses": [ended], "conditions": said},
    }


def on_codes(action: str, operator: str, *values: int, container: str | None = None) -> Json:
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values), "containerName": container}}


def on_condition(action: str, kind: str, **more: str) -> Json:
    return {"action": action, "onPodConditions": [{"type": kind, **more}]}


@pytest.mark.parametrize(
    ("label", "rules", "failed", "action"),
    [
        ("no rule", [], pod(1), None),
        ("in", [on_codes("FailJob", "In", 42)], pod(42), Action.FAIL_JOB),
        ("not in the list", [on_codes("FailJob", "In", 42)], pod(1), None),
        ("not in", [on_codes("Ignore", "NotIn", 42)], pod(1), Action.IGNORE),
        ("success is never looked at", [on_codes("FailJob", "NotIn", 42)], pod(0), None),
        ("another container", [on_codes("FailJob", "In", 42, container="other")], pod(42), None),
        ("its container", [on_codes("FailJob", "In", 42, container="main")], pod(42), Action.FAIL_JOB),
        ("the first decides", [on_codes("Count", "In", 42), on_codes("FailJob", "In", 42)], pod(42), Action.COUNT),
        ("a condition", [on_condition("Ignore", "Disruption")], pod(1, ("Disruption", "True")), Action.IGNORE),
        ("its status", [on_condition("Ignore", "X", status="False")], pod(1, ("X", "True")), None),
    ],
)
def test_rules(label: str, rules: list[Json], failed: Json, action: Action | None) -> None:
    verdict = judge({"rules": rules}, failed)
    assert (verdict.action if verdict else None) == action, label


def test_it_says_which_rule() -> None:
    verdict = judge({"rules": [on_codes("FailJob", "In", 42)]}, pod(42))
    assert verdict is not None
    assert verdict.message == "Container main for pod d/p failed with exit code 42 matching FailJob rule at index 0"
    assert judge(None, pod(1)) is None
