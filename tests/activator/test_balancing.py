"""Always the least loaded, never above the limit, whatever comes and goes."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from activator.balancing import LeastLoaded


class BalancerMachine(RuleBasedStateMachine):
    """Against a plain dictionary of loads."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: dict[int, int] = {}

    @rule(limit=st.integers(0, 3))
    def limit(self, limit: int) -> None:
        if not self.loads:
            self.balancer: LeastLoaded[int] = LeastLoaded(limit)

    @precondition(lambda self: hasattr(self, "balancer"))
    @rule(instance=st.integers(0, 5), load=st.integers(0, 4))
    def add(self, instance: int, load: int) -> None:
        self.balancer.add(instance, load)
        self.loads.setdefault(instance, load)

    @precondition(lambda self: hasattr(self, "balancer"))
    @rule(instance=st.integers(0, 5))
    def discard(self, instance: int) -> None:
        self.balancer.discard(instance)
        self.loads.pop(instance, None)
        assert instance not in self.balancer

    @precondition(lambda self: hasattr(self, "balancer"))
    @rule()
    def acquire(self) -> None:
        instance = self.balancer.acquire()
        least = min(self.loads.values(), default=None)
        if least is None or (self.balancer.limit and least >= self.balancer.limit):
            assert instance is None
        else:
            assert instance is not None
            assert self.loads[instance] == least
            self.loads[instance] += 1

    @precondition(lambda self: hasattr(self, "balancer"))
    @rule(instance=st.integers(0, 5))
    def release(self, instance: int) -> None:
        self.balancer.release(instance)
        if self.loads.get(instance):
            self.loads[instance] -= 1


TestBalancer = BalancerMachine.TestCase
TestBalancer.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)


def test_among_equals_each_has_its_turn() -> None:
    balancer: LeastLoaded[str] = LeastLoaded()
    for name in "abc":
        balancer.add(name)
    taken = []
    for _ in range(6):
        instance = balancer.acquire()
        assert instance is not None
        taken.append(instance)
        balancer.release(instance)
    assert taken == list("abcabc")
