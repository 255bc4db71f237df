"""Deadlines: none is early, none is later than a tick, none is lost."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from activator.wheel import NEVER, TICK_S, Wheel


@dataclass(eq=False)
class Item:
    due: float = NEVER
    filed: float = NEVER


MOVES = st.lists(st.tuples(st.sampled_from(["arm", "later", "remove", "pass"]), st.floats(0, 3)), max_size=40)


@given(MOVES)
def test_due_within_a_tick(moves: list[tuple[str, float]]) -> None:
    wheel: Wheel[Item] = Wheel()
    item, now = Item(), 100.0
    for move, value in moves:
        if move == "arm":
            wheel.arm(item, now + value)
        elif move == "later" and item.filed != NEVER:
            item.due = max(item.due, now + value)
        elif move == "remove":
            wheel.remove(item)
            item.due = NEVER
        else:
            now += value
            expired = wheel.expire(now)
            assert expired in ([], [item])
            if expired:
                assert item.due <= now
                item.due = NEVER
            else:
                assert item.due > now - TICK_S
    assert len(wheel) <= 1


def test_moving_a_deadline_later_files_nothing() -> None:
    wheel: Wheel[Item] = Wheel()
    item = Item()
    wheel.arm(item, 10.0)
    wheel.arm(item, 300.0)
    assert item.filed == 10.0
    assert wheel.expire(20.0) == []
    assert item.filed == 300.0
    assert wheel.expire(300.2) == [item]
