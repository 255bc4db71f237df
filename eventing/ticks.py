"""Which ticks of a schedule are due, given the last one that was made. Pure.

on time                                → the one tick
late by less than a minute             → all that were missed: a restart or a busy machine loses none
late by more                           → the latest one alone: nobody wants an hour's ticks at once
the clock has gone back by over a minute → from there on; by less, no tick is made twice
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.resources.schedules import Schedule

CATCH_UP_S: Final = 60.0
JUMP_S: Final = 60.0
"""A clock that is set back by more was wrong before: ticks that it has seen are made again."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """`due`, in order; `last` is what to go on from, `next` the first one after now. Seconds since the epoch."""

    due: Sequence[float]
    last: float
    next: float | None


def plan_ticks(schedule: Schedule, last: float, now: float) -> Ticks:
    """`last` is the last tick that was made, or the moment from which on there are to be any."""
    if last > now + JUMP_S:
        last = now
    due: list[float] = []
    moment = schedule.next_after(max(last, now - CATCH_UP_S))
    while moment is not None and moment <= now:
        due.append(moment)
        moment = schedule.next_after(moment)
    if not due and (missed := _latest(schedule, last, now)) is not None:
        due.append(missed)
    return Ticks(due, due[-1] if due else last, moment)


def _latest(schedule: Schedule, after: float, until: float) -> float | None:
    """By halves: whatever is earlier than the latest tick has a next one up to `until`, and nothing else has."""
    found = schedule.next_after(after)
    if found is None or found > until:
        return None
    low, high = after, until
    while high - low > 0.5:
        middle = (low + high) / 2
        moment = schedule.next_after(middle)
        if moment is not None and moment <= until:
            low, found = middle, moment
        else:
            high = middle
    return found
