"""What the data path tells the rest of the house, and what it is asked: the only floor both stand on.

The activator reports how many requests each revision has (`RequestStatistic`); the autoscaler listens. Whoever wants to
stop an instance asks the activator (`InstanceLoads`) to stop sending to it and to say when its last request has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RevisionKey:
    """Which revision, everywhere in the data path and the autoscaler."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class InstanceKey:
    """Which running copy: the Pod's namespace, name and uid."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class RequestStatistic:
    """One revision's requests over one report interval (knative.dev/serving/pkg/autoscaler/metrics.Stat).

    `average_concurrency` is the time integral of requests in flight (queued ones included) over `interval_s`, divided
    by it. `poke` marks the report that leaves at once because a request met a revision with nothing to serve it; the
    periodic report that follows leaves out what it told.

    The data path speaks once a second about every revision with requests in flight or finished since, and a last time
    with `in_flight` 0. Silence after that means that nothing came; silence after anything else means that nobody knows.
    """

    revision: RevisionKey
    at: float  # monotonic seconds, end of the interval
    interval_s: float
    average_concurrency: float
    request_count: float
    in_flight: int  # at `at`
    poke: bool = False


StatisticListener = Callable[[RequestStatistic], None]


class StatisticBus:
    """Hands each statistic to each listener, in the caller's turn: a listener only notes it and returns."""

    def __init__(self) -> None:
        self._listeners: list[StatisticListener] = []

    def subscribe(self, listener: StatisticListener) -> None:
        self._listeners.append(listener)

    def publish(self, statistic: RequestStatistic) -> None:
        for listener in self._listeners:
            listener(statistic)


class InstanceLoads(Protocol):
    """How busy instances are, known exactly because every request passes one place (all gateway workers counted)."""

    def in_flight(self, instance: InstanceKey) -> int:
        """Requests that the instance is working on now; 0 for an unknown one."""

    def last_active(self, instance: InstanceKey) -> float:
        """Monotonic seconds when its last request ended (or it became ready); 0.0 for an unknown one."""

    async def drain(self, instance: InstanceKey, grace_s: float) -> bool:
        """Sends it nothing more, and returns when its last request has ended (True) or the grace has (False)."""


class NoLoads:
    """For a platform without a data path: every instance is idle."""

    def in_flight(self, instance: InstanceKey) -> int:
        return 0

    def last_active(self, instance: InstanceKey) -> float:
        return 0.0

    async def drain(self, instance: InstanceKey, grace_s: float) -> bool:
        return True
