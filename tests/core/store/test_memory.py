from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.store.memory import MemoryStore
from tests.support.clock import FakeClock
from tests.support.kinds import TEST_KINDS
from tests.support.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[MemoryStore]:
        store = MemoryStore(TEST_KINDS, FakeClock())
        await store.open()
        yield store
        await store.close()
