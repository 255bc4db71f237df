"""The gradual rollout: Knative's own numbers, and what must hold for any history."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.rollout import (
    NANOSECONDS,
    Rollout,
    Share,
    Steps,
    TargetRollout,
    make_rollout,
    observe_ready,
    parse_rollout,
    step,
    to_json,
)

START = 1_700_000_000 * NANOSECONDS
NONE = Steps()


def at(seconds: float) -> int:
    return START + int(seconds * NANOSECONDS)


def target(*shares: tuple[str, int], name: str = "c", tag: str = "", steps: Steps = NONE) -> TargetRollout:
    return TargetRollout(name, tag, sum(p for _, p in shares), tuple(Share(r, p) for r, p in shares), steps)


def one(*shares: tuple[str, int], steps: Steps = NONE) -> Rollout:
    return make_rollout([target(*shares, steps=steps)])


def shares(rollout: Rollout) -> list[tuple[str, int]]:
    return [(share.revision, share.percent) for each in rollout.targets for share in each.shares]


def test_without_history_the_split_is_as_asked() -> None:
    assert step(one(("r1", 100)), None, START) == (one(("r1", 100)), 0)
    assert step(one(("r1", 100)), Rollout(), START) == (one(("r1", 100)), 0)


def test_a_new_revision_starts_with_one_percent() -> None:
    rollout, due = step(one(("r2", 100)), one(("r1", 100)), START)
    assert shares(rollout) == [("r1", 99), ("r2", 1)]
    assert rollout.targets[0].steps == Steps(start_ns=START)
    assert due == 0, "nothing is due before the gateway has taken the first percent over"
    assert not rollout.done


@pytest.mark.parametrize(
    ("percent", "took_s", "duration_s", "size", "pause_s"),
    [
        pytest.param(100, 1, 100, 1, 1, id="as many steps as percents"),
        pytest.param(100, 1, 50, 2, 1, id="49 steps of 2"),
        pytest.param(100, 25, 120, 26, 25, id="3.8 steps"),
        pytest.param(100, 200, 120, 99, 1, id="slower than the whole duration: one step"),
        pytest.param(50, 1, 30, 2, 1, id="half the traffic"),
        pytest.param(2, 1, 1000, 1, 999, id="one percent is left"),
    ],
)
def test_step_size_follows_from_how_long_the_first_took(
    percent: int, took_s: int, duration_s: int, size: int, pause_s: float
) -> None:
    rollout = one(("r1", percent - 1), ("r2", 1), steps=Steps(start_ns=START))
    measured = observe_ready(rollout, at(took_s), duration_s).targets[0].steps
    assert measured.size == size
    assert measured.duration_ns / NANOSECONDS == pytest.approx(pause_s, rel=0.01)
    assert measured.next_ns == at(took_s) + measured.duration_ns


def test_it_is_measured_once() -> None:
    rollout = observe_ready(one(("r1", 99), ("r2", 1), steps=Steps(start_ns=START)), at(1), 60)
    assert observe_ready(rollout, at(30), 60) == rollout
    assert observe_ready(one(("r1", 100)), at(1), 60) == one(("r1", 100)), "nothing is under way"


def test_rounding_is_half_away_from_zero() -> None:
    rollout = one(("r1", 5), ("r2", 1), steps=Steps(start_ns=START))
    assert observe_ready(rollout, at(1), 3).targets[0].steps.size == 3  # 5 percent in 2 steps


STEPPING = Steps(start_ns=START, next_ns=at(10), duration_ns=5 * NANOSECONDS, size=10)


def test_a_step_that_is_not_due_changes_nothing() -> None:
    before = one(("r1", 99), ("r2", 1), steps=STEPPING)
    assert step(one(("r2", 100)), before, at(9)) == (before, at(10))


def test_a_due_step_drains_the_newest_old_revision_first() -> None:
    before = one(("r1", 60), ("r2", 35), ("r3", 5), steps=STEPPING)
    rollout, due = step(one(("r3", 100)), before, at(10))
    assert shares(rollout) == [("r1", 60), ("r2", 25), ("r3", 15)]
    assert due == at(15)


def test_a_step_may_empty_several_revisions() -> None:
    before = one(("r1", 80), ("r2", 4), ("r3", 6), ("r4", 10), steps=STEPPING)
    rollout, _ = step(one(("r4", 100)), before, at(10))
    assert shares(rollout) == [("r1", 80), ("r4", 20)]


def test_the_last_step_clears_the_state() -> None:
    before = one(("r1", 9), ("r2", 91), steps=STEPPING)
    rollout, due = step(one(("r2", 100)), before, at(10))
    assert (rollout, due) == (one(("r2", 100)), 0)
    assert rollout.done


def test_another_revision_joins_the_tail() -> None:
    before = one(("r1", 70), ("r2", 30), steps=STEPPING)
    rollout, due = step(one(("r3", 100)), before, at(12))
    assert shares(rollout) == [("r1", 70), ("r2", 29), ("r3", 1)]
    assert rollout.targets[0].steps == Steps(start_ns=at(12)), "timing starts anew"
    assert due == 0


def test_one_that_has_only_one_percent_makes_room_by_leaving() -> None:
    before = one(("r1", 99), ("r2", 1), steps=STEPPING)
    rollout, _ = step(one(("r3", 100)), before, at(2))
    assert shares(rollout) == [("r1", 99), ("r3", 1)]


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        pytest.param(100, [("r1", 40), ("r2", 60)], id="more goes to the newest"),
        pytest.param(70, [("r1", 30), ("r2", 40)], id="less comes off the oldest"),
        pytest.param(30, [("r2", 30)], id="which may leave"),
        pytest.param(1, [("r2", 1)], id="one percent is not worth a rollout"),
    ],
)
def test_a_changed_percentage(goal: int, expected: list[tuple[str, int]]) -> None:
    before = one(("r1", 40), ("r2", 40), steps=replace(STEPPING, next_ns=at(1000)))
    rollout, _ = step(one(("r2", goal)), before, at(1))
    assert shares(rollout) == expected


def test_a_target_without_traffic_is_dropped() -> None:
    before = one(("r1", 100))
    assert step(make_rollout([target(("r2", 0))]), before, START) == (Rollout(), 0)


def test_a_step_greater_than_what_is_left() -> None:
    before = one(("r1", 5), ("r2", 10), steps=STEPPING)  # 15 in all, step 10
    rollout, _ = step(one(("r2", 15)), before, at(10))
    assert shares(rollout) == [("r2", 15)]


def test_tags_and_configurations_roll_out_apart() -> None:
    before = make_rollout(
        [target(("a1", 50), name="a"), target(("b1", 50), name="b"), target(("a1", 100), name="a", tag="t")]
    )
    now = make_rollout(
        [
            target(("a2", 50), name="a"),
            target(("b1", 50), name="b"),
            target(("a2", 100), name="a", tag="t"),
            target(("n", 100), name="n", tag="new"),
        ]
    )
    rollout, _ = step(now, before, START)
    assert {(t.configuration, t.tag): [(s.revision, s.percent) for s in t.shares] for t in rollout.targets} == {
        ("a", ""): [("a1", 49), ("a2", 1)],
        ("b", ""): [("b1", 50)],
        ("a", "t"): [("a1", 99), ("a2", 1)],
        ("n", "new"): [("n", 100)],
    }


def test_it_survives_being_written_down() -> None:
    rollout = one(("r1", 60), ("r2", 40), steps=STEPPING)
    text = json.dumps(to_json(rollout))
    assert parse_rollout(text) == rollout
    assert json.loads(text)["configurations"][0]["stepParams"] == {
        "starttime": START,
        "nextStepTime": at(10),
        "stepDuration": 5 * NANOSECONDS,
        "stepSize": 10,
    }


def written(percent: int, share: int, step_size: int = 0) -> str:
    target = {"configurationName": "c", "percent": percent, "revisions": [{"revisionName": "r", "percent": share}]}
    return json.dumps({"configurations": [{**target, "stepParams": {"stepSize": step_size}}]})


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "not json",
        "[]",
        '{"configurations": [{"percent": 100}]}',
        written(101, 101),
        written(100, 99),
        written(1, 1, step_size=2),
    ],
)
def test_what_cannot_be_trusted_is_forgotten(text: str | None) -> None:
    assert parse_rollout(text) is None


@given(
    percent=st.integers(2, 100),
    duration_s=st.integers(1, 3600),
    took_s=st.floats(0, 100),
    releases=st.lists(st.integers(1, 400), max_size=4),
)
def test_any_rollout_ends_and_never_loses_a_percent(
    percent: int, duration_s: int, took_s: float, releases: list[int]
) -> None:
    latest, now = 2, at(took_s)
    rollout, _ = step(one(("r2", percent)), one(("r1", percent)), START)
    for tick in range(1_000):
        if tick in releases:
            latest += 1
        rollout = observe_ready(rollout, now, duration_s)
        rollout, due = step(one((f"r{latest}", percent)), rollout, now)
        assert sum(share.percent for share in rollout.targets[0].shares) == percent
        assert all(share.percent > 0 for share in rollout.targets[0].shares)
        assert rollout.targets[0].shares[-1].revision == f"r{latest}"
        if rollout.done and tick > max(releases, default=0):
            return
        now = max(now + NANOSECONDS, due)
    raise AssertionError("it never ends")
