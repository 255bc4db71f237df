"""ScaledJobs: their triggers are read, and Jobs are made for what waits. One service, built by the roof.

A decision is made when every trigger has been read anew, and of the Jobs as the store has them at that moment: where
they cannot be listed none is made. Between decisions only minReplicaCount is seen to.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog

from autoscaler.jobs.census import count, of_old_document, too_many
from autoscaler.jobs.decide import JobsOutcome, JobsSpec, decide
from autoscaler.jobs.documents import (
    history_of,
    jobs_spec,
    pending_conditions,
    pod_spec_of,
    rollout_of,
    triggers_of,
)
from autoscaler.jobs.making import make_job
from autoscaler.jobs.rounds import is_complete
from autoscaler.jobs.status import CREATE_FAILED, JOBS_CREATED, Announcement, Facts, announce, status_of
from autoscaler.triggers.documents import authentication_of
from autoscaler.triggers.making import Lookup, Maker, load_definition
from autoscaler.triggers.poller import Poller
from autoscaler.triggers.referring import Referring
from autoscaler.triggers.sources import Owner, Source, lateness
from core.errors import AlreadyExists, ApiError, NotFound
from core.reconcile.controller import Controller, Watched, owner
from core.reconcile.events import Recorder
from core.reconcile.objects import Objects
from core.resources.batch import JOB, JOB_NAME_LABELS
from core.resources.child_names import child_name
from core.resources.keda_annotations import SCALED_JOB_NAME
from core.resources.keda_jobs import SCALED_JOB
from core.resources.keda_options import read_options
from core.resources.keda_triggers import authentications_types, triggers_types
from core.resources.meta import Json, ObjectKey, key_of
from core.resources.pods import POD
from core.store.base import DeleteOptions, EventType, Propagation, WatchEvent
from core.tasks import Started, run_together
from scalers.base import World

COMPONENT: Final = "keda-operator"
KEPT: Final = 32
"""Decisions remembered per ScaledJob."""
ACTIVE_EVERY_S: Final = 30.0
"""While there is work, the time of it is told so often."""
SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_CHARS: Final = 5

log = structlog.get_logger()


@dataclass(slots=True)
class Followed:
    """One ScaledJob.

    `asked` is what was last made of its document, `decided_at` when it was last decided upon, `late_s` after how long,
    `history` has its last decisions as JSON, oldest first.
    """

    asked: tuple[Any, ...] = ()
    polling_s: float = 0.0
    decided_at: float = float("-inf")
    late_s: float = 0.0
    active: bool | None = None
    active_at: float | None = None
    told: Facts | None = None
    history: deque[Json] = field(default_factory=lambda: deque(maxlen=KEPT))

    def see(self, active: bool | None, now: float, wall: float) -> None:
        """It was decided upon."""
        if active and (not self.active or self.active_at is None or wall - self.active_at >= ACTIVE_EVERY_S):
            self.active_at = wall
        self.decided_at, self.active = now, active


class ScaledJobs:
    """Watches, a poller, and what is made of both."""

    def __init__(self, world: World, look_up: Lookup = load_definition) -> None:
        self._world = world
        self._store = world.store
        self._clock = world.clock
        self._objects = Objects(world.store, world.clock)
        self._recorder = Recorder(world.store, world.clock, COMPONENT)
        self.poller = Poller(world.clock, Maker(world, look_up).make, self._hear)
        self._followed: dict[ObjectKey, Followed] = {}
        self._referring = Referring(world, self._outdate)
        watches = [Watched(SCALED_JOB, _if_asked), Watched(JOB, owner(SCALED_JOB)), *self._referring.watches()]
        self._controller = Controller("scaledjobs", world.store, self._reconcile, watches, world.clock)

    async def run(self, started: Started) -> None:
        """Until cancelled."""
        services = (("scaledjobs:poller", self.poller.run), ("scaledjobs:controller", self._controller.run))
        await run_together(services, started)

    def get(self, key: ObjectKey) -> Followed | None:
        """One that was looked at, with its last decisions: for `explain`."""
        return self._followed.get(key)

    def __iter__(self) -> Iterator[tuple[ObjectKey, Followed]]:
        return iter(self._followed.items())

    def sources(self, key: ObjectKey) -> Sequence[Source]:
        """The triggers of one."""
        return self.poller.sources(Owner(SCALED_JOB.kind, key))

    # Whom a change concerns.

    def _hear(self, owner: Owner) -> None:
        self._controller.enqueue(owner.key)

    def _outdate(self, key: ObjectKey) -> None:
        """What it refers to has changed."""
        if (followed := self._followed.get(key)) is not None:
            followed.asked = ()

    # One ScaledJob.

    async def _reconcile(self, key: ObjectKey) -> float | None:
        obj = await self._objects.find_live(SCALED_JOB, key)
        if obj is None:
            self._forget(key)
            return None
        followed = self._followed.setdefault(key, Followed())
        again_s = await self._place(obj, followed)
        jobs = (await self._store.list(JOB, key.namespace, {SCALED_JOB_NAME: key.name})).items
        if await self._clean_up(obj, jobs):
            jobs = (await self._store.list(JOB, key.namespace, {SCALED_JOB_NAME: key.name})).items
        await self._decide(obj, followed, jobs)
        await self._tell(obj, followed)
        return again_s

    def _forget(self, key: ObjectKey) -> None:
        """Its Jobs go with it: the garbage collector's work."""
        self._followed.pop(key, None)
        self.poller.remove(Owner(SCALED_JOB.kind, key))
        self._referring.forget(key)

    async def _place(self, obj: Json, followed: Followed) -> float | None:
        """Tells the poller what to read, where that has changed; returns when to look again."""
        key, options = key_of(obj), read_options(obj)
        asked = obj["metadata"]["uid"], obj["spec"], options
        if asked == followed.asked:
            return None
        of = partial(authentication_of, obj)
        found = await self._referring.resolve(key, triggers_of(obj), of, pod_spec_of(obj))
        self.poller.place(Owner(SCALED_JOB.kind, key), found.triggers, options.polling_interval_s, found.troubles)
        followed.asked, followed.polling_s = asked if found.again_s is None else (), options.polling_interval_s
        return found.again_s

    async def _clean_up(self, obj: Json, jobs: Sequence[Json]) -> bool:
        """Deletes Jobs of an older document, and ended ones that are too many; whether there were any. A pause leaves
        all that there is."""
        if read_options(obj).paused:
            return False
        rollout = rollout_of(obj)
        old = of_old_document(jobs, obj["metadata"].get("generation", 1)) if rollout.immediate else []
        surplus = [job for job in too_many(jobs, history_of(obj)) if job not in old]
        for job in old:
            await self._delete(job, rollout.propagation)
        for job in surplus:
            await self._delete(job, Propagation.BACKGROUND)
        return bool(old or surplus)

    async def _delete(self, job: Json, propagation: Propagation) -> None:
        metadata = job["metadata"]
        try:
            options = DeleteOptions(uid=metadata["uid"], propagation=propagation)
            await self._store.delete(JOB, metadata["name"], metadata["namespace"], options)
        except NotFound:
            return

    async def _decide(self, obj: Json, followed: Followed, jobs: Sequence[Json]) -> None:
        key, spec = key_of(obj), jobs_spec(obj)
        sources = self.sources(key)
        whole = is_complete(sources, followed.decided_at)
        now = self._clock.monotonic()
        samples = self.poller.samples(Owner(SCALED_JOB.kind, key)) if whole else []
        pods = await self._pods_of(key) if whole else {}
        census = count(jobs, pods, pending_conditions(obj))
        outcome = decide(spec, samples, census)
        if whole:
            followed.see(outcome.active, now, self._clock.wall())
            followed.late_s = lateness(sources, now)
        if whole or outcome.make:
            self._remember(followed, spec, outcome, census.running)
        made = 0
        try:
            for _ in range(outcome.make):
                await self._make(obj)
                made += 1
        except ApiError as error:
            # The next reading finds the difference again.
            said = f"Created {made} of {outcome.make} jobs: {error.message}"
            await self._recorder.event(obj, "Warning", CREATE_FAILED, said)
        if made:
            await self._recorder.event(obj, "Normal", JOBS_CREATED, f"Created {made} jobs")

    async def _make(self, obj: Json) -> None:
        name = obj["metadata"]["name"]
        while True:
            suffix = "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_CHARS))
            try:
                await self._store.create(JOB, make_job(obj, child_name(name, f"-{suffix}")))
            except AlreadyExists:
                continue
            return

    async def _pods_of(self, key: ObjectKey) -> Mapping[str, Sequence[Json]]:
        """Pods by the name of their Job."""
        found: dict[str, list[Json]] = {}
        for pod in (await self._store.list(POD, key.namespace, {SCALED_JOB_NAME: key.name})).items:
            job = (pod["metadata"].get("labels") or {}).get(JOB_NAME_LABELS[0], "")
            found.setdefault(job, []).append(pod)
        return found

    def _remember(self, followed: Followed, spec: JobsSpec, outcome: JobsOutcome, running: int) -> None:
        wall = self._clock.wall()
        last = followed.history[-1] if followed.history else None
        if last is not None and last["words"] == outcome.words:
            followed.history[-1] = {**last, "until": wall, "times": last["times"] + 1}
            return
        followed.history.append(
            {
                "at": wall,
                "until": wall,
                "times": 1,
                "made": outcome.make,
                "running": running,
                "queue": outcome.waiting.queue,
                "active": outcome.active,
                "paused": spec.paused,
                "words": outcome.words,
            }
        )

    async def _tell(self, obj: Json, followed: Followed) -> None:
        owner = Owner(SCALED_JOB.kind, key_of(obj))
        samples, sources = self.poller.samples(owner), self.poller.sources(owner)
        said = obj["spec"].get("triggers") or []
        facts = Facts(
            triggers=len(said),
            errors=tuple((sample.metric, sample.error) for sample in samples if sample.error),
            built=tuple(dict.fromkeys(source.trigger.type for source in sources if source.scaler is not None)),
            active=followed.active,
            paused=read_options(obj).paused,
            types=triggers_types(said),
            authentications=authentications_types(said),
            active_at=followed.active_at,
        )
        if followed.told == facts:
            return
        for announcement in announce(followed.told, facts):
            await self._say(obj, announcement)
        followed.told = facts
        await self._objects.write_status(SCALED_JOB, obj, status_of(facts, obj.get("status") or {}))

    async def _say(self, obj: Json, said: Announcement) -> None:
        await self._recorder.event(obj, said.type, said.reason, said.message)


def _if_asked(event: WatchEvent) -> Iterable[ObjectKey]:
    """The object itself, unless only its status has changed."""
    same = event.type is EventType.MODIFIED and event.old is not None and _asked(event.old) == _asked(event.object)
    return () if same else (key_of(event.object),)


def _asked(obj: Json) -> tuple[Any, ...]:
    metadata = obj["metadata"]
    return obj.get("spec"), metadata.get("annotations"), metadata.get("deletionTimestamp"), metadata.get("uid")
