"""Says how busy instances are, and drains one: the activator's side of `core.stats.InstanceLoads`.

Whoever wants to stop an instance (the node, through the roof) asks here; the answer is exact because every request
to an instance is counted in `throttler`.
"""

from __future__ import annotations

import asyncio

from activator.instances import Instance
from activator.throttler import Throttler
from core.clock import Clock
from core.stats import InstanceKey


class Loads:
    """`core.stats.InstanceLoads`."""

    def __init__(self, throttler: Throttler, clock: Clock) -> None:
        self._throttler = throttler
        self._clock = clock

    def in_flight(self, instance: InstanceKey) -> int:
        return sum(one.in_flight for one in self._throttler.find(instance))

    def last_active(self, instance: InstanceKey) -> float:
        return max((one.last_active for one in self._throttler.find(instance)), default=0.0)

    async def drain(self, instance: InstanceKey, grace_s: float) -> bool:
        records = self._throttler.find(instance)
        for backend in list(self._throttler.active.values()):
            backend.drain(instance)
        if not any(record.in_flight for record in records):
            return True
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(_all_drained(records), name="drained")
            grace = group.create_task(self._clock.sleep(grace_s), name="grace")
            await asyncio.wait((ended, grace), return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            grace.cancel()
        return not any(record.in_flight for record in records)


async def _all_drained(records: list[Instance]) -> None:
    for record in records:
        await record.drained()
