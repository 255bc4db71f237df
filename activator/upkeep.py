"""What every gateway process does by the clock, whether it is the only one or one of several."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Callable
from typing import Final

from activator.gateway import Gateway
from activator.throttler import Throttler
from activator.wheel import TICK_S

SWEEP_S: Final = 5.0


async def run_deadlines(gateway: Gateway, throttler: Throttler) -> None:
    """Ends what is due, and now and then closes connections to instances that nobody used lately."""
    clock, unused_s = gateway.shared.clock, gateway.limits.upstream_idle_s
    swept_at = clock.monotonic()
    while True:
        await clock.sleep(TICK_S)
        now = clock.monotonic()
        gateway.expire(now)
        if now - swept_at > SWEEP_S:
            swept_at = now
            throttler.close_idle(now - unused_s)


def later(seconds: float, call: Callable[[], None]) -> object:
    """`throttler.Later` on this loop."""
    return asyncio.get_running_loop().call_later(seconds, call)


def raise_descriptor_limit() -> None:
    """As many descriptors as this user may have: a request takes two, and the usual soft limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # macOS says "unlimited" and means less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
