"""The record of decisions: folding, plain words, and a word for every reason."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from autoscaler.decide import Observation, Phase, Reason, ScaleState, decide
from autoscaler.decisions import _BITS, KEPT, Cause, Decision, DecisionLog, as_json, in_words
from autoscaler.kpa import KpaReason, KpaSpec, KpaState
from autoscaler.spec import Metric, ScaleSpec

SPEC = ScaleSpec(kpa=KpaSpec(total=10, target=7))
AWAKE = ScaleState(0.0, Phase.ACTIVE, since=0.0, initialized=True, want=1, desired=1)


def decision(
    spec: ScaleSpec, load: float | None, ready: int = 1, replicas: int = 1, cause: Cause = Cause.TICK
) -> Decision:
    observed = Observation(ready, load, load, replicas)
    return Decision(at=1.7e9, spec=spec, observed=observed, outcome=decide(spec, AWAKE, observed, 1000.0), cause=cause)


WORDS = [
    (
        decision(replace(SPEC, max_scale=3), 40.0),
        "scale 1 → 3: 40 requests at a time over the last 6s, in panic, 7 per instance, so 6 needed; 1 ready; "
        "panic begins (demand is 200% of what is ready); limited by max-scale 3",
    ),
    (
        decision(SPEC, 0.5, 0, 0, cause=Cause.POKE),
        "scale 0 → 1 (a request woke it): 0.5 requests at a time over the last 1m0s, 7 per instance, "
        "so 1 needed; 0 ready",
    ),
    (
        decision(SPEC, 0.0),
        "scale 1 → 0: 0 requests at a time over the last 1m0s, 7 per instance, so 0 needed; 1 ready; "
        "no requests, so none is needed",
    ),
    (
        decision(replace(SPEC, metric=Metric.RPS), 6.0),
        "stay at 1: 6 requests/s over the last 1m0s, 7 per instance, so 1 needed; 1 ready",
    ),
    (
        decision(replace(SPEC, min_scale=2), None, cause=Cause.CHANGE),
        "scale 1 → 2: its settings or instances changed; 1 ready; so the scale is kept; raised to min-scale 2",
    ),
    (decision(SPEC, None), "stay at 1: nobody knows how many requests there are; so the scale is kept"),
    (
        decision(replace(SPEC, metric=Metric.NONE, min_scale=2), 0.0),
        "scale 1 → 2: its class is not scaled by requests; at least 2",
    ),
]


@pytest.mark.parametrize(("record", "words"), WORDS, ids=[words[:30] for _, words in WORDS])
def test_in_words(record: Decision, words: str) -> None:
    assert in_words(record) == words


def test_every_reason_has_words() -> None:
    assert set(_BITS) == {*KpaReason, *Reason}


def test_a_decision_as_json_has_all_inputs() -> None:
    record = as_json(decision(SPEC, 40.0))
    assert orjson.dumps(record)
    assert record["target"] == 7
    assert (record["ready"], record["replicas"], record["desired"], record["written"]) == (1, 1, 6, 6)
    assert record["reasons"] == ["PanicBegins"]
    assert record["inPanic"] is True


def test_equal_decisions_fold_and_the_log_is_bounded() -> None:
    log = DecisionLog()
    for second in range(5):
        log.append(replace(decision(SPEC, 6.0 + second / 10), at=100.0 + second))
    assert [(each.at, each.until, each.times) for each in log] == [(100.0, 104.0, 5)]
    assert "(5 times)" in in_words(next(iter(log)))
    assert next(iter(log)).observed.stable == 6.4, "the last one's numbers"
    for ready in range(100):
        log.append(decision(SPEC, 1.0, ready=ready % 2))
    assert len(log) == KEPT


def test_panic_is_told() -> None:
    state = replace(AWAKE, kpa=KpaState(panic_since=999.0, max_panic=4))
    observed = Observation(4, 1.0, 1.0, 4)
    words = in_words(Decision(0.0, SPEC, observed, decide(SPEC, state, observed, 1000.0)))
    assert "held at 4: never down in panic" in words
