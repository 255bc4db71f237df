"""JobSink → a door at which each event becomes a Job (knative.dev/eventing/cmd/jobsink, pkg/reconciler/jobsink).

202 stands for a Job that is stored, and `Location` for where its end is asked for: 200 done, 202 running, 400 failed.
An event that comes again meets its own Job.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from core.errors import AlreadyExists, NotFound, TemporaryError, TooManyRequests
from core.inside import Call, Fields, Reply
from core.reconcile.controller import Controller, Watched, itself
from core.resources.batch import JOB
from core.resources.core_v1 import SECRET
from core.resources.eventing import ADDRESSABLE, EVENT_POLICIES_READY
from core.resources.meta import Json, Kind, ObjectKey
from core.resources.sinks import JOB_SINK, JOB_SINK_CONDITIONS, SINK_NAME_LABEL
from core.tasks import OpenGroup, Service
from eventing.controllers.world import World
from eventing.entrance import Entrance
from eventing.event import Event
from eventing.event_jobs import Occasion, end_of, make_job, make_secret, owned_by, read_location
from eventing.ingress import Done, Ingress, by_path, failure, problem
from eventing.intake import Stored, Terms, with_dead_letters

HOST: Final = "job-sink.knative-eventing.svc.cluster.local"
STORING_MAX: Final = 256
"""Events that are becoming Jobs: each is two documents on disk."""


class JobSinks:
    """`base.Sink`, and the site (`core.inside.Site`) of all of them."""

    kind: Kind[Any] = JOB_SINK

    def __init__(self, world: World) -> None:
        self._world = world
        self._entrances: dict[bytes, Entrance] = {}
        self._ingress = Ingress(by_path(self._entrances), "JobSink")
        self._tasks = OpenGroup()  # what answers wait for
        self._storing = 0
        self.body_bytes_max = self._ingress.body_bytes_max
        world.doors.open_site(HOST, self)

    @property
    def services(self) -> Sequence[tuple[str, Service]]:
        return [("job-sinks", self._tasks.run)]

    def controller(self) -> Controller:
        return Controller("jobsink", self._world.store, self.reconcile, [Watched(JOB_SINK, itself)], self._world.clock)

    async def reconcile(self, key: ObjectKey) -> None:
        path = f"/{key.namespace}/{key.name}"
        sink = await self._world.find_live(JOB_SINK, key)
        if sink is None:
            self._entrances.pop(path.encode(), None)
            return
        aside = with_dead_letters(self._world.log.dead_letters, f"jobsink{path}")
        self._entrances[path.encode()] = Entrance(_Intake(self, sink), aside, Terms(), self._world.clock)
        address = {"name": "http", "url": self._world.hosts.local_url(HOST) + path}
        conditions = JOB_SINK_CONDITIONS.manage(sink.get("status"), self._world.now())
        conditions.mark_true(ADDRESSABLE)
        conditions.mark_true(EVENT_POLICIES_READY, "DefaultAuthorizationMode", "every event of this platform is let in")
        status: Json = {
            "observedGeneration": sink["metadata"].get("generation", 0),
            "address": address,
            "addresses": [address],
            "job": {"selector": f"{SINK_NAME_LABEL}={key.name}"},
            "conditions": conditions.to_json(),
        }
        await self._world.write_status(JOB_SINK, sink, status)

    def answer(self, call: Call, done: Done) -> None:
        """`core.inside.Site`."""
        if call.method != b"GET":
            self._ingress.answer(call, done)
            return
        occasion = read_location(call.target.partition(b"?")[0].decode("latin-1"))
        if occasion is None:
            done(problem(404, "NotFound", "GET asks for the end of a Job, at the Location that was answered for it."))
            return
        try:
            self.spawn(partial(self._tell, occasion)).add_done_callback(partial(_settled, done))
        except (TemporaryError, TooManyRequests) as error:
            done(failure(error))

    def spawn(self, work: Callable[[], Awaitable[Reply]]) -> asyncio.Task[Reply]:
        """TemporaryError, TooManyRequests."""
        if (group := self._tasks.group) is None:
            raise TemporaryError("The platform is starting or stopping; nothing was stored.")
        if self._storing >= STORING_MAX:
            raise TooManyRequests(f"{self._storing} events are becoming Jobs just now", retry_after_s=1)
        self._storing += 1
        task = group.create_task(_guarded(work), name="job-sink")
        task.add_done_callback(self._over)
        return task

    async def store(self, sink: Json, events: Sequence[Event]) -> Reply:
        """A Job for each; the answer says where the end of the only one is asked for. StoreFull."""
        for event in events:
            await self._store_one(sink, _occasion(sink, event), event)
        return Reply(202, _location(_occasion(sink, events[0])) if len(events) == 1 else ())

    async def _store_one(self, sink: Json, occasion: Occasion, event: Event) -> None:
        """The Secret first, so that no Pod waits for it; whatever is there already is that of this event."""
        world = self._world
        if await world.find(JOB, occasion.key) is not None:
            return
        with contextlib.suppress(AlreadyExists):  # a crash came between the two
            await world.store.create(SECRET, make_secret(sink, occasion, event))
        try:
            wanted = make_job(sink, occasion)
            world.bindings.inject(JOB, wanted)
            job = await world.store.create(JOB, wanted)
        except AlreadyExists:
            return  # the same event, sent twice at a time
        secret = await world.find(SECRET, occasion.key)
        if secret is not None:
            await world.write(SECRET, secret, lambda now: owned_by(now, job))

    async def _tell(self, occasion: Occasion) -> Reply:
        job = await self._world.find(JOB, occasion.key)
        if job is None:
            return failure(NotFound(f"there is no Job for the event {occasion.id!r} of {occasion.source!r}"))
        status, why = end_of(job)
        if status == 400:
            return problem(400, "JobFailed", f"Job {occasion.key} has failed: {why}")
        return Reply(status, _location(occasion) if status == 202 else ())

    def _over(self, task: asyncio.Task[Reply]) -> None:
        self._storing -= 1


class _Intake:
    """`eventing.intake.Intake` of one JobSink."""

    def __init__(self, sinks: JobSinks, sink: Json) -> None:
        self._sinks = sinks
        self._sink = sink

    def append(self, events: Sequence[Event]) -> Stored:
        return self._sinks.spawn(partial(self._sinks.store, self._sink, events))


async def _guarded(work: Callable[[], Awaitable[Reply]]) -> Reply:
    """A store that refuses is an answer, and no failure of the service that everybody's events pass."""
    try:
        return await work()
    except Exception as error:
        return failure(error)


def _settled(done: Done, task: asyncio.Task[Reply]) -> None:
    if task.cancelled():
        done(failure(TemporaryError("The platform is stopping.")))
    else:
        done(task.result())


def _occasion(sink: Json, event: Event) -> Occasion:
    return Occasion(ObjectKey(sink["metadata"]["namespace"], sink["metadata"]["name"]), event.source, event.id)


def _location(occasion: Occasion) -> Fields:
    return ((b"location", occasion.location.encode()),)
