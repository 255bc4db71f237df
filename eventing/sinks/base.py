"""What all kinds of sinks have in common: how the roof runs one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from core.reconcile.controller import Controller
from core.resources.meta import Kind, ObjectKey
from core.tasks import Service


class Sink(Protocol):
    """One kind of sink. `services` run before its controller does, and end after it."""

    kind: Kind[Any]

    @property
    def services(self) -> Sequence[tuple[str, Service]]:
        """By name; none where there is nothing to run beside."""

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Opens its door, too: called for each of them before the first request is taken."""

    def controller(self) -> Controller:
        """Made once."""
