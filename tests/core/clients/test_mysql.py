"""Against what a real MariaDB said (tests/scalers/recorded/mysql.json says which)."""

from __future__ import annotations

import asyncio
import sys
import time
from decimal import Decimal

import pytest

from core.clients.mysql import MysqlClient
from core.clients.mysql_access import MysqlAccess
from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError
from tests.support.replay_mysql import ReplayedMysql, replayed_mysql

COUNT = "SELECT COUNT(*) FROM task_instance"


def access(server: ReplayedMysql) -> MysqlAccess:
    return MysqlAccess("127.0.0.1", server.port, "ann", "hunter2", "stats_db")


@pytest.mark.parametrize(
    ("query", "row"),
    [
        (COUNT, (8,)),
        ("SELECT CEIL(COUNT(*) / 6) FROM task_instance WHERE state='running' OR state='queued'", (Decimal(2),)),
        ("SELECT 1.5e0", (1.5,)),
        ("SELECT '12'", ("12",)),
        ("SELECT NULL", (None,)),
        ("SELECT 1 FROM task_instance WHERE state = 'failed'", None),
        ("SET @a = 1", None),
        ("SELECT state FROM task_instance", ("running",)),
    ],
)
def test_the_first_row(query: str, row: tuple[object, ...] | None) -> None:
    async def story() -> None:
        async with replayed_mysql() as server:
            client = MysqlClient(access(server))
            for _ in range(2):
                assert await client.first_row(query) == row
            assert server.connections == 1
            await client.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT n FROM nowhere", "refuses: Table 'stats_db.nowhere' doesn't exist"),
        ("SELCT 1", "refuses: You have an error in your SQL syntax"),
        ("SELECT SLEEP(20)", r"refuses: Query execution was interrupted \(max_statement_time exceeded\)"),
    ],
)
def test_a_query_that_is_refused_leaves_the_connection_whole(query: str, words: str) -> None:
    async def story() -> None:
        async with replayed_mysql() as server:
            client = MysqlClient(access(server))
            with pytest.raises(TemporaryError, match=words):
                await client.first_row(query)
            assert await client.first_row(COUNT) == (8,)
            assert server.connections == 1
            await client.close()

    asyncio.run(story())


def test_the_server_is_told_how_long_a_query_may_take() -> None:
    async def story() -> None:
        async with replayed_mysql() as server:
            client = MysqlClient(access(server))
            await client.first_row(COUNT)
            assert server.asked == ["SET SESSION max_statement_time = 5", COUNT]
            await client.close()

    asyncio.run(story())


def test_a_wrong_password_is_shown_nowhere() -> None:
    async def story() -> None:
        async with replayed_mysql() as server:
            server.denied = True
            client = MysqlClient(access(server))
            with pytest.raises(TemporaryError, match="refuses: Access denied for user 'ann'@'localhost'") as caught:
                await client.first_row(COUNT)
            assert "hunter2" not in str(caught.value)
            server.denied = False
            assert await client.first_row(COUNT) == (8,)
            await client.close()

    asyncio.run(story())


def test_it_comes_back_after_a_connection_broke() -> None:
    async def story() -> None:
        async with replayed_mysql() as server:
            client = MysqlClient(access(server))
            assert await client.first_row(COUNT) == (8,)
            server.hang_up()
            assert await client.first_row(COUNT) == (8,)
            assert server.connections == 2
            await client.close()
        with pytest.raises(
            TemporaryError, match=rf"MySQL at 127.0.0.1:{server.port}, database stats_db cannot be reached"
        ):
            await client.first_row(COUNT)

    asyncio.run(story())


def test_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.mysql.CONNECT_S", 0.2)
    monkeypatch.setattr("core.clients.mysql.ANSWER_S", 0.2)

    async def story() -> None:
        async with replayed_mysql() as server:
            server.mute = True
            client = MysqlClient(access(server))
            began = time.monotonic()
            with pytest.raises(TemporaryError, match=r"does not answer within 0\.4 s"):
                await client.first_row(COUNT)
            assert time.monotonic() - began < 3
            await client.close()

    asyncio.run(story())


def test_many_questions_share_two_connections() -> None:
    async def story() -> None:
        async with replayed_mysql() as server:
            client = MysqlClient(access(server))
            await asyncio.gather(*(client.first_row(COUNT) for _ in range(50)))
            assert server.connections == 2
            await client.close()

    asyncio.run(story())


def test_certificates_that_are_none() -> None:
    with pytest.raises(PermanentError, match="certificates cannot be used"):
        asyncio.run(MysqlClient(MysqlAccess(port=1, tls=ClientTls("a ca"))).first_row(COUNT))


def test_a_server_that_speaks_no_tls() -> None:
    async def story() -> None:
        async with replayed_mysql() as server:
            client = MysqlClient(MysqlAccess("127.0.0.1", server.port, "ann", "hunter2", "stats_db", ClientTls()))
            with pytest.raises(TemporaryError):
                await client.first_row(COUNT)
            await client.close()

    asyncio.run(story())


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiomysql", None)
    with pytest.raises(PermanentError, match=r"pip install 'pilotlight\[mysql\]'"):
        asyncio.run(MysqlClient(MysqlAccess()).first_row(COUNT))
