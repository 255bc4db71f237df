"""Says how busy instances are, and drains one: the activator's side of `core.stats.InstanceLoads`.

Whoever wants to stop an instance (the node, through the roof) asks here; the answer is exact because every request
to an instance is counted in `throttler`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from activator.instances import Instance
from activator.throttler import Throttler
from core.clock import Clock
from core.stats import InstanceKey


class Elsewhere(Protocol):
    """What other gateway processes gave away by themselves."""

    def in_flight(self, instance: InstanceKey) -> int: ...

    def last_active(self, instance: InstanceKey) -> float: ...

    async def drained(self, instance: InstanceKey) -> None: ...


class Nowhere:
    """There are none."""

    def in_flight(self, instance: InstanceKey) -> int:
        return 0

    def last_active(self, instance: InstanceKey) -> float:
        return 0.0

    async def drained(self, instance: InstanceKey) -> None:
        return


class Loads:
    """`core.stats.InstanceLoads`."""

    def __init__(self, throttler: Throttler, clock: Clock, elsewhere: Elsewhere | None = None) -> None:
        self._throttler = throttler
        self._clock = clock
        self._elsewhere = elsewhere or Nowhere()

    def in_flight(self, instance: InstanceKey) -> int:
        own = sum(one.in_flight for one in self._throttler.find(instance))
        return own + self._elsewhere.in_flight(instance)

    def last_active(self, instance: InstanceKey) -> float:
        own = max((one.last_active for one in self._throttler.find(instance)), default=0.0)
        return max(own, self._elsewhere.last_active(instance))

    async def drain(self, instance: InstanceKey, grace_s: float) -> bool:
        records = self._throttler.find(instance)
        for backend in list(self._throttler.active.values()):
            backend.drain(instance)
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(self._drained(instance, records), name="drained")
            grace = group.create_task(self._clock.sleep(grace_s), name="grace")
            await asyncio.wait((ended, grace), return_when=asyncio.FIRST_COMPLETED)
            whole = ended.done()
            ended.cancel()
            grace.cancel()
        return whole

    async def _drained(self, instance: InstanceKey, records: list[Instance]) -> None:
        for record in records:
            await record.drained()
        await self._elsewhere.drained(instance)
