"""Opens connections to instances: the one step that takes a task, and only where no idle one is left."""

from __future__ import annotations

import asyncio

from activator.exchange import Exchange
from activator.instances import Instance
from activator.upstream import Upstream


class TaskDialer:
    """`exchange.Dialer`. Its tasks live in the activator's group."""

    def __init__(self, group: asyncio.TaskGroup, timeout_s: float) -> None:
        self._group = group
        self._timeout_s = timeout_s

    def dial(self, instance: Instance, exchange: Exchange) -> None:
        self._group.create_task(self._dial(instance, exchange), name=f"dial:{instance.endpoint.key.name}")

    async def _dial(self, instance: Instance, exchange: Exchange) -> None:
        host, port = instance.endpoint.address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                _, upstream = await loop.create_connection(lambda: Upstream(instance), host, port)
        except OSError:  # TimeoutError is one, too
            exchange.unreachable(instance)
        else:
            exchange.connected(upstream)
