"""An intake in memory, whose storage a test ends, fails or refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from eventing.event import Event
from eventing.intake import Stored


class FakeIntake:
    """Stores at once, unless `slow`: then each append waits for `store` or `fail`."""

    def __init__(self, *, slow: bool = False) -> None:
        self.slow = slow
        self.refuses: Exception | None = None
        self.appends: list[list[Event]] = []
        self.aside: list[tuple[Event, str]] = []
        self.pending: list[Stored] = []

    @property
    def events(self) -> list[Event]:
        return [event for append in self.appends for event in append]

    def append(self, events: Sequence[Event]) -> Stored:
        if self.refuses is not None:
            raise self.refuses
        self.appends.append(list(events))
        return self._stored()

    def set_aside(self, event: Event, reason: str) -> Stored:
        self.aside.append((event, reason))
        return self._stored()

    def store(self) -> None:
        """Everything that waits is stored."""
        for future in self.pending:
            future.set_result(0)
        self.pending.clear()

    def fail(self, error: Exception) -> None:
        for future in self.pending:
            future.set_exception(error)
        self.pending.clear()

    def _stored(self) -> Stored:
        future: Stored = asyncio.get_running_loop().create_future()
        if self.slow:
            self.pending.append(future)
        else:
            future.set_result(0)
        return future
