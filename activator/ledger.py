"""Where a cold request's time went: queue, decide, start, ready, app, as a `Server-Timing` field.

The Pod's timeline (`pilotlight.dev/timeline`) says when it was created, started and ready; the gateway says when the
request came, was sent and was answered. Each phase is what of it lies within the request's own wait, so a request that
came when the start was half done is charged half a start, and the parts always sum up to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeline:
    """An instance's start, in seconds since the epoch."""

    created: float
    started: float
    ready: float


@dataclass(frozen=True, slots=True)
class Ledger:
    """Seconds. `cold` where the request waited for an instance to start."""

    queue: float
    decide: float
    start: float
    ready: float
    app: float
    cold: bool

    def field(self) -> bytes:
        """The whole line (W3C Server Timing; durations in milliseconds)."""
        phases = ("queue", "decide", "start", "ready", "app") if self.cold else ("queue", "app")
        marks = ["cold"] if self.cold else []
        marks += [f"{phase};dur={getattr(self, phase) * 1000:.3f}" for phase in phases]
        return f"Server-Timing: {', '.join(marks)}\r\n".encode()


def parse_timeline(text: str) -> Timeline | None:
    """`created=1700000000.000001,started=…,ready=…`, in any order; None where one is missing or no number."""
    pairs = dict(pair.strip().partition("=")[::2] for pair in text.split(","))
    try:
        return Timeline(float(pairs["created"]), float(pairs["started"]), float(pairs["ready"]))
    except (KeyError, ValueError):
        return None


def account(arrived: float, sent: float, answered: float, timeline: Timeline | None) -> Ledger:
    """`arrived`, `sent` (to the instance) and `answered` (first byte) in seconds since the epoch."""
    waited, app = max(0.0, sent - arrived), max(0.0, answered - sent)
    if timeline is None or timeline.ready <= arrived:
        return Ledger(waited, 0.0, 0.0, 0.0, app, cold=False)
    created = _within(timeline.created, arrived, sent)
    started = _within(timeline.started, created, sent)
    ready = _within(timeline.ready, started, sent)
    return Ledger(
        queue=max(0.0, sent - ready),
        decide=created - arrived,
        start=started - created,
        ready=ready - started,
        app=app,
        cold=True,
    )


def _within(moment: float, low: float, high: float) -> float:
    return min(max(moment, low), max(low, high))
