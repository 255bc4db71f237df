"""A queue as a feed: what is known when messages come again. (With a real RabbitMQ: tests/eventing/brokers.)"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from core.clients.rabbitmq_terms import Content, Received
from core.clock import SystemClock
from core.tasks import start_service
from eventing.event import Event
from eventing.log.base import NOW, Attempt
from eventing.log.log import EventLog
from eventing.rabbitmq.feed import Ledger, QueueFeed, Refused, Wants
from tests.support.subscribers import event


class Wire:
    """One session and its consumer."""

    def __init__(self) -> None:
        self.heard: Callable[[Any, Received], None] = lambda *_: None
        self.acked: list[int] = []
        self.over = asyncio.Event()
        self.waiting = 0

    async def consume(self, queue: str, prefetch: int, heard: Callable[[Any, Received], None]) -> Wire:
        self.heard = heard
        return self

    async def depth(self, queue: str) -> int:
        return self.waiting

    async def ended(self) -> str:
        await self.over.wait()
        return "gone"

    def ack(self, tag: int) -> None:
        if not self.over.is_set():
            self.acked.append(tag)

    async def cancel(self) -> None:
        pass

    def send(self, tag: int, id: str, text: str | None = None) -> None:
        self.heard(self, Received(Content((text or id).encode(), message_id=id), tag))


class Wires:
    """A link whose sessions the test changes."""

    def __init__(self) -> None:
        self.session = Wire()
        self._news = asyncio.Condition()

    async def up(self, after: Wire | None = None) -> Wire:
        async with self._news:
            await self._news.wait_for(lambda: self.session is not after)
            return self.session

    async def again(self) -> Wire:
        """The connection is lost, and there is another one."""
        self.session.over.set()
        async with self._news:
            self.session = Wire()
            self._news.notify_all()
        while self.session.heard.__name__ == "<lambda>":
            await asyncio.sleep(0)
        return self.session


class Bench:
    def __init__(self, wires: Wires, feed: QueueFeed, ledger: Ledger, log: EventLog) -> None:
        self.wires = wires
        self.feed = feed
        self.ledger = ledger
        self.log = log

    def taken(self) -> list[str]:
        self.last = self.feed.take(100)
        return [delivery.event.id for delivery in self.last]


def read(content: Content) -> Event | Refused:
    text = content.body.decode()
    return Refused("it is bad") if text == "bad" else event(text)


def with_feed(
    tmp_path: Path,
    use: Callable[[Bench], Awaitable[None]],
    *,
    named: bool = True,
    passes: Callable[[Event], bool] = lambda _: True,
) -> None:
    async def run() -> None:
        clock, wires = SystemClock(), Wires()
        log = EventLog(tmp_path / "events.db", clock)
        await log.open()
        ledger = Ledger(keep=3, cursor=await log.subscribe("trigger/n/t", "broker/n/b", NOW) if named else None)
        wants = Wants("trigger/n/t", "broker/n/b", "q", 3, read, passes, named)
        feed = QueueFeed(wires, wants, ledger, log.dead_letters, clock)  # type: ignore[arg-type]
        try:
            async with asyncio.TaskGroup() as group, asyncio.timeout(30):
                task = await start_service(group, feed.run, "feed")
                while wires.session.heard.__name__ == "<lambda>":
                    await asyncio.sleep(0)
                await use(Bench(wires, feed, ledger, log))
                task.cancel()
        finally:
            await log.close()

    asyncio.run(run())


def test_what_comes_again_while_it_is_in_hand_is_one_delivery(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        first = bench.wires.session
        first.send(1, "a")
        first.send(2, "b")
        assert bench.feed.take(1)[0].event.id == "a"
        second = await bench.wires.again()
        second.send(1, "b")
        second.send(2, "a")
        assert bench.taken() == ["b"]
        bench.feed.ack(bench.last[0])
        assert second.acked == [1], "under the tag that it has now"

    with_feed(tmp_path, use)


def test_an_acknowledgement_that_got_lost_is_given_again(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        first = bench.wires.session
        first.send(1, "a")
        assert bench.taken() == ["a"]
        first.over.set()
        bench.feed.ack(bench.last[0])
        assert first.acked == []
        second = await bench.wires.again()
        second.send(7, "a")
        assert second.acked == [7]
        assert bench.taken() == []

    with_feed(tmp_path, use)


def test_what_has_no_name_of_ours_is_delivered_again_but_never_from_two_connections(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        first = bench.wires.session
        first.send(1, "same")
        first.send(2, "same")
        assert [each.event.id for each in bench.feed.take(1)] == ["same"]
        second = await bench.wires.again()
        second.send(1, "same")
        second.send(2, "same")
        assert bench.taken() == ["same", "same"]

    with_feed(tmp_path, use, named=False)


def test_what_is_not_wanted_is_acknowledged_at_once(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        bench.ledger.count(2)
        bench.wires.session.send(1, "a")
        bench.wires.session.send(2, "b")
        assert bench.taken() == ["b"]
        assert bench.wires.session.acked == [1]
        assert bench.feed.backlog == 1

    with_feed(tmp_path, use, passes=lambda each: each.id == "b")


def test_attempts_are_remembered_by_the_next_feed_of_the_same_queue(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        bench.wires.session.send(1, "a")
        bench.taken()
        attempt = Attempt(1, 0, 500, "no")
        bench.feed.failed(bench.last[0], attempt)
        following = QueueFeed(bench.feed._link, bench.feed._wants, bench.ledger, bench.log.dead_letters, SystemClock())
        following._heard(bench.wires.session, Received(Content(b"a", message_id="a"), 2))  # type: ignore[arg-type]
        (delivery,) = following.take(1)
        assert delivery.attempts == (attempt,)
        following.ack(delivery)
        assert bench.ledger.attempts("a") == []

    with_feed(tmp_path, use)


@pytest.mark.parametrize("named", [True, False])
def test_what_cannot_be_read_is_a_dead_letter_before_it_is_acknowledged(tmp_path: Path, named: bool) -> None:
    async def use(bench: Bench) -> None:
        bench.wires.session.send(5, "x", "bad")
        while not bench.wires.session.acked:
            await asyncio.sleep(0.001)
        (letter,) = await bench.log.dead_letters.list("trigger/n/t")
        assert (letter.reason, letter.event, letter.stream) == ("it is bad", None, "broker/n/b")

    with_feed(tmp_path, use, named=named)


def test_a_dead_letter_is_stored_before_the_message_is_acknowledged(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        bench.wires.session.send(1, "a")
        bench.taken()
        burying = bench.feed.bury(bench.last[0], bench.last[0].event, "enough")
        assert bench.wires.session.acked == []
        assert await burying == 1
        assert bench.wires.session.acked == [1]

    with_feed(tmp_path, use)


def test_no_more_is_remembered_than_may_come_again() -> None:
    ledger = Ledger(keep=3)
    for id in "abcde":
        ledger.settle(id)
    assert list(ledger.settled) == ["c", "d", "e"]
