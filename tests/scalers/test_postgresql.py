"""Rows of metadata are those of upstream's test (pkg/scalers/postgresql_scaler_test.go)."""

from __future__ import annotations

import asyncio

import pytest

from core.clients.postgresql_access import PostgresAccess
from core.errors import PermanentError, TemporaryError
from scalers.postgresql import PostgresParameters
from scalers.readings import Reading, Target
from tests.support.postgres import Postgres, running_postgres
from tests.support.scalers import make_scaler, make_trigger, make_world, parsed, reading_of, target_of

QUERY = {"query": "test_query", "targetQueryValue": "5"}
WHERE = {"host": "localhost", "port": "1234", "dbName": "testDb", "userName": "user", "sslmode": "required"}
PAIRS = (("host", "localhost"), ("port", "1234"), ("user", "user"), ("dbname", "testDb"), ("sslmode", "required"))
ENV = {"POSTGRE_PASSWORD": "pass", "POSTGRE_CONN_STR": "test_conn_str"}


@pytest.mark.parametrize(
    ("metadata", "auth", "expected"),
    [
        pytest.param({"connectionFromEnv": "POSTGRE_CONN_STR"}, {}, PostgresAccess("test_conn_str"), id="env"),
        pytest.param({}, {"connection": "from_auth"}, PostgresAccess("from_auth"), id="a credential"),
        pytest.param({"connectionFromEnv": "POSTGRE_CONN_STR"}, {"connection": "a"}, PostgresAccess("a"), id="both"),
        pytest.param(WHERE, {}, PostgresAccess(pairs=PAIRS), id="pairs"),
        pytest.param(
            {**WHERE, "passwordFromEnv": "POSTGRE_PASSWORD"},
            {},
            PostgresAccess(pairs=(*PAIRS, ("password", "pass"))),
            id="pairs with a password",
        ),
        pytest.param({}, WHERE, PostgresAccess(pairs=PAIRS), id="pairs of a credential"),
        pytest.param(
            {**WHERE, "host": "host1,host2"},
            {},
            PostgresAccess(pairs=(("host", "host1,host2"), *PAIRS[1:])),
            id="several hosts",
        ),
        pytest.param(
            {**WHERE, "userName": "user\tsslmode=disable"},
            {"password": "secret\nhost=attacker"},
            PostgresAccess(
                pairs=(*PAIRS[:2], ("user", "user\tsslmode=disable"), *PAIRS[3:], ("password", "secret\nhost=attacker"))
            ),
            id="values stay values",
        ),
        pytest.param(
            {**WHERE, "host": "a"}, {"host": "b"}, PostgresAccess(pairs=(("host", "b"), *PAIRS[1:])), id="order"
        ),
    ],
)
def test_where_it_is(metadata: dict[str, str], auth: dict[str, str], expected: PostgresAccess) -> None:
    found = parsed(make_trigger("postgresql", {**QUERY, **metadata}, auth=auth, env=ENV))
    assert isinstance(found, PostgresParameters)
    assert found.access() == expected


@pytest.mark.parametrize(
    ("metadata", "wrong"),
    [
        pytest.param({}, "query", id="no metadata"),
        pytest.param({**WHERE, "query": "q"}, "targetQueryValue", id="no target"),
        pytest.param({**WHERE, "query": "q", "targetQueryValue": "0"}, "targetQueryValue", id="a target of 0"),
        pytest.param(
            {**WHERE, **QUERY, "activationTargetQueryValue": "x"}, "activationTargetQueryValue", id="activation"
        ),
        pytest.param({**QUERY, "connection": "postgresql://localhost:5432"}, "host", id="not of the metadata"),
        *(pytest.param({**QUERY, **WHERE, name: ""}, name, id=f"no {name}") for name in WHERE),
    ],
)
def test_what_is_wrong_is_named(metadata: dict[str, str], wrong: str) -> None:
    with pytest.raises(PermanentError, match=rf"spec\.triggers\[0\]\.metadata\.{wrong}: "):
        parsed(make_trigger("postgresql", metadata, env=ENV))


def test_identities_of_clouds_are_refused() -> None:
    with pytest.raises(PermanentError, match="podIdentity azure-workload does not work"):
        parsed(make_trigger("postgresql", {**QUERY, **WHERE}, pod_identity="azure-workload"))


def test_its_target() -> None:
    metadata = {**WHERE, "query": "q", "targetQueryValue": "1.1", "activationTargetQueryValue": "5"}
    assert asyncio.run(target_of(make_scaler(make_trigger("postgresql", metadata)))) == Target("postgresql", 1.1, 5.0)


def where(server: Postgres) -> tuple[dict[str, str], dict[str, str]]:
    known = server.pairs()
    names = {"host": "host", "port": "port", "user": "userName", "dbname": "dbName"}
    return {names[name]: known[name] for name in names} | {"sslmode": "disable"}, {"password": known["password"]}


def test_a_count_to_zero_and_back_and_a_killed_server_in_between() -> None:
    with running_postgres() as server:
        metadata, auth = where(server)
        metadata |= {"query": "SELECT ceil(COUNT(*)::decimal / 2) FROM tasks WHERE open;", "targetQueryValue": "1.1"}

        async def story() -> None:
            scaler = make_scaler(make_trigger("postgresql", metadata, auth=auth))
            with pytest.raises(TemporaryError, match='relation "tasks" does not exist'):
                await scaler.read()
            server.ask("CREATE TABLE tasks (open bool)")
            assert await reading_of(scaler) == Reading(0.0)
            server.ask("INSERT INTO tasks SELECT true FROM generate_series(1, 5)")
            assert await reading_of(scaler) == Reading(3.0)
            server.kill()
            with pytest.raises(TemporaryError, match="cannot be reached"):
                await scaler.read()
            server.start()
            assert await reading_of(scaler) == Reading(3.0)
            server.ask("UPDATE tasks SET open = false")
            assert await reading_of(scaler) == Reading(0.0)
            await scaler.close()

        asyncio.run(story())


@pytest.mark.parametrize("query", ["SELECT 1 WHERE false", "SELECT NULL", "SELECT 'NaN'::float8", "SELECT 'many'"])
def test_what_is_no_number_is_not_zero(postgres: Postgres, query: str) -> None:
    metadata, auth = where(postgres)

    async def story() -> None:
        scaler = make_scaler(make_trigger("postgresql", {**metadata, **QUERY, "query": query}, auth=auth))
        with pytest.raises(TemporaryError):
            await scaler.read()
        await scaler.close()

    asyncio.run(story())


def test_triggers_of_a_server_and_credential_share_its_connections(postgres: Postgres) -> None:
    word = postgres.pairs()["password"].replace("'", r"\'")
    known = f"host=127.0.0.1 port={postgres.port} user=postgres dbname=postgres application_name=shared"
    auth = {"connection": f"{known} password='{word}'"}

    async def story() -> None:
        world = make_world()
        scalers = [
            make_scaler(make_trigger("postgresql", {**QUERY, "query": f"SELECT {n}"}, auth=auth), world)
            for n in range(30)
        ]
        readings = await asyncio.gather(*(reading_of(scaler) for scaler in scalers))
        assert [reading.value for reading in readings] == list(range(30))
        ((open_now,),) = postgres.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shared'")
        assert (len(world.pools), open_now) == (1, 2)
        for scaler in scalers:
            await scaler.close()
        assert len(world.pools) == 0

    asyncio.run(story())
