"""Against what a real server said (tests/scalers/recorded/mongodb.json says which)."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from core.clients.mongodb import MongoAccess, MongoClient
from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError
from tests.support.certificates import self_signed
from tests.support.replay_mongodb import replayed_mongodb

RUNNING = '{"region":"eu-1","state":"running"}'
CERTIFICATE, KEY = self_signed("client")


@pytest.mark.parametrize(
    ("collection", "query", "count", "there"),
    [
        ("tasks", RUNNING, 6, True),
        ("tasks", '{"n": {"$gt": {"$numberInt": "4"}}}', 4, True),
        ("tasks", '{"state": "failed"}', 0, True),
        ("empty", '{"state": "failed"}', 0, True),
        ("nowhere", '{"state": "failed"}', 0, False),
    ],
)
def test_counts(collection: str, query: str, count: int, there: bool) -> None:
    async def story() -> None:
        async with replayed_mongodb() as server:
            client = MongoClient(MongoAccess(server.uri))
            assert await client.count("test", collection, query) == count
            assert await client.has_collection("test", collection) is there
            (command,) = [each for each in server.asked if "aggregate" in each]
            assert (command["$db"], command["maxTimeMS"]) == ("test", 5000)
            await client.close()

    asyncio.run(story())


def test_a_query_that_is_refused() -> None:
    async def story() -> None:
        async with replayed_mongodb() as server:
            client = MongoClient(MongoAccess(server.uri))
            with pytest.raises(TemporaryError) as caught:
                await client.count("test", "tasks", '{"n":{"$nosuch":1}}')
            assert str(caught.value) == f"MongoDB at 127.0.0.1:{server.port} refuses: unknown operator: $nosuch"
            await client.close()

    asyncio.run(story())


def test_a_password_is_shown_nowhere() -> None:
    async def story() -> None:
        async with replayed_mongodb() as server:
            uri = server.uri.replace("//", "//ann:hun%2Fter2@")
            client = MongoClient(MongoAccess(uri))
            with pytest.raises(TemporaryError, match="refuses: Unsupported authentication mechanism") as caught:
                await client.count("test", "tasks", RUNNING)
            assert "ter2" not in str(caught.value)
            await client.close()

    asyncio.run(story())
    assert "hunter2" not in repr(MongoAccess("mongodb://ann:hunter2@h/d", ClientTls(key="hunter2")))


def test_it_comes_back_after_a_connection_broke() -> None:
    async def story() -> None:
        async with replayed_mongodb() as server:
            client = MongoClient(MongoAccess(server.uri))
            assert await client.count("test", "tasks", RUNNING) == 6
            server.hang_up()
            assert await client.count("test", "tasks", RUNNING) == 6
            await client.close()

    asyncio.run(story())


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.mongodb.CONNECT_S", 0.3)

    async def story() -> None:
        client = MongoClient(MongoAccess("mongodb://ann:hunter2@127.0.0.1:1/test"))
        with pytest.raises(TemporaryError, match=r"MongoDB at 127\.0\.0\.1:1 cannot be reached: .*111") as caught:
            await client.count("test", "tasks", RUNNING)
        assert "Topology" not in str(caught.value)
        assert "hunter2" not in str(caught.value)
        await client.close()

    asyncio.run(story())


def test_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.mongodb.CONNECT_S", 0.4)
    monkeypatch.setattr("core.clients.mongodb.ANSWER_S", 0.4)

    async def story() -> None:
        async with replayed_mongodb() as server:
            client = MongoClient(MongoAccess(server.uri))
            assert await client.count("test", "tasks", RUNNING) == 6
            server.mute = True
            began = time.monotonic()
            with pytest.raises(TemporaryError, match=r"does not answer within 0\.8 s"):
                await client.count("test", "tasks", RUNNING)
            assert time.monotonic() - began < 3
            server.mute = False
            assert await client.count("test", "tasks", RUNNING) == 6
            await client.close()

    asyncio.run(story())


def test_many_questions_share_few_connections() -> None:
    async def story() -> None:
        async with replayed_mongodb() as server:
            client = MongoClient(MongoAccess(server.uri))
            await asyncio.gather(*(client.count("test", "tasks", RUNNING) for _ in range(50)))
            assert server.connections <= 4  # two for questions, and those that watch the server
            await client.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    "uri", ["mongodb://127.0.0.1:x/hunter2", "mongodb://ann:hun@ter2/@h/d", "mongodb://u:hunter2@/d", "mongodb://"]
)
def test_a_url_that_is_none(uri: str) -> None:
    with pytest.raises(PermanentError, match="a URL is wanted") as caught:
        asyncio.run(MongoClient(MongoAccess(uri)).count("test", "tasks", RUNNING))
    assert "ter2" not in str(caught.value)


def test_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.mongodb.CONNECT_S", 0.3)
    with pytest.raises(PermanentError, match="certificates cannot be used"):
        asyncio.run(MongoClient(MongoAccess("mongodb://h", ClientTls("a ca"))).count("test", "tasks", RUNNING))

    async def story() -> None:
        async with replayed_mongodb() as server:
            client = MongoClient(MongoAccess(server.uri, ClientTls(CERTIFICATE, CERTIFICATE, KEY)))
            with pytest.raises(TemporaryError, match="cannot be reached"):  # it speaks no TLS
                await client.count("test", "tasks", RUNNING)
            assert not server.asked
            await client.close()

    asyncio.run(story())


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymongo", None)
    with pytest.raises(PermanentError, match=r"pip install 'pilotlight\[mongodb\]'"):
        asyncio.run(MongoClient(MongoAccess("mongodb://h")).count("test", "tasks", RUNNING))
