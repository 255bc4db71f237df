"""What a node ends a Pod for: its deadline (`activeDeadlineSeconds`), and an `emptyDir` that has outgrown its limit.

`deploy/pods` runs one beside each Pod; what it finds is the Pod's end. Sizes are looked at as seldom as by a kubelet.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from core.resources.meta import Json
from deploy.podvolumes import EmptyVolume

LOOK_EVERY_S = 10.0
BLOCK_BYTES = 512  # what st_blocks counts


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a Pod has failed, in the kubelet's words. `grace_s` None: the Pod's own."""

    reason: str
    message: str
    grace_s: float | None = None


class Bounds:
    """`look` gives the newest version of the Pod."""

    def __init__(self, clock: Clock, look: Callable[[], Json], taken: float) -> None:
        self._clock, self._look, self._taken = clock, look, taken
        self._changed = asyncio.Event()
        self._folders: Mapping[Path, EmptyVolume] = {}

    def watch(self, folders: Mapping[Path, EmptyVolume]) -> None:
        """The Pod's own folders, once it has them."""
        self._folders = {folder: volume for folder, volume in folders.items() if volume.limit_bytes is not None}
        self._changed.set()

    def changed(self) -> None:
        """A Pod's deadline may be set while it runs."""
        self._changed.set()

    async def run(self) -> Verdict:
        """Returns when a bound is passed."""
        while True:
            self._changed.clear()
            left_s = self._left_s()
            if left_s is not None and left_s <= 0:
                return Verdict("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            if (verdict := await asyncio.to_thread(_outgrown, self._folders) if self._folders else None) is not None:
                return verdict
            waits = [each for each in (left_s, LOOK_EVERY_S if self._folders else None) if each is not None]
            await self._wait(min(waits, default=None))

    def _left_s(self) -> float | None:
        deadline = self._look()["spec"].get("activeDeadlineSeconds")
        return None if deadline is None else float(self._taken + deadline - self._clock.wall())

    async def _wait(self, limit_s: float | None) -> None:
        """Until something has changed, or so long."""
        if limit_s is None:
            await self._changed.wait()
            return
        async with asyncio.TaskGroup() as group:
            tasks = (group.create_task(self._changed.wait()), group.create_task(self._clock.sleep(limit_s)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()


def _outgrown(folders: Mapping[Path, EmptyVolume]) -> Verdict | None:
    for folder, volume in folders.items():
        if volume.limit_bytes is not None and _size(folder) > volume.limit_bytes:
            message = f'Usage of EmptyDir volume "{folder.name}" exceeds the limit "{volume.limit}". '
            return Verdict("Evicted", message, grace_s=1.0)
    return None


def _size(folder: Path) -> int:
    """On disk, as `du` counts it; what goes away meanwhile does not count."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(at, name)).st_blocks * BLOCK_BYTES
            except OSError:
                continue
    return total
