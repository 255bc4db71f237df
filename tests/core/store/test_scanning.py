"""A scan sees what a list sees, whatever the store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.resources.meta import Kind
from core.store.base import ByteLister, Listing
from core.store.memory import MemoryStore
from core.store.scanning import scan
from tests.support.clock import FakeClock
from tests.support.kinds import BOOK, TEST_KINDS, make


class Plain:
    """A store that has no texts to give, as one on a cluster."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def list(self, kind: Kind[Any], namespace: str | None = None) -> Listing:
        return await self._store.list(kind, namespace)


@pytest.mark.parametrize("plain", [False, True], ids=["texts", "objects"])
def test_a_scan_is_a_list(plain: bool) -> None:
    async def body() -> None:
        store = MemoryStore(TEST_KINDS, FakeClock())
        for name in "abc":
            await store.create(BOOK, make(name))
        scanned: Any = Plain(store) if plain else store
        assert isinstance(scanned, ByteLister) is not plain
        objects, resource_version = await scan(scanned, BOOK)
        listing = await store.list(BOOK)
        assert (list(objects), resource_version) == (listing.items, listing.resource_version)
        assert list((await scan(scanned, BOOK, "elsewhere"))[0]) == []

    asyncio.run(body())
