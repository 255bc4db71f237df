from __future__ import annotations

import json
from dataclasses import replace

from autoscaler.triggers.decide import Observed, begin, decide
from autoscaler.triggers.decisions import KEPT, Cause, Decision, DecisionLog, as_json, in_words
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import Fallback, Modifiers, ScalingSpec
from scalers.readings import MetricType, Quality, Reading, Target


def sample(value: float | None, target: Target | None = None, **more: object) -> Sample:
    reading = None if value is None else Reading(value, **more)  # type: ignore[arg-type]
    return Sample("s0-kafka-orders", "orders", "kafka", target or Target("kafka-orders", 10.0), reading, 0.0)


def decided(spec: ScalingSpec, replicas: int, *samples: Sample, cause: Cause = Cause.READING) -> Decision:
    observed = Observed(replicas, replicas, samples)
    return Decision(1.0, 0.0, spec, observed, decide(spec, begin(spec, replicas, 0.0), observed, 0.0), cause)


def failing(failures: int) -> Sample:
    return Sample("s0-kafka-orders", "orders", "kafka", None, failures=failures, error="connection refused")


def test_in_words() -> None:
    plain = ScalingSpec()
    assert in_words(decided(plain, 0, sample(58.0))) == "scale 0 → 6: s0-kafka-orders 58 / 10 = 6"
    assert in_words(decided(plain, 0, sample(58.0, replicas_max=5), cause=Cause.PUSH)) == (
        "scale 0 → 5 (its source said that there is work): s0-kafka-orders 58 / 10 = 6; "
        "s0-kafka-orders limited to 5 of 6: more would have nothing to do"
    )
    assert in_words(decided(plain, 0, sample(0.0))) == (
        "asleep: s0-kafka-orders 0 / 10 = 0; no trigger is above its activation value"
    )
    assert in_words(decided(plain, 3, sample(11.0, quality=Quality.PARTIAL, note="1 partition not read"))) == (
        "stay at 3: s0-kafka-orders 11 or more / 10 = 2 (1 partition not read); "
        "held at 3: of s0-kafka-orders only a part was read"
    )
    assert in_words(decided(plain, 3, failing(1))) == (
        "stay at 3: s0-kafka-orders is not known: connection refused; held at 3: s0-kafka-orders not known"
    )
    assert in_words(decided(plain, 6, sample(11.0))) == (
        "stay at 6: s0-kafka-orders 11 / 10 = 2; not down to 2 yet: 6 was wanted within scaleDown's window of 300s; "
        "with the same readings another decision in 5m0s"
    )
    value = Target("kafka-orders", 10.0, metric_type=MetricType.VALUE)
    assert in_words(decided(plain, 2, sample(20.0, value))) == "scale 2 → 4: s0-kafka-orders 20 / 10 x 2 ready = 4"


def test_in_words_with_a_fallback_and_with_a_formula() -> None:
    fallback = ScalingSpec(fallback=Fallback(3, 4))
    assert in_words(decided(fallback, 1, failing(4))) == (
        "scale 1 → 4: s0-kafka-orders is not known: connection refused; fallback static 4 after 4 failures = 4; "
        "the fallback (static 4) speaks for s0-kafka-orders, which failed 4 times in a row"
    )
    formula = ScalingSpec(modifiers=Modifiers("orders * 2", 5.0))
    assert in_words(decided(formula, 1, sample(10.0))) == "scale 1 → 4: composite-metric (orders * 2 = 20) / 5 = 4"
    assert in_words(decided(formula, 1, failing(4))) == (
        "stay at 1: s0-kafka-orders is not known: connection refused; "
        "composite-metric is not known: the value of orders is not known (column 1); "
        "held at 1: s0-kafka-orders, composite-metric not known"
    )


def test_in_words_with_a_drain_time() -> None:
    spec, log = ScalingSpec(drain_time_s=30.0), DecisionLog()
    state = begin(spec, 5, 0.0)
    for second in range(20):
        now = float(second)
        lag = sample(600.0, produced=now * 50.0 + 600.0, consumed=now * 50.0)
        observed = Observed(5, 5, [replace(lag, read_at=now)])
        outcome = decide(spec, state, observed, now)
        state = outcome.state
        log.append(Decision(now, now, spec, observed, outcome))
    assert log.last is not None
    said = "s0-kafka-orders (600 waiting / 30s + 50/s arriving) / 10/s per replica = 7"
    assert in_words(log.last).startswith(f"scale 5 → 7: {said}")
    assert said in as_json(log.last)["words"]


def test_equal_ones_are_folded() -> None:
    log, spec = DecisionLog(), ScalingSpec()
    for value in (58.0, 57.0, 99.0):
        log.append(decided(spec, 0, sample(value)))
    assert [(each.times, each.outcome.scale) for each in log] == [(2, 6), (1, 10)]
    assert log.last is not None
    for value in range(100):
        log.append(decided(spec, 0, sample(value * 10.0)))
    assert len(log) == KEPT


def test_as_json() -> None:
    told = as_json(decided(ScalingSpec(max_replicas=3), 0, sample(58.0, replicas_max=5)))
    assert json.loads(json.dumps(told)) == told
    assert (told["wanted"], told["desired"], told["written"]) == (5, 3, 3)
    assert [each["rule"] for each in told["reasons"]] == ["MetricCap", "MaxReplicas"]
    assert told["metrics"][0]["replicasMax"] == 5
