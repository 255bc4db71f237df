"""What of a stream is taken away: whole groups, oldest first, never one that somebody has yet to acknowledge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eventing.log.base import Retention
from eventing.log.records import Group


class Prune(NamedTuple):
    """Everything below `head` goes, which frees so many bytes."""

    head: int
    bytes: int


def plan_prune(
    oldest: Sequence[Group], retention: Retention, floor: int, stream_bytes: int, now_ms: int
) -> Prune | None:
    """`oldest` are the stream's first groups, ascending; below `floor` everything is acknowledged by everyone."""
    head, freed = None, 0
    for group in oldest:
        too_old = retention.age_s is not None and group.time_ms < now_ms - retention.age_s * 1000
        too_many = retention.bytes_max is not None and stream_bytes - freed > retention.bytes_max
        if group.first + group.count > floor or not (too_old or too_many):
            break
        head, freed = group.first + group.count, freed + group.bytes
    return None if head is None else Prune(head, freed)
