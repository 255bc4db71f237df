"""Whether every trigger has been read since the last decision: only then is another one made. Pure.

A reading that Jobs were made of says nothing afterwards: they take its messages, end, and would be made again of it.
What cannot be read is not waited for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Asked(Protocol):
    """A trigger: when its last good reading began, and what is wrong with it now."""

    @property
    def asked_at(self) -> float | None: ...

    @property
    def read_at(self) -> float: ...

    @property
    def error(self) -> str: ...


def is_complete(triggers: Iterable[Asked], since: float) -> bool:
    """Each of them has said something that was asked for after `since` (monotonic seconds), or fails."""
    return all(
        each.error or (each.asked_at is not None and each.asked_at > since and each.read_at >= each.asked_at)
        for each in triggers
    )
