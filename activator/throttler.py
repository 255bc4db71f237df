"""Who goes when: a slot on an instance for each request, or a place in its revision's line.

`endpoints` says which instances there are, the gateway brings requests, and each slot that comes free goes to the
oldest waiter in the same turn. Exact, because every request passes here: with a containerConcurrency of N no instance
ever has N+1. A slot is never held by a request that has left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil
from typing import Final, Protocol

from activator.balancing import LeastLoaded
from activator.concurrency import Meter
from activator.instances import Endpoint, Instance
from activator.limits import BACK_OFF_S, GatewayLimits, RevisionLimits
from activator.problem import Problem, no_endpoints, queue_full, start_failed
from activator.queue import Queue, Total
from activator.routing import BackendKey
from core.resources.pod_failures import Failure
from core.stats import InstanceKey, RequestStatistic, RevisionKey

SUSPEND_FIRST_S: Final = 0.02
SUSPEND_MAX_S: Final = 1.0
"""How long an instance that refuses connections is left alone, doubling; the Pod's own state says the rest."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls back after so many seconds."""
Publish = Callable[[RequestStatistic], None]


class Waiter(Protocol):
    """A request, seen from here."""

    held_bytes: int

    def dispatch(self, instance: Instance) -> None:
        """The slot is yours: give it back with `Backend.release`."""

    def refuse(self, problem: Problem) -> None:
        """Nobody will take it."""


_NONE: Final[frozenset[InstanceKey]] = frozenset()


class Backend:
    """One revision, or one core Service: its instances, its line, its count."""

    __slots__ = (
        "_retry_at", "_throttler", "balancer", "drained", "failure", "instances", "key", "leaving", "limits", "meter",
        "queue", "starting",
    )  # fmt: skip

    def __init__(self, key: BackendKey, limits: RevisionLimits, throttler: Throttler) -> None:
        self.key = key
        self.limits = limits
        self.instances: dict[InstanceKey, Instance] = {}
        self.leaving: dict[InstanceKey, Instance] = {}  # given nothing more, with requests under way
        self.balancer: LeastLoaded[Instance] = LeastLoaded(limits.concurrency)
        self.queue: Queue[Waiter] = Queue(throttler.limits.queue, throttler.total)
        self.meter: Meter | None = None  # None while nothing goes on
        self.failure: Failure | None = None
        self._retry_at = 0.0  # when another try is made, where there is a failure
        self.drained = _NONE  # given nothing more, however ready their Pods say they are
        self.starting = ""  # what is known of instances on their way, for whoever gives up waiting
        self._throttler = throttler

    def arrive(self, waiter: Waiter, now: float) -> None:
        """Counts a request in and finds it a slot, a place in the line, or a reason why not."""
        meter = self.meter
        if meter is None:
            meter = self.wake(now)
        meter.arrive(now)
        if not self.queue:
            instance = self.balancer.acquire()
            if instance is not None:
                instance.in_flight += 1
                waiter.dispatch(instance)
                return
        if not self.instances and not isinstance(self.key, RevisionKey):
            waiter.refuse(no_endpoints(str(self.key)))
            return
        if not self.queue.push(waiter):
            waiter.refuse(queue_full(str(self.key)))
        self._ask(now)

    def expect(self, now: float) -> None:
        """A request is about to come: an instance had better be there."""
        if self.failure is None:
            self._ask(now)

    def _ask(self, now: float) -> None:
        """Somebody waits: asks for an instance where there is none, or says why none will come."""
        if isinstance(self.key, RevisionKey) and not len(self.balancer):
            poke = self.wake(now).poke(self.key, now)
            if poke is not None:
                self._throttler.publish(poke)
        if self.failure is not None:
            self.refuse_all(self.failure, self._retry_at - now)

    def depart(self, waiter: Waiter, instance: Instance | None, now: float) -> None:
        """Counts a request out, of its slot or of the line."""
        if self.meter is not None:
            self.meter.leave(now)
        if instance is not None:
            self.release(instance, now)
        else:
            self.queue.remove(waiter)

    def release(self, instance: Instance, now: float) -> None:
        """A slot comes free and goes to the oldest waiter."""
        instance.ended(now)
        self.balancer.release(instance)
        if instance.retired and not instance.in_flight:
            self.leaving.pop(instance.endpoint.key, None)
        if self.queue:
            self.pump()

    def again(self, waiter: Waiter, instance: Instance, now: float, *, reachable: bool) -> None:
        """A request of which nothing has reached its instance gives up its slot and is the first in line again."""
        if not reachable:
            self.suspend(instance)
        # In line before the slot is free: it may be the one that gets it.
        self.queue.push_front(waiter)
        self.pump()
        self.release(instance, now)
        if waiter in self.queue:
            self._ask(now)

    def pump(self) -> None:
        """Gives out what is free, oldest waiter first."""
        while self.queue:
            instance = self.balancer.acquire()
            if instance is None:
                return
            waiter = self.queue.pop()
            assert waiter is not None
            instance.in_flight += 1
            waiter.dispatch(instance)

    def suspend(self, instance: Instance) -> None:
        """It refused a connection: left alone for a moment."""
        if instance not in self.balancer:
            return
        self.balancer.discard(instance)
        pause = min(SUSPEND_MAX_S, SUSPEND_FIRST_S * 2**instance.failures)
        instance.failures += 1
        self._throttler.later(pause, lambda: self._resume(instance))

    def _resume(self, instance: Instance) -> None:
        if not instance.retired:
            self.balancer.add(instance, instance.in_flight)
            self.pump()

    def set_limits(self, limits: RevisionLimits) -> None:
        self.limits = limits
        self.balancer.limit = limits.concurrency
        self.pump()
        self._throttler.changed(self)

    def set_endpoints(self, endpoints: Iterable[Endpoint], now: float) -> None:
        """These are ready; whatever else there was is given nothing more."""
        ready = {endpoint.key: endpoint for endpoint in endpoints}
        if self.drained:  # one that was not ready in between (frozen, say) may come back
            self.drained = self.drained.intersection(ready) or _NONE
        wanted = {key: endpoint for key, endpoint in ready.items() if key not in self.drained}
        for key, instance in list(self.instances.items()):
            if key in wanted and wanted[key].address == instance.endpoint.address:
                instance.endpoint = wanted.pop(key)
            else:
                self.retire(key)
        for key, endpoint in wanted.items():
            self.instances[key] = instance = self._returned(endpoint) or Instance(endpoint, now)
            self.balancer.add(instance, instance.in_flight)
        if self.instances:
            self.failure = None
            self.wake(now)
            self._throttler.changed(self)
            self.pump()

    def drain(self, key: InstanceKey) -> None:
        """Nothing more for that one, as long as its Pod is ready."""
        if key in self.instances:
            self.drained |= {key}
            self.retire(key)

    def retire(self, key: InstanceKey) -> None:
        """Nothing more for that one."""
        if (instance := self.instances.pop(key, None)) is not None:
            self.balancer.discard(instance)
            instance.retire()
            if instance.in_flight:
                self.leaving[key] = instance
            self._throttler.changed(self)

    def _returned(self, endpoint: Endpoint) -> Instance | None:
        """One that was not ready for a while still works on what it was given before."""
        instance = self.leaving.get(endpoint.key)
        if instance is None or instance.endpoint.address != endpoint.address:
            return None
        del self.leaving[endpoint.key]
        instance.retired, instance.endpoint = False, endpoint
        return instance

    def set_failure(self, failure: Failure | None, now: float, retry_s: float = BACK_OFF_S) -> None:
        """Why no instance comes; while it stands every waiter is told, and every newcomer. `retry_s`: until another is
        started."""
        self.failure = None if self.instances else failure
        self._retry_at = now + retry_s
        if self.failure is not None:
            self.refuse_all(self.failure, retry_s)

    def refuse_all(self, failure: Failure, retry_s: float = BACK_OFF_S) -> None:
        """Everyone in the line; whoever comes next may try again."""
        problem = start_failed(str(self.key), failure.reason, failure.message, max(1, ceil(retry_s)))
        for waiter in self.queue.clear():
            waiter.refuse(problem)

    def wake(self, now: float) -> Meter:
        """Counted from now on."""
        if self.meter is None:
            self.meter = Meter(now)
            self._throttler.active[self.key] = self
        return self.meter


class Throttler:
    """All backends, and what they share."""

    def __init__(self, limits: GatewayLimits, publish: Publish, later: Later) -> None:
        self.limits = limits
        self.total = Total(limits.total)
        self.publish = publish
        self.later = later
        self.changed: Callable[[Backend], None] = lambda backend: None  # told of limits and instances
        self.forgotten: Callable[[BackendKey], None] = lambda key: None
        self.elsewhere: Callable[[RequestStatistic], RequestStatistic] = lambda own: (
            own
        )  # adds what other processes saw
        self.backends: dict[BackendKey, Backend] = {}
        self.active: dict[BackendKey, Backend] = {}  # those with a meter

    def make(self, key: BackendKey, limits: RevisionLimits) -> Backend:
        return Backend(key, limits, self)

    def ensure(self, key: BackendKey, limits: RevisionLimits) -> Backend:
        """The backend, made or brought up to date."""
        backend = self.backends.get(key)
        if backend is None:
            backend = self.backends[key] = self.make(key, limits)
            self.changed(backend)
        elif backend.limits != limits:
            backend.set_limits(limits)
        return backend

    def forget(self, key: BackendKey, problem: Problem) -> None:
        """The revision is gone: so are its waiters. What is under way may end."""
        backend = self.backends.pop(key, None)
        if backend is not None:
            for instance_key in list(backend.instances):
                backend.retire(instance_key)
            for waiter in backend.queue.clear():
                waiter.refuse(problem)
            self.forgotten(key)

    def report(self, now: float) -> None:
        """Once a second: a statistic for each revision that has instances or requests; the quiet ones fall asleep."""
        for key, backend in list(self.active.items()):
            meter = backend.meter
            assert meter is not None
            quiet = meter.quiet and not backend.instances
            if isinstance(key, RevisionKey):
                self.publish(self.elsewhere(meter.report(key, now)))
            if quiet:
                backend.meter = None
                del self.active[key]

    def close_idle(self, unused_since: float) -> None:
        """Connections to instances that nobody used lately."""
        for backend in self.active.values():
            for instance in backend.instances.values():
                instance.close_idle(unused_since)

    def find(self, key: InstanceKey) -> list[Instance]:
        """Every record of a Pod: its revision's, core Services', and those on their way out."""
        sides = [side for backend in self.active.values() for side in (backend.instances, backend.leaving)]
        return [side[key] for side in sides if key in side]
