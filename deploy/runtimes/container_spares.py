"""Pods made ahead of need, and never started: one for each template that is asleep, within a bound over all of them.

Kept by `container`, which says how such a Pod is made and unmade.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from deploy.runtimes.base import PodPlan
from deploy.runtimes.container_rooms import Room

SPARES_MAX: Final = 32
"""Over all templates: on Podman each is a process that waits at exec, of 13 MB."""


class Spares:
    """`make` raises StartError."""

    def __init__(
        self,
        make: Callable[[PodPlan], Awaitable[Room]],
        unmake: Callable[[Room], Awaitable[None]],
        spares_max: int = SPARES_MAX,
    ) -> None:
        self._make, self._unmake, self._spares_max = make, unmake, spares_max
        self._wanted: dict[str, tuple[PodPlan, int]] = {}
        self._kept: OrderedDict[str, list[Room]] = OrderedDict()  # used longest ago first
        self._filling = asyncio.Lock()

    async def want(self, plan: PodPlan, count: int) -> None:
        """From now on so many of the template. At the bound none is made before its Pod has been gone once: others
        have been needed, this one may never be."""
        self._wanted[plan.template] = (plan, count)
        if sum(map(len, self._kept.values())) < self._spares_max:
            await self.fill(plan.template)

    async def let_go(self, template: str) -> None:
        self._wanted.pop(template, None)
        for room in self._kept.pop(template, ()):
            await self._unmake(room)

    def take(self, template: str) -> Room | None:
        """One, if there is one."""
        kept = self._kept.get(template)
        return kept.pop() if kept else None

    def is_wanted(self, template: str) -> bool:
        return template in self._wanted

    async def fill(self, template: str) -> None:
        """Makes what is missing, and unmakes what was used longest ago where that is too many."""
        async with self._filling:
            while template in self._wanted:
                plan, count = self._wanted[template]
                kept = self._kept.setdefault(template, [])
                self._kept.move_to_end(template)
                if len(kept) >= count:
                    break
                kept.append(await self._make(plan))
            while sum(map(len, self._kept.values())) > self._spares_max:
                oldest = next(rooms for rooms in self._kept.values() if rooms)
                await self._unmake(oldest.pop(0))

    async def empty(self) -> list[str]:
        """Unmakes all; the templates that had some."""
        kept, self._kept = self._kept, OrderedDict()
        await asyncio.gather(*(self._unmake(room) for rooms in kept.values() for room in rooms))
        return list(kept)
