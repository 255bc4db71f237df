from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from core.errors import Expired, NotFound
from core.resources.meta import Json
from core.store import feed
from core.store.memory import MemoryStore
from tests.support.clock import FakeClock
from tests.support.kinds import BOOK, TEST_KINDS, make
from tests.support.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[MemoryStore]:
        store = MemoryStore(TEST_KINDS, FakeClock())
        await store.open()
        yield store
        await store.close()


KEPT = 2


async def write(store: MemoryStore, name: str, text: str) -> None:
    def change(obj: Json) -> Json:
        return {**obj, "spec": {"title": text}}

    try:
        await store.modify(BOOK, name, "default", change)
    except NotFound:
        await store.create(BOOK, make(name))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12))
def test_who_watches_one_object_is_told_every_change_of_it_or_that_some_may_be_lost(
    steps: list[tuple[str, bool]],
) -> None:
    async def body() -> None:
        store = MemoryStore(TEST_KINDS, FakeClock())
        changes: list[tuple[int, str, bool]] = []
        for index, (name, is_deletion) in enumerate(steps):
            with contextlib.suppress(NotFound):
                await (store.delete(BOOK, name, "default") if is_deletion else write(store, name, str(index)))
                changes.append((store.resource_version, name, is_deletion))
        with patch.object(feed, "RING_SETTLED", KEPT):
            store.settle()
        lost, kept = changes[:-KEPT], changes[-KEPT:]
        for name in "abc":
            own = [(version, is_deletion) for version, whose, is_deletion in lost if whose == name]
            was_there = bool(own) and not own[-1][1]
            for since in range(1, store.resource_version + 1):
                try:
                    async with store.watch(BOOK, "default", since, name) as watch:
                        events = [await anext(watch) for version, _, _ in kept if version > since]
                except Expired:
                    assert not was_there or own[-1][0] > since
                    assert lost[-1][0] > since
                else:
                    assert all(version <= since for version, _ in own)
                    assert [each.resource_version for each in events if each.object["metadata"]["name"] == name] == [
                        version for version, whose, _ in kept if whose == name and version > since
                    ]

    asyncio.run(body())
