"""Telling the store what became of a Pod: its status, its address and times, its events.

A Pod's loop says that something has changed; what is written, and when, is decided here: soon where nobody waits for it
(so that a fast start is one telling: Running and Ready together), at once where somebody does, events when the rush is
over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

import structlog

from core.clock import Clock
from core.errors import ApiError, NotFound
from core.reconcile.events import Recorder
from core.resources.meta import Json
from core.resources.pilotlight import ADDRESS, IN_FLIGHT, PORTS, RETRY_AT, TIMELINE
from core.resources.pods import POD
from core.stats import InstanceKey
from core.store.base import Store
from deploy.podstatus import PodSeen, Running, Waiting, conditions_by_type, is_ready, pod_status

REPORT_DELAY_S = 0.05
EVENTS_DELAY_S = 0.25
RETRY_S = 5.0

EventType: TypeAlias = Literal["Normal", "Warning"]

log = structlog.get_logger()


class Reporter:
    """`look` gives the Pod as it is now."""

    def __init__(
        self, instance: InstanceKey, store: Store, clock: Clock, recorder: Recorder, look: Callable[[], PodSeen]
    ) -> None:
        self._instance, self._store, self._clock, self._recorder, self._look = instance, store, clock, recorder, look
        self._dirty, self._urgent, self._said = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._events: list[tuple[EventType, str, str]] = []
        self._times = {"created": clock.wall()}

    def begin_again(self, asked: float) -> None:
        """It was thawed: a request that waited for it waited for that, since `asked` (wall seconds)."""
        self._times = {"created": asked, "started": self._clock.wall()}

    def touch(self, urgent: bool) -> None:
        """The status is out of date."""
        self._dirty.set()
        if urgent:
            self._urgent.set()

    def event(self, type: EventType, reason: str, message: str) -> None:
        """To be told soon, in this order."""
        self._events.append((type, reason, message))
        self._said.set()

    async def run_reports(self) -> None:
        self.touch(False)
        while True:
            await self._dirty.wait()
            if not self._urgent.is_set():
                await self._wait_urgent()
            self._dirty.clear()
            self._urgent.clear()
            await self.report()

    async def run_events(self, pod: Json) -> None:
        while True:
            await self._said.wait()
            await self._clock.sleep(EVENTS_DELAY_S)
            await self.say_all(pod)

    async def say_all(self, pod: Json) -> None:
        self._said.clear()
        said, self._events = self._events, []
        for type, reason, message in said:
            await self._recorder.event(pod, type, reason, message)

    async def report(self) -> None:
        """Address and times first, so that whoever sees Ready sees them, too."""
        seen, now = self._look(), self._clock.wall()
        starts = [each.state.started for each in seen.containers if not each.init and isinstance(each.state, Running)]
        if starts:
            self._times.setdefault("started", min(starts))
        if is_ready(seen):
            self._times.setdefault("ready", now)
        annotations = {TIMELINE: ",".join(f"{name}={at:.6f}" for name, at in self._times.items())}
        if seen.address:
            annotations[ADDRESS] = seen.address
        if seen.ports:
            annotations[PORTS] = seen.ports
        if seen.in_flight:
            annotations[IN_FLIGHT] = seen.in_flight
        waiting = (each.state.until for each in seen.containers if isinstance(each.state, Waiting))
        if until := max(waiting, default=0.0):
            annotations[RETRY_AT] = f"{until:.3f}"

        def mark(pod: Json) -> Json:
            if pod["metadata"]["uid"] == self._instance.uid:
                others = {**(pod["metadata"].get("annotations") or {})}
                for passing in (RETRY_AT, IN_FLIGHT):
                    others.pop(passing, None)
                pod["metadata"]["annotations"] = {**others, **annotations}
                if not seen.unschedulable:
                    pod["spec"]["nodeName"] = seen.node
            return pod

        def tell(pod: Json) -> Json:
            if pod["metadata"]["uid"] == self._instance.uid:
                pod["status"] = pod_status(pod["spec"], seen, conditions_by_type(pod.get("status")), now)
            return pod

        try:
            await self._store.modify(POD, self._instance.name, self._instance.namespace, mark)
            await self._store.modify(POD, self._instance.name, self._instance.namespace, tell, "status")
        except NotFound:
            pass  # removed under us: its loop hears of it
        except ApiError as error:
            log.warning("status not written", pod=self._instance.name, error=str(error))
            self._dirty.set()
            await self._clock.sleep(RETRY_S)

    async def _wait_urgent(self) -> None:
        """Until somebody waits for the news, or long enough."""
        async with asyncio.TaskGroup() as group:
            tasks = (group.create_task(self._urgent.wait()), group.create_task(self._clock.sleep(REPORT_DELAY_S)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
