"""Answers are those of real servers; see `recorded/nats.json`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from core.errors import TemporaryError
from scalers.http_access import HttpAccess, HttpParameters
from scalers.nats_monitoring import Consumer, Monitoring, Place
from tests.support.answering import Answering, Asked, ok
from tests.support.clock import FakeClock
from tests.support.scaling import make_world

RECORDED = orjson.loads((Path(__file__).parent / "recorded" / "nats.json").read_bytes())
ALONE, CLUSTER = RECORDED["alone"], RECORDED["cluster"]
LEADER = "127.0.0.3"  # of both consumers, as it was recorded
Reply = Callable[[Asked], bytes]
Story = Callable[[Callable[[str], Monitoring], Answering, FakeClock], Awaitable[None]]


def alone(label: str) -> Reply:
    return lambda asked: ok(orjson.dumps(ALONE["varz" if asked.target == "/varz" else label]))


def cluster(changed: Mapping[str, bytes] | None = None) -> Reply:
    """Each node by its address; `changed` is what some say instead."""

    def reply(asked: Asked) -> bytes:
        node = asked.headers["host"].partition(":")[0]
        what = f"{node} {urlsplit(asked.target).path.removeprefix('/')}"
        return (changed or {}).get(what) or ok(orjson.dumps(CLUSTER[what]))

    return reply


def tell(reply: Reply, story: Story) -> None:
    async def run() -> None:
        async with Answering(reply, host="0.0.0.0") as server:
            world = await make_world()
            made: list[Monitoring] = []

            def monitoring(host: str) -> Monitoring:
                access = HttpAccess(HttpParameters(), world, "default")
                made.append(Monitoring(Place(f"{host}:{server.port}", "$G"), access, world.clock))
                return made[-1]

            try:
                assert isinstance(world.clock, FakeClock)
                await story(monitoring, server, world.clock)
            finally:
                for each in made:
                    await each.close()
                assert len(world.pools) == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("empty", Consumer(0, 0, 0)),
        ("waiting", Consumer(100, 0, 0)),
        ("seven in hand", Consumer(93, 7, 7)),
        ("three acknowledged", Consumer(93, 4, 7)),
    ],
)
def test_a_server_alone(label: str, expected: Consumer) -> None:
    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        assert await monitoring("127.0.0.1").consumer("ORDERS", "workers") == expected
        (asked,) = server.asked
        assert parse_qs(urlsplit(asked.target).query) == {"acc": ["$G"], "consumers": ["true"], "config": ["true"]}

    tell(alone(label), story)


@pytest.mark.parametrize(
    ("label", "stream", "consumer", "words"),
    [
        ("no stream", "ORDERS", "workers", "stream ORDERS is not among those of the account: none"),
        ("waiting", "ORDER", "workers", "stream ORDER is not among those of the account: ORDERS"),
        ("no consumer", "ORDERS", "workers", "consumer workers is not among those of stream ORDERS: none"),
        ("waiting", "ORDERS", "worker", "consumer worker is not among those of stream ORDERS: workers"),
        ("another account", "ORDERS", "workers", r"account \$G is not known at 127.0.0.1:\d+, or has no JetStream"),
    ],
)
def test_what_is_not_there_is_an_error_and_not_empty(label: str, stream: str, consumer: str, words: str) -> None:
    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        with pytest.raises(TemporaryError, match=words):
            await monitoring("127.0.0.1").consumer(stream, consumer)

    tell(alone(label), story)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
def test_in_a_cluster_only_the_leader_is_believed(host: str) -> None:
    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        one = monitoring(host)
        assert await one.consumer("ORDERS", "workers") == Consumer(93, 7, 7, "n3")
        assert await one.consumer("ORDERS", "single") == Consumer(100, 0, 0, "n3")
        await clock.advance(1.0)
        del server.asked[:]
        assert (await one.consumer("ORDERS", "workers")).pending == 93
        hosts = [each.headers["host"].partition(":")[0] for each in server.asked]
        assert hosts == ([host] if host == LEADER else [host, LEADER])  # found once, and then known

    tell(cluster(), story)


def test_questions_of_several_triggers_share_answers() -> None:
    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        one = monitoring("127.0.0.3")
        await asyncio.gather(*(one.consumer("ORDERS", "workers") for _ in range(20)))
        assert [each.target.partition("?")[0] for each in server.asked].count("/jsz") == 1
        await clock.advance(0.3)
        await one.consumer("ORDERS", "single")
        assert [each.target.partition("?")[0] for each in server.asked].count("/jsz") == 2

    tell(cluster(), story)


GONE = ok("", "500 Gone")


def test_a_node_that_is_gone_does_not_hide_the_leader() -> None:
    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        assert (await monitoring("127.0.0.1").consumer("ORDERS", "workers")).pending == 93

    tell(cluster({"127.0.0.2 jsz": GONE, "127.0.0.2 varz": GONE}), story)


def test_a_leader_that_is_gone_is_unknown_and_not_empty() -> None:
    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        one = monitoring("127.0.0.1")
        with pytest.raises(TemporaryError, match=r"the leader n3 of workers is not .*, 2 of 3: .*/jsz answered 500"):
            await one.consumer("ORDERS", "workers")
        with pytest.raises(TemporaryError, match=r"^consumer single of stream ORDERS is not among .*, 2 of 3: "):
            await one.consumer("ORDERS", "single")

    tell(cluster({"127.0.0.3 jsz": GONE}), story)


def test_another_leader_is_found() -> None:
    changed: dict[str, bytes] = {}

    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        one = monitoring("127.0.0.1")
        await one.consumer("ORDERS", "workers")
        for host, pending in (("127.0.0.1", 0), ("127.0.0.2", 60), ("127.0.0.3", 0)):
            text = orjson.dumps(CLUSTER[f"{host} jsz"]).decode()
            for stale in (0, 93):
                text = text.replace(f'"num_pending":{stale},', f'"num_pending":{pending},')
            changed[f"{host} jsz"] = ok(text.replace('"leader":"n3"', '"leader":"n2"'))
        await clock.advance(1.0)
        assert await one.consumer("ORDERS", "workers") == Consumer(60, 7, 7, "n2")

    tell(cluster(changed), story)


def test_when_its_endpoint_is_gone_a_known_node_answers() -> None:
    changed: dict[str, bytes] = {}

    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        one = monitoring("127.0.0.1")
        await one.consumer("ORDERS", "workers")
        changed.update({"127.0.0.1 jsz": GONE, "127.0.0.1 varz": GONE})
        await clock.advance(1.0)
        assert (await one.consumer("ORDERS", "workers")).pending == 93

    tell(cluster(changed), story)


def test_nodes_that_do_not_advertise_are_called_before_the_host_as_upstream_does() -> None:
    asked: list[str] = []

    def reply(question: Asked) -> bytes:
        asked.append(question.headers["host"])
        if question.target == "/varz":
            return ok('{"server_id": "x", "server_name": "other", "cluster": {"urls": ["leader.c.svc:6222"]}}')
        return ok(orjson.dumps({**CLUSTER["127.0.0.1 jsz"], "server_id": "x"}))

    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        with pytest.raises(TemporaryError, match=r"http://leader\.localhost:\d+/jsz cannot be reached"):
            await monitoring("localhost").consumer("ORDERS", "workers")

    tell(reply, story)


@pytest.mark.parametrize("body", ["", "[]", "{invalidJSON}"])
def test_what_is_no_nats(body: str) -> None:
    async def story(monitoring: Callable[[str], Monitoring], server: Answering, clock: FakeClock) -> None:
        with pytest.raises(TemporaryError, match="did not answer as NATS does"):
            await monitoring("127.0.0.1").consumer("ORDERS", "workers")

    tell(lambda _: ok(body), story)
