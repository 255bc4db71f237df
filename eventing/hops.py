"""How far replies may carry a chain of events: a budget of hops, and the triggers that it went through.

An event that a producer sends has none of this and the whole budget of its broker. The dispatcher calls `spend` for
each reply; one that finds the budget spent goes to the dead letters with the triggers that led there, so that a loop
ends and says what it was. Subscribers do not see these attributes (`stripped`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from eventing.attributes import Invalid, shown
from eventing.event import Event, Value

HOPS: Final = "knativebrokerttl"
"""Replies that may still follow. Knative's own name, so that a loop through one of its brokers ends as well."""
VIA: Final = "pilotlightvia"
"""The triggers so far, each once, the latest last."""
STEP: Final = "pilotlightstep"
"""The one step of a flow that an event is for."""
ONLY: Final = "pilotlightonly"
"""The one subscription that an event is for: it was redriven from that one's dead letters."""
INTERNAL: Final = frozenset((HOPS, VIA, STEP, ONLY))
BUDGET: Final = 255
"""Where a broker says nothing else; what Knative's default broker gives."""
VIA_MAX: Final = 16
_NUMBER = re.compile("[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Spent:
    """The chain ends here. `triggers` are those that it went through, the latest last."""

    triggers: tuple[str, ...]

    def __str__(self) -> str:
        through = ", ".join(self.triggers) or "no trigger that is known"
        return f"The event's budget of hops is spent: it is a reply to a reply, and so on, through {through}."


def accept(event: Event, budget: int) -> Event | Invalid:
    """An event as it comes in: with no more hops than the broker gives. What says nothing of hops has them all."""
    value = event.attributes.get(HOPS)
    if value is None:
        return event
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
        return Invalid(f"{HOPS} is {shown(value)}; an integer from 0 is allowed.", HOPS)
    return event if int(value) <= budget else event.with_attributes(**{HOPS: budget})


def spend(reply: Event, cause: Event, trigger: str, budget: int) -> Event | Spent:
    """A reply as it joins the broker: one hop less than what it replies to, and `trigger` noted.

    `cause` is the event that was delivered; whatever the reply itself says of hops does not count.
    """
    triggers = (*(name for name in _via(cause) if name != trigger), trigger)[-VIA_MAX:]
    remaining = _remaining(cause, budget) - 1
    if remaining < 0:
        return Spent(triggers)
    changes: dict[str, Value] = {HOPS: remaining, VIA: " ".join(triggers)}
    return reply.with_attributes(**changes)


def stripped(event: Event) -> Event:
    """As subscribers get it, and as it may come in from outside."""
    if INTERNAL.isdisjoint(event.attributes):
        return event
    return event.with_attributes(**dict.fromkeys(INTERNAL))


def _remaining(event: Event, budget: int) -> int:
    return min(int(event.attributes.get(HOPS, budget)), budget)


def _via(event: Event) -> tuple[str, ...]:
    return tuple(str(event.attributes.get(VIA, "")).split())
