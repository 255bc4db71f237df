"""When a source that fails is asked again, and how many polls went by without it. Called by `poller`. Pure.

    state \\ event   answered   failed    failed 3 times in a row   asked again
    Closed          Closed     Closed    Open                      Closed
    Open            Closed     Open      Open                      HalfOpen
    HalfOpen        Closed     Open      Open                      HalfOpen

After a failure the source is asked again in 1, 2, 4 … seconds, up to its polling interval and to half a minute at
least, always the same. Failures are counted in polls that went by, however often it was asked meanwhile: fallback
counts them, and shall not come sooner because a source is asked sooner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

OPEN_AFTER: Final = 3
FIRST_PAUSE_S: Final = 1.0
PAUSE_S_MAX: Final = 30.0


class State(StrEnum):
    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"


class Happening(StrEnum):
    ANSWERED = "answered"
    FAILED = "failed"
    FAILED_OFTEN = "failed 3 times in a row"
    ASKED = "asked again"


TABLE: Final[Mapping[tuple[State, Happening], State]] = {
    (State.CLOSED, Happening.ANSWERED): State.CLOSED,
    (State.CLOSED, Happening.FAILED): State.CLOSED,
    (State.CLOSED, Happening.FAILED_OFTEN): State.OPEN,
    (State.CLOSED, Happening.ASKED): State.CLOSED,
    (State.OPEN, Happening.ANSWERED): State.CLOSED,
    (State.OPEN, Happening.FAILED): State.OPEN,
    (State.OPEN, Happening.FAILED_OFTEN): State.OPEN,
    (State.OPEN, Happening.ASKED): State.HALF_OPEN,
    (State.HALF_OPEN, Happening.ANSWERED): State.CLOSED,
    (State.HALF_OPEN, Happening.FAILED): State.OPEN,
    (State.HALF_OPEN, Happening.FAILED_OFTEN): State.OPEN,
    (State.HALF_OPEN, Happening.ASKED): State.HALF_OPEN,
}


@dataclass(frozen=True, slots=True)
class Circuit:
    """Times are monotonic seconds."""

    state: State = State.CLOSED
    failed: int = 0  # times in a row that it was asked and did not answer
    since: float = 0.0  # when the first of them was
    ask_at: float = 0.0  # not before


WHOLE: Final = Circuit()


def ask(circuit: Circuit) -> Circuit:
    """The source is being asked."""
    return replace(circuit, state=TABLE[circuit.state, Happening.ASKED])


def fail(circuit: Circuit, now: float, polling_s: float) -> Circuit:
    """It did not answer."""
    failed = circuit.failed + 1
    happening = Happening.FAILED_OFTEN if failed >= OPEN_AFTER else Happening.FAILED
    since = circuit.since if circuit.failed else now
    return Circuit(TABLE[circuit.state, happening], failed, since, now + pause(failed, polling_s))


def pause(failed: int, polling_s: float) -> float:
    """Seconds until it is asked again after so many failures in a row."""
    longest = max(PAUSE_S_MAX, polling_s)
    return longest if failed > 30 else min(longest, FIRST_PAUSE_S * 2.0 ** (failed - 1))


def missed(circuit: Circuit, now: float, polling_s: float) -> int:
    """Polls in a row that brought nothing: one at once, one more with each polling interval that has gone by since."""
    return 1 + int((now - circuit.since) / polling_s + 1e-6) if circuit.failed else 0


def next_missed_at(circuit: Circuit, now: float, polling_s: float) -> float:
    """When `missed` will be one more."""
    return circuit.since + missed(circuit, now, polling_s) * polling_s
