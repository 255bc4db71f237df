"""What a Job's `podFailurePolicy` says of a Pod that has failed (pkg/controller/job/pod_failure_policy.go). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.resources.meta import Json


class Action(StrEnum):
    FAIL_JOB = "FailJob"
    IGNORE = "Ignore"
    COUNT = "Count"


@dataclass(frozen=True, slots=True)
class Verdict:
    action: Action
    message: str


def judge(policy: Json | None, pod: Json) -> Verdict | None:
    """The first rule that fits decides; None where none does."""
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        action = Action(rule["action"])
        if (found := _by_exit_code(rule.get("onExitCodes"), pod)) is not None:
            container, code = found
            said = f"Container {container} for pod {_name(pod)} failed with exit code {code}"
        elif (kind := _by_condition(rule.get("onPodConditions") or (), pod)) is not None:
            said = f"Pod {_name(pod)} has condition {kind}"
        else:
            continue
        return Verdict(action, f"{said} matching {action} rule at index {number}")
    return None


def _by_exit_code(wanted: Json | None, pod: Json) -> tuple[str, int] | None:
    """Codes other than 0 are looked at."""
    if wanted is None:
        return None
    status = pod.get("status") or {}
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        code = ((each.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
        if not code or wanted.get("containerName") not in (None, "", each["name"]):
            continue
        if (code in wanted["values"]) is (wanted["operator"] == "In"):
            return each["name"], code
    return None


def _by_condition(patterns: Sequence[Json], pod: Json) -> str | None:
    for pattern in patterns:
        for each in (pod.get("status") or {}).get("conditions") or ():
            if each["type"] == pattern["type"] and each["status"] == (pattern.get("status") or "True"):
                return str(each["type"])
    return None


def _name(pod: Json) -> str:
    return f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}"
