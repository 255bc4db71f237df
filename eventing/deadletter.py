"""Dead letters after they were stored: offered to their sink until it takes them, and sent on their way again.

Storing comes first and needs no sink, so one that is down or was never set loses nothing. The dispatcher stores; a
`Forwarder` per subscription with a sink does the rest behind it.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from core.clock import Clock
from core.errors import ApiError, StoreFull, TemporaryError
from core.resources.eventing_delivery import Format
from core.tasks import Started
from eventing.delivery import Answered, Done, NoAnswer, Outcome, RetryAt, is_retried, next_step, reason_of
from eventing.dispatcher import Streams
from eventing.event import Event
from eventing.hops import BUDGET, HOPS, ONLY, STEP, VIA, Spent, spend
from eventing.log.base import DeadLetter, Fate
from eventing.log.dead_letters import DeadLetters
from eventing.sender import Sender, Target
from eventing.subscriptions import Subscription

log = structlog.get_logger()

PAUSE_S: Final = 60.0
"""Between two rounds of tries at a sink that does not take a letter."""
ERROR_ATTRIBUTES: Final = ("knativeerrordest", "knativeerrorcode", "knativeerrordata")


class Forwarder:
    """Offers the dead letters of one subscription to its sink, oldest first."""

    def __init__(
        self, letters: DeadLetters, sender: Sender, clock: Clock, subscription: Subscription, streams: Streams
    ) -> None:
        assert subscription.dead_letter_sink is not None
        self._letters = letters
        self._sender = sender
        self._clock = clock
        self._streams = streams
        self._subscription = subscription
        policy = subscription.policy
        self._target = Target(
            subscription.dead_letter_sink,
            subscription.namespace,
            policy.timeout_s,
            policy.format is Format.JSON,
            wants_reply=False,
        )
        self._news = asyncio.Event()
        self._news.set()
        self._after = 0

    def wake(self) -> None:
        """There is a new one."""
        self._news.set()

    async def run(self, started: Started) -> None:
        started()
        while True:
            await self._news.wait()
            self._news.clear()
            while letters := await self._letters.list(self._subscription.name, self._after):
                for letter in letters:
                    if letter.fate is Fate.WAITING and letter.event is not None:
                        await self._forward(letter, letter.event)
                    self._after = letter.number

    async def _forward(self, letter: DeadLetter, event: Event) -> None:
        """Ends when the sink has taken it, or has said that it never will: then it stays where it is."""
        attempt = 0
        while True:
            attempt += 1
            outcome = await self._offer(event)
            if isinstance(outcome, Spent):
                log.warning("a dead letter has gone round", number=letter.number, reason=str(outcome))
                return
            now = self._clock.monotonic()
            step = next_step(self._subscription.policy, outcome, attempt, now)
            if isinstance(step, Done):
                await self._mark(letter)
                return
            if isinstance(step, RetryAt):
                await self._clock.sleep(step.time - now)
                continue
            log.warning(
                "dead letter sink did not take a letter",
                sink=self._target.url, number=letter.number, reason=reason_of(outcome),
            )  # fmt: skip
            if isinstance(outcome, Answered) and not is_retried(outcome.status):
                return
            attempt = 0
            await self._clock.sleep(PAUSE_S)

    async def _offer(self, event: Event) -> Outcome | Spent:
        """A sink that is a stream of ours gets it a hop further, so that dead letters of dead letters end."""
        stream = self._streams.places.at(self._target.url)
        if stream is None:
            return (await self._sender.send(event, self._target)).outcome
        spent = spend(event, event, self._subscription.name, BUDGET)
        if isinstance(spent, Spent):
            return spent
        try:
            await self._streams.append(stream, [spent.with_attributes(**{STEP: None, ONLY: None})])
        except (ApiError, TemporaryError) as error:
            return NoAnswer(f"{stream} did not store it: {error}")
        return Answered(202)

    async def _mark(self, letter: DeadLetter) -> None:
        while True:
            try:
                await self._letters.mark([letter.number], Fate.SENT)
            except StoreFull:
                await self._clock.sleep(PAUSE_S)
            else:
                return


def redriven(letter: DeadLetter, event: Event) -> Event:
    """The event as it goes to its subscription, and to no other, once more: with a new budget, without the errors."""
    cleared: dict[str, str | None] = dict.fromkeys((*ERROR_ATTRIBUTES, HOPS, VIA))
    return event.with_attributes(**{**cleared, ONLY: letter.subscription})
