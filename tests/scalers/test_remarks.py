"""What is said of triggers before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from core.errors import PermanentError
from core.resources.meta import ObjectKey
from core.settings.declaration import Choice, Decimal, Text, Whole
from scalers.base import Definition
from scalers.params import ANYWHERE, AUTH, Parameters, param
from scalers.readings import MetricType, Trigger
from scalers.registry import definition_of
from scalers.remarks import Bounds, remarks_on

CRON = {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *", "desiredReplicas": "5"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Parameters):
    host: str = param("host", Text(), "Where it is.", sources=ANYWHERE)
    threshold: int = param("lagThreshold", Whole(1), "Lag per replica.", 10)
    activation: float = param("activationLagThreshold", Decimal(0), "Lag to wake at.", 0.0)
    mode: str = param("mode", Choice(("fast", "slow")), "How.", "fast")
    user: str | None = param("username", Text(), "Who.", None, sources=AUTH)

    def problems(self) -> Sequence[tuple[str, str]]:
        return [("mode", "slow needs a username")] if self.mode == "slow" and self.user is None else ()


def _check(parameters: Example, trigger: Trigger) -> None:
    if parameters.host == "nowhere":
        raise PermanentError(f"{trigger.path}.metadata.host: is nowhere")


DEFINITION: Definition[Example] = Definition(Example, lambda *_: NotImplemented, "An example.", check=_check)


def remarks(metadata: dict[str, str], authenticated: bool = False, **more: Any) -> list[str]:
    trigger = Trigger(ObjectKey("ns", "a"), 2, "example", metadata, **more)
    return remarks_on(trigger, DEFINITION, Bounds(20, authenticated))


@pytest.mark.parametrize(
    ("metadata", "texts"),
    [
        ({"host": "a"}, []),
        ({"host": "a", "lagThreshold": "many"}, ["lagThreshold: is 'many', must be a whole number of at least 1"]),
        ({"host": "a", "mode": "slow"}, ["mode: slow needs a username"]),
        ({"host": "nowhere"}, ["host: is nowhere"]),
        ({"host": "a", "metricName": "m"}, []),
    ],
)
def test_what_is_wrong(metadata: dict[str, str], texts: list[str]) -> None:
    assert remarks(metadata) == [f"spec.triggers[2].metadata.{text}" for text in texts]


def test_what_is_missing() -> None:
    (text,) = remarks({})
    assert text.startswith("spec.triggers[2].metadata.host: is required: host in the trigger's metadata, or ")


@pytest.mark.parametrize(
    ("metadata", "authenticated"),
    [
        ({}, True),
        ({"hostFromEnv": "HOST"}, False),
        ({"host": "a", "mode": "slow"}, True),
        ({"host": "nowhere"}, True),
    ],
    ids=["parameter", "variable", "two parameters together", "the whole"],
)
def test_what_is_to_come_from_elsewhere_is_not_missed(metadata: dict[str, str], authenticated: bool) -> None:
    assert remarks(metadata, authenticated) == []


@pytest.mark.parametrize("metadata", [{"mode": "x"}, {"hostFromEnv": "HOST", "mode": "x"}], ids=["auth", "env"])
def test_what_is_wrong_in_any_case_is_told(metadata: dict[str, str]) -> None:
    texts = remarks(metadata, authenticated=True)
    assert texts == ["spec.triggers[2].metadata.mode: is 'x', must be one of fast, slow"]


def test_parameters_that_nobody_reads() -> None:
    assert remarks({"host": "a", "lagTreshold": "5"}) == [
        "spec.triggers[2].metadata: unknown parameter 'lagTreshold' has no effect; did you mean 'lagThreshold'?"
    ]


@pytest.mark.parametrize(
    ("metadata", "more", "text"),
    [
        ({"lagThreshold": "10", "activationLagThreshold": "10"}, {}, ""),
        (
            {"lagThreshold": "10", "activationLagThreshold": "50"},
            {},
            "is 50, above lagThreshold 10: nothing wakes it before there is work for 5 replicas",
        ),
        (
            {"activationLagThreshold": "12.5"},
            {},
            "is 12.5, above lagThreshold 10: nothing wakes it before there is work for 2 replicas",
        ),
        (
            {"lagThreshold": "10", "activationLagThreshold": "200"},
            {},
            "is 200, above lagThreshold 10: what wakes it asks for all 20 of maxReplicaCount at once",
        ),
        ({"lagThreshold": "10", "activationLagThreshold": "50"}, {"metric_type": MetricType.VALUE}, ""),
    ],
    ids=["equal", "above", "above the default", "above all", "another measure"],
)
def test_work_that_never_wakes(metadata: dict[str, str], more: dict[str, Any], text: str) -> None:
    expected = [f"spec.triggers[2].metadata.activationLagThreshold: {text}"] if text else []
    assert remarks({"host": "a", **metadata}, **more) == expected


@pytest.mark.parametrize(
    ("most", "texts"),
    [
        (5, []),
        (4, ["is 4, below the 5 of spec.triggers[0].metadata.desiredReplicas: so many there will never be"]),
    ],
)
def test_a_window_that_asks_for_more_than_there_may_be(most: int, texts: list[str]) -> None:
    trigger = Trigger(ObjectKey("ns", "a"), 0, "cron", CRON)
    found = remarks_on(trigger, definition_of("cron"), Bounds(most))
    assert found == [f"spec.maxReplicaCount: {text}" for text in texts]
