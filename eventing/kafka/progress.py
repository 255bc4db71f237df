"""How far a subscription has come in one partition, and how that is written into its group's commit. Pure.

Deliveries end in any order, and Kafka keeps one offset: that of the lowest that has not ended. What has ended above it,
and what has failed so far, goes into the note that a commit may carry, so that neither a restart nor a partition that
moves to another member delivers it again or begins to count anew. A note has its bounds: what does not fit is delivered
again after a crash, which is what Kafka promises at best without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from eventing.log.base import Attempt
from eventing.log.positions import Position

NOTE_BYTES_MAX: Final = 4000
"""Kafka takes 4096 where nobody has set `offset.metadata.max.bytes`."""


class Progress:
    """`next` is the offset to read next; everything from `position.low` to there is out, waiting, or unwanted."""

    __slots__ = ("failures", "next", "position", "since")

    def __init__(self, start: int, note: str = "") -> None:
        self.position = Position(start)
        self.next = self.since = start
        self.failures: dict[int, list[Attempt]] = {}
        for first, end in _acked(_read(note)):
            self.position.ack(start + first, start + end)
        for offset, attempts in _failed(_read(note)):
            self.failures[start + offset] = attempts

    @property
    def low(self) -> int:
        """Everything below it has ended."""
        return self.position.low

    def see(self, offset: int) -> bool:
        """The consumer has come to this one; whether it is still to be delivered. What it left out is gone."""
        if offset < self.next:
            return False
        self.next = offset + 1
        return not self.position.is_acked(offset)

    def give(self, offset: int) -> tuple[int, int]:
        """It goes to its delivery: the range that ends with it, in which nothing else was wanted."""
        given = (self.since, offset + 1)
        self.since = offset + 1
        return given

    def back(self, offset: int) -> None:
        """What was read from here on has been let go, and is to be read again."""
        self.next = min(self.next, offset)

    def ack(self, first: int, end: int) -> None:
        self.position.ack(first, end)
        for failed in [offset for offset in self.failures if first <= offset < end]:
            del self.failures[failed]

    def fail(self, offset: int, attempt: Attempt) -> None:
        self.failures.setdefault(offset, []).append(attempt)

    def note(self) -> str:
        """As short as it gets; the highest ranges are left out first, then failures."""
        low = self.position.low
        acked: list[list[int]] = [[first - low, end - low] for first, end in self.position.ranges]
        failed: list[Any] = [
            [offset - low, *([each.time_ms, each.code] for each in attempts)]
            for offset, attempts in sorted(self.failures.items())
        ]
        while True:
            parts = {name: part for name, part in (("acked", acked), ("failed", failed)) if part}
            note = json.dumps(parts, separators=(",", ":")) if parts else ""
            if len(note) <= NOTE_BYTES_MAX:
                return note
            longer = acked if len(acked) > len(failed) else failed
            del longer[len(longer) * 3 // 4 :]


def _read(note: str) -> Mapping[str, Any]:
    """Of a note that another program has left there, nothing."""
    try:
        found = json.loads(note) if note else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _acked(parts: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    for each in _list(parts.get("acked")):
        match each:
            case [int(first), int(end)] if 0 <= first < end:
                yield first, end


def _failed(parts: Mapping[str, Any]) -> Iterator[tuple[int, list[Attempt]]]:
    for each in _list(parts.get("failed")):
        match each:
            case [int(offset), *attempts] if offset >= 0:
                yield offset, [_attempt(n, said) for n, said in enumerate(attempts, 1)]


def _attempt(number: int, said: Any) -> Attempt:
    time_ms, code = said if isinstance(said, list) and len(said) == 2 else (0, None)
    reason = "there was no answer" if code is None else f"the subscriber answered {code}"
    return Attempt(number, int(time_ms), code, f"{reason} (in an earlier life of the platform)")


def _list(found: Any) -> Sequence[Any]:
    return found if isinstance(found, list) else ()
