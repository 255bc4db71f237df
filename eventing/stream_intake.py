"""The intake of a broker or channel: its stream, as long as nobody's backlog has reached its bound.

An entrance stands in front of it. Backlogs move slowly against the rate of events, so they are looked at a few times a
second and not for each event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from core.clock import Clock
from core.errors import NotFound, TooManyRequests
from eventing.dataplane import DataPlane
from eventing.event import Event

BACKLOG_MAX: Final = 1_000_000
"""Where nobody says anything: a subscriber that is down for long must not fill the disk unnoticed."""
LOOK_S: Final = 0.1
RETRY_AFTER_S: Final = 5


class StreamIntake:
    """`eventing.intake.Intake`. `backlog_max` is that of the broker; a subscription may have one of its own."""

    def __init__(self, plane: DataPlane, clock: Clock, stream: str) -> None:
        self.backlog_max: int | None = None
        self._plane = plane
        self._clock = clock
        self._stream = stream
        self._looked_at = float("-inf")
        self._full = ""

    def append(self, events: Sequence[Event]) -> asyncio.Future[int]:
        """TooManyRequests, StoreFull, TemporaryError."""
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._full = self._look()
        if self._full:
            raise TooManyRequests(self._full, retry_after_s=RETRY_AFTER_S)
        broker = self._plane.stream(self._stream)
        if broker is None:
            raise NotFound(f"there is no {self._stream}")
        return broker.append(events)

    def _look(self) -> str:
        """Whose backlog is too long, as a sentence; empty where nobody's is."""
        for running in self._plane.running.values():
            if running.stream != self._stream or running.gone:
                continue
            bound = running.subscription.backlog_max or self.backlog_max or BACKLOG_MAX
            backlog = running.dispatcher.feed.backlog
            if backlog >= bound:
                return f"{backlog} events wait for {running.subscription.name}, which may have {bound} waiting"
        return ""
