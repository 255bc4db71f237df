"""pilotlight/cli/scaling_lines.py: what is printed of ScaledObjects."""

from __future__ import annotations

from typing import Any

import pytest

from pilotlight.cli.scaling_lines import scaled_explanation, scaled_named, scaled_row


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("scaledobject/orders", ("scaledobjects", "orders")),
        ("so/orders", ("scaledobjects", "orders")),
        ("scaledobjects.keda.sh/orders", ("scaledobjects", "orders")),
        ("ScaledObject/orders", ("scaledobjects", "orders")),
        ("sj/orders", ("scaledjobs", "orders")),
        ("scaledjob.keda.sh/orders", ("scaledjobs", "orders")),
        ("orders", None),
        ("service/orders", None),
    ],
)
def test_names(typed: str, named: tuple[str, str] | None) -> None:
    assert scaled_named(typed) == named


def answer(*decisions: dict[str, Any], problem: str = "", now: float = 1000.0) -> dict[str, Any]:
    return {"items": list(decisions), "problem": problem, "now": now, "pollingIntervalSeconds": 30.0}


def decision(words: str, next_in_s: float | None = None) -> dict[str, Any]:
    return {"until": 990.0, "words": words, "nextInSeconds": next_in_s}


def test_an_explanation() -> None:
    said = list(scaled_explanation(answer(decision("stay at 3", 250.0)), 5))
    assert said[0].endswith("  stay at 3")
    reading = "when a trigger is read (every 30s at the latest) and asks for something else"
    assert said[1] == f"changes next in 4m0s by itself, or {reading}"
    assert list(scaled_explanation(answer(), 5)) == ["no decision yet"]
    assert list(scaled_explanation(answer(problem="there is no target"), 5)) == [
        "nothing is scaled: there is no target"
    ]
    assert len(list(scaled_explanation(answer(*[decision("x")] * 9), 5))) == 6


def test_a_row() -> None:
    triggers = [
        {"metric": "s0-kafka-orders", "value": 12.5, "target": 10.0, "error": ""},
        {"metric": "s1-cron", "value": None, "target": None, "error": "down"},
    ]
    entry = {"namespace": "default", "name": "orders", "target": "Deployment/orders", "ready": 1, "desired": 2}
    row = scaled_row({**entry, "triggers": triggers, "state": "growing"})
    assert row[3:] == ("1", "2", "s0-kafka-orders=12.5/10 s1-cron=?/?!", "growing")
    assert scaled_row({**entry, "desired": None, "triggers": [], "state": "no target"})[4:6] == ("?", "-")
