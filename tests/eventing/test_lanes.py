from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.lanes import Lanes, Rate


def started(lanes: Lanes[int]) -> list[int]:
    items = []
    while (found := lanes.start()) is not None:
        items.append(found[0])
    return items


def test_no_more_start_than_may_be_in_flight() -> None:
    lanes: Lanes[int] = Lanes(2)
    for item in range(4):
        lanes.put(item, None)
    assert started(lanes) == [0, 1]
    lanes.over(None)
    assert started(lanes) == [2]
    assert (lanes.held, lanes.in_flight) == (3, 2)


def test_a_lane_goes_one_by_one_and_others_pass_it() -> None:
    lanes: Lanes[int] = Lanes(10)
    for item, key in enumerate("aabab"):
        lanes.put(item, key)
    assert started(lanes) == [0, 2]
    lanes.over("b")
    assert started(lanes) == [4]
    lanes.over("a")
    assert started(lanes) == [1]


def test_a_head_that_rests_keeps_its_lane_and_gives_its_place_to_others() -> None:
    lanes: Lanes[int] = Lanes(1)
    for item, key in enumerate("aab"):
        lanes.put(item, key)
    assert started(lanes) == [0]
    lanes.rest()
    assert started(lanes) == [2]
    lanes.over("b")
    assert started(lanes) == []
    lanes.again(0, "a")
    assert started(lanes) == [0]
    lanes.over("a")
    assert started(lanes) == [1]


def test_one_that_goes_again_goes_before_those_that_came_after_it() -> None:
    lanes: Lanes[int] = Lanes(1)
    for item in range(3):
        lanes.put(item, None)
    assert started(lanes) == [0]
    lanes.rest()
    lanes.again(0, None)
    assert started(lanes) == [0]


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=40), st.integers(1, 5), st.integers(0, 2**32))
def test_whatever_fails_and_whenever_each_key_keeps_its_order(
    keys: list[str | None], concurrency: int, seed: int
) -> None:
    draw = random.Random(seed)
    lanes: Lanes[int] = Lanes(concurrency)
    flying: list[tuple[int, str | None]] = []
    resting: list[tuple[int, str | None]] = []
    finished: list[int] = []
    for item, key in enumerate(keys):
        lanes.put(item, key)
    while lanes.held:
        while (found := lanes.start()) is not None:
            flying.append(found)
        assert len(flying) == lanes.in_flight <= concurrency
        ordered = [key for _, key in flying + resting if key is not None]
        assert len(ordered) == len(set(ordered))
        if resting and (not flying or draw.random() < 0.5):
            lanes.again(*resting.pop(draw.randrange(len(resting))))
            continue
        item, key = flying.pop(draw.randrange(len(flying)))
        if draw.random() < 0.3:
            lanes.rest()
            resting.append((item, key))
        else:
            lanes.over(key)
            finished.append(item)
    assert sorted(finished) == list(range(len(keys)))
    for key in ("a", "b", "c"):
        of_key = [item for item in finished if keys[item] == key]
        assert of_key == sorted(of_key)


@pytest.mark.parametrize("per_s", [0.5, 1, 50, 1000])
def test_a_rate_holds_over_time_and_uses_what_it_may(per_s: float) -> None:
    rate, now, starts = Rate(per_s), 100.0, 0
    while now < 120.0:
        wait_s = rate.delay_s(now)
        if wait_s:
            now += wait_s
        else:
            starts += 1
    assert starts == pytest.approx(20 * per_s + per_s * 0.1, abs=1.5)
