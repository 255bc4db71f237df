"""Every broker and channel with its subscriptions, as running tasks: told by the controllers, asked by the ingress.

The roof runs it as one service. A stream is a broker or channel of any class, by name; a subscription is one
`Dispatcher`. What is put again unchanged goes on undisturbed; what has changed finishes what it has in flight first, so
an edited Trigger delivers nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from core.clock import Clock
from core.errors import NotFound, StoreFull, TemporaryError
from core.resources.meta import ObjectKey
from core.stats import Backlogs
from core.tasks import Started, start_alone, start_service
from eventing.brokers.base import Broker
from eventing.chronicle import Chronicle
from eventing.deadletter import Forwarder
from eventing.dispatcher import Dispatcher, Parts
from eventing.entrance import Entrance
from eventing.event import Event
from eventing.hops import STEP
from eventing.log.base import Start
from eventing.log.log import EventLog
from eventing.places import Places
from eventing.sender import Sender
from eventing.subscriptions import Subscription

log = structlog.get_logger()

GRACE_S: Final = 30.0
"""For deliveries in flight when a subscription changes or the platform stops; then they are made again later."""
RESTART_S: Final = 1.0


@dataclass(slots=True)
class Running:
    """A subscription under way. `gone`: its subscriber has said that it is gone for good."""

    subscription: Subscription
    stream: str
    dispatcher: Dispatcher
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    gone: bool = False


class DataPlane:
    """What it does by itself, it tells whoever `follow`s; what waits, to `backlogs`. `parts` are its dispatchers'."""

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        sender: Sender,
        chronicle: Chronicle,
        draw: Callable[[], float],
        backlogs: Backlogs | None = None,
    ) -> None:
        self.places = Places()
        self._followers: dict[str, Callable[[ObjectKey], None]] = {}
        self.running: dict[str, Running] = {}
        self.streams_of: dict[str, str] = {}  # by subscription, those that are held back too
        self.entrances: dict[str, Entrance] = {}  # of the streams that events come into from outside
        self._log = log
        self._clock = clock
        self.sender = sender
        self.parts = Parts(clock, sender, self, chronicle, self._buried, draw, backlogs or Backlogs())
        self._brokers: dict[str, tuple[Broker, asyncio.Task[None]]] = {}
        self._forwarders: dict[str, Forwarder] = {}
        self._pause = partial(clock.sleep, RESTART_S)
        self._group: asyncio.TaskGroup | None = None

    async def run(self, started: Started) -> None:
        """Until canceled; then whatever is in flight has its time to end."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            started()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.shield(self._drain())
                for task in (*(t for each in self.running.values() for t in each.tasks), *self._broker_tasks()):
                    task.cancel()

    def stream(self, name: str) -> Broker | None:
        found = self._brokers.get(name)
        return found[0] if found is not None else None

    def append(self, stream: str, events: Sequence[Event]) -> asyncio.Future[int]:
        """Done once they are durable. NotFound, StoreFull, TooManyRequests, TemporaryError."""
        entrance = self.entrances.get(stream)
        if entrance is not None and not any(STEP in event.attributes for event in events):
            return entrance.take(events)
        broker = self.stream(stream)
        if broker is None:
            raise NotFound(f"there is no {stream}")
        return broker.append(events)

    def follow(self, prefix: str, changed: Callable[[ObjectKey], None]) -> None:
        """`changed` hears of subscriptions whose names begin so when something about them has changed by itself."""
        self._followers[prefix] = changed

    async def put_stream(self, broker: Broker) -> None:
        """Runs it; what runs under its name goes on."""
        if broker.name not in self._brokers:
            task = await start_alone(self._tasks, broker.run, f"broker:{broker.name}", self._pause)
            self._brokers[broker.name] = (broker, task)

    async def drop_stream(self, name: str, *, erase: bool = False) -> None:
        """With its subscriptions; `erase`: with what it has stored. TemporaryError: call again."""
        for subscription in [each for each, stream in self.streams_of.items() if stream == name]:
            await self.drop(subscription)
        if (found := self._brokers.get(name)) is not None:
            broker, task = found
            if erase:
                await broker.erase()
            del self._brokers[name]
            await _cancel(task)

    async def put(self, subscription: Subscription, stream: str) -> None:
        """Runs it. NotFound where there is no such stream; StoreFull, TemporaryError."""
        name = subscription.name
        current = self.running.get(name)
        if current is not None:
            if current.subscription == subscription and current.stream == stream:
                return
            await self._retire(current)
        broker = self.stream(stream)
        if broker is None:
            raise NotFound(f"there is no {stream}")
        dispatcher = Dispatcher(self.parts, subscription, await broker.subscribe(subscription.interest), self._gone)
        self.streams_of[name] = stream
        running = self.running[name] = Running(subscription, stream, dispatcher)
        running.tasks.append(
            await start_service(self._tasks, partial(self._keep, running, broker), f"dispatcher:{name}")
        )
        if subscription.dead_letter_sink is not None:
            forwarder = Forwarder(self._log.dead_letters, self.sender, self._clock, subscription, self)
            self._forwarders[name] = forwarder
            task = await start_alone(self._tasks, forwarder.run, f"dead-letters:{name}", self._pause)
            running.tasks.append(task)

    async def drop(self, name: str, *, keep_position: bool = False) -> None:
        """Ends it. A position that is kept is taken up again by a subscription of the same name.

        StoreFull, TemporaryError: call again.
        """
        await self.hold(name)
        stream = self.streams_of.get(name)
        if stream is not None and (broker := self.stream(stream)) is not None:
            await broker.unsubscribe(name, keep_position=keep_position)
        self.streams_of.pop(name, None)

    async def reserve(self, name: str, stream: str, start: Start) -> None:
        """Events from here on wait for a subscription that cannot run yet. StoreFull, TemporaryError."""
        if name not in self.streams_of and (broker := self.stream(stream)) is not None:
            await broker.reserve(name, start)
            self.streams_of[name] = stream

    async def hold(self, name: str) -> None:
        """Delivers nothing for now; what comes meanwhile waits for it."""
        if (running := self.running.get(name)) is not None:
            await self._retire(running)

    def is_gone(self, name: str) -> bool:
        """Its subscriber has answered 410, and it has not changed since."""
        return name in self.running and self.running[name].gone

    async def _keep(self, running: Running, broker: Broker, started: Started) -> None:
        """A fault in one subscription is not the others'."""
        broken = False
        while True:
            try:
                if broken:
                    feed = await broker.subscribe(running.subscription.interest)
                    running.dispatcher = Dispatcher(self.parts, running.subscription, feed, self._gone)
                await running.dispatcher.run(started)
            except Exception:  # a defect of ours: said, and the events are still there
                log.exception("dispatcher failed", subscription=running.subscription.name)
                broken = True
                await self._pause()
            else:
                break
        while running.gone:  # until somebody changes it, and perhaps for ever: retention does not wait for that
            try:
                await broker.unsubscribe(running.subscription.name, keep_position=True)
            except (StoreFull, TemporaryError):
                await self._pause()
            else:
                break

    async def _retire(self, running: Running) -> None:
        """What is in flight ends first."""
        name = running.subscription.name
        self.running.pop(name, None)
        self._forwarders.pop(name, None)
        running.dispatcher.stop()
        dispatching, *others = running.tasks
        for task in others:
            await _cancel(task)
        await asyncio.wait((dispatching,), timeout=GRACE_S)
        await _cancel(dispatching)

    async def _drain(self) -> None:
        for running in self.running.values():
            running.dispatcher.stop()
        tasks = [running.tasks[0] for running in self.running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_S)

    def _gone(self, subscription: Subscription) -> None:
        if (running := self.running.get(subscription.name)) is not None:
            running.gone = True
            running.dispatcher.stop()
            self._tell(subscription.name)

    def _buried(self, subscription: Subscription, number: int) -> None:
        if (forwarder := self._forwarders.get(subscription.name)) is not None:
            forwarder.wake()

    def _tell(self, name: str) -> None:
        sort, namespace, object_name, *_ = name.split("/")  # a part of a flow has its own name behind that
        if (follower := self._followers.get(f"{sort}/")) is not None:
            follower(ObjectKey(namespace, object_name))

    def _broker_tasks(self) -> list[asyncio.Task[None]]:
        return [task for _, task in self._brokers.values()]

    @property
    def _tasks(self) -> asyncio.TaskGroup:
        if self._group is None:
            raise RuntimeError("the eventing data plane has not been started")
        return self._group


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))
