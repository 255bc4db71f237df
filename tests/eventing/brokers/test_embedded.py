"""The broker class over the event log, on a real file: who is offered what, and what a restart finds."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.clock import SystemClock
from eventing.brokers import embedded
from eventing.brokers.base import Delivery, Interest
from eventing.brokers.embedded import EmbeddedBroker, LogFeed
from eventing.chronicle import Chronicle
from eventing.filters.clauses import everything, exact
from eventing.hops import ONLY
from eventing.log import cursors, positions
from eventing.log.base import EARLIEST, NOW, Start
from eventing.log.log import EventLog
from tests.support.broker_contract import BrokerContract, Parts
from tests.support.subscribers import event

STREAM = "broker/default/b"


class Opened:
    """A broker on an open log."""

    def __init__(self, log: EventLog, broker: EmbeddedBroker, chronicle: Chronicle) -> None:
        self.log = log
        self.broker = broker
        self.chronicle = chronicle
        self._tasks: list[asyncio.Task[None]] = []

    async def subscribe(self, name: str, type: str | None = None, start: Start = NOW) -> LogFeed:
        wanted = exact("spec.filters[0]", {"type": type}) if type else everything()
        feed = await self.broker.subscribe(Interest(name, wanted, type or "", start))
        self._tasks.append(asyncio.ensure_future(feed.run(lambda: None)))
        await asyncio.sleep(0)
        return feed

    async def append(self, *ids: str, **attributes: str) -> None:
        await self.broker.append([event(id, **attributes) for id in ids])

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Opened]:
    clock = SystemClock()
    log = EventLog(folder / "events.db", clock)
    await log.open()
    chronicle = Chronicle(clock)
    found = Opened(log, EmbeddedBroker(STREAM, log, clock, chronicle), chronicle)
    try:
        yield found
    finally:
        await found.close()
        await log.close()


async def taken(feed: LogFeed, count: int) -> list[Delivery]:
    """So many deliveries, as they come."""
    found: list[Delivery] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += feed.take(count - len(found))
            await asyncio.sleep(0.001)
    return found


def run(main: Callable[[], object]) -> None:
    asyncio.run(main())  # type: ignore[arg-type]


def test_each_is_offered_what_its_filter_lets_through(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as under:
            orders, all_of_them = await under.subscribe("t/n/orders", "order"), await under.subscribe("t/n/all")
            await under.append("1", "2", type="order")
            await under.append("3", type="invoice")
            assert [each.event.id for each in await taken(orders, 2)] == ["1", "2"]
            assert [each.event.id for each in await taken(all_of_them, 3)] == ["1", "2", "3"]
            assert orders.take(10) == []
            assert (orders.backlog, all_of_them.backlog) == (2, 3)

    run(main)


def test_an_acknowledgement_is_also_for_what_nobody_wanted_before_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as under:
            feed = await under.subscribe("t/n/t", "order")
            await under.append("1", "2", type="other")
            await under.append("3", type="order")
            (delivery,) = await taken(feed, 1)
            feed.ack(delivery)
            cursor = under.log.cursor("t/n/t")
            assert cursor is not None
            assert cursor.position.low == 3
            await under.append("4", type="other")
            feed.sweep()
            assert cursor.position.low == 4

    run(main)


def test_a_restart_goes_on_with_what_was_not_acknowledged(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as under:
            feed = await under.subscribe("t/n/t")
            await under.append("1", "2", "3")
            first, second, third = await taken(feed, 3)
            feed.ack(first)
            feed.ack(third)
            await under.log.flush()
        async with opened(tmp_path) as under:
            feed = await under.subscribe("t/n/t")
            await under.append("4")
            assert [each.event.id for each in await taken(feed, 2)] == [second.event.id, "4"]

    run(main)


def test_who_cannot_keep_up_reads_later_what_it_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(embedded, "PENDING_MAX", 10)
        async with opened(tmp_path) as under:
            feed = await under.subscribe("t/n/t", "order")
            for number in range(100):
                await under.append(str(number), type="order" if number % 2 else "other")
            assert feed.backlog >= 50
            ids = [each.event.id for each in await taken(feed, 50)]
            assert ids == [str(number) for number in range(1, 100, 2)]
            await under.append("100", type="order")
            assert [each.event.id for each in await taken(feed, 1)] == ["100"]

    run(main)


def test_what_is_wanted_may_lie_as_far_behind_what_is_not_as_it_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (embedded, positions, cursors):
        monkeypatch.setattr(module, "AHEAD_MAX", 4)

    async def main() -> None:
        async with opened(tmp_path) as on:
            await on.append(*(f"other{number}" for number in range(20)), type="other")
            await on.append("a", "b", type="wanted")
            feed = await on.subscribe("trigger/default/t", "wanted", EARLIEST)
            first, second = await taken(feed, 2)
            feed.ack(second)
            feed.ack(first)
            assert on.log.cursor("trigger/default/t").position.low == 22  # type: ignore[union-attr]

    run(main)


def test_damage_far_behind_what_nobody_wanted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (embedded, positions, cursors):
        monkeypatch.setattr(module, "AHEAD_MAX", 4)
    monkeypatch.setattr(embedded, "RETRY_S", 0.01)

    async def main() -> None:
        async with opened(tmp_path) as on:
            await on.append(*(f"other{number}" for number in range(20)), type="other")
            await on.append("broken", type="wanted")
        with sqlite3.connect(tmp_path / "events.db") as connection:
            connection.execute("update groups set data = zeroblob(length(data)) where first = 20")
        connection.close()
        async with opened(tmp_path) as on:
            feed = await on.subscribe("trigger/default/t", "wanted", EARLIEST)
            while not (letters := await on.log.dead_letters.list("trigger/default/t")):
                await asyncio.sleep(0.01)
            assert [letter.offset for letter in letters] == [20]
            assert feed.backlog == 0

    run(main)


def test_a_new_subscription_starts_where_it_says(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as under:
            await under.append("1", "2")
            late = await under.subscribe("t/n/late")
            early = await under.subscribe("t/n/early", start=EARLIEST)
            await under.append("3")
            assert [each.event.id for each in await taken(late, 1)] == ["3"]
            assert [each.event.id for each in await taken(early, 3)] == ["1", "2", "3"]

    run(main)


def test_what_was_reserved_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as under:
            await under.broker.reserve("t/n/t", NOW)
            await under.append("1")
            feed = await under.subscribe("t/n/t")
            assert [each.event.id for each in await taken(feed, 1)] == ["1"]

    run(main)


def test_a_redriven_event_is_for_one_subscription_whatever_its_filter_says(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as under:
            one, other = await under.subscribe("t/n/one", "order"), await under.subscribe("t/n/other")
            await under.append("1", **{ONLY: "t/n/one"})
            await under.append("2", **{ONLY: "t/n/gone"})
            assert [each.event.id for each in await taken(one, 1)] == ["1"]
            assert other.take(10) == []
            again = await under.subscribe("t/n/third", start=EARLIEST)
            await asyncio.sleep(0.02)
            assert again.take(10) == []

    run(main)


def test_a_dead_letter_is_stored_and_not_delivered_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as under:
            feed = await under.subscribe("t/n/t")
            await under.append("1")
            (delivery,) = await taken(feed, 1)
            number = await feed.bury(delivery, delivery.event.with_attributes(knativeerrorcode=500), "said 500")
            letter = await under.log.dead_letters.get(number)
            assert letter is not None
            assert letter.event is not None
            assert letter.event.attributes["knativeerrorcode"] == 500
        async with opened(tmp_path) as under:
            feed = await under.subscribe("t/n/t")
            await asyncio.sleep(0.02)
            assert feed.take(1) == []

    run(main)


def test_a_listener_hears_of_every_event_and_who_wanted_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as under:
            await under.subscribe("t/n/t", "order")
            with under.chronicle.listen() as listener:
                await under.append("1", type="order")
                await under.append("2", type="other")
                told = []
                async for happening in listener:
                    told.append((happening.event.id, happening.text))
                    if len(told) == 2:
                        break
            assert told == [("1", "for t/n/t"), ("2", "no subscription wants it")]

    run(main)


def test_who_unsubscribes_is_offered_nothing_more_and_may_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as under:
            feed = await under.subscribe("t/n/t")
            await under.broker.unsubscribe("t/n/t", keep_position=True)
            await under.append("1")
            assert feed.take(1) == []
            feed = await under.subscribe("t/n/t")
            assert [each.event.id for each in await taken(feed, 1)] == ["1"]
            await under.broker.unsubscribe("t/n/t")
            await under.append("2")
            feed = await under.subscribe("t/n/t")
            await asyncio.sleep(0.02)
            assert feed.take(1) == []

    run(main)


def test_a_damaged_event_becomes_a_dead_letter_and_the_others_are_delivered(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as there:
            await there.log.subscribe("trigger/default/t", STREAM, EARLIEST)
            await there.append("a", "b", "c")
        with sqlite3.connect(tmp_path / "events.db") as connection:
            ((data,),) = connection.execute("select data from groups").fetchall()
            flipped = data.replace(b'"id":"b"', b'"id":"x"')
            connection.execute("update groups set data = ?", (flipped,))
        connection.close()
        async with opened(tmp_path) as there:
            feed = await there.subscribe("trigger/default/t")
            deliveries = await taken(feed, 2)
            assert [delivery.event.id for delivery in deliveries] == ["a", "c"]
            (letter,) = await there.log.dead_letters.list("trigger/default/t")
            assert (letter.offset, letter.event) == (1, None)
            assert letter.reason == "the checksum does not match (offsets 1 to 1)"
            for delivery in deliveries:
                feed.ack(delivery)
            cursor = there.log.cursor("trigger/default/t")
            assert cursor is not None
            assert cursor.backlog == 0

    asyncio.run(body())


class TestEmbeddedBroker(BrokerContract):
    async def make(self, stream: str, parts: Parts) -> EmbeddedBroker:
        return EmbeddedBroker(stream, parts.log, parts.clock, parts.chronicle)
