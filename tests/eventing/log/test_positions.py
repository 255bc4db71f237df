from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.log.positions import AHEAD_MAX, Position, TooFarAhead

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6)), max_size=40)


@given(st.integers(0, 20), RANGES)
def test_a_position_is_the_set_of_what_was_acknowledged(low: int, acks: list[tuple[int, int]]) -> None:
    position = Position(low)
    model = set(range(low))
    for first, length in acks:
        position.ack(first, first + length)
        model |= set(range(first, first + length))
        expected_low = next(n for n in range(200) if n not in model)
        assert position.low == expected_low
        assert {n for n in range(200) if position.is_acked(n)} == model
        assert position.acked_above == sum(n > expected_low for n in model)
        assert position.top == max([expected_low, *(n + 1 for n in model)])
        for n in range(0, 80, 7):
            assert position.next_unacked(n) == next(m for m in range(n, 200) if m not in model)
        assert position.next_unacked(0) == expected_low
        ranges = position.ranges
        assert all(a_end < b_first for (_, a_end), (b_first, _) in itertools.pairwise(ranges)), "merged"
        assert all(first > position.low for first, _ in ranges)


@given(st.integers(0, 1 << 50), RANGES)
def test_a_position_comes_back_as_it_was_written(low: int, acks: list[tuple[int, int]]) -> None:
    position = Position(low)
    for first, length in acks:
        position.ack(low + first, low + first + length)
    again = Position.decode(position.encode())
    assert (again.low, again.ranges) == (position.low, position.ranges)
    copy = position.copy()
    copy.ack(low + 100)
    assert not position.is_acked(low + 100)


def test_how_far_acknowledgements_may_run_ahead_is_bounded() -> None:
    position = Position(5)
    position.ack(5 + AHEAD_MAX - 1)
    with pytest.raises(TooFarAhead, match="65536 above"):
        position.ack(5 + AHEAD_MAX)
    position.ack(5)
    position.ack(5 + AHEAD_MAX)
    assert position.ranges == [(5 + AHEAD_MAX - 1, 5 + AHEAD_MAX + 1)]


@pytest.mark.parametrize("data", [b"", b"1234567", b"123456789"])
def test_what_is_no_position_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a position"):
        Position.decode(data)
