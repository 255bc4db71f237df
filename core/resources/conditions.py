"""Conditions: how the parts of a status make up its `Ready` (knative.dev/pkg/apis/condition_set.go).

    a dependent is False                       → Ready False, with its reason and message
    none is False, one is Unknown (or unset)   → Ready Unknown, likewise
    all are True                               → Ready True

A condition that is not a dependent (`Active`) has severity `Info` and never touches Ready. `lastTransitionTime` moves
only when something else of the condition does. Every controller that writes a status uses this; pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.resources.meta import ConditionStatus, Json

READY = "Ready"
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE.value, ConditionStatus.FALSE.value, ConditionStatus.UNKNOWN.value
_SAME_BUT_TIME = ("status", "reason", "message", "severity")


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """The conditions that together decide `happy`. Without dependents, happy is set directly."""

    dependents: tuple[str, ...] = ()
    happy: str = READY

    def manage(self, status: Mapping[str, Any] | None, now: str) -> Conditions:
        """What `status.conditions` holds, ready to be changed; `now` is RFC 3339. Missing ones start as Unknown,
        or True where happy already is."""
        return Conditions(self, (status or {}).get("conditions") or (), now)


class Conditions:
    """The conditions of one object during one reconcile."""

    def __init__(self, condition_set: ConditionSet, before: Iterable[Json], now: str) -> None:
        self._set = condition_set
        self._before = {condition["type"]: condition for condition in before}
        self._now = now
        self._current = {kind: dict(condition) for kind, condition in self._before.items()}
        start = TRUE if self.status(condition_set.happy) == TRUE else UNKNOWN
        self._current.setdefault(condition_set.happy, {"type": condition_set.happy, "status": UNKNOWN})
        for kind in condition_set.dependents:
            self._current.setdefault(kind, {"type": kind, "status": start})

    def status(self, kind: str = READY) -> str:
        """`True`, `False` or `Unknown`; `Unknown` too where it was never set."""
        return str(self._current.get(kind, {}).get("status", UNKNOWN))

    def is_true(self, kind: str = READY) -> bool:
        return self.status(kind) == TRUE

    def is_false(self, kind: str = READY) -> bool:
        return self.status(kind) == FALSE

    def get(self, kind: str = READY) -> Json:
        """The condition as it stands now, `{}` where it was never set."""
        return self._current.get(kind, {})

    def mark_true(self, kind: str, reason: str = "", message: str = "") -> None:
        self._mark(kind, TRUE, reason, message)

    def mark_false(self, kind: str, reason: str, message: str = "") -> None:
        self._mark(kind, FALSE, reason, message)

    def mark_unknown(self, kind: str, reason: str = "", message: str = "") -> None:
        self._mark(kind, UNKNOWN, reason, message)

    def copy_from(self, kind: str, source: Json | None, missing: tuple[str, str] = ("", "")) -> None:
        """Takes over status, reason and message of another object's condition; Unknown with `missing` where it has
        none."""
        if source is None:
            self.mark_unknown(kind, *missing)
        else:
            self._mark(kind, source["status"], source.get("reason", ""), source.get("message", ""))

    def to_json(self) -> list[Json]:
        """The list for `status.conditions`, sorted by type."""
        return [self._stamped(self._current[kind]) for kind in sorted(self._current)]

    def _mark(self, kind: str, status: str, reason: str, message: str) -> None:
        self._current[kind] = _condition(kind, status, reason, message, self._is_terminal(kind))
        if kind in self._set.dependents:
            self._recompute()

    def _recompute(self) -> None:
        worst = self._unhappy()
        happy = self._set.happy
        if worst is None:
            self._current[happy] = _condition(happy, TRUE, "", "", True)
        else:
            reason, message = worst.get("reason", ""), worst.get("message", "")
            self._current[happy] = _condition(happy, worst["status"], reason, message, True)

    def _unhappy(self) -> Json | None:
        """The dependent that decides: False before Unknown, then in the order of declaration."""
        dependents = [self._current[kind] for kind in self._set.dependents]
        for status in (FALSE, UNKNOWN):
            for condition in dependents:
                if condition["status"] == status:
                    return condition
        return None

    def _is_terminal(self, kind: str) -> bool:
        return kind == self._set.happy or kind in self._set.dependents

    def _stamped(self, condition: Json) -> Json:
        before = self._before.get(condition["type"])
        if before and all(before.get(name, "") == condition.get(name, "") for name in _SAME_BUT_TIME):
            return before
        return {**condition, "lastTransitionTime": self._now}


def find_condition(obj: Mapping[str, Any], kind: str = READY) -> Json | None:
    """The condition of that type in an object's status."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind:
            return dict(condition)
    return None


def is_current_and(obj: Mapping[str, Any], status: str, kind: str = READY) -> bool:
    """Whether the condition has that status and speaks of the object's present generation."""
    condition = find_condition(obj, kind)
    observed = (obj.get("status") or {}).get("observedGeneration")
    return condition is not None and condition["status"] == status and observed == obj["metadata"].get("generation")


def _condition(kind: str, status: str, reason: str, message: str, terminal: bool) -> Json:
    condition: Json = {"type": kind, "status": status}
    if not terminal:
        condition["severity"] = "Info"
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition
