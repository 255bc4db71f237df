"""What the event log speaks of: records, damage, where a subscription starts, attempts, dead letters, retention.

A *stream* is a broker or a channel, named by text (`broker/NAMESPACE/NAME`). Its records have offsets that rise by one,
from 0. A *subscription* (`trigger/NAMESPACE/NAME`) reads one stream and acknowledges offsets in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from eventing.event import Event


class Record(NamedTuple):
    """One event where it lies. `time_ms` is the wall time of its acceptance; clocks jump, so it may go back."""

    offset: int
    time_ms: int
    event: Event

    @property
    def after(self) -> int:
        return self.offset + 1


@dataclass(frozen=True, slots=True)
class Damaged:
    """Offsets whose records can no longer be read. Reads yield it in their place, so that nobody passes them unseen."""

    offset: int
    count: int
    reason: str

    @property
    def after(self) -> int:
        return self.offset + self.count


Entry: TypeAlias = Record | Damaged


class Origin(StrEnum):
    NOW = "now"
    EARLIEST = "earliest"
    TIME = "time"
    OFFSET = "offset"


@dataclass(frozen=True, slots=True)
class Start:
    """Where a new subscription begins; `value` is seconds since the epoch for TIME, an offset for OFFSET."""

    origin: Origin
    value: float = 0


NOW = Start(Origin.NOW)
EARLIEST = Start(Origin.EARLIEST)


@dataclass(frozen=True, slots=True)
class Retention:
    """What of a stream is kept for replay once every subscription has acknowledged it; None bounds nothing.

    What some subscription has not yet acknowledged stays, however old and large it is.
    """

    age_s: float | None = 7 * 86_400.0
    bytes_max: int | None = 1 << 30


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream's offsets from `head` (oldest kept) to before `tail` (next to be given), and the bytes they take.

    `subscriptions`: those that retention waits for.
    """

    name: str
    head: int
    tail: int
    bytes: int
    subscriptions: Sequence[str] = field(default=(), compare=False)

    @property
    def records(self) -> int:
        return self.tail - self.head


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed try to deliver: `number` from 1, `code` the HTTP status, None where there was no answer."""

    number: int
    time_ms: int
    code: int | None
    reason: str


class Fate(StrEnum):
    """What has become of a dead letter."""

    WAITING = "waiting"  # kept, and nobody has been told
    SENT = "sent"  # the dead letter sink has taken it
    REDRIVEN = "redriven"  # delivered after all


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that no further try will be made for, with all that was tried; `number` names it for ever.

    `event` is None where the record itself was damaged. `offset` is None where a broker without offsets had it.
    """

    number: int
    subscription: str
    stream: str
    offset: int | None
    time_ms: int
    reason: str
    attempts: Sequence[Attempt]
    event: Event | None
    fate: Fate = Fate.WAITING
