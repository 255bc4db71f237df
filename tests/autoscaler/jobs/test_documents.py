from __future__ import annotations

from typing import Any

import pytest

from autoscaler.jobs.census import History
from autoscaler.jobs.decide import JobsSpec
from autoscaler.jobs.documents import (
    Rollout,
    history_of,
    jobs_spec,
    pending_conditions,
    pod_spec_of,
    rollout_of,
    triggers_of,
)
from autoscaler.jobs.strategies import Calculation, Strategy, StrategySpec
from core.resources.meta import Json
from core.store.base import Propagation
from scalers.readings import TargetRef


def document(annotations: dict[str, str] | None = None, **spec: Any) -> Json:
    return {
        "metadata": {"name": "orders", "namespace": "shop", "annotations": annotations or {}},
        "spec": {"jobTargetRef": {"template": {"spec": {"containers": [{"name": "c"}]}}}, "triggers": [], **spec},
    }


def strategy(**said: Any) -> StrategySpec:
    return jobs_spec(document(scalingStrategy=said)).strategy


def test_defaults() -> None:
    plain = document()
    assert jobs_spec(plain) == JobsSpec(0, 100, StrategySpec(), Calculation.MAX, paused=False)
    assert (history_of(plain), rollout_of(plain), pending_conditions(plain)) == (History(100, 100), Rollout(), ())


def test_all_of_it() -> None:
    said = {"multipleScalersCalculation": "avg", "strategy": "eager", "pendingPodConditions": ["Ready"]}
    full = document(
        {"autoscaling.keda.sh/paused": "true"},
        minReplicaCount=1,
        maxReplicaCount=9,
        successfulJobsHistoryLimit=0,
        failedJobsHistoryLimit=3,
        scalingStrategy=said,
        rollout={"strategy": "gradual", "propagationPolicy": "foreground"},
    )
    assert jobs_spec(full) == JobsSpec(1, 9, StrategySpec(Strategy.EAGER), Calculation.AVG, paused=True)
    assert (history_of(full), pending_conditions(full)) == (History(0, 3), ("Ready",))
    assert rollout_of(full) == Rollout(False, Propagation.FOREGROUND)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({}, StrategySpec(), id="none"),
        pytest.param({"strategy": "accurate"}, StrategySpec(Strategy.ACCURATE), id="a name"),
        pytest.param(
            {"strategy": "custom", "customScalingQueueLengthDeduction": 1, "customScalingRunningJobPercentage": "0.5"},
            StrategySpec(Strategy.CUSTOM, 1, 0.5),
            id="custom",
        ),
        pytest.param({"strategy": "custom"}, StrategySpec(), id="custom without a percentage is default"),
        pytest.param({"strategy": "other"}, StrategySpec(), id="a name that is none"),
    ],
)
def test_strategies(said: dict[str, Any], expected: StrategySpec) -> None:
    assert strategy(**said) == expected


def test_the_older_spelling_of_the_rollout_wins() -> None:
    assert rollout_of(document(rolloutStrategy="gradual", rollout={"strategy": "immediate"})) == Rollout(False)


def test_triggers() -> None:
    (trigger,) = triggers_of(
        document(
            triggers=[{"type": "rabbitmq", "name": "q", "metadata": {"queueName": "a"}}], envSourceContainerName="c"
        )
    )
    assert (trigger.type, trigger.name, trigger.metadata, trigger.owner_kind, str(trigger.owner)) == (
        "rabbitmq",
        "q",
        {"queueName": "a"},
        "ScaledJob",
        "shop/orders",
    )
    assert trigger.target == TargetRef("Job", "orders", "c")
    assert pod_spec_of(document()) == {"containers": [{"name": "c"}]}
