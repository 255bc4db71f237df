"""Memory is given back once after each time in which something was written."""

from __future__ import annotations

import asyncio

from core.store.memory import MemoryStore
from core.tasks import start_service
from pilotlight.thrift import LOOK_EVERY_S, Thrift, find_trim
from tests.support.clock import FakeClock
from tests.support.kinds import BOOK, TEST_KINDS, make


def test_it_trims_when_it_has_become_quiet() -> None:
    async def body() -> None:
        clock = FakeClock()
        store = MemoryStore(TEST_KINDS, clock)
        trims: list[int] = []
        async with asyncio.TaskGroup() as group:
            thrift = Thrift(store, clock, lambda: trims.append(1))
            task = await start_service(group, thrift.run, "thrift")
            await clock.advance(5 * LOOK_EVERY_S)
            assert len(trims) == 1, "what the start left, once"
            for name in "abc":
                await store.create(BOOK, make(name))
                await clock.advance(LOOK_EVERY_S)
            assert len(trims) == 1, "not while it is busy"
            await clock.advance(5 * LOOK_EVERY_S)
            assert len(trims) == 2
            assert (await store.get(BOOK, "a", "default"))["metadata"]["name"] == "a", "packed or not"
            task.cancel()

    asyncio.run(body())


def test_what_the_c_library_offers_can_be_called() -> None:
    find_trim()()
