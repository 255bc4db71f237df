"""PingSource → a timer whose ticks are events (pkg/adapter/mtping, pkg/reconciler/pingsource).

A tick is in the log before it counts as made, so a restart takes up the schedule where it was; its `time` and its `id`
are those of the moment in the schedule, however late it is told. Without a sink there are no ticks.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Final

from core.reconcile.controller import Controller, Watched, itself
from core.resources.conditions import find_condition
from core.resources.eventing_options import PingOptions, read_options
from core.resources.meta import Json, ObjectKey
from core.resources.pilotlight import SCHEDULED
from core.resources.schedules import parse_schedule
from core.resources.sources import PING_SOURCE, PING_SOURCE_CONDITIONS, SINK_PROVIDED
from core.resources.timestamps import epoch_of, rfc3339
from core.tasks import Service
from eventing.controllers.resolving import followed
from eventing.controllers.world import World
from eventing.event import Event
from eventing.outlet import KEPT_BYTES, Outlet
from eventing.sources.base import Sinks, overrides
from eventing.ticker import Ticker, Timer

TYPE: Final = "dev.knative.sources.ping"
DEPLOYED: Final = "Deployed"


class PingSources:
    """`base.Source`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sinks = Sinks(world)
        self._outlet = Outlet(world, "pingsource")
        self._ticker = Ticker(world.clock)

    @property
    def services(self) -> Sequence[tuple[str, Service]]:
        return [("ticker", self._ticker.run)]

    def controller(self) -> Controller:
        watches = [Watched(PING_SOURCE, itself), *followed(self._sinks.references)]
        controller = Controller("pingsource", self._world.store, self.reconcile, watches, self._world.clock)
        self._world.plane.follow(f"{self._outlet.sort}/", lambda key: controller.enqueue(key))
        return controller

    async def reconcile(self, key: ObjectKey) -> None:
        source = await self._world.find_live(PING_SOURCE, key)
        if source is None:
            self._ticker.remove(key)
            self._sinks.forget(key)
            await self._outlet.close(key)
            return
        before = source.get("status") or {}
        conditions = PING_SOURCE_CONDITIONS.manage(before, self._world.now())
        status: Json = {
            "observedGeneration": source["metadata"].get("generation", 0),
            "ceAttributes": [{"type": TYPE, "source": source_of(key)}],
        }
        url = await self._sinks.find(source, conditions, status)
        if url is None:
            self._ticker.remove(key)
            await self._outlet.hold(key)
            conditions.mark_unknown(DEPLOYED, "NoSink", "no tick is made while there is no sink")
        else:
            status["annotations"] = {SCHEDULED: await self._start(key, source, url)}
            if self._outlet.is_gone(key):
                self._ticker.remove(key)
                said = f"{url} answered 410 Gone: it wants no more events. Change the PingSource to try again"
                conditions.mark_false(DEPLOYED, "SinkGone", said)
            else:
                conditions.mark_true(DEPLOYED)
        await self._world.write_status(PING_SOURCE, source, {**status, "conditions": conditions.to_json()})

    async def _start(self, key: ObjectKey, source: Json, url: str) -> str:
        """Runs it; returns the note of the moment from which on, and the schedule by which, it ticks."""
        spec = source["spec"]
        text = f"{spec['schedule']} {spec.get('timezone') or 'UTC'}"
        note = _note_of(source, text) or f"{self._world.now()} {text}"
        kept = max(KEPT_BYTES, 2 * len(spec.get("data") or spec.get("dataBase64") or ""))
        await self._outlet.open(key, source, url, kept)
        schedule = parse_schedule(spec["schedule"], spec.get("timezone") or "")
        since = epoch_of(note.partition(" ")[0]) or 0.0
        if not self._ticker.has(key, schedule) and (last := await self._outlet.last(key)) is not None:
            since = max(since, epoch_of(str(last.attributes.get("time", ""))) or 0.0)
        timer = Timer(
            schedule,
            fire=partial(self._tick, key, source),
            wake=partial(self._world.plane.sender.wake, url),
            lead_s=read_options(PingOptions, source["metadata"].get("annotations") or {}).wake_ahead_s,
        )
        self._ticker.set(key, timer, since)
        return note

    async def _tick(self, key: ObjectKey, source: Json, moment: float) -> None:
        await self._outlet.append(key, [make_event(source, moment)])


def source_of(key: ObjectKey) -> str:
    return f"/apis/v1/namespaces/{key.namespace}/pingsources/{key.name}"


def make_event(source: Json, moment: float) -> Event:
    """The event of one tick; the same for the same moment."""
    spec, metadata = source["spec"], source["metadata"]
    data: bytes | None = None
    if spec.get("dataBase64"):
        data = base64.b64decode(spec["dataBase64"])
    elif spec.get("data"):
        data = spec["data"].encode()
    event = Event(
        {
            "specversion": "1.0",
            "id": str(uuid.uuid5(uuid.UUID(metadata["uid"]), str(int(moment)))),
            "source": source_of(ObjectKey(metadata["namespace"], metadata["name"])),
            "type": TYPE,
            "time": rfc3339(moment),
        },
        data,
    )
    content_type = spec.get("contentType") if data is not None else None
    return event.with_attributes(datacontenttype=content_type or None, **overrides(source))


def _note_of(source: Json, text: str) -> str:
    """The one in its status, as long as that speaks of this schedule and it has had a sink since."""
    note: str = ((source.get("status") or {}).get("annotations") or {}).get(SCHEDULED, "")
    provided = (find_condition(source, SINK_PROVIDED) or {}).get("status") == "True"
    return note if provided and note.partition(" ")[2] == text else ""
