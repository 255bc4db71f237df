"""How long a container that failed waits before it is started again. Pure.

The kubelet's numbers (pkg/kubelet, MaxContainerBackOff): the first restart is at once, then 10 s, doubled up to 5
minutes, and forgotten after 10 minutes without a failure. Here a revision keeps its own memory of it (`Failures`), so
that a request to a crash-looping revision that sleeps does not start its loop from the beginning.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

SHORTEST_S = 10.0
LONGEST_S = 300.0
FORGOTTEN_S = 600.0
NOT_GROWING = frozenset({"CreateContainerConfigError"})  # a Secret that is missing may come any moment


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong: an exit, or a start that was refused for `reason` (`ErrImagePull`, …)."""

    message: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Backoff:
    """`until`: not before then (monotonic); `waiting_s`: as long as that was when it began."""

    failure: Failure
    failed: float
    waiting_s: float = 0.0

    @property
    def until(self) -> float:
        return self.failed + self.waiting_s


def after_failure(before: Backoff | None, failure: Failure, now: float) -> Backoff:
    """One more failure, at `now`. Only a container that ran is started again at once, and once."""
    if before is None or now - before.until > FORGOTTEN_S:
        return Backoff(failure, now, SHORTEST_S if failure.reason else 0.0)
    if failure.reason in NOT_GROWING:
        return Backoff(failure, now, SHORTEST_S)
    return Backoff(failure, now, min(max(SHORTEST_S, before.waiting_s * 2), LONGEST_S))


class Failures:
    """Back-offs by what failed: a container of a revision, or of a Pod that has none. Bounded: old ones are dropped."""

    def __init__(self, entries_max: int = 10_000) -> None:
        self._states: dict[Hashable, Backoff] = {}
        self._entries_max = entries_max

    def note(self, key: Hashable, failure: Failure, now: float) -> Backoff:
        state = self._states[key] = after_failure(self._states.pop(key, None), failure, now)
        if len(self._states) > self._entries_max:
            del self._states[next(iter(self._states))]
        return state

    def in_force(self, key: Hashable, now: float) -> Backoff | None:
        """The back-off that it still has to wait for."""
        state = self._states.get(key)
        return state if state is not None and state.until > now else None
