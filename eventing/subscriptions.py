"""What the dispatcher needs to know of a subscription: compiled from a Trigger, a Subscription or a flow's step.

Controllers make these out of resources; nothing on the way of an event looks at a resource. A change makes a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from eventing.brokers.base import Interest
from eventing.delivery import Policy


@dataclass(frozen=True, slots=True)
class Append:
    """A reply goes into a stream of ours. `step` marks it for one subscription of a flow alone."""

    stream: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class SendOn:
    """A reply goes to a URL, with the retries of the delivery itself."""

    url: str


@dataclass(frozen=True, slots=True)
class Drop:
    """A reply goes nowhere."""


ReplyRule: TypeAlias = Append | SendOn | Drop


@dataclass(frozen=True, slots=True)
class Subscription:
    """`subscriber` is None where events pass through to the reply rule as they are. `order_key`: one at a time for each
    value of that attribute; None for no order."""

    interest: Interest
    namespace: str
    subscriber: str | None
    reply: ReplyRule
    policy: Policy
    dead_letter_sink: str | None = None
    order_key: str | None = None
    parallelism: int = 100
    rate_per_s: float | None = None
    backlog_max: int | None = None  # None: what its broker says

    @property
    def name(self) -> str:
        return self.interest.name
