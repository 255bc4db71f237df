"""A session with a real RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.clients.rabbitmq import Session
from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_terms import (
    NOT_FOUND,
    Binding,
    Content,
    Exchange,
    Queue,
    RabbitmqDown,
    RabbitmqRefused,
    Received,
)
from tests.support.rabbitmq import Rabbitmq


def access(rabbitmq: Rabbitmq, vhost: str = "/", **changes: str) -> Access:
    return Access("127.0.0.1", rabbitmq.port, vhost, **changes)


def with_session(rabbitmq: Rabbitmq, vhost: str, use: Callable[[Session], Awaitable[None]]) -> None:
    async def run() -> None:
        session = Session(access(rabbitmq, vhost), "test")
        await session.open()
        try:
            await use(session)
        finally:
            await session.close()

    asyncio.run(run())


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not check():
            await asyncio.sleep(0.005)


async def until_depth(session: Session, queue: str, depth: int) -> None:
    async with asyncio.timeout(20):
        while await session.depth(queue) != depth:
            await asyncio.sleep(0.005)


def test_what_is_published_and_confirmed_is_heard_with_all_it_had(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def use(session: Session) -> None:
        await session.declare(Exchange("x"), Queue("q"), Binding("x", "q", "key"))
        headers = {"text": "é", "number": 7, "truth": True}
        sent = Content(b"\x00body", "text/plain", headers, "m1")
        await session.publish("x", "key", sent)
        heard: list[Received] = []
        consumer = await session.consume("q", 10, lambda _, received: heard.append(received))
        await until(lambda: bool(heard))
        assert heard[0].content == sent
        consumer.ack(heard[0].tag)
        await consumer.cancel()
        assert await session.depth("q") == 0

    with_session(rabbitmq, vhost, use)


@pytest.mark.parametrize("kind", ["quorum", "classic"])
def test_one_publish_reaches_all_the_queues_that_it_names(rabbitmq: Rabbitmq, vhost: str, kind: str) -> None:
    async def use(session: Session) -> None:
        queues = [Queue(name, kind) for name in "abc"]
        await session.declare(Exchange("x"), *queues, *(Binding("x", each.name, each.name) for each in queues))
        await session.publish("x", "a", Content(b"1", headers={"BCC": ["c"]}))
        assert [await session.depth(name) for name in "abc"] == [1, 0, 1]
        heard: list[Received] = []
        await session.consume("c", 10, lambda _, received: heard.append(received))
        await until(lambda: bool(heard))
        assert heard[0].content.headers == {}  # whom else it was for is not told

    with_session(rabbitmq, vhost, use)


def test_things_are_declared_again_and_deleted_again(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def use(session: Session) -> None:
        for _ in range(2):
            await session.declare(Exchange("x"), Queue("q"), Binding("x", "q"))
        await session.declare(Queue("q", "classic"))  # it stays as it is
        assert rabbitmq.queues(vhost) == ["q"]
        assert rabbitmq.exchanges(vhost) == ["x"]
        for _ in range(2):
            await session.delete(Queue("q"), Exchange("x"))
        assert rabbitmq.queues(vhost) == []
        assert rabbitmq.exchanges(vhost) == []

    with_session(rabbitmq, vhost, use)


def test_a_refusal_is_an_answer_and_the_session_goes_on(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def use(session: Session) -> None:
        with pytest.raises(RabbitmqRefused, match="no queue 'nowhere'") as refused:
            await session.depth("nowhere")
        assert refused.value.code == NOT_FOUND
        with pytest.raises(RabbitmqRefused, match="no queue 'nowhere'"):
            await session.consume("nowhere", 1, lambda *_: None)
        await session.declare(Exchange("x"))
        with pytest.raises(RabbitmqRefused, match="inequivalent arg 'type'"):
            await session.declare(Exchange("x", "headers"))
        with pytest.raises(RabbitmqRefused, match="no queue of RabbitMQ took the message"):
            await session.publish("x", "nobody", Content(b"", message_id="m"))
        assert session.alive

    with_session(rabbitmq, vhost, use)


def test_no_more_is_heard_than_prefetched_and_what_is_not_acknowledged_comes_again(
    rabbitmq: Rabbitmq, vhost: str
) -> None:
    async def use(session: Session) -> None:
        await session.declare(Queue("q"))
        await asyncio.gather(*(session.publish("", "q", Content(str(n).encode())) for n in range(5)))
        heard: list[Received] = []
        consumer = await session.consume("q", 2, lambda _, received: heard.append(received))
        await until(lambda: len(heard) == 2)
        consumer.ack(heard[0].tag)
        await until(lambda: len(heard) == 3)
        await consumer.cancel()
        again: list[Received] = []
        await session.consume("q", 10, lambda _, received: again.append(received))
        await until(lambda: len(again) == 4)
        assert sorted(each.content.body for each in again) == [b"1", b"2", b"3", b"4"]

    with_session(rabbitmq, vhost, use)


def test_whoever_is_cancelled_while_it_begins_to_consume_keeps_no_message(rabbitmq: Rabbitmq, vhost: str) -> None:
    """The first message may be here before the answer is; and the answer may come with the cancellation."""

    async def use(session: Session) -> None:
        await session.declare(Queue("q"))
        await session.publish("", "q", Content(b"1"))
        for steps in range(30):
            heard = asyncio.Event()
            asked = asyncio.create_task(session.consume("q", 10, lambda *_, heard=heard: heard.set()))
            if steps % 2:
                await heard.wait()
            for _ in range(1 + steps // 2):
                await asyncio.sleep(0)
            asked.cancel()
            try:
                consumer = await asked
            except asyncio.CancelledError:
                pass
            else:
                await consumer.cancel()
            await until_depth(session, "q", 1)

    with_session(rabbitmq, vhost, use)


def test_a_thousand_are_confirmed_in_the_order_of_their_coming(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def use(session: Session) -> None:
        await session.declare(Queue("q"))
        await asyncio.gather(*(session.publish("", "q", Content(str(n).encode())) for n in range(1000)))
        heard: list[Received] = []
        await session.consume("q", 1000, lambda _, received: heard.append(received))
        await until(lambda: len(heard) == 1000)
        assert [int(each.content.body) for each in heard] == list(range(1000))

    with_session(rabbitmq, vhost, use)


def test_a_queue_deleted_under_its_consumer_ends_the_session_and_says_so(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def use(session: Session) -> None:
        await session.declare(Queue("q"))
        await session.consume("q", 1, lambda *_: None)
        rabbitmq.ask("DELETE", f"queues/{vhost}/q")
        assert await session.ended() == "queue q was deleted"
        for attempt in (lambda: session.publish("", "q", Content(b"")), session._require):
            with pytest.raises(RabbitmqDown, match="queue q was deleted"):
                attempt()

    with_session(rabbitmq, vhost, use)


def test_an_exchange_deleted_under_its_publisher_fails_what_is_under_way(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def use(session: Session) -> None:
        with pytest.raises(RabbitmqDown, match="no exchange 'gone'"):
            await session.publish("gone", "key", Content(b""))

    with_session(rabbitmq, vhost, use)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"password": "wrong"}, RabbitmqRefused, "does not let user guest in"),
        ({"vhost": "nowhere"}, RabbitmqRefused, "nowhere"),
        ({"port": 1}, RabbitmqDown, "127.0.0.1:1, virtual host / does not answer"),
        ({"host": "nowhere.invalid"}, RabbitmqDown, "does not answer"),
    ],
)
def test_why_it_does_not_open(
    rabbitmq: Rabbitmq, change: dict[str, str | int], error: type[Exception], sentence: str
) -> None:
    async def run() -> None:
        known: dict[str, str | int] = {"host": "127.0.0.1", "port": rabbitmq.port, **change}
        session = Session(Access(**known), "test")  # type: ignore[arg-type]
        with pytest.raises(error, match=sentence):
            await session.open()
        await session.close()

    asyncio.run(run())


def test_closing_sends_what_was_handed_over(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def use(session: Session) -> None:
        await session.declare(Queue("q"))
        await session.publish("", "q", Content(b"1"))
        other = Session(access(rabbitmq, vhost), "other")
        await other.open()
        heard: list[Received] = []
        consumer = await other.consume("q", 1, lambda _, received: heard.append(received))
        await until(lambda: bool(heard))
        consumer.ack(heard[0].tag)
        await other.close()
        assert await session.depth("q") == 0

    with_session(rabbitmq, vhost, use)
