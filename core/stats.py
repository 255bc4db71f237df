"""What the data path tells the rest of the house, and what it is asked: the only floor both stand on.

The activator reports how many requests each revision has (`RequestStatistic`); the autoscaler listens. Whoever wants to
stop an instance asks the activator (`InstanceLoads`) to stop sending to it and to say when its last request has ended.
Scalers ask the node what instances use (`Usage`), and hear from eventing how many events wait (`Backlogs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

    def unsubscribe(self, listener: StatisticListener) -> None:
        self._listeners.remove(listener)

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


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """What one container has used."""

    container: str
    cpu_s: float  # of processors' time, since it began: two of these, and the time between them, make a rate
    memory_bytes: int  # now, without what the kernel could take back at once


class Usage(Protocol):
    """What instances use of their machine: the node's knowledge, as metrics-server's on a cluster."""

    async def usage_of(self, instances: Sequence[InstanceKey]) -> Mapping[InstanceKey, Sequence[ContainerUsage]]:
        """Of their running containers. An instance that could not be looked at is not in it."""


class NoUsage:
    """For a platform without a node: nothing is known of any instance."""

    async def usage_of(self, instances: Sequence[InstanceKey]) -> Mapping[InstanceKey, Sequence[ContainerUsage]]:
        return {}


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events of one subscription that are not done with; `in_flight` of them are with its subscriber now."""

    events: int
    in_flight: int = 0


BacklogListener = Callable[[Backlog | None], None]


class Backlogs:
    """How many events wait for each subscription, by its name (`trigger/NAMESPACE/NAME`). Eventing keeps it, and a
    listener hears of each change in the same turn: it only notes it and returns."""

    def __init__(self) -> None:
        self._known: dict[str, Backlog] = {}
        self._listeners: dict[str, list[BacklogListener]] = {}

    def of(self, subscription: str) -> Backlog | None:
        """None: nobody knows, because it does not run."""
        return self._known.get(subscription)

    def note(self, subscription: str, backlog: Backlog | None) -> None:
        """None: it does not run any more."""
        if backlog == self._known.get(subscription):
            return
        if backlog is None:
            del self._known[subscription]
        else:
            self._known[subscription] = backlog
        for listener in self._listeners.get(subscription, ()):
            listener(backlog)

    def listen(self, subscription: str, listener: BacklogListener) -> Callable[[], None]:
        """Returns what ends it."""
        listeners = self._listeners.setdefault(subscription, [])
        listeners.append(listener)

        def end() -> None:
            listeners.remove(listener)
            if not listeners:
                self._listeners.pop(subscription, None)

        return end
