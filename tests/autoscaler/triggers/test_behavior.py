"""Tables: each rule, the user stories of KEP-853 with their numbers, and what older controllers got wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.triggers.behavior import (
    CHANGES_MAX,
    Change,
    History,
    begin_history,
    forget_last_change,
    limit_down,
    limit_up,
    remember_change,
    remember_want,
    stabilize,
)
from autoscaler.triggers.spec import Behavior, Policy, PolicyType, ScalingRules, SelectPolicy

PODS, PERCENT = PolicyType.PODS, PolicyType.PERCENT
MAX, MIN, DISABLED = SelectPolicy.MAX, SelectPolicy.MIN, SelectPolicy.DISABLED


def rules(*policies: Policy, window_s: float = 0.0, select: SelectPolicy = MAX) -> ScalingRules:
    return ScalingRules(window_s, select, policies)


class Target:
    """A scale under a behavior, as the controller would run it."""

    def __init__(self, behavior: Behavior, replicas: int, now: float = 0.0) -> None:
        self.behavior, self.replicas, self.now = behavior, replicas, now
        self.history = begin_history(replicas, now)

    def want(self, want: int, after_s: float = 60.0) -> int:
        self.now += after_s
        self.history = remember_want(self.behavior, self.history, want, self.now)
        stable = stabilize(self.behavior, self.history, self.replicas, want).replicas
        if stable >= self.replicas:
            to = limit_up(self.behavior.up, self.history, self.replicas, stable, 1, self.now).replicas
        else:
            to = limit_down(self.behavior.down, self.history, self.replicas, stable, self.now).replicas
        if to != self.replicas:
            self.history = remember_change(self.behavior, self.history, to - self.replicas, self.now)
        self.replicas = to
        return to


FAST = rules(Policy(PERCENT, 900, 60.0))
ONE_IN_TEN_MINUTES = rules(Policy(PODS, 1, 600.0))
STORY_5 = rules(Policy(PODS, 5, 60.0), window_s=600.0)
STORY_6 = rules(Policy(PODS, 20, 60.0), window_s=300.0)


@pytest.mark.parametrize(
    ("behavior", "replicas", "wants", "becomes"),
    [
        pytest.param(Behavior(up=FAST), 1, [1000] * 4, [10, 100, 1000, 1000], id="1: up as fast as possible"),
        pytest.param(
            Behavior(FAST, ONE_IN_TEN_MINUTES),
            1000,
            [5] * 12,
            [999] * 10 + [998] * 2,
            id="2: down one in ten minutes",
        ),
        pytest.param(Behavior(up=rules(Policy(PODS, 1, 60.0))), 1, [9] * 3, [2, 3, 4], id="3: up gradually"),
        pytest.param(
            Behavior(down=rules(select=DISABLED)), 5, [9, 1, 0, 12], [9, 9, 9, 12], id="4: up as usual, never down"
        ),
        pytest.param(
            Behavior(down=STORY_5),
            10,
            [10, 9, 8, 9, 9, 8, 9, 8, 9, 8, 7],
            [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 9],
            id="5: stabilized before going down",
        ),
        pytest.param(Behavior(up=STORY_6), 2, [2, 3, 19, 10, 3, 4, 7], [2, 2, 2, 2, 2, 3, 3], id="6: no spike goes up"),
    ],
)
def test_the_stories_of_kep_853(behavior: Behavior, replicas: int, wants: list[int], becomes: list[int]) -> None:
    """A cycle a minute. In the text story 6 keeps six entries in a window of five minutes, story 5 ten in one of ten:
    the controller's code does as story 5, an entry as old as the window has left it."""
    target = Target(behavior, replicas)
    assert [target.want(want) for want in wants] == becomes


def test_story_3_waits_its_five_minutes() -> None:
    target = Target(Behavior(up=rules(Policy(PODS, 1, 300.0))), 1)
    assert [target.want(9) for _ in range(11)] == [2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4]


LADDER = rules(Policy(PODS, 4, 15.0), Policy(PERCENT, 100, 15.0))


@pytest.mark.parametrize(
    ("up", "current", "want", "changes", "to"),
    [
        pytest.param(LADDER, 1, 100, [], 5, id="the larger of 4 and 100 %"),
        pytest.param(LADDER, 8, 100, [], 16, id="doubled"),
        pytest.param(rules(Policy(PODS, 4, 15.0), Policy(PERCENT, 100, 15.0), select=MIN), 1, 100, [], 2, id="Min"),
        pytest.param(
            rules(Policy(PODS, 4, 15.0), Policy(PERCENT, 100, 15.0), select=MIN), 10, 100, [], 14, id="Min, of many"
        ),
        pytest.param(rules(Policy(PODS, 4, 15.0), select=DISABLED), 3, 100, [], 3, id="Disabled"),
        pytest.param(rules(), 3, 100, [], 100, id="no policies, no limit"),
        pytest.param(rules(Policy(PERCENT, 10, 15.0)), 100, 200, [], 110, id="ten percent more than 100 are 110"),
        pytest.param(rules(Policy(PERCENT, 10, 15.0)), 1, 100, [], 2, id="a fraction is one"),
        pytest.param(rules(Policy(PODS, 4, 60.0)), 6, 100, [Change(950.0, 3)], 7, id="3 of 4 were added"),
        pytest.param(rules(Policy(PODS, 4, 60.0)), 6, 100, [Change(940.0, 3)], 10, id="a minute ago: no more"),
        pytest.param(rules(Policy(PODS, 4, 60.0)), 6, 100, [Change(950.0, -5)], 15, id="the removed may come back"),
        pytest.param(
            rules(Policy(PODS, 4, 60.0)), 6, 100, [Change(950.0, 6), Change(960.0, -2)], 6, id="both directions"
        ),
        pytest.param(rules(Policy(PODS, 1, 60.0)), 9, 100, [Change(950.0, 8)], 9, id="never below what there is"),
        pytest.param(LADDER, 0, 100, [], 5, id="from zero: counted from the first"),
        pytest.param(rules(Policy(PERCENT, 900, 60.0)), 0, 100, [], 10, id="from zero by percent"),
        pytest.param(rules(select=DISABLED), 0, 100, [], 1, id="from zero, disabled: activation alone"),
    ],
)
def test_up(up: ScalingRules, current: int, want: int, changes: list[Change], to: int) -> None:
    history = History((), (), tuple(changes))
    assert limit_up(up, history, current, want, 1, 1000.0).replicas == to


@pytest.mark.parametrize(
    ("down", "current", "want", "changes", "to"),
    [
        pytest.param(rules(Policy(PODS, 2, 60.0)), 10, 1, [], 8, id="Pods"),
        pytest.param(rules(Policy(PERCENT, 10, 60.0)), 95, 1, [], 85, id="Percent, truncated"),
        pytest.param(rules(Policy(PODS, 2, 60.0), Policy(PERCENT, 50, 60.0)), 10, 1, [], 5, id="Max: the most change"),
        pytest.param(rules(Policy(PODS, 2, 60.0), Policy(PERCENT, 50, 60.0), select=MIN), 10, 1, [], 8, id="Min"),
        pytest.param(rules(select=DISABLED), 10, 1, [], 10, id="Disabled"),
        pytest.param(rules(Policy(PODS, 2, 60.0)), 8, 1, [Change(950.0, -2)], 8, id="two have gone"),
        pytest.param(rules(Policy(PODS, 2, 60.0)), 8, 1, [Change(950.0, 6)], 0, id="the added may go"),
        pytest.param(rules(Policy(PODS, 5, 60.0)), 3, 0, [], 0, id="to zero"),
        pytest.param(rules(Policy(PERCENT, 200, 60.0)), 3, 0, [], 0, id="more than all"),
    ],
)
def test_down(down: ScalingRules, current: int, want: int, changes: list[Change], to: int) -> None:
    history = History((), (), tuple(changes))
    assert limit_down(down, history, current, want, 1000.0).replicas == max(want, to)


def test_min_on_the_way_up_scales_up() -> None:
    """An older controller began the fold of Min at 0 and never went up."""
    assert Target(Behavior(up=rules(Policy(PODS, 2, 15.0), select=MIN)), 3).want(9) == 5


def test_a_window_counts_against_the_other_direction_too() -> None:
    """An older controller looked at the window of the wanted direction alone: here both windows are open."""
    both = Behavior(rules(window_s=120.0), rules(window_s=300.0))
    target = Target(both, 5)
    assert [target.want(want) for want in (9, 2, 9, 9, 9)] == [5, 5, 5, 9, 9]


def test_when_it_will_change() -> None:
    target = Target(Behavior(up=rules(Policy(PODS, 4, 60.0))), 1)
    history = remember_want(target.behavior, target.history, 1, 20.0)
    held = stabilize(target.behavior, history, 3, 1)
    assert held.until is None, "it was 1 that was wanted at first"
    history = remember_want(target.behavior, begin_history(3, 0.0), 1, 20.0)
    assert stabilize(target.behavior, history, 3, 1).until == 300.0
    assert limit_up(target.behavior.up, history, 1, 99, 1, 20.0).until == 80.0
    changed = remember_change(target.behavior, history, 4, 10.0)
    assert limit_up(target.behavior.up, changed, 5, 99, 1, 20.0).until == 70.0


def test_the_change_that_is_made_now_leaves_its_period_too() -> None:
    """The one there was stays longer in the other's."""
    up = rules(Policy(PODS, 1, 10.0), Policy(PODS, 1, 300.0), select=MIN)
    history = History((), (), (Change(1.0, -1),))
    assert limit_up(up, history, 1, 3, 1, 17.0)[::2] == (2, 27.0)
    assert limit_up(up, History((), (), (Change(1.0, 1),)), 2, 3, 1, 17.0)[::2] == (2, 301.0)


def test_a_change_that_was_not_written_is_forgotten() -> None:
    behavior = Behavior(up=rules(Policy(PODS, 4, 60.0)))
    history = remember_change(behavior, begin_history(1, 0.0), 4, 1.0)
    assert forget_last_change(history).changes == ()


def test_changes_are_bounded() -> None:
    behavior, history = Behavior(up=rules(Policy(PODS, 1, 1800.0))), begin_history(0, 0.0)
    for second in range(1000):
        history = remember_change(behavior, history, 1, float(second))
    assert len(history.changes) <= CHANGES_MAX
    assert sum(change.by for change in history.changes) == 1000


policies = st.builds(Policy, st.sampled_from(PolicyType), st.integers(1, 120), st.sampled_from([10.0, 60.0, 300.0]))
scaling_rules = st.builds(
    ScalingRules,
    st.sampled_from([0.0, 30.0, 300.0]),
    st.sampled_from([MAX, MIN]),
    st.lists(policies, max_size=3).map(tuple),
)
series = st.lists(st.tuples(st.integers(0, 60), st.sampled_from([1.0, 5.0, 15.0, 60.0])), max_size=40)


@given(scaling_rules, scaling_rules, st.integers(1, 50), series)
def test_limits_hold_over_any_series(
    up: ScalingRules, down: ScalingRules, replicas: int, wants: list[tuple[int, float]]
) -> None:
    """Judged from the series alone: each step against the scale that there was when each policy's period began."""
    target = Target(Behavior(up, down), replicas)
    steps = [(0.0, replicas)]
    raw = [(0.0, replicas)]
    for want, after_s in wants:
        before = target.replicas
        to = target.want(want, after_s)
        now = target.now
        raw.append((now, want))

        def scale_at(time: float) -> int:
            return [scale for at, scale in steps if at <= time or at == 0.0][-1]

        if to > before and up.policies:
            allowed = [_most(policy, max(1, scale_at(now - policy.period_s))) for policy in up.policies]
            assert to <= (min if up.select is MIN else max)(allowed)
            assert to <= min([w for at, w in raw if at > now - up.stabilization_window_s] + [want])
        if to < before and down.policies:
            kept = [_least(policy, scale_at(now - policy.period_s)) for policy in down.policies]
            assert to >= (max if down.select is MIN else min)(kept)
            assert to >= max([w for at, w in raw if at > now - down.stabilization_window_s] + [want])
        steps.append((now, to))


def _most(policy: Policy, start: int) -> float:
    return start + policy.value if policy.type is PODS else start * (1 + policy.value / 100) + 1


def _least(policy: Policy, start: int) -> float:
    return start - policy.value if policy.type is PODS else start * (1 - policy.value / 100) - 1
