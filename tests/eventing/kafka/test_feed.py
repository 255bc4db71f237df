"""A subscription over Kafka as the dispatcher sees it: what rebalances, refusals and a full memory do to it.

The consumer is replaced by the books of what it was told; the real one is in the tests of the broker class.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.clients.kafka_access import Access
from core.clients.kafka_terms import Committed, Partition, Received
from core.errors import TemporaryError
from eventing.event import Event
from eventing.kafka import feed as module
from eventing.kafka.feed import KafkaFeed, Wants
from eventing.kafka.layout import Group, number_of
from eventing.kafka.partitions import Refused
from eventing.log.base import Attempt
from tests.support.clock import FakeClock
from tests.support.event_log import opened
from tests.support.subscribers import event

ZERO, ONE = ("t", 0), ("t", 1)


class FakeConsumer:
    """In place of `Consumer`."""

    def __init__(self, *_: Any) -> None:
        self.reads: list[dict[Partition, int]] = []
        self.pauses: list[bool] = []
        self.commits: list[dict[Partition, Committed]] = []
        self.keeps = True
        self.closed: dict[Partition, Committed] | None = None

    def start(self) -> None:
        pass

    def read(self, starts: Mapping[Partition, int]) -> None:
        self.reads.append(dict(starts))

    def pause(self, paused: bool) -> None:
        self.pauses.append(paused)

    def commit(self, positions: Mapping[Partition, Committed], done: Callable[[bool], None]) -> None:
        self.commits.append(dict(positions))
        done(self.keeps)

    async def close(self, positions: Mapping[Partition, Committed]) -> None:
        self.closed = dict(positions)


class Under:
    def __init__(
        self, feed: KafkaFeed, consumer: FakeConsumer, letters: Any, clock: FakeClock, running: asyncio.Future[None]
    ) -> None:
        self.feed = feed
        self.running = running
        self.consumer = consumer
        self.letters = letters
        self.clock = clock

    def arrive(self, *offsets: int, partition: int = 0, value: str = "") -> None:
        self.feed.arrived([Received("t", partition, each, 0, None, value.encode(), ()) for each in offsets])

    def take(self, count: int = 100) -> list[Any]:
        return list(self.feed.take(count))

    async def commit(self) -> dict[Partition, Committed]:
        """The last one, after the time of the next has come."""
        await self.clock.advance(module.COMMIT_S)
        return self.consumer.commits[-1] if self.consumer.commits else {}


def read(record: Received) -> Event | Refused:
    if record.value == b"bad":
        return Refused("it is no event", None)
    return event(str(record.offset), type=(record.value or b"").decode() or "t")


def with_feed(
    test: Callable[[Under], Awaitable[None]] | None = None, *, by_partition: bool = False
) -> Callable[..., Any]:
    def decorate(test: Callable[[Under], Awaitable[None]]) -> Callable[[Path, pytest.MonkeyPatch], None]:
        def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
            monkeypatch.setattr(module, "Consumer", FakeConsumer)

            async def body() -> None:
                clock = FakeClock()
                async with opened(tmp_path / "events.db", clock) as log:
                    group = Group(Access(("x:1",)), "g", ("t",), "m")
                    wants = Wants("trigger/n/t", "broker/n/b", read, lambda each: each.type != "other", by_partition)
                    feed = KafkaFeed(group, wants, log.dead_letters, clock)
                    running = asyncio.ensure_future(feed.run(lambda: None))
                    await asyncio.sleep(0)
                    consumer = feed._consumer
                    assert isinstance(consumer, FakeConsumer)
                    await test(Under(feed, consumer, log.dead_letters, clock, running))
                    running.cancel()
                    await asyncio.wait((running,))
                    assert consumer.closed is not None

            asyncio.run(body())

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate if test is None else decorate(test)


@with_feed
async def test_what_was_delivered_is_committed_and_what_lies_above_goes_into_the_note(under: Under) -> None:
    under.feed.assigned({ZERO: Committed(10)})
    assert under.consumer.reads == [{ZERO: 10}]
    under.arrive(10, 11, 12)
    first, second, third = under.take()
    assert [each.offset for each in (first, second, third)] == [10, 11, 12]
    under.feed.ack(third)
    under.feed.failed(second, Attempt(1, 5, 503, ""))
    assert await under.commit() == {ZERO: Committed(10, '{"acked":[[2,3]],"failed":[[1,[5,503]]]}')}
    under.feed.ack(first)
    under.feed.ack(second)
    assert await under.commit() == {ZERO: Committed(13)}
    assert under.feed.backlog == 0


@with_feed
async def test_what_nobody_wants_is_committed_too(under: Under) -> None:
    under.feed.assigned({ZERO: Committed(0)})
    under.arrive(0, 1, value="other")
    assert under.take() == []
    assert await under.commit() == {ZERO: Committed(2)}


@with_feed
async def test_a_commit_that_failed_is_made_again(under: Under) -> None:
    under.feed.assigned({ZERO: Committed(0)})
    under.arrive(0)
    under.feed.ack(*under.take())
    under.consumer.keeps = False
    await under.commit()
    under.consumer.keeps = True
    await under.commit()
    await under.commit()
    assert under.consumer.commits == [{ZERO: Committed(1)}] * 2


@with_feed
async def test_partitions_that_come_back_go_on_as_if_nothing_had_been(under: Under) -> None:
    under.feed.assigned({ZERO: Committed(0)})
    under.arrive(0, 1, 2, 3)
    (out,) = under.take(1)
    under.feed.revoked([ZERO])
    assert under.take() == [], "what waited may be another's by now"
    under.arrive(4)
    under.feed.assigned({ZERO: Committed(0)})
    assert under.consumer.reads[-1] == {ZERO: 1}
    under.arrive(0, 1, 2, 3)
    under.feed.ack(out)
    assert [each.offset for each in under.take()] == [1, 2, 3]
    assert await under.commit() == {ZERO: Committed(1)}


@with_feed
async def test_where_another_has_been_its_word_counts(under: Under) -> None:
    under.feed.assigned({ZERO: Committed(0)})
    under.arrive(0, 1)
    out = under.take()
    under.feed.revoked([ZERO])
    under.feed.assigned({ZERO: Committed(7, '{"acked":[[1,2]]}')})
    assert under.consumer.reads[-1] == {ZERO: 7}
    for each in out:
        under.feed.ack(each)
    under.arrive(7, 8, 9)
    assert [each.offset for each in under.take()] == [7, 9]
    assert await under.commit() == {}, "what is acknowledged now was another's already"
    assert under.feed.backlog == 2


@with_feed
async def test_memory_is_bounded(under: Under) -> None:
    under.feed.assigned({ZERO: Committed(0)})
    under.arrive(*range(module.PENDING_MAX + 1))
    assert under.consumer.pauses == [True]
    under.take(10)
    assert under.consumer.pauses == [True]
    under.take(module.PENDING_MAX)
    assert under.consumer.pauses == [True, False]


@with_feed
async def test_what_is_no_event_is_a_dead_letter(under: Under) -> None:
    under.feed.assigned({ONE: Committed(0)})
    under.arrive(0, partition=1)
    under.arrive(1, partition=1, value="bad")
    under.arrive(2, partition=1)
    first, second = under.take()
    letters: list[Any] = []
    async with asyncio.timeout(5):
        while not letters:
            letters = await under.letters.list("trigger/n/t")
            await asyncio.sleep(0.001)
    assert [(each.reason, each.event, each.offset) for each in letters] == [("it is no event", None, number_of(1, 1))]
    assert await under.commit() == {ONE: Committed(0, '{"acked":[[1,2]]}')}, "not for what came before it"
    under.feed.ack(first)
    under.feed.ack(second)
    assert await under.commit() == {ONE: Committed(3)}


@with_feed
async def test_the_backlog_is_what_lies_before_the_ends(under: Under) -> None:
    under.feed.assigned({ZERO: Committed(5), ONE: Committed(0)})
    under.feed.ended({ZERO: 10, ONE: 3, ("gone", 1): 4})
    assert under.feed.backlog == 8
    under.arrive(5, 6)
    assert under.feed.backlog == 8
    under.feed.ack(under.take(1)[0])
    assert under.feed.backlog == 7


@with_feed
async def test_trouble_is_there_to_be_told_until_it_works_again(under: Under) -> None:
    under.feed.troubled(TemporaryError("Kafka is away"))
    assert str(under.feed.trouble) == "Kafka is away"
    under.feed.ended({})
    assert under.feed.trouble is None


@with_feed(by_partition=True)
async def test_partitions_may_be_lanes(under: Under) -> None:
    under.feed.assigned({ZERO: Committed(0), ONE: Committed(0)})
    under.arrive(0)
    under.arrive(0, partition=1)
    assert [each.lane for each in under.take()] == ["t/0", "t/1"]


@with_feed
async def test_what_is_injected_goes_past_kafka_and_is_waited_for(under: Under) -> None:
    stored = under.feed.inject([event("1"), event("2")])
    first, second = under.take()
    assert [each.event.id for each in (first, second)] == ["1", "2"]
    under.feed.failed(first, Attempt(1, 5, 503, "no"))
    await under.feed.bury(first, first.event, "no")
    assert not stored.done()
    under.feed.ack(second)
    await stored
    (letter,) = await under.letters.list("trigger/n/t")
    assert [(each.number, each.code) for each in letter.attempts] == [(1, 503)]


@with_feed
async def test_what_was_injected_and_not_delivered_is_said_so(under: Under) -> None:
    stored = under.feed.inject([event("1")])
    under.running.cancel()
    with pytest.raises(TemporaryError, match="stopped"):
        await stored
