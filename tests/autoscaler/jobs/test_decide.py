from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.jobs.census import Census
from autoscaler.jobs.decide import JobsSpec, decide
from autoscaler.jobs.strategies import Calculation, Strategy, StrategySpec, Waiting
from autoscaler.triggers.samples import Sample
from scalers.readings import Reading, Target


def sample(
    value: float | None, index: int = 0, target: float = 1.0, activation: float = 0.0, name: str = "q"
) -> Sample:
    """None: it could not be read."""
    goal = Target(name, target, activation)
    if value is None:
        return Sample(f"s{index}-{name}", "", "rabbitmq", goal, Reading(50.0), 1.0, failures=2, error="down")
    return Sample(f"s{index}-{name}", "", "rabbitmq", goal, Reading(value), 1.0)


SUM = JobsSpec(calculation=Calculation.SUM)
ACCURATE = StrategySpec(Strategy.ACCURATE)


@pytest.mark.parametrize(
    ("spec", "samples", "census", "make", "active"),
    [
        pytest.param(JobsSpec(), [sample(5)], Census(), 5, True, id="a Job each"),
        pytest.param(JobsSpec(), [sample(5)], Census(2), 3, True, id="less those that run"),
        pytest.param(JobsSpec(), [sample(0)], Census(2), 0, False, id="nothing waits"),
        pytest.param(
            JobsSpec(), [sample(5, activation=5)], Census(), 0, False, id="not more than its activation value"
        ),
        pytest.param(JobsSpec(), [sample(None)], Census(), 0, None, id="not known"),
        pytest.param(JobsSpec(), [sample(None), sample(3, 1)], Census(), 3, True, id="one known, one not"),
        pytest.param(JobsSpec(), [sample(None), sample(0, 1)], Census(), 0, None, id="one empty, one not known"),
        pytest.param(JobsSpec(), [sample(2), sample(3, 1)], Census(), 3, True, id="the greatest"),
        pytest.param(SUM, [sample(2), sample(3, 1)], Census(), 5, True, id="the sum"),
        pytest.param(JobsSpec(), [sample(4), sample(4, name="r")], Census(), 8, True, id="two metrics of one trigger"),
        pytest.param(JobsSpec(most=4), [sample(50)], Census(1), 3, True, id="the most"),
        pytest.param(JobsSpec(least=2), [sample(0)], Census(), 2, True, id="the least"),
        pytest.param(JobsSpec(least=2), [sample(3)], Census(), 5, True, id="the least and what waits, at once"),
        pytest.param(JobsSpec(least=2), [sample(None)], Census(1), 1, True, id="the least, whatever is known"),
        pytest.param(JobsSpec(least=2, most=5), [sample(50)], Census(2), 3, True, id="the most has the least in it"),
        pytest.param(JobsSpec(strategy=ACCURATE), [sample(3)], Census(5, 1), 2, True, id="a strategy"),
        pytest.param(JobsSpec(paused=True), [sample(3)], Census(), 0, True, id="paused"),
    ],
)
def test_decide(spec: JobsSpec, samples: list[Sample], census: Census, make: int, active: bool | None) -> None:
    outcome = decide(spec, samples, census)
    assert (outcome.make, outcome.active) == (make, active)


def test_it_says_why() -> None:
    outcome = decide(JobsSpec(most=10), [sample(30), sample(None, 1)], Census(4, 1))
    assert outcome.waiting == Waiting(30, 30)
    assert outcome.words == (
        "make 6 (default): 30 wait, worth 30 Jobs; 4 run, 1 of them pending; "
        "s1-q is not known: down; limited by maxReplicaCount 10"
    )
    assert decide(JobsSpec(), [sample(None), sample(None, 1)], Census(1)).words == (
        "make none (default): what waits is not known; 1 run, 0 of them pending; s0-q is not known: down; "
        "s1-q is not known: down"
    )
    assert decide(JobsSpec(least=1), [], Census()).words == (
        "make 1 (default): 0 wait, worth 0 Jobs; 0 run, 0 of them pending; 1 of them to have minReplicaCount 1"
    )


@given(
    st.builds(
        JobsSpec,
        least=st.integers(0, 20),
        most=st.integers(20, 60),
        strategy=st.builds(StrategySpec, st.sampled_from(Strategy), st.integers(0, 5), st.floats(0, 1)),
        calculation=st.sampled_from(Calculation),
    ),
    st.lists(st.none() | st.floats(0, 1000), max_size=4),
    st.integers(0, 80),
    st.integers(0, 80),
)
def test_bounds(spec: JobsSpec, values: list[float | None], running: int, pending: int) -> None:
    samples = [sample(value, index) for index, value in enumerate(values)]
    outcome = decide(spec, samples, Census(running, min(pending, running)))
    assert outcome.make >= 0
    assert running + outcome.make <= max(running, spec.most), "never more at a time"
    assert running + outcome.make >= spec.least
    if outcome.active is None:
        assert outcome.make == 0, "what is not known makes no Job"
