"""How long until a source is read again: soon after something has changed, and seldom while nothing does. Pure.

A document may ask for readings at its polling interval and never in between (`useCachedMetrics`): for these there is
`due_at` alone.

The polling interval of the document is the longest gap. After a change (what is asked for, or whether there is work)
the gaps begin at 0.2 s and double. Each early reading costs credit, which comes back at one a polling interval: in the
long run nobody is read more than twice as often as its document says, whatever its numbers do; KEDA reads three times.
A source that is slow to answer is left alone nine times as long as it took.

A source that pushes is read when it speaks up: an end and the next beginning at once, and then every 0.2 s at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FASTEST_S: Final = 0.2
GROWTH: Final = 2.0
CREDIT_MAX: Final = 16.0
REST: Final = 9.0
PHASES_MAX: Final = 8
PHASE_S_MIN: Final = 0.5
SHIFT_S_MAX: Final = 5.0
"""A reading comes no more than that before its interval is over: who writes 300 s does not mean 10."""
BREATH_MAX: Final = 2.0
_TOO_SOON: Final = 1e-3
"""So much of an interval lies within what a multiple of a binary fraction is off."""


@dataclass(frozen=True, slots=True)
class Pace:
    gap_s: float = 0.0  # from the last reading to the next one
    credit: float = CREDIT_MAX  # early readings left


CALM: Final = Pace()


@dataclass(frozen=True, slots=True)
class Breath:
    """How many readings a source can bear at once, as of when."""

    left: float = BREATH_MAX
    at: float = 0.0


RESTED: Final = Breath()


def next_pace(pace: Pace, polling_s: float, took_s: float, *, changed: bool) -> Pace:
    """After a reading that took so long."""
    gap = FASTEST_S if changed else max(FASTEST_S, pace.gap_s * GROWTH) if pace.gap_s else polling_s
    gap = min(polling_s, max(gap, took_s * REST))
    cost = 1.0 - 2.0 * gap / polling_s
    if gap < polling_s and pace.credit < cost:
        gap, cost = polling_s, -1.0
    return Pace(gap, min(CREDIT_MAX, pace.credit - cost))


def breathless_s(breath: Breath, now: float) -> float:
    """How long a push waits for its reading."""
    return max(0.0, (1.0 - _regained(breath, now)) * FASTEST_S)


def after_reading(breath: Breath, now: float) -> Breath:
    return Breath(max(0.0, _regained(breath, now) - 1.0), now)


def _regained(breath: Breath, now: float) -> float:
    return min(BREATH_MAX, breath.left + (now - breath.at) / FASTEST_S)


def due_at(now: float, pace: Pace, polling_s: float, number: int = 0) -> float:
    """Readings at the full interval fall on its multiples, moved by one of a few phases: sources that share a
    connection are read together, and not all there are at once. `number` is the source's own. To a phase that
    is far off it comes nearer with each reading."""
    if pace.gap_s < polling_s:
        return now + pace.gap_s
    phases = max(1, min(PHASES_MAX, int(polling_s / PHASE_S_MIN)))
    moved = polling_s * (number % phases) / phases
    at = ((now - moved) // polling_s + 1.0) * polling_s + moved
    if at - now <= polling_s * _TOO_SOON:
        at += polling_s
    return max(at, now + polling_s - SHIFT_S_MAX)
