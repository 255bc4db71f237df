"""One subscription under way: takes what its feed has, sends it, and sees each delivery to its end.

    feed.take ─▶ lane ─▶ send ─▶ replies stored ─▶ next_step ─▶ done: ack
                          ▲                            │
                          └──────── wait ◀─────────────┤ retry
                                                       └ dead letter: stored and acknowledged, then its sink is told

A delivery that waits for its next attempt takes no place in flight; in an ordered subscription it holds its own lane.
Whatever the subscriber does, every event that was taken ends in `ack` or in `bury`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from core.clock import Clock
from core.errors import ApiError, StoreFull, TemporaryError
from core.resources.eventing_delivery import Format
from core.stats import Backlog, Backlogs
from core.tasks import Started
from eventing.brokers.base import Delivery, Feed
from eventing.chronicle import Chronicle
from eventing.delivery import (
    Answered,
    DeadLetter,
    Done,
    NoAnswer,
    Outcome,
    RetryAt,
    Step,
    Unsubscribe,
    error_attributes,
    next_step,
    reason_of,
)
from eventing.event import Event
from eventing.hops import BUDGET, ONLY, STEP, Spent, spend
from eventing.lanes import Lanes, Rate
from eventing.log.base import Attempt
from eventing.places import Places
from eventing.sender import Sender, Target
from eventing.subscriptions import Append, Drop, SendOn, Subscription

log = structlog.get_logger()

HELD_MAX: Final = 1_000
"""Deliveries of one subscription in memory: in flight, or waiting for a retry."""
HELD_IN_LANES_MAX: Final = 10_000
"""The same where there is an order: those behind a retry are among them, and others must still be able to pass."""
SUCCESS: Final[Outcome] = Answered(200)
REASON_MAX: Final = 500
STORE_RETRY_S: Final = 1.0


class Streams(Protocol):
    """Where replies are stored, and what one stream hands to another."""

    places: Places

    def append(self, stream: str, events: Sequence[Event]) -> asyncio.Future[int]:
        """Done once they are durable. NotFound, StoreFull, TooManyRequests, TemporaryError."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all dispatchers share. `draw` gives a number in [0, 1) for jitter."""

    clock: Clock
    sender: Sender
    streams: Streams
    chronicle: Chronicle
    buried: Callable[[Subscription, int], None]
    draw: Callable[[], float]
    backlogs: Backlogs = field(default_factory=Backlogs)


class Dispatcher:
    """`gone` is called once when the subscriber says that it is gone for good (410)."""

    def __init__(
        self, parts: Parts, subscription: Subscription, feed: Feed, gone: Callable[[Subscription], None]
    ) -> None:
        self.subscription = subscription
        self.feed = feed
        self._parts = parts
        self._gone = gone
        self._lanes: Lanes[_Way] = Lanes(subscription.parallelism)
        self._held_max = HELD_MAX if subscription.order_key is None else HELD_IN_LANES_MAX
        self._rate = Rate(subscription.rate_per_s) if subscription.rate_per_s else None
        self._wake = asyncio.Event()
        self._resting: set[asyncio.Task[None]] = set()
        self._stopping = False
        policy, namespace = subscription.policy, subscription.namespace
        structured = policy.format is Format.JSON
        keeps = not isinstance(subscription.reply, Drop)  # else whatever it says is as good as nothing
        self._target = Target(subscription.subscriber or "", namespace, policy.timeout_s, structured, keeps_reply=keeps)

    @property
    def in_flight(self) -> int:
        return self._lanes.in_flight

    async def run(self, started: Started) -> None:
        """Until canceled, or stopped: what was not over then is delivered again by whoever comes next."""
        try:
            await self._run(started)
        finally:
            self._parts.backlogs.note(self.subscription.name, None)

    async def _run(self, started: Started) -> None:
        feed, lanes = self.feed, self._lanes
        async with asyncio.TaskGroup() as group:
            feed.changed = self._wake.set
            reading = group.create_task(feed.run(started), name=f"feed:{self.subscription.name}")
            while not self._stopping:
                self._wake.clear()
                for delivery in feed.take(self._held_max - lanes.held):
                    lanes.put(_Way(delivery), self._key(delivery))
                while not self._stopping and (found := lanes.start()) is not None:
                    if self._rate is not None:
                        await self._pace(self._rate)
                    group.create_task(self._deliver(*found))
                self._parts.backlogs.note(self.subscription.name, Backlog(feed.backlog, lanes.in_flight))
                await self._wake.wait()
            while lanes.in_flight:
                self._wake.clear()
                await self._wake.wait()
            for task in (reading, *self._resting):
                task.cancel()

    def stop(self) -> None:
        """Begins nothing more; `run` returns when what is in flight has its answer."""
        self._stopping = True
        self._wake.set()

    def _key(self, delivery: Delivery) -> str | None:
        """Events without the attribute keep their order among themselves."""
        key = self.subscription.order_key
        if key is None:
            return None
        return delivery.lane if delivery.lane is not None else str(delivery.event.attributes.get(key, ""))

    async def _pace(self, rate: Rate) -> None:
        while wait_s := rate.delay_s(self._parts.clock.monotonic()):
            await self._parts.clock.sleep(wait_s)

    async def _deliver(self, way: _Way, key: str | None) -> None:
        """One attempt, and what follows from it."""
        subscription, delivery = self.subscription, way.delivery
        found = await self._attempt(way)
        now = self._parts.clock.monotonic()
        step: Step
        if isinstance(found, Spent):
            outcome, step = SUCCESS, DeadLetter(str(found))
        else:
            outcome = found
            step = next_step(subscription.policy, outcome, way.failures + 1, now, self._parts.draw())
        if isinstance(step, RetryAt):
            wait_s = step.time - now
            self._parts.chronicle.retried(subscription.name, delivery, self._note(way, outcome), wait_s)
            await self._rest(wait_s)
            self._lanes.again(way, key)
        else:
            if isinstance(step, Done):
                self.feed.ack(delivery)
            else:
                self._note(way, outcome)
                await self._bury(delivery, outcome, step)
            self._parts.chronicle.ended(subscription.name, delivery, step, outcome)
            self._lanes.over(key)
        self._wake.set()

    async def _rest(self, wait_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lanes.rest()
        self._wake.set()
        self._resting.add(task)
        try:
            await self._parts.clock.sleep(wait_s)
        finally:
            self._resting.discard(task)

    async def _attempt(self, way: _Way) -> Outcome | Spent:
        """Succeeds when the replies are stored, too; a subscriber that has answered is not asked again for that."""
        if way.replies is None:
            event, url = way.delivery.event, self.subscription.subscriber
            if url is None:
                way.replies = [event]
            elif (stream := self._parts.streams.places.at(url)) is not None:
                return await self._store(event, [event], Append(stream))  # one of ours takes it, and answers nothing
            else:
                result = await self._parts.sender.send(event, self._target)
                if not result.replies:
                    return result.outcome
                way.replies = result.replies
        return await self._hand_on(way.delivery.event, way.replies)

    async def _hand_on(self, event: Event, replies: Sequence[Event]) -> Outcome | Spent:
        """The replies, on their way."""
        rule, parts = self.subscription.reply, self._parts
        if isinstance(rule, SendOn) and (stream := parts.streams.places.at(rule.url)) is not None:
            rule = Append(stream)
        if isinstance(rule, Append):
            return await self._store(event, replies, rule)
        if isinstance(rule, SendOn):
            target = replace(self._target, url=rule.url, wants_reply=False)
            for reply in replies:
                outcome = (await parts.sender.send(reply, target)).outcome
                if not (isinstance(outcome, Answered) and 200 <= outcome.status < 300):
                    return outcome
        return SUCCESS

    async def _store(self, cause: Event, events: Sequence[Event], rule: Append) -> Outcome | Spent:
        """Into a stream of ours, a hop further: so a ring of streams ends, whatever it leads through."""
        marked: list[Event] = []
        for event in events:
            spent = spend(event, cause, self.subscription.name, BUDGET)
            if isinstance(spent, Spent):
                return spent
            marked.append(spent.with_attributes(**{STEP: rule.step or None, ONLY: None}))
        try:
            await self._parts.streams.append(rule.stream, marked)
        except (ApiError, TemporaryError) as error:
            return NoAnswer(f"{rule.stream} did not store it: {error}")
        return SUCCESS

    def _note(self, way: _Way, outcome: Outcome) -> Attempt:
        way.failures += 1
        time_ms = int(self._parts.clock.wall() * 1000)
        code = None if isinstance(outcome, NoAnswer) else outcome.status
        attempt = Attempt(way.failures, time_ms, code, reason_of(outcome)[:REASON_MAX])
        self.feed.failed(way.delivery, attempt)
        return attempt

    async def _bury(self, delivery: Delivery, outcome: Outcome, step: DeadLetter | Unsubscribe) -> None:
        letter = delivery.event.with_attributes(**error_attributes(self._target.url, outcome))
        while True:
            try:
                number = await self.feed.bury(delivery, letter, step.reason)
            except (StoreFull, TemporaryError) as error:
                log.warning("a dead letter waits to be stored", subscription=self.subscription.name, reason=str(error))
                await self._parts.clock.sleep(STORE_RETRY_S)
            else:
                break
        self._parts.buried(self.subscription, number)
        if isinstance(step, Unsubscribe):
            self._gone(self.subscription)


class _Way:
    """A delivery with what has become of it so far."""

    __slots__ = ("delivery", "failures", "replies")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.failures = len(delivery.attempts)
        self.replies: Sequence[Event] | None = None  # the subscriber has had it; these are not handed on yet
