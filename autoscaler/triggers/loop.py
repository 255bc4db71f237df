"""The loop: a decision for every ScaledObject that has something new, and for every one whose time has come.

`controller` keeps it told of what there is (`place`, `see`), `poller` of what was read. One heap of timers serves all.
What `decide` says is written to the Deployment's replicas; for a revision it is handed to the loop of requests, which
writes the greater of both. Status and events come after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from autoscaler.triggers import hpa_writer
from autoscaler.triggers.announcements import DELETED, SCALERS_STOPPED, Announcement, not_scaled, scaled
from autoscaler.triggers.decide import Observed, begin, decide
from autoscaler.triggers.decisions import Cause, Decision
from autoscaler.triggers.facts import Facts, gather
from autoscaler.triggers.hpa_status import View
from autoscaler.triggers.hpa_view import look
from autoscaler.triggers.making import Make
from autoscaler.triggers.poller import Poller
from autoscaler.triggers.scaled import Plan, Scaled
from autoscaler.triggers.sources import Owner, lateness
from autoscaler.triggers.status_writer import StatusWriter
from autoscaler.triggers.timers import Timers
from core.clock import Clock
from core.errors import ApiError, NotFound
from core.reconcile.events import Recorder
from core.resources.meta import Json, ObjectKey
from core.resources.workloads import DEPLOYMENT
from core.stats import RevisionKey
from core.store.base import Store
from core.tasks import Started, start_service

log = structlog.get_logger()

DECISIONS_AT_ONCE: Final = 16
"""After so many, others on the event loop get their turn."""
WRITES_AT_ONCE: Final = 64
DEFECT_S: Final = 30.0
RESUME_S: Final = 1.0
"""After a pause: who goes from one kind of pause to another takes one annotation off and puts another on."""
AGAIN_S: Final = 1.0
"""After a scale could not be written."""

Floor = Callable[[RevisionKey, int], None]
"""Tells the loop of requests how many a revision shall have at least."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A Deployment: what it asks for, what is ready, and the work that its Pods report (None: none of them does)."""

    replicas: int
    ready: int = 0
    in_flight: int | None = None


class Loop:
    """All ScaledObjects. Constructed without effect; `run` works until cancelled."""

    def __init__(self, store: Store, clock: Clock, make: Make, recorder: Recorder, floor: Floor) -> None:
        self._store = store
        self._clock = clock
        self._floor = floor
        self._objects: dict[ObjectKey, Scaled] = {}
        self._by_deployment: dict[tuple[str, str], Scaled] = {}
        self._due: dict[ObjectKey, Cause] = {}
        self._timers: Timers[ObjectKey] = Timers(clock)
        self._work = asyncio.Event()
        self._writes = asyncio.Semaphore(WRITES_AT_ONCE)
        self._group: asyncio.TaskGroup | None = None
        self.poller = Poller(clock, make, self._hear)
        self._statuses = StatusWriter(store, clock, recorder, self._gather)
        self._views = hpa_writer.HpaWriter(store, clock, self._view)

    async def run(self, started: Started) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await start_service(group, self.poller.run, "scaledobjects:poller")
                await start_service(group, self._statuses.run, "scaledobjects:statuses")
                await start_service(group, self._views.run, "scaledobjects:views")
                group.create_task(self._timers.run(self._awaken), name="scaledobjects:timers")
                started()
                await self._run_decisions()
            finally:
                self._group = None

    # What there is: called by the controller.

    def place(self, plan: Plan) -> None:
        """A ScaledObject appeared or changed, or what it refers to did."""
        entry = self._objects.get(plan.key)
        if entry is None:
            entry = self._objects[plan.key] = Scaled(plan)
        elif entry.plan.target != plan.target or entry.plan.revision != plan.revision or plan.problem:
            self._detach(entry)
            if entry.plan.target != plan.target:
                entry.state, entry.floor = None, 0
        if entry.plan.spec.pause.holds and not plan.spec.pause.holds:
            entry.resumes_at = self._clock.monotonic() + RESUME_S
        entry.plan = plan
        if plan.deployment:
            self._by_deployment[plan.key.namespace, plan.deployment] = entry
        if plan.revision is not None:
            self._floor(plan.revision, entry.floor)
        if plan.problem:
            entry.outcome = None
        triggers = () if plan.problem else plan.triggers
        self.poller.place(entry.owner, triggers, plan.spec.polling_interval_s, plan.troubles)
        self._statuses.tell(plan.key, self._facts(entry))
        self._views.tell(plan.key, hpa_writer.Cause.DOUBT)
        self._awaken(plan.key, Cause.CHANGE)

    def remove(self, key: ObjectKey) -> None:
        """It is gone, and with it what it wanted."""
        entry = self._objects.pop(key, None)
        self._statuses.forget(key)
        self._views.tell(key)
        self._timers.clear(key)
        self._due.pop(key, None)
        if entry is None:
            return
        self._detach(entry)
        self.poller.remove(entry.owner)
        self._statuses.say(entry.plan.reference, Announcement("Normal", SCALERS_STOPPED, "Stopped scalers watch"))
        self._statuses.say(entry.plan.reference, Announcement("Warning", DELETED, "ScaledObject was deleted"))

    def see(self, deployment: tuple[str, str], seen: Seen | None) -> None:
        """How a Deployment is; None: it is gone."""
        entry = self._by_deployment.get(deployment)
        if entry is None:
            return
        before = (entry.replicas, entry.ready, entry.in_flight)
        entry.replicas = seen.replicas if seen else None
        entry.ready, entry.in_flight = (seen.ready, seen.in_flight) if seen else (0, None)
        if before != (entry.replicas, entry.ready, entry.in_flight):
            self._awaken(entry.key, Cause.CHANGE)

    # What is asked.

    def __iter__(self) -> Iterator[Scaled]:
        return iter(self._objects.values())

    def get(self, key: ObjectKey) -> Scaled | None:
        """One of them, to be read only."""
        return self._objects.get(key)

    def facts(self, key: ObjectKey) -> Facts | None:
        """What there is to tell of it."""
        entry = self._objects.get(key)
        return self._facts(entry) if entry is not None else None

    # Decisions.

    def _hear(self, owner: Owner) -> None:
        pushed = any(source.pushed_at is not None for source in self.poller.sources(owner))
        self._awaken(owner.key, Cause.PUSH if pushed else Cause.READING)

    def _awaken(self, key: ObjectKey, cause: Cause = Cause.TIMER) -> None:
        self._due[key] = max(cause, self._due.get(key, cause))
        self._work.set()

    async def _run_decisions(self) -> None:
        decided = 0
        while True:
            await self._work.wait()
            self._work.clear()
            while self._due:
                key = next(iter(self._due))
                cause = self._due.pop(key)
                entry = self._objects.get(key)
                if entry is not None:
                    self._decide_safely(entry, cause)
                decided += 1
                if decided % DECISIONS_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _decide_safely(self, entry: Scaled, cause: Cause) -> None:
        """A defect that one document brings to light is not the others'."""
        try:
            self._decide(entry, cause)
        except Exception:
            log.exception("no decision about a scaled object", object=str(entry.key))
            self._timers.set(entry.key, self._clock.monotonic() + DEFECT_S)

    def _decide(self, entry: Scaled, cause: Cause) -> None:
        plan, has = entry.plan, entry.has
        if plan.problem or has is None or entry.writing:
            return  # whoever changes that awakens it again
        now = self._clock.monotonic()
        if now < entry.resumes_at and not plan.spec.pause.holds:
            self._timers.set(entry.key, entry.resumes_at)
            return
        if entry.state is None:
            entry.state = begin(plan.spec, has, now, plan.created_at, plan.last_active)
        observed = Observed(has, entry.ready, self.poller.samples(entry.owner), entry.in_flight)
        outcome = decide(plan.spec, entry.state, observed, now)
        entry.state, entry.outcome = outcome.state, outcome
        if cause >= Cause.READING:
            entry.late_s = lateness(self.poller.sources(entry.owner), now)
        entry.history.append(Decision(self._clock.wall(), now, plan.spec, observed, outcome, cause))
        if outcome.next_at is None:
            self._timers.clear(entry.key)
        else:
            self._timers.set(entry.key, max(outcome.next_at, now))
        if outcome.scale is not None:
            self._scale(entry, has, outcome.scale)
        self._statuses.tell(entry.key, self._facts(entry))
        self._views.tell(entry.key)

    # What is written.

    def _scale(self, entry: Scaled, replicas: int, scale: int) -> None:
        if entry.plan.revision is not None:
            entry.floor = scale
            self._floor(entry.plan.revision, scale)
            self._announce(entry, replicas, scale)
        elif self._group is not None:
            entry.writing = True
            self._group.create_task(self._write(entry, replicas, scale), name=f"scaledobjects:scale {entry.key}")

    async def _write(self, entry: Scaled, replicas: int, scale: int) -> None:
        plan = entry.plan

        def change(obj: Json) -> Json:
            # Not where it has gone, and what it began with may be back; nor where somebody else has just scaled it:
            # a raise from 0 would lower what they wrote.
            if self._objects.get(plan.key) is entry and obj["spec"].get("replicas", 1) == replicas:
                obj["spec"]["replicas"] = scale
            return obj

        try:
            async with self._writes:
                written = await self._store.modify(DEPLOYMENT, plan.deployment, plan.key.namespace, change)
        except NotFound:
            entry.replicas = None
        except ApiError as error:
            log.warning("scale not written", object=str(plan.key), scale=scale, error=str(error))
            self._statuses.say(plan.reference, not_scaled(plan.target, replicas, scale, error.message))
            self._timers.set(plan.key, self._clock.monotonic() + AGAIN_S)
            return
        else:
            entry.replicas = written["spec"].get("replicas", 1)
            if entry.replicas == scale:
                self._announce(entry, replicas, scale)
        finally:
            entry.writing = False
        if self._objects.get(plan.key) is entry:
            self._awaken(plan.key, Cause.CHANGE)

    def _announce(self, entry: Scaled, replicas: int, scale: int) -> None:
        plan, demands = entry.plan, entry.outcome.demands if entry.outcome else ()
        entry.scaled_at = self._clock.wall()
        active = [demand.metric for demand in demands if demand.active]
        said = scaled(plan.target, replicas, scale, active, forced=plan.spec.forced)
        if said is not None:
            self._statuses.say(plan.reference, said)

    def _detach(self, entry: Scaled) -> None:
        """Lets go of what it has scaled."""
        if self._by_deployment.get((entry.key.namespace, entry.plan.deployment)) is entry:
            del self._by_deployment[entry.key.namespace, entry.plan.deployment]
        if entry.plan.revision is not None:
            self._floor(entry.plan.revision, 0)
        entry.replicas, entry.ready, entry.in_flight = None, 0, None

    def _facts(self, entry: Scaled) -> Facts:
        now = self._clock.monotonic()
        return gather(entry, self.poller.sources(entry.owner), now, self._clock.wall())

    def _gather(self, key: ObjectKey) -> tuple[Facts, Json] | None:
        entry = self._objects.get(key)
        return None if entry is None else (self._facts(entry), entry.plan.reference)

    def _view(self, key: ObjectKey) -> View | None:
        entry = self._objects.get(key)
        if entry is None:
            return None
        return look(entry, self.poller.sources(entry.owner), self._clock.monotonic())
