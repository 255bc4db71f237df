"""The loop: a tick for every revision that is awake, and at once for one that a request woke.

`controller` keeps it told of what there is (`place`, `see_replicas`, `see_ready`); the data path's statistics come over
the bus. One timer serves all; a revision that sleeps and is silent costs nothing. What `decide` says is written to the
Deployment's replicas first, because a request may wait for it, and to the PodAutoscaler's status after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from autoscaler.collector import Metrics
from autoscaler.decide import Observation, Outcome, ScaleState, begin, conclude, decide
from autoscaler.decisions import Cause, Decision, DecisionLog
from autoscaler.kpa import TICK_S, KpaResult, first_state
from autoscaler.scaled import Scaled
from autoscaler.spec import ScaleSpec
from autoscaler.status_writer import StatusWriter
from core.clock import Clock
from core.errors import ApiError, NotFound
from core.resources.meta import Json
from core.resources.workloads import DEPLOYMENT
from core.stats import RequestStatistic, RevisionKey, StatisticBus
from core.store.base import Store
from core.tasks import Started

log = structlog.get_logger()

_DECISIONS_AT_ONCE: Final = 16
"""After so many, others on the event loop get their turn: below a millisecond of decisions."""
_EARLY_MAX: Final = 1024
"""Revisions whose first request came before their PodAutoscaler was seen (a platform that has just started)."""

_EARLY_S: Final = 60.0
"""After which such a request has been answered otherwise."""


class Loop:
    """All revisions. Constructed without effect; `run` works until cancelled."""

    def __init__(self, store: Store, bus: StatisticBus, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._revisions: dict[RevisionKey, Scaled] = {}
        self._targets: dict[tuple[str, str], Scaled] = {}
        self._awake: dict[RevisionKey, Scaled] = {}
        self._cooling: dict[RevisionKey, Scaled] = {}  # asleep, with windows that are not silent yet
        self._early: dict[RevisionKey, RequestStatistic] = {}
        self._floors: dict[RevisionKey, int] = {}  # above zero; also of revisions that are not here yet
        self._due: dict[RevisionKey, Cause] = {}
        self._urgent: dict[RevisionKey, None] = {}
        self._work = asyncio.Event()
        self._statuses = StatusWriter(store, clock)
        bus.subscribe(self.hear)

    async def run(self, started: Started) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_ticks(), name="autoscaler:ticks")
            group.create_task(self._run_decisions(), name="autoscaler:decisions")
            group.create_task(self._statuses.run(), name="autoscaler:statuses")
            started()

    # What there is: called by the controller.

    def place(self, key: RevisionKey, target: str, spec: ScaleSpec, generation: int | None) -> None:
        """A PodAutoscaler appeared or changed."""
        scaled = self._revisions.get(key)
        if scaled is None:
            scaled = self._revisions[key] = Scaled(key, target, spec)
        elif scaled.target != target:
            self._targets.pop((key.namespace, scaled.target), None)
        scaled.target, scaled.spec, scaled.generation = target, spec, generation
        self._targets[key.namespace, target] = scaled
        self._awaken(scaled, Cause.CHANGE)

    def remove(self, key: RevisionKey) -> None:
        """Its PodAutoscaler is gone."""
        scaled = self._revisions.pop(key, None)
        if scaled is not None:
            self._targets.pop((key.namespace, scaled.target), None)
        self._statuses.forget(key)
        for table in (self._awake, self._cooling, self._due, self._urgent, self._early):
            table.pop(key, None)

    def see_replicas(self, namespace: str, target: str, replicas: int | None) -> None:
        """What the Deployment asks for; None: it is gone."""
        scaled = self._targets.get((namespace, target))
        if scaled is not None and scaled.replicas != replicas:
            scaled.replicas = replicas
            self._awaken(scaled, Cause.CHANGE)

    def see_ready(self, key: RevisionKey, ready: int) -> None:
        """How many of its Pods are ready."""
        scaled = self._revisions.get(key)
        if scaled is not None and scaled.ready != ready:
            scaled.ready = ready
            self._awaken(scaled, Cause.CHANGE)

    def set_floor(self, key: RevisionKey, floor: int) -> None:
        """What triggers of a ScaledObject ask for: a revision has at least so many, whatever requests do."""
        if floor == self._floors.get(key, 0):
            return
        if floor > 0:
            self._floors[key] = floor
        else:
            del self._floors[key]
        scaled = self._revisions.get(key)
        if scaled is not None:
            self._awaken(scaled, Cause.CHANGE)

    def respec(self, resolve: Callable[[RevisionKey], ScaleSpec | None]) -> None:
        """The cluster-wide settings changed: every revision is looked at again, the sleeping ones too."""
        for key, scaled in self._revisions.items():
            spec = resolve(key)
            if spec is not None and spec != scaled.spec:
                scaled.spec = spec
                self._awaken(scaled, Cause.CHANGE)

    def decisions(self, key: RevisionKey) -> Sequence[Decision]:
        """The last decisions about a revision, oldest first: for `explain`."""
        scaled = self._revisions.get(key)
        return tuple(scaled.history) if scaled is not None and scaled.history is not None else ()

    def spec(self, key: RevisionKey) -> ScaleSpec | None:
        """What is asked of a revision's scale."""
        scaled = self._revisions.get(key)
        return scaled.spec if scaled is not None else None

    # What is asked: called by the bus.

    def hear(self, statistic: RequestStatistic) -> None:
        """Notes a statistic; one of a sleeping revision that has requests is decided upon at once."""
        key = statistic.revision
        scaled = self._revisions.get(key)
        if scaled is None or scaled.state is None:
            if statistic.poke and (key in self._early or len(self._early) < _EARLY_MAX):
                self._early[key] = statistic
            return
        if scaled.metrics is None:
            scaled.metrics = Metrics()
        scaled.metrics.record(statistic, scaled.spec)
        if not scaled.state.desired and statistic.average_concurrency > 0:
            # Upstream does this for desired 0 only, so that after its restart (desired unknown) a cold request waits.
            self._awaken(scaled, Cause.POKE)
        elif key not in self._awake:
            self._awaken(scaled, Cause.TICK)

    def _awaken(self, scaled: Scaled, cause: Cause) -> None:
        key = scaled.key
        self._awake[key] = scaled
        self._cooling.pop(key, None)
        if cause is Cause.POKE:
            self._urgent[key] = None
        else:
            self._due[key] = max(cause, self._due.get(key, cause))
        self._work.set()

    # The loops.

    async def _run_ticks(self) -> None:
        due = self._clock.monotonic()
        while True:
            due = max(due + TICK_S, self._clock.monotonic())
            await self._clock.sleep(due - self._clock.monotonic())
            now = self._clock.monotonic()
            for key in [key for key, scaled in self._cooling.items() if _cooled(scaled, now)]:
                del self._cooling[key]
            self._due.update(dict.fromkeys(self._awake, Cause.TICK))
            if self._awake:
                self._work.set()

    async def _run_decisions(self) -> None:
        decided = 0
        while True:
            await self._work.wait()
            self._work.clear()
            while self._urgent or self._due:
                if self._urgent:
                    key, cause = next(iter(self._urgent)), Cause.POKE
                    del self._urgent[key]
                    self._due.pop(key, None)
                else:
                    key = next(iter(self._due))
                    cause = self._due.pop(key)
                scaled = self._revisions.get(key)
                scale = self._decide(scaled, cause) if scaled is not None else None
                if scaled is not None and scale is not None:
                    await self._write_scale(scaled, scale)
                decided += 1
                if decided % _DECISIONS_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _decide(self, scaled: Scaled, cause: Cause) -> int | None:
        """The scale to write, if any."""
        now = self._clock.monotonic()
        if scaled.replicas is None:
            self._awake.pop(scaled.key, None)  # until its Deployment is seen
            return None
        if scaled.state is None:
            cause = self._begin(scaled, scaled.replicas, now, cause)
        assert scaled.state is not None
        self._awake[scaled.key] = scaled
        observed, outcome = self._outcome(scaled, scaled.state, scaled.replicas, cause, now)
        scaled.state = outcome.state
        if outcome.scale is not None or (cause is not Cause.CHANGE and not scaled.asleep):
            if scaled.history is None:
                scaled.history = DecisionLog()
            scaled.history.append(Decision(self._clock.wall(), scaled.spec, observed, outcome, cause))
        if scaled.asleep:
            self._put_to_sleep(scaled)
        self._statuses.tell(scaled)
        return outcome.scale

    def _begin(self, scaled: Scaled, replicas: int, now: float, cause: Cause) -> Cause:
        """The first look at a revision; a request may already wait for it."""
        scaled.state = begin(replicas, first_state(scaled.ready, now), now)
        early = self._early.pop(scaled.key, None)
        if early is None or now - early.at > _EARLY_S:
            return cause
        scaled.metrics = Metrics()
        scaled.metrics.record(early, scaled.spec)
        return Cause.POKE

    def _outcome(
        self, scaled: Scaled, state: ScaleState, replicas: int, cause: Cause, now: float
    ) -> tuple[Observation, Outcome]:
        spec, metrics, floor = scaled.spec, scaled.metrics, self._floors.get(scaled.key, 0)
        if cause is Cause.CHANGE:
            observed = Observation(scaled.ready, None, None, replicas, floor)
            return observed, conclude(spec, state, KpaResult(state.kpa, None), observed, now)
        if metrics is None:
            metrics = scaled.metrics = Metrics()
        stable, panic = metrics.averages(spec, replicas > 0, now)
        observed = Observation(scaled.ready, stable, panic, replicas, floor)
        return observed, decide(spec, state, observed, now)

    def _put_to_sleep(self, scaled: Scaled) -> None:
        """Off the tick; its windows stay until they are silent, then they go as well."""
        self._awake.pop(scaled.key, None)
        if scaled.metrics is not None:
            self._cooling[scaled.key] = scaled

    # What is written.

    async def _write_scale(self, scaled: Scaled, scale: int) -> None:
        def change(obj: Json) -> Json:
            obj["spec"]["replicas"] = scale
            return obj

        try:
            await self._store.modify(DEPLOYMENT, scaled.target, scaled.key.namespace, change)
        except NotFound:
            scaled.replicas = None
        except ApiError as error:
            # The next tick finds the difference again.
            log.warning("scale not written", revision=str(scaled.key), scale=scale, error=str(error))
        else:
            scaled.replicas = scale
            if scaled.asleep:
                self._put_to_sleep(scaled)


def _cooled(scaled: Scaled, now: float) -> bool:
    if scaled.metrics is None or scaled.metrics.forget_if_over(now):
        scaled.metrics = None
        return True
    return False
