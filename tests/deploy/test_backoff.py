"""The kubelet's back-off, remembered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.backoff import FORGOTTEN_S, LONGEST_S, Backoff, Failure, Failures, after_failure

CRASH = Failure("it exited with code 1")
PULL = Failure("no such image", "ErrImagePull")
CONFIG = Failure("no such secret", "CreateContainerConfigError")


def waits(failure: Failure, count: int) -> list[float]:
    """Each failure as soon as the wait for it is over."""
    state: Backoff | None = None
    now, found = 0.0, []
    for _ in range(count):
        state = after_failure(state, failure, now)
        found.append(state.waiting_s)
        now = state.until
    return found


def test_a_crash_is_restarted_at_once_the_first_time() -> None:
    assert waits(CRASH, 8) == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_start_that_is_refused_waits_from_the_first() -> None:
    assert waits(PULL, 4) == [10, 20, 40, 80]
    assert waits(CONFIG, 3) == [10, 10, 10]


def test_ten_good_minutes_are_a_fresh_start() -> None:
    state = after_failure(after_failure(None, CRASH, 0), CRASH, 1)
    assert after_failure(state, CRASH, state.until + FORGOTTEN_S).waiting_s == 20
    assert after_failure(state, CRASH, state.until + FORGOTTEN_S + 1).waiting_s == 0


@given(st.lists(st.floats(0, 2000), max_size=30))
def test_never_longer_than_five_minutes(pauses: list[float]) -> None:
    state: Backoff | None = None
    now = 0.0
    for pause in pauses:
        now += pause
        state = after_failure(state, CRASH, now)
        assert 0 <= state.waiting_s <= LONGEST_S
        assert state.until == now + state.waiting_s


def test_failures_are_kept_by_key_and_bounded() -> None:
    failures = Failures(entries_max=2)
    assert failures.in_force("a", 0) is None
    failures.note("a", PULL, 0)
    held = failures.in_force("a", 5)
    assert held is not None
    assert held.failure == PULL
    assert failures.in_force("a", 10) is None, "its wait is over"
    failures.note("b", PULL, 11)
    failures.note("c", PULL, 11)
    assert failures.note("a", PULL, 12).waiting_s == 10, "the oldest was dropped"
