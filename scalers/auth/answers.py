"""Answers that several triggers want, each asked for once: a thousand of one TriggerAuthentication are one visit to
Vault, and share the credentials that it makes. What failed is not asked again at once either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from core.clock import Clock
from core.errors import PermanentError, TemporaryError

FAILED_S: Final = 4.0
"""So long a failure is everyone's; below the time after which a controller tries again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    value: T = field(repr=False)
    good_for_s: float


@dataclass(slots=True)
class _Entry:
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    value: Any = field(default=None, repr=False)
    error: TemporaryError | PermanentError | None = None
    until: float = 0.0


class Answers:
    """By key; the key says all that the answer follows from."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    async def get(self, key: Hashable, clock: Clock, ask: Callable[[], Awaitable[Answer[T]]]) -> tuple[T, float]:
        """The answer, and the monotonic time until which it is good. TemporaryError, PermanentError of `ask`."""
        self._forget_old(clock.monotonic())
        entry = self._entries.setdefault(key, _Entry())
        async with entry.asking:
            if entry.until <= clock.monotonic():
                try:
                    answer = await ask()
                    entry.value, entry.error, good_for_s = answer.value, None, answer.good_for_s
                except (TemporaryError, PermanentError) as error:
                    entry.value, entry.error, good_for_s = None, error, FAILED_S
                entry.until = clock.monotonic() + good_for_s
            if entry.error is not None:
                raise entry.error.with_traceback(None)
            return entry.value, entry.until

    def _forget_old(self, now: float) -> None:
        for key in [key for key, entry in self._entries.items() if entry.until <= now and not entry.asking.locked()]:
            del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)
