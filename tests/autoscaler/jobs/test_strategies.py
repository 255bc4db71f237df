from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.jobs.strategies import Calculation, Strategy, StrategySpec, Waiting, combine, jobs_to_make, worth


def spec(kind: Strategy, deduction: int = 0, percentage: float = 0.0) -> StrategySpec:
    return StrategySpec(kind, deduction, percentage)


DEFAULT, ACCURATE, EAGER = spec(Strategy.DEFAULT), spec(Strategy.ACCURATE), spec(Strategy.EAGER)


@pytest.mark.parametrize(
    ("strategy", "queue", "running", "pending", "most", "made"),
    [
        pytest.param(DEFAULT, 10, 3, 0, 100, 7, id="default: a running one's message still waits"),
        pytest.param(DEFAULT, 10, 3, 0, 5, 2, id="default: up to the bound"),
        pytest.param(DEFAULT, 2, 3, 0, 100, 0, id="default: more run than wait"),
        pytest.param(spec(Strategy.CUSTOM, 1, 0.5), 10, 3, 0, 100, 8, id="custom: 10 - 1 - trunc(1.5)"),
        pytest.param(spec(Strategy.CUSTOM, 1, 0.5), 10, 3, 0, 4, 2, id="custom: of the bound, 4 - 1 - 1"),
        pytest.param(spec(Strategy.CUSTOM), 10, 3, 0, 10, 10, id="custom: nothing is taken off"),
        pytest.param(ACCURATE, 10, 3, 0, 100, 10, id="accurate: a running one's message waits no more"),
        pytest.param(ACCURATE, 10, 3, 2, 100, 8, id="accurate: a pending one's does"),
        pytest.param(ACCURATE, 10, 3, 0, 11, 8, id="accurate: what is left of the bound"),
        pytest.param(ACCURATE, 10, 3, 2, 11, 8, id="accurate: just within the bound"),
        pytest.param(EAGER, 10, 3, 0, 20, 10, id="eager: all that waits"),
        pytest.param(EAGER, 10, 3, 0, 8, 5, id="eager: fills what is left"),
        pytest.param(EAGER, 10, 3, 2, 8, 3, id="eager: less those that have not begun"),
        pytest.param(DEFAULT, 0, 0, 0, 100, 0, id="nothing waits"),
        pytest.param(DEFAULT, 0.2, 0, 0, 100, 1, id="a part of a message is one"),
    ],
)
def test_strategies(strategy: StrategySpec, queue: float, running: int, pending: int, most: int, made: int) -> None:
    assert jobs_to_make(strategy, worth(queue, 1.0, None), running, pending, most) == made


def test_a_job_may_take_several() -> None:
    assert worth(25, 10, None) == Waiting(25, 2.5)
    assert jobs_to_make(DEFAULT, worth(25, 10, None), 0, 0, 100) == 3
    assert jobs_to_make(DEFAULT, worth(1000, 1, 6), 0, 0, 100) == 6, "more would have no partition"


A, B = Waiting(10, 5.0), Waiting(4, 8.0)


@pytest.mark.parametrize(
    ("calculation", "found", "expected"),
    [
        (Calculation.MAX, [A, B], A),
        (Calculation.MIN, [A, B], B),
        (Calculation.AVG, [A, B], Waiting(7, 6.5)),
        (Calculation.SUM, [A, B], Waiting(14, 13)),
        (Calculation.MAX, [], Waiting(0, 0)),
        (Calculation.MIN, [], Waiting(0, 0)),
        (Calculation.AVG, [], Waiting(0, 0)),
        (Calculation.SUM, [], Waiting(0, 0)),
    ],
)
def test_several_triggers(calculation: Calculation, found: list[Waiting], expected: Waiting) -> None:
    assert combine(calculation, found) == expected


@given(
    st.sampled_from([DEFAULT, ACCURATE, EAGER, spec(Strategy.CUSTOM, 2, 0.3)]),
    st.floats(0, 1e6),
    st.integers(0, 200),
    st.integers(0, 200),
    st.integers(0, 100),
)
def test_never_fewer_than_none_nor_more_than_wait(
    strategy: StrategySpec, queue: float, running: int, pending: int, most: int
) -> None:
    made = jobs_to_make(strategy, worth(queue, 1.0, None), running, min(pending, running), most)
    assert 0 <= made <= min(most, queue + 1)
