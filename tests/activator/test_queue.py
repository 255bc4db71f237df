"""The line: order, bounds, and sums that never drift."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from activator.queue import Queue, QueueLimits, Total


@dataclass(eq=False)
class Waiter:
    held_bytes: int


class QueueMachine(RuleBasedStateMachine):
    """Two lines under common bounds, against two lists."""

    def __init__(self) -> None:
        super().__init__()
        self.total = Total(QueueLimits(8, 80))
        limits = QueueLimits(5, 50)
        self.queues: list[Queue[Waiter]] = [Queue(limits, self.total) for _ in range(2)]
        self.model: list[list[Waiter]] = [[], []]

    @rule(which=st.integers(0, 1), weight=st.integers(0, 30))
    def push(self, which: int, weight: int) -> None:
        waiter, line, every = Waiter(weight), self.model[which], [w for line in self.model for w in line]
        fits = len(line) < 5 and sum(w.held_bytes for w in line) + weight <= 50
        fits = fits and len(every) < 8 and sum(w.held_bytes for w in every) + weight <= 80
        assert self.queues[which].push(waiter) is fits
        if fits:
            line.append(waiter)

    @rule(which=st.integers(0, 1))
    def push_front(self, which: int) -> None:
        waiter = Waiter(3)
        self.queues[which].push_front(waiter)
        self.model[which].insert(0, waiter)

    @rule(which=st.integers(0, 1))
    def pop(self, which: int) -> None:
        expected = self.model[which].pop(0) if self.model[which] else None
        assert self.queues[which].pop() is expected

    @precondition(lambda self: any(self.model))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        which, waiter = data.draw(st.sampled_from([(i, w) for i, line in enumerate(self.model) for w in line]))
        assert self.queues[which].remove(waiter)
        assert not self.queues[1 - which].remove(waiter)
        self.model[which].remove(waiter)

    @rule(which=st.integers(0, 1))
    def clear(self, which: int) -> None:
        assert self.queues[which].clear() == self.model[which]
        self.model[which] = []

    @invariant()
    def sums(self) -> None:
        for queue, line in zip(self.queues, self.model, strict=True):
            assert (len(queue), queue.held_bytes) == (len(line), sum(w.held_bytes for w in line))
        every = [w for line in self.model for w in line]
        assert (self.total.count, self.total.held_bytes) == (len(every), sum(w.held_bytes for w in every))


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
