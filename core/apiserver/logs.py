"""Where the output of containers comes from: the interface between `GET …/pods/NAME/log` and the node.

`pod_logs` knows the query parameters, timestamps and byte limits; the node implements `LogSource` and knows where logs
are kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from core.resources.meta import Json


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as the container wrote it, without its newline. `at`: seconds since the epoch."""

    at: float
    text: bytes


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines (core/v1 PodLogOptions). `since`: seconds since the epoch; None means no such limit."""

    container: str
    follow: bool = False
    previous: bool = False
    since: float | None = None
    tail_lines: int | None = None


class LogSource(Protocol):
    """Whoever keeps the containers' output."""

    async def open(self, pod: Json, query: LogQuery) -> AsyncIterator[LogLine]:
        """The lines, oldest first; with `follow` until the container has ended. `tail_lines` counts after `since`.

        Returns as soon as it is clear that there is something to read, which with `follow` is before the first line.
        BadRequest where there is nothing (`container "x" in pod "y" is waiting to start: ImagePullBackOff`, `previous
        terminated container "x" in pod "y" not found`).
        """
