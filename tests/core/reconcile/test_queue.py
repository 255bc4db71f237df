from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.reconcile.queue import Backoff, WorkQueue
from core.resources.meta import ObjectKey

A, B, C = (ObjectKey("default", name) for name in "abc")


@pytest.mark.parametrize(
    ("failures", "delay"),
    [(1, 0.005), (2, 0.01), (3, 0.02), (10, 2.56), (14, 40.96), (15, 60.0), (10_000, 60.0)],
)
def test_backoff_doubles_from_5_ms_up_to_60_s(failures: int, delay: float) -> None:
    assert Backoff().delay(failures) == pytest.approx(delay)


def test_first_come_first_served() -> None:
    queue = WorkQueue()
    for key in (B, A, C):
        queue.add(key, 1.0)
    assert [queue.take(1.0) for _ in range(4)] == [B, A, C, None]


def test_a_key_asked_for_twice_is_worked_on_once() -> None:
    queue = WorkQueue()
    queue.add(A, 1.0)
    queue.add(A, 1.0)
    assert queue.take(1.0) == A
    queue.finish(A)
    assert queue.take(9.0) is None


def test_the_earlier_time_holds() -> None:
    queue = WorkQueue()
    queue.add(A, 1.0, after_s=10)
    queue.add(A, 1.0, after_s=2)
    queue.add(A, 1.0, after_s=30)
    assert queue.take(2.9) is None
    assert queue.next_due() == 3.0
    assert queue.take(3.0) == A
    queue.finish(A)
    assert queue.take(100.0) is None
    assert queue.next_due() is None


def test_a_key_asked_for_while_worked_on_comes_again_afterwards() -> None:
    queue = WorkQueue()
    queue.add(A, 1.0)
    queue.take(1.0)
    queue.add(A, 1.5)
    assert queue.take(2.0) is None
    assert queue.next_due() is None
    queue.finish(A)
    assert queue.next_due() == 1.5
    assert queue.take(2.0) == A


def test_stale_entries_do_not_pile_up() -> None:
    queue = WorkQueue()
    for turn in range(10_000):
        now = turn / 1000
        queue.add(A, now, after_s=3600.0)
        queue.add(A, now)
        assert queue.take(now) == A
        queue.finish(A)
    assert len(queue._heap) < 200


def test_a_failing_key_waits_longer_each_time_and_success_forgets() -> None:
    queue = WorkQueue()
    queue.add(A, 0.0)
    now, delays = 0.0, []
    for _ in range(4):
        assert queue.take(now) == A
        delays.append(queue.retry(A, now))
        assert queue.take(now) is None
        now += delays[-1]
    assert delays == [0.005, 0.01, 0.02, 0.04]
    assert queue.failures(A) == 4
    queue.take(now)
    queue.finish(A)
    assert queue.failures(A) == 0


def test_a_change_cuts_the_back_off_short() -> None:
    queue = WorkQueue()
    queue.add(A, 0.0)
    queue.take(0.0)
    queue.retry(A, 0.0, after_s=50)
    queue.add(A, 1.0)
    assert queue.take(1.0) == A


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 50)), max_size=40))
def test_keys_come_in_the_order_of_their_times(asked: list[tuple[str, float]]) -> None:
    queue = WorkQueue()
    earliest: dict[ObjectKey, float] = {}
    for name, after_s in asked:
        key = ObjectKey("", name)
        queue.add(key, 0.0, after_s)
        earliest[key] = min(after_s, earliest.get(key, after_s))
    taken = []
    while (due := queue.next_due()) is not None:
        key = queue.take(due)
        assert key is not None
        assert earliest[key] == due
        taken.append(due)
    assert taken == sorted(taken)
    assert len(taken) == len(earliest)


class QueueMachine(RuleBasedStateMachine):
    """Nothing that was asked for is ever lost, and nothing is worked on twice at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = WorkQueue()
        self.now = 0.0
        self.wanted: set[ObjectKey] = set()
        self.working: list[ObjectKey] = []

    @rule(name=st.sampled_from("abcd"), after_s=st.sampled_from([0.0, 0.0, 1.0, 5.0]))
    def add(self, name: str, after_s: float) -> None:
        self.queue.add(ObjectKey("", name), self.now, after_s)
        self.wanted.add(ObjectKey("", name))

    @rule()
    def take(self) -> None:
        key = self.queue.take(self.now)
        if key is not None:
            assert key in self.wanted
            assert key not in self.working
            self.wanted.discard(key)
            self.working.append(key)

    @rule(fails=st.booleans())
    def end(self, fails: bool) -> None:
        if not self.working:
            return
        key = self.working.pop(0)
        if fails:
            self.queue.retry(key, self.now)
            self.wanted.add(key)
        else:
            self.queue.finish(key)

    @rule(seconds=st.sampled_from([0.001, 1.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def everything_wanted_waits(self) -> None:
        assert len(self.queue) == len(self.wanted)
        idle = self.wanted - set(self.working)
        assert (self.queue.next_due() is not None) == bool(idle)


TestQueueMachine = QueueMachine.TestCase
