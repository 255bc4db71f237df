"""Moments as documents spell them: RFC 3339, in UTC. Pure: whoever needs the present passes it in (`Clock.wall()`)."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(epoch_s: float) -> str:
    """`2026-08-21T09:00:00Z`, whole seconds as in metav1.Time."""
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_of(text: str) -> float | None:
    """Seconds since the epoch, or None where the text is no RFC 3339 moment."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
