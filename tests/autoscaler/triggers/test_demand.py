from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.triggers.demand import Basis, demand_of, evenly, longest_age, replicas_of
from autoscaler.triggers.reasons import Rule
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import Behavior, ScalingRules, ScalingSpec
from scalers.readings import MetricType, Reading, Target
from tests.autoscaler.triggers.cases import LAG, cpu, failing, partly_read, read

AVERAGE, VALUE, UTILIZATION = MetricType.AVERAGE_VALUE, MetricType.VALUE, MetricType.UTILIZATION


@pytest.mark.parametrize(
    ("value", "target", "metric_type", "ready", "replicas"),
    [
        pytest.param(0.0, 10.0, AVERAGE, 3, 0, id="nothing"),
        pytest.param(1.0, 10.0, AVERAGE, 3, 1, id="one is some"),
        pytest.param(1e-12, 10.0, AVERAGE, 3, 1, id="anything is some"),
        pytest.param(30.0, 10.0, AVERAGE, 3, 3, id="exactly"),
        pytest.param(31.0, 10.0, AVERAGE, 3, 4, id="rounded up"),
        pytest.param(30.000000000000004, 10.0, AVERAGE, 3, 3, id="noise of the value"),
        pytest.param(0.30000000000000004, 0.1, AVERAGE, 3, 3, id="noise of the target"),
        pytest.param(-5.0, 10.0, AVERAGE, 3, 0, id="less than nothing"),
        pytest.param(1e12, 10.0, AVERAGE, 3, 10**11, id="very many"),
        pytest.param(30.0, 10.0, VALUE, 2, 6, id="Value: as much more as is ready"),
        pytest.param(5.0, 10.0, VALUE, 3, 2, id="Value: less"),
        pytest.param(30.0, 10.0, VALUE, 0, 3, id="Value: none ready"),
        pytest.param(75.0, 50.0, UTILIZATION, 4, 6, id="Utilization"),
        pytest.param(75.0, 50.0, UTILIZATION, 0, 2, id="Utilization: none ready"),
    ],
)
def test_replicas(value: float, target: float, metric_type: MetricType, ready: int, replicas: int) -> None:
    assert replicas_of(value, target, metric_type, ready) == replicas


@pytest.mark.parametrize("lag", [51.0, 55.0, 59.0, 60.0, 1000.0])
def test_the_cap_is_exact(lag: float) -> None:
    """KEDA divides and floors before it compares: with 5 partitions 51 to 59 made 6 replicas (keda#4483)."""
    demand = demand_of(ScalingSpec(), read(lag, replicas_max=5), 0, 0, 0.0)
    assert (demand.replicas, demand.wanted) == (5, math.ceil(lag / 10))
    assert [reason.rule for reason in demand.remarks] == [Rule.METRIC_CAP]


@pytest.mark.parametrize(
    ("shares", "replicas", "even"),
    [(13, 2, 2), (13, 5, 5), (13, 6, 5), (13, 7, 7), (13, 12, 7), (13, 13, 13), (10, 7, 5), (97, 50, 49), (4, 0, 0)],
)
def test_even_shares(shares: int, replicas: int, even: int) -> None:
    assert evenly(shares, replicas) == even


@given(st.integers(1, 200), st.integers(1, 200))
def test_even_shares_are_the_fewest_with_the_largest_share_of_so_many(shares: int, replicas: int) -> None:
    replicas = min(replicas, shares)
    largest = math.ceil(shares / replicas)
    fewest = next(n for n in range(1, shares + 1) if math.ceil(shares / n) <= largest)
    assert evenly(shares, replicas) == fewest


@pytest.mark.parametrize("partitions", range(1, 70))
def test_the_last_replica_of_a_cap_is_reached_within_any_tolerance(partitions: int) -> None:
    """In KEDA a capped metric stays within the controller's tolerance from 12 partitions on (keda#2908, keda#4791)."""
    tolerant = ScalingSpec(behavior=Behavior(up=ScalingRules(tolerance=0.1)))
    lag = read(partitions * 10.0, replicas_max=partitions)
    assert demand_of(tolerant, lag, partitions - 1, partitions - 1, 0.0).replicas == partitions


def tolerant(up: float | None = None, down: float | None = None) -> ScalingSpec:
    return ScalingSpec(behavior=Behavior(ScalingRules(tolerance=up), ScalingRules(tolerance=down)))


@pytest.mark.parametrize(
    ("spec", "current", "lag", "replicas"),
    [
        pytest.param(tolerant(), 10, 101.0, 11, id="none written: none"),
        pytest.param(tolerant(up=0.1), 10, 109.0, 10, id="up, within"),
        pytest.param(tolerant(up=0.1), 10, 110.0, 10, id="up, at its edge"),
        pytest.param(tolerant(up=0.1), 10, 111.0, 12, id="up, beyond"),
        pytest.param(tolerant(up=0.1), 10, 89.0, 9, id="up says nothing of down"),
        pytest.param(tolerant(down=0.2), 10, 80.0, 10, id="down, at its edge"),
        pytest.param(tolerant(down=0.2), 10, 79.0, 8, id="down, beyond"),
        pytest.param(tolerant(down=0.2), 10, 101.0, 11, id="down says nothing of up"),
        pytest.param(tolerant(up=9.0), 0, 5.0, 1, id="from zero there is none"),
        pytest.param(tolerant(up=0.5), 99, 999.0, 100, id="the last step to maxReplicaCount"),
    ],
)
def test_tolerance(spec: ScalingSpec, current: int, lag: float, replicas: int) -> None:
    assert demand_of(spec, read(lag), current, current, 0.0).replicas == replicas


@pytest.mark.parametrize(
    ("sample", "error"),
    [
        pytest.param(failing(), "connection refused", id="failing"),
        pytest.param(Sample("s0-orders", "", "kafka", None), "nothing was read yet", id="never read"),
        pytest.param(Sample("s0-orders", "", "kafka", LAG), "nothing was read yet", id="target alone"),
        pytest.param(read(math.nan), "what was read is not a number", id="NaN"),
        pytest.param(read(math.inf), "what was read is not a number", id="infinite"),
        pytest.param(read(5.0, -121.0), "it was read 121s ago, three polling intervals or more", id="long ago"),
    ],
)
def test_what_is_not_known(sample: Sample, error: str) -> None:
    demand = demand_of(ScalingSpec(), sample, 3, 3, 0.0)
    assert (demand.replicas, demand.active, demand.basis, demand.error) == (None, None, Basis.UNKNOWN, error)


def test_the_age_that_a_reading_may_have() -> None:
    assert longest_age(ScalingSpec()) == 120.0
    assert demand_of(ScalingSpec(), read(5.0, -120.0), 0, 0, 0.0).replicas == 1


@pytest.mark.parametrize(
    ("sample", "active", "at_least"),
    [
        pytest.param(read(1.0), True, False, id="some"),
        pytest.param(read(0.0), False, False, id="none"),
        pytest.param(read(0.0, activation=1.0), True, False, id="by another number than it is scaled by"),
        pytest.param(read(50.0, target=Target("m", 10.0, 50.0)), False, False, id="not above its activation value"),
        pytest.param(read(51.0, target=Target("m", 10.0, 50.0)), True, False, id="above it"),
        pytest.param(partly_read(1.0), True, True, id="a part of it"),
        pytest.param(partly_read(0.0), None, True, id="nothing in a part"),
    ],
)
def test_activity(sample: Sample, active: bool | None, at_least: bool) -> None:
    demand = demand_of(ScalingSpec(), sample, 0, 0, 0.0)
    assert (demand.active, demand.at_least) == (active, at_least)


def test_a_push_is_activity_whatever_was_read_before() -> None:
    old = Sample("s0-orders", "orders", "kafka", LAG, Reading(0.0), 0.0, pushed=True)
    assert demand_of(ScalingSpec(), old, 0, 0, 0.0).active is True
    unread = Sample("s0-orders", "orders", "kafka", None, pushed=True)
    demand = demand_of(ScalingSpec(), unread, 0, 0, 0.0)
    assert (demand.active, demand.replicas) == (True, None)


@pytest.mark.parametrize(
    ("percent", "ready", "replicas"),
    [
        pytest.param(80.0, 4, 10, id="over it: 7 would do, but six of ten are starting"),
        pytest.param(80.0, 8, 13, id="over it, and more are needed than there are"),
        pytest.param(25.0, 4, 2, id="below it"),
        pytest.param(80.0, 0, 2, id="none ready"),
    ],
)
def test_what_is_too_much_does_not_become_too_little_while_others_start(
    percent: float, ready: int, replicas: int
) -> None:
    """As the controller: with those that are not ready at nothing, the ratio must not change its side."""
    assert demand_of(ScalingSpec(), cpu(percent), 10, ready, 0.0).replicas == replicas


def test_resources_do_not_wake() -> None:
    assert demand_of(ScalingSpec(), cpu(80.0), 2, 2, 0.0).wakes is False
    assert demand_of(ScalingSpec(), failing(target=None, type_="memory"), 2, 2, 0.0).wakes is False
