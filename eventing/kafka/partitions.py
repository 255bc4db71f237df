"""The partitions of one consumer: what waits in each, what is out, and what may be committed. Pure.

Partitions come and go (a rebalance, a server that was away). One that comes back while nobody else has moved its group
goes on as if nothing had been; for any other, what the group has committed counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from core.clients.kafka_terms import Committed, Partition
from eventing.event import Event
from eventing.kafka.layout import number_of
from eventing.kafka.progress import Progress
from eventing.log.base import Attempt


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that cannot be delivered as what it means to be: a dead letter, with what there is of it."""

    reason: str
    event: Event | None = None


@dataclass(slots=True, eq=False)
class Owned:
    """One of them. `confirmed` and `tried`: its last commits, known and not known to hold."""

    partition: Partition
    progress: Progress
    confirmed: int
    tried: int
    end: int
    pending: deque[tuple[int, Event | Refused]] = field(default_factory=deque)
    out: int = 0
    held: bool = True
    dirty: bool = False

    def let_go(self) -> None:
        """What waits is read again by whoever has the partition next."""
        if self.pending:
            self.progress.back(self.pending[0][0])
            self.pending.clear()

    def sweep(self) -> None:
        """Acknowledges what nobody wanted, where nothing else will."""
        if not self.out and not self.pending and self.progress.low < self.progress.next:
            self.progress.ack(*self.progress.give(self.progress.next - 1))
            self.dirty = True


@dataclass(frozen=True, slots=True)
class Place:
    """A record on its way. `span` ends with it; nothing else in that was wanted."""

    owned: Owned
    span: tuple[int, int]
    offset: int

    @property
    def number(self) -> int:
        return number_of(self.owned.partition[1], self.offset)

    @property
    def attempts(self) -> Sequence[Attempt]:
        return tuple(self.owned.progress.failures.get(self.offset, ()))

    def failed(self, attempt: Attempt) -> None:
        self.owned.progress.fail(self.offset, attempt)
        self.owned.dirty = True

    def over(self) -> None:
        self.owned.progress.ack(*self.span)
        self.owned.out -= 1
        self.owned.dirty = True


class Partitions:
    """All of them."""

    def __init__(self) -> None:
        self._owned: dict[Partition, Owned] = {}

    @property
    def all(self) -> Collection[Owned]:
        return self._owned.values()

    @property
    def waiting(self) -> int:
        return sum(len(each.pending) for each in self.all)

    @property
    def backlog(self) -> int:
        return sum(each.out + len(each.pending) + max(0, each.end - each.progress.next) for each in self.all)

    def held(self, partition: Partition) -> Owned | None:
        owned = self._owned.get(partition)
        return owned if owned is not None and owned.held else None

    def assign(self, found: Mapping[Partition, Committed]) -> dict[Partition, int]:
        """From where to read each."""
        for partition, committed in found.items():
            offset, owned = committed.offset, self._owned.get(partition)
            if owned is not None and offset in (owned.confirmed, owned.tried):
                owned.held, owned.confirmed = True, offset
            else:
                self._owned[partition] = Owned(partition, Progress(offset, committed.note), offset, offset, offset)
        return {partition: self._owned[partition].progress.next for partition in found}

    def revoke(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            if (owned := self._owned.get(partition)) is not None:
                owned.let_go()
                owned.held = False

    def end(self, ends: Mapping[Partition, int]) -> None:
        """Where they end at present."""
        for partition, end in ends.items():
            if (owned := self._owned.get(partition)) is not None:
                owned.end = max(owned.end, end)

    def to_commit(self) -> dict[Partition, Committed]:
        """What is not committed yet; counts as tried."""
        positions: dict[Partition, Committed] = {}
        for owned in self.all:
            owned.sweep()
            if owned.held and owned.dirty:
                positions[owned.partition] = Committed(owned.progress.low, owned.progress.note())
                owned.tried, owned.dirty = owned.progress.low, False
        return positions

    def committed(self, positions: Mapping[Partition, Committed], kept: bool) -> None:
        for partition, to in positions.items():
            if (owned := self._owned.get(partition)) is None:
                continue
            if kept:
                owned.confirmed = to.offset
            else:
                owned.dirty = True
