"""The lag of a consumer group: from positions to one number, and what it leaves out (pkg/scalers/kafka_scaler.go).

A partition whose offsets are not known counts as nothing known, never as empty; one whose group is ahead of its end was
truncated or made anew, counts as one that nothing was committed in, and is no proof of emptiness either. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from core.clients.kafka_positions import GroupPositions, Partition, Position

NOTES_MAX: Final = 3


class OffsetReset(StrEnum):
    """What consumers do where the group has no valid offset: the `auto.offset.reset` of their own configuration."""

    LATEST = "latest"
    EARLIEST = "earliest"


@dataclass(frozen=True, slots=True)
class LagRules:
    """`persistent_after_s` None: all lag counts. `only` None: all partitions."""

    reset: OffsetReset = OffsetReset.LATEST
    invalid_is_zero: bool = False
    persistent_after_s: float | None = None
    only: Collection[int] | None = None


class Standing(NamedTuple):
    """What a group had committed while it lagged, and since when it has stood there (monotonic seconds)."""

    committed: int | None
    since: float


Stood = Mapping[Partition, Standing]


@dataclass(frozen=True, slots=True)
class Lag:
    """`counted` is without what persists, `all` with it. `produced` and `consumed` are None where a part is unknown."""

    counted: int
    all: int
    partitions: int
    lagging: int  # partitions with lag that counts
    known: int  # partitions that something is known of
    whole: bool
    produced: int | None
    consumed: int | None
    note: str = ""


class _Part(NamedTuple):
    lag: int
    position: int  # up to where it counts as consumed
    sure: bool = True
    note: str = ""
    unbegun: bool = False  # nothing is committed: it counts, so that a consumer begins


def measure(found: GroupPositions, rules: LagRules, stood: Stood, now: float) -> tuple[Lag, Stood]:
    """The lag, and what to hand in with the next positions."""
    notes = [f"topic {topic} is not known: {why}" for topic, why in found.missing.items()]
    standing: dict[Partition, Standing] = {}
    parts: list[_Part] = []
    unbegun_ones: list[str] = []
    counted = lagging = produced = total = 0
    for each, position in found.positions.items():
        if rules.only is not None and each[1] not in rules.only:
            continue
        total += 1
        part = _part(each, position, rules)
        if isinstance(part, str):
            notes.append(part)
            if each in stood:
                standing[each] = stood[each]
            continue
        parts.append(part)
        produced += position.end or 0
        if part.note:
            notes.append(part.note)
        if part.unbegun:
            unbegun_ones.append(_named(each))
        if not part.lag:
            continue
        before = stood.get(each)
        still = before is not None and before.committed == position.committed
        standing[each] = at = before if before is not None and still else Standing(position.committed, now)
        if rules.persistent_after_s is not None and now - at.since >= rules.persistent_after_s:
            notes.append(f"{part.lag} in {_named(each)} left out: nothing committed for {now - at.since:.0f} s")
        else:
            counted += part.lag
            lagging += 1
    if unbegun_ones:
        listed = _joined(unbegun_ones, ", ")
        notes.append(f"nothing committed in {listed}: each partition counts as 1, so that a consumer begins")
    known = len(parts) == total and not found.missing
    lag = Lag(
        counted=counted,
        all=sum(part.lag for part in parts),
        partitions=total,
        lagging=lagging,
        known=len(parts),
        whole=known and all(part.sure for part in parts),
        produced=produced if known else None,
        consumed=sum(part.position for part in parts) if known else None,
        note=_joined(notes),
    )
    return lag, standing


def unbegun(rules: LagRules) -> Lag:
    """Of a group that has committed nothing, and whose topics nobody named: it must run for them to be known."""
    if rules.invalid_is_zero:
        return Lag(0, 0, 0, 0, 0, True, None, None, "the group has committed nothing yet")
    note = "the group has committed nothing yet, and no topic is named: one replica is wanted, so that it begins"
    return Lag(1, 1, 0, 1, 0, True, None, None, note)


def _part(each: Partition, found: Position, rules: LagRules) -> _Part | str:
    """One partition, or why it is not known."""
    if found.end is None:
        return f"{_named(each)} is not known: {found.problem or 'no answer'}"
    if found.committed is None:
        return _invalid(each, found, found.end, rules)
    if found.committed > found.end:
        counts = _invalid(each, found, found.end, rules)
        if isinstance(counts, str) or rules.invalid_is_zero:
            return counts
        said = f"{_named(each)} ends at {found.end}, and {found.committed} is committed: truncated, or made anew"
        return counts._replace(sure=False, note=said, unbegun=False)
    if found.markers_only:
        return _Part(0, found.end, note=f"only marks of transactions are left in {_named(each)}")
    first = max(found.committed, found.start or 0)  # what retention has deleted will not be consumed
    return _Part(max(found.end - first, 0), min(first, found.end))


def _invalid(each: Partition, found: Position, end: int, rules: LagRules) -> _Part | str:
    """No offset that a consumer could go on from."""
    if rules.invalid_is_zero:
        return _Part(0, end)
    if rules.reset is OffsetReset.LATEST:
        return _Part(1, end, unbegun=True)
    if found.start is None:
        return f"{_named(each)} is not known: where it starts was not said"
    return _Part(max(end - found.start, 0), min(found.start, end))


def _named(each: Partition) -> str:
    return f"{each[0]}/{each[1]}"


def _joined(notes: Sequence[str], between: str = "; ") -> str:
    more = len(notes) - NOTES_MAX
    return between.join([*notes[:NOTES_MAX], *([f"and {more} more"] if more > 0 else [])])
