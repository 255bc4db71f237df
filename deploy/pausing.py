"""Freezing a Pod and thawing it: what idle action `pause` makes of its last instance. Run by `deploy/pods`.

Not ready first, then frozen, once no request is in it; thawed first, then ready. What fails is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from core.clock import Clock
from core.stats import InstanceKey, InstanceLoads
from deploy.containers import ContainerLoop
from deploy.reports import Reporter
from deploy.runtimes.base import Sandbox, StartError

SETTLE_S = 0.05  # between Ready=False and looking whether a request is left
IDLE_POLL_S = 0.02
RETRY_S = 5.0

Look: TypeAlias = Callable[[], tuple[Sandbox | None, Sequence[ContainerLoop]]]
"""The Pod's sandbox, once it has one, and its containers."""


class Pausing:
    """`paused`: frozen, or to be once its last request has ended."""

    def __init__(self, instance: InstanceKey, loads: InstanceLoads, clock: Clock) -> None:
        self._instance, self._loads, self._clock = instance, loads, clock
        self.paused = False
        self._wanted = False
        self._changed = asyncio.Event()

    def want(self, wanted: bool) -> None:
        """What the Pod asks for now."""
        self._wanted = wanted
        if wanted != self.paused:
            self._changed.set()

    async def run(self, look: Look, reporter: Reporter) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            sandbox, loops = look()
            while sandbox is not None and self._wanted != self.paused:
                try:
                    await (self._thaw if self.paused else self._freeze)(sandbox, loops, reporter)
                except StartError as error:
                    reporter.event("Warning", "FailedPause", f"Error: {error.message}")
                    await self._clock.sleep(RETRY_S)

    async def _freeze(self, sandbox: Sandbox, loops: Sequence[ContainerLoop], reporter: Reporter) -> None:
        self.paused = True
        await reporter.report()
        await self._clock.sleep(SETTLE_S)
        while self._wanted and self._loads.in_flight(self._instance):
            await self._clock.sleep(IDLE_POLL_S)
        if not self._wanted:
            self.paused = False
            reporter.touch(True)
            return
        for loop in loops:
            loop.pause()
        try:
            await sandbox.pause()
        except StartError:
            await self._thaw(sandbox, loops, reporter)  # some of it may be frozen
            raise

    async def _thaw(self, sandbox: Sandbox, loops: Sequence[ContainerLoop], reporter: Reporter) -> None:
        asked = self._clock.wall()
        await sandbox.resume()
        reporter.begin_again(asked)
        self.paused = False
        await reporter.report()  # first: a request waits for it, and it was ready when it was frozen
        for loop in loops:
            loop.resume()
