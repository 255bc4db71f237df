"""The data path of events as a process that can die: ingress, log on a faulty disk, data plane, subscribers outside.

Everything is the real thing but the disk, the time and who is called. A `House` outlives its platforms: what a dead one
had written is what the next one finds. It keeps the books that `tests/support/event_promises.py` judges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from core.errors import ApiError, StoreFull
from core.inside import Call, Reply
from core.resources.eventing_delivery import BackoffPolicy
from core.tasks import start_service
from eventing.brokers.base import Interest
from eventing.brokers.embedded import EmbeddedBroker
from eventing.chronicle import Chronicle
from eventing.codec import encode_batch, encode_binary, encode_structured
from eventing.dataplane import DataPlane
from eventing.delivery import Policy
from eventing.entrance import Entrance
from eventing.event import Event
from eventing.filters.clauses import Filter
from eventing.filters.dialects import compile_filters
from eventing.hops import stripped
from eventing.ingress import Ingress, by_path
from eventing.intake import Terms, with_dead_letters
from eventing.log.base import NOW, Record, Retention
from eventing.log.log import EventLog
from eventing.plans import filter_source
from eventing.sender import Sender
from eventing.stream_intake import StreamIntake
from eventing.subscriptions import Append, Subscription
from tests.support.event_people import People, Person
from tests.support.platter import Crash, Platter
from tests.support.virtual_time import VirtualClock

STREAM = "broker/default/main"
LETTERS = "letters"  # who gets dead letters


@dataclass(frozen=True)
class Trigger:
    """As its document would be; its subscriber has its name."""

    name: str
    spec: Mapping[str, Any]
    policy: Policy
    order_key: str | None = None
    parallelism: int = 100
    sink: bool = False  # whether its dead letters go somewhere

    @property
    def subscription_name(self) -> str:
        return f"trigger/default/{self.name}"

    @property
    def filter(self) -> Filter:
        compiled = compile_filters(self.spec)
        assert isinstance(compiled, Filter), compiled
        return compiled

    def subscription(self) -> Subscription:
        return Subscription(
            interest=Interest(self.subscription_name, self.filter, filter_source(self.spec), NOW),
            namespace="default",
            subscriber=f"http://{self.name}.test/",
            reply=Append(STREAM),
            policy=self.policy,
            dead_letter_sink=f"http://{LETTERS}.test/" if self.sink else None,
            order_key=self.order_key,
            parallelism=self.parallelism,
        )


def policy(retry: int, delay_s: float = 0.2, linear: bool = False) -> Policy:
    kind = BackoffPolicy.LINEAR if linear else BackoffPolicy.EXPONENTIAL
    return Policy(retry, kind, delay_s, backoff_max_s=30.0, timeout_s=5.0, retry_after_max_s=10.0)


@dataclass
class Life:
    """Of one platform, in virtual seconds. `clean`: it was stopped, and wrote everything before it went."""

    began: float
    ended: float = float("inf")
    clean: bool = False
    refused_at: float = float("-inf")  # when the disk last refused something


@dataclass(frozen=True)
class Era:
    """What a trigger was from then on; None: there was none. Not `sure`: it was being changed into that."""

    began: float
    trigger: Trigger | None
    sure: bool


@dataclass
class Books:
    """What happened, as those outside know it. What the platform says counts only while it lives."""

    offered: dict[str, tuple[float, Event]] = field(default_factory=dict)  # when first, by producers and in replies
    acked: dict[str, tuple[float, int]] = field(default_factory=dict)  # when and in which life 202 was said
    offsets: dict[str, set[int]] = field(default_factory=dict)  # where an event was stored, as far as anybody heard
    statuses: dict[int, int] = field(default_factory=dict)  # of answers to producers, how many
    lives: list[Life] = field(default_factory=list)
    redriven: dict[tuple[str, str], int] = field(default_factory=dict)  # trigger and event: how often
    eras: dict[str, list[Era]] = field(default_factory=dict)
    honest_from: int = 0  # the first life since the disk has lost what it had written
    whole_from: int = 0  # … and since bits have flipped


class House:
    def __init__(self, folder: Path, chance: Random, people: dict[str, Person]) -> None:
        self.clock = VirtualClock()
        self.books = Books()
        self.platter = Platter(folder, chance)
        self.platter.died, self.platter.refused = self._died, self._refused
        self.people = People(Random(chance.random()), people, self._offer)
        self.people.alive = lambda: not self.platter.dead
        self.triggers: dict[str, Trigger] = {}  # those that are to be
        self._chance = chance
        self._fatal = asyncio.Event()

    # -- lives ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """What the roof and the controllers do."""
        self._fatal.clear()
        self.people.life = len(self.books.lives)
        self.books.lives.append(Life(asyncio.get_running_loop().time()))
        self.log = EventLog(self.platter.path, self.clock, self.platter.disk())
        await self.log.open()
        self.log.retain(STREAM, Retention(age_s=600, bytes_max=20_000))
        self.log.listen(STREAM, self._committed)
        chronicle = Chronicle(self.clock)
        self.plane = DataPlane(self.log, self.clock, Sender(self.people, self.people), chronicle, self._chance.random)
        up = asyncio.Event()
        self._running = asyncio.create_task(self._run(up))
        await up.wait()
        await self.plane.put_stream(EmbeddedBroker(STREAM, self.log, self.clock, chronicle))
        aside = with_dead_letters(self.log.dead_letters, STREAM)
        for name in self.log.stream(STREAM).subscriptions:  # as `eventing/controllers/leftovers.py` does
            if name not in {trigger.subscription_name for trigger in self.triggers.values()}:
                await self.log.unsubscribe(name)
        self.entrance = Entrance(StreamIntake(self.plane, self.clock, STREAM), aside, Terms(), self.clock)
        self.plane.entrances[STREAM] = self.entrance
        self.ingress = Ingress(by_path({b"/default/main": self.entrance}), "broker")
        for trigger in self.triggers.values():
            await self.put(trigger)

    async def _run(self, up: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            await start_service(group, self.log.run, "log")
            await start_service(group, self.plane.run, "plane")
            up.set()

    @property
    def dead(self) -> bool:
        return self.platter.dead

    async def while_alive(self, doing: Any) -> Any:
        """What it results in; Crash where the platform dies before that."""
        task = asyncio.ensure_future(doing)
        death = asyncio.create_task(self._fatal.wait())
        await asyncio.wait((task, death), return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        if self.dead:
            task.cancel()
            raise Crash
        return task.result()

    async def wait(self, seconds: float) -> None:
        await self.while_alive(asyncio.sleep(seconds))

    def kill(self, power: bool = False) -> None:
        self.platter.die(power)

    async def clear_away(self) -> None:
        """What is left of a dead process: its tasks do nothing any more, the kernel closes its files."""
        me = asyncio.current_task()
        while others := [task for task in asyncio.all_tasks() if task is not me]:
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=1.0)
        abandon(self.log)

    async def close(self) -> None:
        """SIGTERM, with the disk as it should be. Crash where that is not survived either."""
        self.platter.refusals = 0
        self._running.cancel()
        await self.while_alive(asyncio.wait((self._running,)))
        try:
            await self.log.close()
        except ApiError:
            abandon(self.log)
        if self.dead:
            raise Crash
        life = self.books.lives[-1]
        life.ended, life.clean = asyncio.get_running_loop().time(), True

    # -- what users do -------------------------------------------------------------------------------------------------

    async def put(self, trigger: Trigger) -> None:
        self.triggers[trigger.name] = trigger
        self._note(trigger.name, trigger, sure=False)
        await self._until_stored(lambda: self.plane.put(trigger.subscription(), STREAM))
        self._note(trigger.name, trigger, sure=True)

    async def drop(self, name: str) -> None:
        self.triggers.pop(name, None)
        self._note(name, None, sure=False)
        await self._until_stored(lambda: self.plane.drop(f"trigger/default/{name}"))
        self._note(name, None, sure=True)

    async def _until_stored(self, change: Callable[[], Awaitable[None]]) -> None:
        """As a controller does it."""
        while True:
            try:
                return await change()
            except StoreFull:
                await asyncio.sleep(1.0)

    def post(self, events: Sequence[Event]) -> None:
        """Nobody waits for the answer but the books. One event binary or structured, several as a batch."""
        if len(events) > 1:
            fields, body = encode_batch(events)
        else:
            fields, body = self._chance.choice((encode_binary, encode_structured))(events[0])
        for event in events:
            self._offer(stripped(event))
        call = Call(b"POST", b"x", b"/default/main", fields, body)
        self.ingress.answer(call, partial(self._answered, [event.id for event in events]))

    # -- the books -----------------------------------------------------------------------------------------------------

    def _note(self, name: str, trigger: Trigger | None, *, sure: bool) -> None:
        era = Era(asyncio.get_running_loop().time(), trigger, sure)
        self.books.eras.setdefault(name, []).append(era)

    def _offer(self, event: Event) -> None:
        self.books.offered.setdefault(event.id, (asyncio.get_running_loop().time(), event))

    def _answered(self, ids: Sequence[str], reply: Reply) -> None:
        if self.dead:
            return
        self.books.statuses[reply.status] = self.books.statuses.get(reply.status, 0) + 1
        if reply.status == 202:
            for id in ids:
                self.books.acked[id] = (asyncio.get_running_loop().time(), self.people.life)

    def _committed(self, records: Sequence[Record]) -> None:
        for record in records:
            self.books.offsets.setdefault(record.event.id, set()).add(record.offset)

    def _refused(self) -> None:
        self.books.lives[-1].refused_at = asyncio.get_running_loop().time()

    def _died(self) -> None:
        if self.books.lives:
            self.books.lives[-1].ended = asyncio.get_running_loop().time()
        self._fatal.set()


def abandon(log: EventLog) -> None:
    log._commits._touched.clear()
    if log._commits._timer is not None:
        log._commits._timer.cancel()
    log._file._database.close()
    log._file._reader.close()
    log._file._lock.release()
