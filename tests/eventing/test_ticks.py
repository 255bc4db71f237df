"""Which ticks are due: on time, late, after a long stop, with clocks that jump."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.schedules import parse_schedule
from core.resources.timestamps import epoch_of
from eventing.ticks import CATCH_UP_S, JUMP_S, plan_ticks

NOON = epoch_of("2026-03-10T12:00:00Z") or 0.0
HOUR = 3600.0
MINUTELY, HOURLY, SECONDLY, YEARLY = "* * * * *", "0 * * * *", "* * * * * *", "0 0 1 1 *"


@pytest.mark.parametrize(
    ("label", "schedule", "last", "now", "due", "upcoming"),
    [
        ("not yet", MINUTELY, NOON, NOON + 59, [], NOON + 60),
        ("on time", MINUTELY, NOON, NOON + 60, [NOON + 60], NOON + 120),
        ("a little late", MINUTELY, NOON, NOON + 60.7, [NOON + 60], NOON + 120),
        ("a restart of a minute", MINUTELY, NOON, NOON + 110, [NOON + 60], NOON + 120),
        ("a restart of some seconds", SECONDLY, NOON, NOON + 3.5, [NOON + 1, NOON + 2, NOON + 3], NOON + 4),
        ("shorter than its period", HOURLY, NOON - 60, NOON + HOUR - 1, [NOON], NOON + HOUR),
        ("a day away", HOURLY, NOON - 24 * HOUR, NOON + 90, [NOON], NOON + HOUR),
        ("a night away, every minute", MINUTELY, NOON - 8 * HOUR, NOON + 1, [NOON], NOON + 60),
        ("years away", YEARLY, epoch_of("2023-06-01T00:00:00Z"), NOON, [epoch_of("2026-01-01T00:00:00Z")],
         epoch_of("2027-01-01T00:00:00Z")),
        ("the clock goes back a little", MINUTELY, NOON, NOON - 30, [], NOON + 60),
        ("the clock goes back by an hour", MINUTELY, NOON, NOON - HOUR, [], NOON - HOUR + 60),
        ("the clock goes forward by an hour", MINUTELY, NOON, NOON + HOUR + 1, [NOON + HOUR], NOON + HOUR + 60),
        ("never again", "0 0 30 2 *", NOON, NOON + HOUR, [], None),
    ],
)  # fmt: skip
def test_due(label: str, schedule: str, last: float, now: float, due: list[float], upcoming: float | None) -> None:
    ticks = plan_ticks(parse_schedule(schedule), last, now)
    assert list(ticks.due) == due, label
    assert ticks.next == upcoming, label
    assert ticks.last == (due[-1] if due else min(last, now) if last > now + JUMP_S else last), label


SCHEDULES = st.sampled_from([MINUTELY, HOURLY, SECONDLY, "*/7 * * * * *", "13 4 * * 1-5", "0 0 1 * *", "30 2 29 2 *"])


@given(SCHEDULES, st.floats(0, 4e5), st.lists(st.floats(0.1, 3e5), max_size=6))
def test_no_tick_is_made_twice_and_none_of_the_last_minute_is_missed(
    text: str, start: float, steps: list[float]
) -> None:
    """Looked at every now and then, as a platform that is stopped and started is."""
    schedule, now = parse_schedule(text), NOON + start
    last, made = now, []
    for step in steps:
        before, now = now, now + step
        ticks = plan_ticks(schedule, last, now)
        made += ticks.due
        last = ticks.last
        wanted = schedule.next_after(max(before, now - CATCH_UP_S))
        if wanted is not None and wanted <= now:
            assert wanted in ticks.due
        elif (missed := schedule.next_after(before)) is not None and missed <= now:
            assert len(ticks.due) == 1, "the latest of them"
        assert ticks.next is None or ticks.next > now
    assert made == sorted(set(made))
