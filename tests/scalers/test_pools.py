from __future__ import annotations

import asyncio

from scalers.pools import Pools


class Connection:
    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


def test_one_connection_per_key_closed_with_its_last_borrower() -> None:
    pools = Pools()
    first = pools.borrow(("kafka", "a"), Connection)
    assert pools.borrow(("kafka", "a"), Connection) is first
    other = pools.borrow(("kafka", "b"), Connection)
    assert other is not first

    async def give_back() -> None:
        await pools.give_back(("kafka", "a"))
        assert first.closed == 0
        await pools.give_back(("kafka", "a"))

    asyncio.run(give_back())
    assert (first.closed, other.closed, len(pools)) == (1, 0, 1)
    assert pools.borrow(("kafka", "a"), Connection) is not first
