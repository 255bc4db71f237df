from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Expired
from core.resources.meta import ObjectKey
from core.store.base import EventType
from core.store.feed import FRESH_MAX, RING_BYTES_MAX, RING_CHANGES_MAX, RING_SETTLED, Change, Feed, Freshness, Watcher
from core.store.table import Packing, Version

KEY = ObjectKey("default", "x")


def publish(feed: Feed, number: int, size: int = 10) -> Change:
    change = Change(
        EventType.ADDED, KEY, Version(b'"' + b"x" * (size - 2) + b'"', {"number": number}, True), number, None
    )
    feed.publish(change)
    return change


def publish_all(feed: Feed, sizes: Mapping[int, int], turn: int = 1) -> None:
    """Publishes changes of those numbers and sizes, `turn` of them in one turn of the loop."""

    async def body() -> None:
        for index, (number, size) in enumerate(sizes.items()):
            publish(feed, number, size)
            if index % turn == turn - 1:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(body())


def kept(feed: Feed) -> list[int]:
    first = feed.position_after(feed.floor, 10**9)
    return [feed.at(position).resource_version for position in range(first, feed.end)]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from([10, 1000, 60_000, RING_BYTES_MAX])), max_size=60),
    st.integers(1, 20),
)
def test_what_is_kept_is_the_newest_part_and_bounded(steps: list[tuple[int, int]], turn: int) -> None:
    feed, number, sizes = Feed(0, Freshness(), Packing()), 0, {}
    for step, size in steps:
        number += step
        sizes[number] = size
    publish_all(feed, sizes, turn)
    published = sorted(sizes)
    numbers = kept(feed)
    assert numbers == published[len(published) - len(numbers) :]
    assert len(numbers) == 1 or sum(sizes[n] for n in numbers) <= RING_BYTES_MAX or not numbers
    gone = published[: len(published) - len(numbers)]
    assert feed.floor == (gone[-1] if gone else 0)


def test_one_change_that_is_too_large_alone_is_kept_for_those_who_saw_the_one_before() -> None:
    feed = Feed(0, Freshness(), Packing())
    publish_all(feed, {5: 2 * RING_BYTES_MAX})
    assert feed.at(feed.position_after(4, 5)).resource_version == 5


def test_the_ring_is_bounded_in_changes() -> None:
    feed = Feed(0, Freshness(), Packing())
    publish_all(feed, dict.fromkeys(range(1, 5 * RING_CHANGES_MAX), 10))
    assert RING_CHANGES_MAX * 3 // 4 <= len(kept(feed)) <= RING_CHANGES_MAX
    assert kept(feed)[-1] == 5 * RING_CHANGES_MAX - 1


@pytest.mark.parametrize(
    ("since", "found"), [(0, [10, 20, 30]), (9, [10, 20, 30]), (10, [20, 30]), (29, [30]), (30, [])]
)
def test_positions(since: int, found: list[int]) -> None:
    feed = Feed(0, Freshness(), Packing())
    publish_all(feed, dict.fromkeys((10, 20, 30), 10))
    position = feed.position_after(since, 30)
    assert [feed.at(p).resource_version for p in range(position, feed.end)] == found


def test_before_the_floor_there_is_nothing() -> None:
    feed = Feed(100, Freshness(), Packing())
    with pytest.raises(Expired):
        feed.position_after(99, 100)
    assert feed.position_after(100, 100) == feed.end


def test_when_it_is_quiet_the_newest_are_kept() -> None:
    feed = Feed(0, Freshness(), Packing())
    publish_all(feed, dict.fromkeys(range(1, 3 * RING_SETTLED), 10))
    feed.settle()
    assert kept(feed) == list(range(2 * RING_SETTLED, 3 * RING_SETTLED))
    assert feed.floor == 2 * RING_SETTLED - 1
    with pytest.raises(Expired):
        feed.position_after(feed.floor - 1, 3 * RING_SETTLED)
    feed.settle()
    assert len(kept(feed)) == RING_SETTLED
    assert feed._bytes == RING_SETTLED * 10


def test_only_the_last_few_stay_parsed() -> None:
    async def body() -> None:
        freshness = Freshness()
        feeds = [Feed(0, freshness, Packing()), Feed(0, freshness, Packing())]
        changes = [publish(feeds[n % 2], n + 1) for n in range(3 * FRESH_MAX)]
        assert sum(change.version.obj is not None for change in changes) <= 2 * FRESH_MAX, "however much comes at once"
        async with asyncio.timeout(10):
            while (parsed := [change.version.obj is not None for change in changes]) != last_few(changes):
                await asyncio.sleep(0.01)
        assert [change.event is not None for change in changes] == parsed
        freshness.settle()
        assert not any(change.version.obj for change in changes)

    def last_few(changes: list[Change]) -> list[bool]:
        return [False] * (len(changes) - FRESH_MAX) + [True] * FRESH_MAX

    asyncio.run(body())


def test_a_watcher_that_waits_misses_nothing_however_much_one_turn_writes() -> None:
    async def body() -> None:
        feed, seen = Feed(0, Freshness(), Packing()), []
        newest = 0

        async def follow() -> None:
            async with Watcher(feed, None, None, lambda: newest) as watch:
                seen.extend([event.resource_version async for event in watch])

        follower = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        for newest in range(1, 4 * RING_CHANGES_MAX):
            publish(feed, newest, 10_000)
        await asyncio.sleep(0)
        assert len(kept(feed)) < RING_CHANGES_MAX
        feed.close()
        await follower
        assert seen == list(range(1, 4 * RING_CHANGES_MAX))

    asyncio.run(body())


def test_given_up_waits_leave_nothing_behind() -> None:
    async def body() -> None:
        feed = Feed(0, Freshness(), Packing())
        for _ in range(10):
            waiting = asyncio.ensure_future(feed.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert not feed._waiters

    asyncio.run(body())
