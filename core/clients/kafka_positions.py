"""How far a consumer group has come, and how far its partitions go: what `core/clients/kafka_wire.py` finds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Partition: TypeAlias = tuple[str, int]
"""A topic, and a number."""


@dataclass(frozen=True, slots=True)
class GroupQuestion:
    """Where a group stands in these topics; with none of them, in those that it has committed offsets of."""

    group: str
    topics: Sequence[str] = ()


class Position(NamedTuple):
    """One partition, for one group. None: not found out (`problem` says why), or nothing was ever committed.

    `start` is asked for only where it matters: where something is to be read, or nothing was committed.
    """

    committed: int | None
    end: int | None
    start: int | None = None
    markers_only: bool = False  # all that lies between them are marks of transactions, which nobody is given to read
    problem: str = ""


@dataclass(frozen=True, slots=True)
class GroupPositions:
    """`missing`: topic → why its partitions are not known. `begun`: the group has committed something, somewhere."""

    positions: dict[Partition, Position]
    missing: Mapping[str, str]
    begun: bool
