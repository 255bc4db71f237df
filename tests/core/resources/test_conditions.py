"""The truth table of Ready, and when a transition counts."""

from __future__ import annotations

import itertools

import pytest

from core.resources.conditions import FALSE, TRUE, UNKNOWN, Conditions, ConditionSet, find_condition, is_current_and
from core.resources.meta import Json

SET = ConditionSet(("Paper", "Pen"))
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"


def mark(conditions: Conditions, kind: str, status: str) -> None:
    if status == TRUE:
        conditions.mark_true(kind)
    elif status == FALSE:
        conditions.mark_false(kind, f"{kind}Gone", f"no {kind}")
    else:
        conditions.mark_unknown(kind, f"{kind}Late", f"{kind} is coming")


TABLE = [
    # Paper    Pen      Ready    whose reason
    (TRUE, TRUE, TRUE, ""),
    (TRUE, UNKNOWN, UNKNOWN, "PenLate"),
    (TRUE, FALSE, FALSE, "PenGone"),
    (UNKNOWN, TRUE, UNKNOWN, "PaperLate"),
    (UNKNOWN, UNKNOWN, UNKNOWN, "PaperLate"),
    (UNKNOWN, FALSE, FALSE, "PenGone"),
    (FALSE, TRUE, FALSE, "PaperGone"),
    (FALSE, UNKNOWN, FALSE, "PaperGone"),
    (FALSE, FALSE, FALSE, "PaperGone"),
]


@pytest.mark.parametrize(("paper", "pen", "ready", "reason"), TABLE)
def test_truth_table(paper: str, pen: str, ready: str, reason: str) -> None:
    for order in itertools.permutations((("Paper", paper), ("Pen", pen))):
        conditions = SET.manage(None, EARLY)
        for kind, status in order:
            mark(conditions, kind, status)
        assert conditions.status() == ready
        assert conditions.get().get("reason", "") == reason


def test_everything_starts_unknown() -> None:
    conditions = SET.manage({}, EARLY)
    assert [(c["type"], c["status"]) for c in conditions.to_json()] == [
        ("Paper", UNKNOWN),
        ("Pen", UNKNOWN),
        ("Ready", UNKNOWN),
    ]


def test_a_new_dependent_of_something_ready_starts_true() -> None:
    before = {"conditions": [{"type": "Ready", "status": TRUE, "lastTransitionTime": EARLY}]}
    assert SET.manage(before, LATE).status("Pen") == TRUE


def test_information_never_touches_ready() -> None:
    conditions = SET.manage(None, EARLY)
    mark(conditions, "Paper", TRUE)
    mark(conditions, "Pen", TRUE)
    conditions.mark_false("Active", "NoTraffic")
    assert conditions.is_true()
    assert conditions.get("Active")["severity"] == "Info"
    assert "severity" not in conditions.get("Pen")


def test_a_set_without_dependents_is_marked_directly() -> None:
    conditions = ConditionSet().manage(None, EARLY)
    conditions.mark_false("Ready", "RevisionFailed", "it failed")
    assert conditions.to_json() == [
        {
            "type": "Ready",
            "status": FALSE,
            "reason": "RevisionFailed",
            "message": "it failed",
            "lastTransitionTime": EARLY,
        }
    ]


def test_the_transition_time_moves_only_with_a_change() -> None:
    first = SET.manage(None, EARLY)
    mark(first, "Paper", TRUE)
    stored: Json = {"conditions": first.to_json()}

    again = SET.manage(stored, LATE)
    mark(again, "Paper", FALSE)  # there and back within one reconcile
    mark(again, "Paper", TRUE)
    assert again.to_json() == stored["conditions"]

    changed = SET.manage(stored, LATE)
    mark(changed, "Pen", TRUE)
    times = {c["type"]: c["lastTransitionTime"] for c in changed.to_json()}
    assert times == {"Paper": EARLY, "Pen": LATE, "Ready": LATE}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, (UNKNOWN, "NotYet", "soon")),
        ({"type": "Ready", "status": FALSE, "reason": "Bad", "message": "very"}, (FALSE, "Bad", "very")),
        ({"type": "Ready", "status": TRUE}, (TRUE, "", "")),
    ],
)
def test_copying_the_condition_of_another_object(source: Json | None, expected: tuple[str, str, str]) -> None:
    conditions = SET.manage(None, EARLY)
    conditions.copy_from("Pen", source, missing=("NotYet", "soon"))
    pen = conditions.get("Pen")
    assert (pen["status"], pen.get("reason", ""), pen.get("message", "")) == expected


def test_a_condition_of_an_older_generation_says_nothing() -> None:
    ready = {"type": "Ready", "status": TRUE}
    obj = {"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [ready]}}
    assert find_condition(obj) == ready
    assert not is_current_and(obj, TRUE)
    obj["status"]["observedGeneration"] = 2
    assert is_current_and(obj, TRUE)
    assert find_condition(obj, "Active") is None
