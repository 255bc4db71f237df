from __future__ import annotations

import math

import pytest

from autoscaler.triggers.drain_time import RETRY_S, Flow, Rate, about, find_ceiling, learn
from autoscaler.triggers.reasons import Rule
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import Behavior, ScalingRules, ScalingSpec
from scalers.readings import Reading
from tests.autoscaler.triggers.cases import LAG, Run, once, partly_read, read, rules

SPEC = ScalingSpec(drain_time_s=30.0, max_replicas=100, behavior=Behavior(down=ScalingRules()))


class Queue:
    """Messages, and consumers that each take `per_s` a second; all together never more than `at_most`."""

    def __init__(self, per_s: float, arriving: float, waiting: float = 0.0, at_most: float = math.inf) -> None:
        self.per_s, self.arriving, self.waiting, self.at_most = per_s, arriving, waiting, at_most
        self.produced, self.consumed = waiting, 0.0

    def pass_(self, seconds: float, replicas: int) -> None:
        self.produced += self.arriving * seconds
        self.waiting += self.arriving * seconds
        done = min(self.waiting, min(self.per_s * replicas, self.at_most) * seconds)
        self.waiting -= done
        self.consumed += done

    def read(self, now: float, replicas_max: int | None = None) -> Sample:
        return read(self.waiting, now, produced=self.produced, consumed=self.consumed, replicas_max=replicas_max)


def drive(run: Run, queue: Queue, seconds: int, replicas_max: int | None = None) -> list[int]:
    """A decision a second; replicas are ready at once."""
    counts = []
    for _ in range(seconds):
        queue.pass_(1.0, run.replicas)
        counts.append(run.step([queue.read(run.now + 1.0, replicas_max)], 1.0))
    return counts


def test_before_rates_are_known_the_threshold_decides() -> None:
    run, queue = Run(SPEC), Queue(per_s=5.0, arriving=0.0, waiting=300.0)
    assert drive(run, queue, 1) == [30]


def test_a_backlog_is_through_in_its_time() -> None:
    run, queue = Run(SPEC, 10), Queue(per_s=10.0, arriving=50.0, waiting=1000.0)
    drive(run, queue, 60)
    queue.waiting, queue.produced = queue.waiting + 15000.0, queue.produced + 15000.0
    drive(run, queue, 1)
    sized = run.replicas
    drive(run, queue, 32)
    assert queue.waiting < 100.0
    assert sized <= 60, "15,000 in 30 s are 500/s, and 50/s arrive: 55, and the error"


def test_in_balance_it_has_what_arrival_takes() -> None:
    run, queue = Run(SPEC, 1), Queue(per_s=10.0, arriving=95.0)
    drive(run, queue, 300)
    assert 10 <= run.replicas <= 13, "9.5 are busy"
    assert queue.waiting < 95.0 * 30.0


def test_when_it_cannot_be_met_it_says_so() -> None:
    run, queue = Run(SPEC, 4), Queue(per_s=10.0, arriving=100.0, waiting=5000.0)
    drive(run, queue, 20, replicas_max=4)
    assert run.replicas == 4
    assert run.outcome is not None
    (missed,) = [each for each in run.outcome.reasons if each.rule is Rule.DRAIN_TIME_MISSED]
    assert str(missed) == "s0-orders misses its drain time of 30s: with 4 it never"


def test_replicas_that_add_no_throughput_are_not_added() -> None:
    """A database behind the consumers takes 100/s, whoever asks: more than 10 consumers bring nothing (keda#7092)."""
    run, queue = Run(SPEC, 5), Queue(per_s=10.0, arriving=52.0, waiting=60.0, at_most=100.0)
    drive(run, queue, 60)
    queue.arriving = 250.0
    counts = drive(run, queue, 60)
    assert max(counts) > 20, "it was tried"
    assert counts[-1] <= 13
    assert run.outcome is not None
    assert Rule.NO_MORE_THROUGHPUT in rules(run.outcome)
    queue.at_most = math.inf
    drive(run, queue, int(RETRY_S) + 60)
    assert run.replicas > 20, "tried again, and found that more bring more"


def test_counters_that_begin_anew_say_nothing_of_that_interval() -> None:
    flow = learn(None, Reading(100.0, produced=1000.0, consumed=900.0), 0.0, 2)
    flow = learn(flow, Reading(100.0, produced=1100.0, consumed=1000.0), 10.0, 2)
    assert (flow.arrival.mean, flow.service.mean) == (10.0, 5.0)
    again = learn(flow, Reading(100.0, produced=3.0, consumed=2.0), 20.0, 2)
    assert (again.arrival, again.service) == (flow.arrival, flow.service)
    after = learn(again, Reading(100.0, produced=103.0, consumed=102.0), 30.0, 2)
    assert (after.arrival.mean, after.service.mean) == (10.0, 5.0)


@pytest.mark.parametrize(
    ("before", "ready_before", "after", "ready"),
    [
        pytest.param(100.0, 2, 0.0, 2, id="it ran dry"),
        pytest.param(100.0, 2, 100.0, 4, id="two came in between"),
        pytest.param(100.0, 0, 100.0, 0, id="none"),
        pytest.param(1.0, 2, 1.0, 2, id="work for one of two"),
    ],
)
def test_service_is_measured_only_while_all_have_work(
    before: float, ready_before: int, after: float, ready: int
) -> None:
    flow = learn(None, Reading(before, produced=0.0, consumed=0.0), 0.0, ready_before)
    flow = learn(flow, Reading(after, produced=10.0, consumed=100.0), 10.0, ready)
    assert flow.service.measurements == 0
    assert flow.arrival.measurements == 1


def test_what_was_read_in_part_teaches_nothing_and_raises() -> None:
    run, queue = Run(SPEC, 10), Queue(per_s=10.0, arriving=50.0, waiting=3000.0)
    drive(run, queue, 10)
    flows = run.state.flows
    run.step([partly_read(2.0, run.now + 1.0, produced=1.0, consumed=1.0)], 1.0)
    assert run.state.flows == flows


def test_the_same_reading_twice_teaches_nothing() -> None:
    run, queue = Run(SPEC, 10), Queue(per_s=10.0, arriving=50.0, waiting=3000.0)
    drive(run, queue, 10)
    flows = run.state.flows
    run.step([queue.read(run.now)], 0.0)
    assert run.state.flows == flows


def test_sources_that_do_not_count_keep_to_the_threshold() -> None:
    run = Run(SPEC, 2)
    for _ in range(20):
        run.step([read(35.0, run.now + 1.0)], 1.0)
    assert run.replicas == 4


def test_a_rate_is_a_weighted_mean_with_its_error() -> None:
    rate = Rate()
    for value in (10.0, 20.0, 30.0):
        rate = rate.measured(value, 1.0)
    assert rate.mean == pytest.approx(20.0)
    assert not rate.known, "three seconds are too few"
    steady = Rate()
    for _ in range(100):
        steady = steady.measured(7.0, 1.0)
    assert (steady.mean, steady.error, steady.known) == (7.0, 0.0, True)
    for _ in range(120):
        steady = steady.measured(70.0, 1.0)
    assert steady.mean == pytest.approx(70.0, rel=0.05), "the past is forgotten"


def test_lumpy_commits_have_a_large_error_and_a_right_mean() -> None:
    """A consumer that commits every five seconds, read every second."""
    rate = Rate()
    for second in range(300):
        rate = rate.measured(50.0 if second % 5 == 4 else 0.0, 1.0)
    assert rate.mean == pytest.approx(10.0, rel=0.1)
    assert 1.0 < rate.error < 6.0


def test_a_ceiling() -> None:
    many = about(20)
    ceiling = find_ceiling({5: steady(50.0), many: steady(51.0)}, 20, 100.0)
    assert ceiling is not None
    assert (ceiling.replicas, ceiling.until) == (6, 100.0 + RETRY_S)
    assert find_ceiling({5: steady(50.0), many: steady(190.0)}, 20, 0.0) is None, "more bring more"
    assert find_ceiling({many: steady(190.0)}, 20, 0.0) is None, "nothing to compare with"
    assert find_ceiling({18: steady(190.0), many: steady(190.0)}, 20, 0.0) is None, "too near to compare"


@pytest.mark.parametrize(("replicas", "of"), [(0, 0), (1, 1), (2, 2), (5, 5), (8, 7), (19, 18), (20, 18), (100, 108)])
def test_numbers_that_are_about_the_same(replicas: int, of: int) -> None:
    assert about(replicas) == of


def steady(value: float) -> Rate:
    rate = Rate()
    for _ in range(10):
        rate = rate.measured(value, 1.0)
    return rate


def test_it_is_one_demand_among_others() -> None:
    """cpu and Value metrics are sized as ever."""
    flow = Flow(0.0, Reading(0.0), 1)
    state = once(SPEC, 1, read(5.0)).state
    assert set(state.flows) == {"s0-orders"}
    assert state.flows["s0-orders"].ready == flow.ready
    assert once(SPEC, 1, read(5.0, target=LAG), read(95.0, name="b")).desired == 10
