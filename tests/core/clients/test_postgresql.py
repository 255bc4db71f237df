from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.clients.postgresql import PostgresClient
from core.clients.postgresql_access import PostgresAccess
from core.errors import PermanentError, TemporaryError
from tests.support.postgres import Postgres, running_postgres

Story = Callable[[PostgresClient], Awaitable[None]]


def play(access: PostgresAccess, story: Story) -> None:
    async def played() -> None:
        client = PostgresClient(access)
        try:
            await story(client)
        finally:
            await client.close()

    asyncio.run(played())


def pairs(server: Postgres, **changed: str) -> PostgresAccess:
    return PostgresAccess(pairs=tuple((server.pairs() | changed).items()))


def test_the_first_row(postgres: Postgres) -> None:
    async def story(client: PostgresClient) -> None:
        assert await client.first_row("SELECT 3, 4 UNION ALL SELECT 5, 6 ORDER BY 1;") == (3, 4)
        assert await client.first_row("SELECT 1 WHERE '%s' = '%'") is None

    play(pairs(postgres), story)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT n FROM nowhere", 'refuses: relation "nowhere" does not exist'),
        ("SELCT 1", "refuses: syntax error"),
        ("SET work_mem = '1MB'", "didn't produce records"),
    ],
)
def test_a_query_that_is_refused_leaves_the_connection_whole(postgres: Postgres, query: str, words: str) -> None:
    async def story(client: PostgresClient) -> None:
        before = await client.first_row("SELECT pg_backend_pid()")
        with pytest.raises(TemporaryError, match=words):
            await client.first_row(query)
        assert await client.first_row("SELECT pg_backend_pid()") == before

    play(pairs(postgres), story)


def test_each_question_sees_what_is_there_now(postgres: Postgres) -> None:
    postgres.ask("CREATE TABLE seen (n int)")

    async def story(client: PostgresClient) -> None:
        for expected in range(3):
            assert await client.first_row("SELECT count(*) FROM seen") == (expected,)
            postgres.ask("INSERT INTO seen VALUES (1)")

    play(pairs(postgres), story)


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ("postgresql://postgres:open%20sesame%2F%25%27@127.0.0.1:{port}/postgres?sslmode=require", ""),
        ("postgres://postgres:open%20sesame%2F%25%27@127.0.0.1:{port}/postgres?pool_max_conns=4", ""),
        (r"host=127.0.0.1 port={port} user=postgres dbname=postgres pool_min_conns=2 password='open sesame/%\''", ""),
        ("postgresql://ann:hunter2@127.0.0.1:{port}/postgres", 'password authentication failed for user "ann"'),
        ("postgresql://postgres:hunter2@127.0.0.1:{port}/nowhere", "password authentication failed"),
        ("postgresql://postgres:hunter2@127.0.0.1:{port}/x?sslmode=required", "invalid sslmode value"),
        ("postgresql://postgres:hunter2@127.0.0.1:{port}/x?sslmode=verify-full", "root certificate"),
        ("postgresql://postgres:hunter2@127.0.0.1:1/x", "cannot be reached: .*Connection refused"),
        ("postgresql://postgres:hunter2@no.such.host.invalid/x", "cannot be reached"),
    ],
)
def test_connection_strings(postgres: Postgres, connection: str, words: str) -> None:
    async def story(client: PostgresClient) -> None:
        if not words:
            assert await client.first_row("SELECT 1") == (1,)
            return
        with pytest.raises(TemporaryError, match=words) as caught:
            await client.first_row("SELECT 1")
        assert "hunter2" not in str(caught.value)

    play(PostgresAccess(connection.format(port=postgres.port)), story)


@pytest.mark.parametrize("connection", ["hunter2 hunter3", "postgresql://u:hunter2@h:x/y?nosuch=1", "hunter2=1"])
def test_a_connection_string_that_is_none(connection: str) -> None:
    async def story(client: PostgresClient) -> None:
        with pytest.raises(PermanentError, match="cannot be read: a URL is wanted") as caught:
            await client.first_row("SELECT 1")
        assert "hunter" not in str(caught.value)

    play(PostgresAccess(connection), story)


def test_tls_with_a_check(postgres: Postgres, tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text(postgres.certificate)

    async def story(client: PostgresClient) -> None:
        assert await client.first_row("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == (True,)

    play(pairs(postgres, sslmode="verify-full", sslrootcert=str(tmp_path / "ca.pem")), story)


def test_it_comes_back_after_the_server_was_killed() -> None:
    with running_postgres() as server:

        async def story(client: PostgresClient) -> None:
            assert await client.first_row("SELECT 1") == (1,)
            server.kill()
            with pytest.raises(
                TemporaryError, match=f"PostgreSQL at 127.0.0.1:{server.port}, database postgres cannot"
            ):
                await client.first_row("SELECT 1")
            server.start()
            assert await client.first_row("SELECT 1") == (1,)
            server.kill()
            server.start()
            assert await client.first_row("SELECT 2") == (2,)  # over a connection that broke unseen

        play(pairs(server), story)


def test_what_takes_too_long_is_cancelled_in_the_server(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.postgresql.CONNECT_S", 0.5)
    monkeypatch.setattr("core.clients.postgresql.ANSWER_S", 0.5)

    async def story(client: PostgresClient) -> None:
        with pytest.raises(TemporaryError, match="does not answer within 1 s"):
            await client.first_row("SELECT pg_sleep(61)")

    play(pairs(postgres, connect_timeout="1"), story)
    deadline = time.monotonic() + 10
    while postgres.ask("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(61)' AND state = 'active'"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.postgresql.CONNECT_S", 1)
    monkeypatch.setattr("core.clients.postgresql.ANSWER_S", 0.5)
    with running_postgres() as server:

        async def story(client: PostgresClient) -> None:
            server.freeze()
            began = time.monotonic()
            with pytest.raises(TemporaryError, match=r"does not answer within|timeout expired"):
                await client.first_row("SELECT 1")
            took = time.monotonic() - began
            server.thaw()
            assert took < 4, took
            assert await client.first_row("SELECT 1") == (1,)

        play(pairs(server), story)


@pytest.mark.parametrize("all_of_it", [False, True])
def test_a_connection_that_hangs(monkeypatch: pytest.MonkeyPatch, all_of_it: bool) -> None:
    monkeypatch.setattr("core.clients.postgresql.CONNECT_S", 1)
    monkeypatch.setattr("core.clients.postgresql.ANSWER_S", 0.2)
    with running_postgres() as server:

        async def story(client: PostgresClient) -> None:
            row = await client.first_row("SELECT pg_backend_pid()")
            assert row is not None
            if all_of_it:
                server.freeze()
            os.kill(row[0], signal.SIGSTOP)
            began = time.monotonic()
            try:
                with pytest.raises(TemporaryError, match=r"does not answer within 1\.2 s"):
                    await client.first_row("SELECT 1")
                took = time.monotonic() - began
            finally:
                server.thaw()
                os.kill(row[0], signal.SIGCONT)
            assert took < 4, took
            assert await client.first_row("SELECT 1") == (1,)

        play(pairs(server), story)


def test_rotated_credentials(postgres: Postgres) -> None:
    """The new ones make a new client; the old connection goes on until it breaks."""
    postgres.ask("CREATE ROLE ann LOGIN PASSWORD 'hunter2'")
    old, new = (pairs(postgres, user="ann", password=word) for word in ("hunter2", "hunter3"))

    async def story(client: PostgresClient) -> None:
        assert await client.first_row("SELECT 1") == (1,)
        postgres.ask("ALTER ROLE ann PASSWORD 'hunter3'")
        assert await client.first_row("SELECT 1") == (1,)
        postgres.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ann'")
        with pytest.raises(TemporaryError, match="password authentication failed") as caught:
            await client.first_row("SELECT 1")
        assert "hunter" not in str(caught.value)
        fresh = PostgresClient(new)
        assert await fresh.first_row("SELECT 1") == (1,)
        await fresh.close()

    play(old, story)


def test_many_questions_share_two_connections(postgres: Postgres) -> None:
    async def story(client: PostgresClient) -> None:
        await asyncio.gather(*(client.first_row("SELECT 1") for _ in range(100)))
        ((open_now,),) = postgres.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'many'")
        assert open_now == 2

    play(pairs(postgres, application_name="many"), story)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    async def story(client: PostgresClient) -> None:
        with pytest.raises(PermanentError, match=r"pip install 'pilotlight\[postgresql\]'"):
            await client.first_row("SELECT 1")

    play(PostgresAccess("postgresql://h"), story)
