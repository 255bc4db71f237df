"""Rows of metadata are those of upstream's test (pkg/scalers/mysql_scaler_test.go); what a server said was recorded."""

from __future__ import annotations

import asyncio

import pytest

from core.clients.mysql_access import MysqlAccess
from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError
from scalers.mysql import MysqlParameters
from scalers.readings import Reading, Target
from tests.support.replay_mysql import ReplayedMysql, replayed_mysql
from tests.support.scalers import make_scaler, make_trigger, make_world, parsed, reading_of, target_of

ENV = {
    "MYSQL_USERNAME": "test_username",
    "MYSQL_PASSWORD": "pass",
    "MYSQL_CONN_STR": "user@tcp(http://my.mysql.dev:3306)/stats_db",
    "WRONG_CONN_STR": "user:hunter2@mysql",
}
QUERY = {"query": "query", "queryValue": "12"}
WHERE = {"host": "test_host", "port": "3306", "username": "test_username", "dbName": "test_dbname"}
FROM_STRING = MysqlAccess("http://my.mysql.dev", 3306, "user", "", "stats_db")
THERE = MysqlAccess("test_host", 3306, "test_username", "pass", "test_dbname")


@pytest.mark.parametrize(
    ("metadata", "auth", "expected"),
    [
        pytest.param({"connectionStringFromEnv": "MYSQL_CONN_STR"}, {}, FROM_STRING, id="a string"),
        pytest.param({}, {"connectionString": ENV["MYSQL_CONN_STR"]}, FROM_STRING, id="a string of a credential"),
        pytest.param({**WHERE, "passwordFromEnv": "MYSQL_PASSWORD"}, {}, THERE, id="instead of a string"),
        pytest.param(
            {**WHERE, "username": "", "usernameFromEnv": "MYSQL_USERNAME", "passwordFromEnv": "MYSQL_PASSWORD"},
            {},
            THERE,
            id="a user of the environment",
        ),
        pytest.param({}, {**WHERE, "password": "pass"}, THERE, id="all of a credential"),
        pytest.param({**WHERE, "tls": "disable"}, {"password": "pass"}, THERE, id="TLS disabled"),
        pytest.param(
            {**WHERE, "tls": "enable"},
            {"password": "pass"},
            MysqlAccess("test_host", 3306, "test_username", "pass", "test_dbname", ClientTls()),
            id="TLS",
        ),
        pytest.param(
            {**WHERE, "tls": "enable", "ca": "PEM"},
            {"password": "pass"},
            MysqlAccess("test_host", 3306, "test_username", "pass", "test_dbname", ClientTls("PEM")),
            id="TLS with a CA",
        ),
        pytest.param(
            {"tls": "enable"},
            {"connectionString": "u@tcp(h)/d"},
            MysqlAccess("h", 3306, "u", "", "d", ClientTls()),
            id="TLS beside a string",
        ),
        pytest.param(
            {"tls": "enable", "ca": "PEM"},
            {"connectionString": "u@tcp(h)/d?tls=skip-verify"},
            MysqlAccess("h", 3306, "u", "", "d", ClientTls(check=False)),
            id="the string's own TLS wins",
        ),
    ],
)
def test_where_it_is(metadata: dict[str, str], auth: dict[str, str], expected: MysqlAccess) -> None:
    found = parsed(make_trigger("mysql", {**QUERY, **metadata}, auth=auth, env=ENV))
    assert isinstance(found, MysqlParameters)
    assert found.access() == expected


@pytest.mark.parametrize(
    ("metadata", "wrong"),
    [
        pytest.param({}, "query", id="no metadata"),
        pytest.param({**WHERE, "query": "q"}, "queryValue", id="no target"),
        pytest.param({**WHERE, **QUERY, "queryValue": "0"}, "queryValue", id="differs: a target of 0"),
        pytest.param({**WHERE, **QUERY, "activationQueryValue": "AA"}, "activationQueryValue", id="an activation"),
        pytest.param({**WHERE, **QUERY, "tls": "invalid"}, "tls", id="a word for TLS that is none"),
        pytest.param({**WHERE, **QUERY, "port": "test_port"}, "port", id="differs: a port that is none"),
        pytest.param({**QUERY, "connectionStringFromEnv": "WRONG_CONN_STR"}, "connectionString", id="a string"),
        *(pytest.param({**QUERY, **WHERE, name: ""}, name, id=f"no {name}") for name in WHERE),
    ],
)
def test_what_is_wrong_is_named(metadata: dict[str, str], wrong: str) -> None:
    with pytest.raises(PermanentError, match=rf"spec\.triggers\[0\]\.metadata\.{wrong}: ") as caught:
        parsed(make_trigger("mysql", metadata, env=ENV))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "auth", "target"),
    [
        (WHERE, {}, Target("mysql-test_dbname", 4.4, 5.4)),
        ({}, {"connectionString": "user:p@tcp(h:3306)/stats_db?tls=true"}, Target("mysql-stats_db", 4.4, 5.4)),
    ],
)
def test_its_target(metadata: dict[str, str], auth: dict[str, str], target: Target) -> None:
    values = {"query": "q", "queryValue": "4.4", "activationQueryValue": "5.4"}
    assert asyncio.run(target_of(make_scaler(make_trigger("mysql", {**metadata, **values}, auth=auth)))) == target


def at(server: ReplayedMysql) -> dict[str, str]:
    return {"connectionString": f"ann:hunter2@tcp(127.0.0.1:{server.port})/stats_db"}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("SELECT CEIL(COUNT(*) / 6) FROM task_instance WHERE state='running' OR state='queued'", 2.0),
        ("SELECT COUNT(*) FROM task_instance", 8.0),
        ("SELECT COUNT(*) FROM task_instance WHERE state = 'failed'", 0.0),
        ("SELECT 1.5e0", 1.5),
        ("SELECT '12'", 12.0),
        ("SELECT NULL", None),
        ("SELECT 1 FROM task_instance WHERE state = 'failed'", None),
        ("SELECT state FROM task_instance", None),
        ("SELECT n FROM nowhere", None),
        ("SET @a = 1", None),
    ],
)
def test_what_a_query_returns_and_what_is_not_zero(query: str, value: float | None) -> None:
    async def story() -> None:
        async with replayed_mysql() as server:
            scaler = make_scaler(make_trigger("mysql", {**QUERY, "query": query}, auth=at(server)))
            if value is None:
                with pytest.raises(TemporaryError):
                    await scaler.read()
            else:
                assert await reading_of(scaler) == Reading(value)
            await scaler.close()

    asyncio.run(story())


def test_triggers_of_a_server_and_credential_share_its_connections() -> None:
    async def story() -> None:
        async with replayed_mysql() as server:
            world = make_world()
            metadata = {**QUERY, "query": "SELECT COUNT(*) FROM task_instance"}
            scalers = [make_scaler(make_trigger("mysql", metadata, auth=at(server)), world) for _ in range(20)]
            await asyncio.gather(*(scaler.read() for scaler in scalers))
            assert (len(world.pools), server.connections) == (1, 2)
            for scaler in scalers:
                await scaler.close()
            assert len(world.pools) == 0

    asyncio.run(story())
