"""The broker class over RabbitMQ, against a real one: what every class must do, and what is this one's own."""

from __future__ import annotations

import asyncio

import pytest

from core.clients.rabbitmq_access import Access
from core.errors import PermanentError
from core.inside import Reply
from core.resources.eventing_delivery import BackoffPolicy
from eventing.brokers.base import Broker
from eventing.brokers.rabbitmq import NAME_BYTES_MAX, Ground, RabbitmqBroker, exchange_of, queue_of
from eventing.delivery import Policy
from eventing.log.base import EARLIEST, NOW, Start
from tests.support.broker_contract import Lives, Parts, RemoteBrokerContract, subscription_name, with_lives
from tests.support.rabbitmq import Rabbitmq
from tests.support.subscribers import event


class TestRabbitmqBroker(RemoteBrokerContract):
    server: Rabbitmq
    vhost: str

    @pytest.fixture(autouse=True)
    def _place(self, rabbitmq: Rabbitmq, vhost: str) -> None:
        self.server, self.vhost = rabbitmq, vhost

    async def make(self, stream: str, parts: Parts) -> Broker:
        async def find() -> Access:
            return Access("127.0.0.1", self.server.port, self.vhost)

        return RabbitmqBroker(stream, Ground(find, parts.log, parts.clock, parts.chronicle))

    def kill(self) -> None:
        self.server.kill()

    def start(self) -> None:
        self.server.start()

    @with_lives
    async def test_a_new_subscription_begins_where_it_says(self, lives: Lives) -> None:
        """Now, and nowhere else."""
        now, held = lives.name("now"), lives.name("held")
        async with lives.life() as life:
            await life.append(event("before"))
            await life.plane.reserve(subscription_name(held), life.broker.name, NOW)
            await life.append(event("between"))
            await life.subscribe(now)
            await life.subscribe(held, type="t")
            for start in (EARLIEST, Start(EARLIEST.origin)):
                with pytest.raises(PermanentError, match=r"pilotlight\.dev/start is earliest; only now is allowed"):
                    await life.subscribe(lives.name("earliest"), start=start)
            await life.append(event("after"))
            assert await life.got(now, 1) == ["after"]
            assert sorted(await life.got(held, 2)) == ["after", "between"]

    @with_lives
    async def test_an_event_is_in_the_queues_of_those_that_want_it_and_in_no_other(self, lives: Lives) -> None:
        names = {type: lives.name(type) for type in ("a", "b", "c")}
        async with lives.life() as life:
            for type, name in names.items():
                life.people.gates[name] = asyncio.Event()
                await life.subscribe(name, type=type)
            await life.append(event("1", type="a"), event("2", type="b"), event("3", type="b"), event("4", type="x"))
            depths = [life.plane.running[subscription_name(name)].dispatcher.feed.backlog for name in names.values()]
            assert depths == [1, 2, 0]
            for name in names.values():
                life.people.gates[name].set()
            await life.settled(*names.values())

    @with_lives
    async def test_exchange_and_queues_are_there_while_they_are_needed(self, lives: Lives) -> None:
        async with lives.life() as life:
            stream = life.broker.name
            first, second = [await life.subscribe(lives.name(each)) for each in ("first", "second")]
            assert self.server.exchanges(self.vhost) == [exchange_of(stream)]
            assert self.server.queues(self.vhost) == [queue_of(stream, first), queue_of(stream, second)]
            await life.plane.drop(first)
            assert self.server.queues(self.vhost) == [queue_of(stream, second)]
            await life.plane.drop_stream(stream)
            await life.broker.erase()
            assert self.server.queues(self.vhost) == []
            assert self.server.exchanges(self.vhost) == []

    @with_lives
    async def test_failed_attempts_count_on_over_a_restart(self, lives: Lives) -> None:
        name = lives.name("t")
        patient = Policy(retry=2, backoff=BackoffPolicy.LINEAR, backoff_delay_s=30)
        async with lives.life() as life:
            await life.subscribe(name, lambda got: Reply(503), policy=patient)
            await life.append(event("1"))
            await life.got(name, 1)
        async with lives.life() as life:
            await life.subscribe(name, policy=Policy(retry=2, backoff=BackoffPolicy.LINEAR, backoff_delay_s=0.01))
            (letter,) = await life.letters(name, 1)
            assert [attempt.number for attempt in letter.attempts] == [1, 2, 3]
            assert len(life.people.ids(name)) == 3
            await life.settled(name)
            cursor = life.log.cursor(subscription_name(name))
            assert cursor is not None
            assert not cursor.failing

    @with_lives
    async def test_a_queue_that_somebody_deletes_is_made_again(self, lives: Lives) -> None:
        async with lives.life() as life:
            name = lives.name("t")
            full = await life.subscribe(name)
            await life.append(event("1"))
            await life.got(name, 1)
            self.server.ask("DELETE", f"queues/{self.vhost}/{queue_of(life.broker.name, full)}")
            await life.append(event("2"))
            assert await life.got(name, 2) == ["1", "2"]

    @with_lives
    async def test_what_is_no_event_is_a_dead_letter_and_stops_nothing(self, lives: Lives) -> None:
        async with lives.life() as life:
            name = lives.name("t")
            full = await life.subscribe(name)
            self.server.ask(
                "POST",
                f"exchanges/{self.vhost}/amq.default/publish",
                {
                    "properties": {},
                    "routing_key": queue_of(life.broker.name, full),
                    "payload": "what?",
                    "payload_encoding": "string",
                },
            )
            await life.append(event("1"))
            assert await life.got(name, 1) == ["1"]
            (letter,) = await life.letters(name, 1)
            assert letter.event is None
            assert "the message is no event" in letter.reason
            await life.settled(name)


@pytest.mark.parametrize(
    ("stream", "subscription", "queue"),
    [
        ("broker/default/main", "trigger/default/t", "pilotlight:default:main:default:t"),
        ("broker/n/" + "b" * 253, "trigger/n/" + "t" * 253, "pilotlight:n:" + "b" * 225),
    ],
)
def test_queue_names(stream: str, subscription: str, queue: str) -> None:
    found = queue_of(stream, subscription)
    assert found.startswith(queue)
    assert len(found) <= NAME_BYTES_MAX
    assert exchange_of(stream) != found != queue_of(stream, subscription + "x")
