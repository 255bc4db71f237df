from __future__ import annotations

import pytest

from autoscaler.triggers.activation import Activity, activity_of, may_rest, remember
from autoscaler.triggers.demand import Demand
from autoscaler.triggers.reasons import Rule
from autoscaler.triggers.spec import ScalingSpec

YES, NO, UNKNOWN = (Demand("m", 1, active) for active in (True, False, None))
CPU = Demand("cpu", 9, True, wakes=False)
SPOKEN_FOR = Demand("m", 9, True, counts=False)


@pytest.mark.parametrize(
    ("demands", "active"),
    [
        pytest.param([NO, YES], True, id="any"),
        pytest.param([UNKNOWN, YES], True, id="one that is known suffices"),
        pytest.param([NO, UNKNOWN], None, id="not known"),
        pytest.param([NO, NO], False, id="none"),
        pytest.param([NO, CPU], False, id="cpu has no say"),
        pytest.param([CPU], True, id="cpu alone: always"),
        pytest.param([SPOKEN_FOR, NO], False, id="a formula speaks for it"),
        pytest.param([], None, id="nothing has been read"),
    ],
)
def test_activity(demands: list[Demand], active: bool | None) -> None:
    assert activity_of(ScalingSpec(), demands) is active
    assert activity_of(ScalingSpec(forced=True), demands) is True


@pytest.mark.parametrize(
    ("answers", "last_active"),
    [
        pytest.param([False, False], None, id="never"),
        pytest.param([True, False, False], 1.0, id="once"),
        pytest.param([True, None, None, False], 3.0, id="not known after activity is activity"),
        pytest.param([True, False, None, False], 1.0, id="a failure in the cooldown does not begin it anew"),
        pytest.param([None, False], None, id="not known at first"),
    ],
)
def test_when_it_was_last_active(answers: list[bool | None], last_active: float | None) -> None:
    activity = Activity(0.0)
    for second, active in enumerate(answers, start=1):
        activity = remember(activity, active, float(second))
    assert activity.last_active == last_active


@pytest.mark.parametrize(
    ("activity", "in_flight", "now", "rule", "until"),
    [
        pytest.param(Activity(0.0), 0.0, 0.0, None, None, id="never active: no cooldown"),
        pytest.param(Activity(0.0, 10.0), 0.0, 309.0, Rule.COOLDOWN, 310.0, id="cooldown"),
        pytest.param(Activity(0.0, 10.0), 0.0, 310.0, None, None, id="its end"),
        pytest.param(Activity(0.0, 10.0), 2.0, 310.0, Rule.IN_FLIGHT, None, id="in flight"),
    ],
)
def test_may_rest(activity: Activity, in_flight: float, now: float, rule: Rule | None, until: float | None) -> None:
    waits = may_rest(ScalingSpec(), activity, in_flight, now)
    assert (waits and (waits[0].rule, waits[1])) == (rule and (rule, until))


def test_the_initial_cooldown_is_counted_from_creation() -> None:
    spec = ScalingSpec(initial_cooldown_s=60.0)
    waits = may_rest(spec, Activity(100.0), 0.0, 130.0)
    assert waits is not None
    assert (waits[0].rule, waits[1]) == (Rule.INITIAL_COOLDOWN, 160.0)
    assert may_rest(spec, Activity(100.0), 0.0, 160.0) is None
