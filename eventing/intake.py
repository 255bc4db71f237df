"""What a broker, a channel or a sink offers to whoever has events: the one face of the log, of Kafka, of RabbitMQ.

An entrance (`eventing/entrance.py`) stands in front of each and has checked what it hands on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from core.resources.eventing_options import SchemaMode
from eventing.codec import Limits
from eventing.event import Event
from eventing.hops import BUDGET
from eventing.log.base import DeadLetter
from eventing.log.dead_letters import DeadLetters
from eventing.schemas import Schemas
from eventing.webhook import Welcome

Stored: TypeAlias = asyncio.Future[Any]
"""Done when the events are where a crash does not reach them; its result is the intake's own business.

An `ApiError` in it is what the producer is told: StoreFull 507, TooManyRequests 429, TooLarge 413. A TemporaryError is
503, and anything else 500.
"""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what conditions events are taken: compiled by a controller, replaced as a whole when its resource changes."""

    limits: Limits = field(default_factory=Limits)
    deduplicate_s: float = 0.0  # 0: an event that comes again is taken again
    schemas: Schemas = field(default_factory=Schemas)
    schema_mode: SchemaMode = SchemaMode.WARN
    hops: int = BUDGET
    welcome: Welcome = field(default_factory=Welcome)


class Intake(Protocol):
    """Where events go. Called on the loop; nothing in it waits."""

    def append(self, events: Sequence[Event]) -> Stored:
        """Stores all of them in order, or none.

        Raises at once what it knows at once: TooManyRequests (`retry_after_s`) while its backlog is as long as it may
        be, TemporaryError while it cannot store.
        """


SetAside: TypeAlias = Callable[[Event, str], Stored]
"""Stores an event that is taken but not to be delivered, with the reason."""


def with_dead_letters(letters: DeadLetters, stream: str) -> SetAside:
    """Sets aside among the dead letters of the log, under the stream's own name: no subscription has failed."""

    def set_aside(event: Event, reason: str) -> Stored:
        return letters.keep(DeadLetter(0, stream, stream, None, 0, reason, (), event))

    return set_aside
