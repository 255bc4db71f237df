"""Rows of metadata are those of upstream's test (pkg/scalers/mongo_scaler_test.go); what a server said was recorded."""

from __future__ import annotations

import asyncio

import pytest

from core.clients.mongodb import MongoAccess
from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError
from scalers.mongodb import MongoParameters
from scalers.readings import Reading, Target
from tests.support.replay_mongodb import replayed_mongodb
from tests.support.scalers import make_scaler, make_trigger, make_world, parsed, reading_of, target_of

ENV = {
    "MongoDB_CONN_STR": "mongodb://mongodb0.example.com:27017",
    "MongoDB_PASSWORD": "test@password",
    "WRONG_CONN_STR": "postgres://ann:hunter2@h",
}
QUERY = {"query": '{"name":"John"}', "collection": "demo", "queryValue": "12"}
FROM_STRING = {**QUERY, "connectionStringFromEnv": "MongoDB_CONN_STR", "dbName": "test"}
WHERE = {"dbName": "test", "host": "localhost", "port": "1234", "username": "sample", "password": "sec@ure"}
SRV = {**WHERE, "scheme": "mongodb+srv", "port": ""}
CERTIFICATE = {"cert": "-----BEGIN CERTIFICATE-----", "key": "-----BEGIN RSA PRIVATE KEY-----"}


@pytest.mark.parametrize(
    ("metadata", "auth", "expected"),
    [
        pytest.param(FROM_STRING, {}, MongoAccess(ENV["MongoDB_CONN_STR"]), id="a string of the environment"),
        pytest.param(
            {**QUERY, "connectionString": "mongodb://h", "dbName": "d"}, {}, MongoAccess("mongodb://h"), id="of it"
        ),
        pytest.param(
            {**QUERY, "passwordFromEnv": "MongoDB_PASSWORD"},
            {**WHERE, "password": ""},
            MongoAccess("mongodb://sample:test%40password@localhost:1234/test"),
            id="a password of the environment",
        ),
        pytest.param(QUERY, WHERE, MongoAccess("mongodb://sample:sec%40ure@localhost:1234/test"), id="a credential"),
        pytest.param(
            {**QUERY, **WHERE}, {}, MongoAccess("mongodb://sample:sec%40ure@localhost:1234/test"), id="metadata"
        ),
        pytest.param(QUERY, SRV, MongoAccess("mongodb+srv://sample:sec%40ure@localhost/test"), id="srv"),
        pytest.param(
            {**QUERY, "queryValue": "0.9"},
            SRV,
            MongoAccess("mongodb+srv://sample:sec%40ure@localhost/test"),
            id="a broken target",
        ),
        pytest.param(
            QUERY, {**WHERE, "host": "::1"}, MongoAccess("mongodb://sample:sec%40ure@[::1]:1234/test"), id="IPv6"
        ),
        pytest.param(
            FROM_STRING,
            {"tls": "enable", "ca": "cavalue"},
            MongoAccess(ENV["MongoDB_CONN_STR"], ClientTls("cavalue")),
            id="TLS with a CA",
        ),
        pytest.param(
            FROM_STRING,
            {"tls": "enable", **CERTIFICATE, "keyPassword": "p"},
            MongoAccess(ENV["MongoDB_CONN_STR"], ClientTls("", CERTIFICATE["cert"], CERTIFICATE["key"], "p")),
            id="TLS with a certificate",
        ),
        pytest.param(FROM_STRING, {"tls": "disable"}, MongoAccess(ENV["MongoDB_CONN_STR"]), id="TLS disabled"),
    ],
)
def test_where_it_is(metadata: dict[str, str], auth: dict[str, str], expected: MongoAccess) -> None:
    found = parsed(make_trigger("mongodb", metadata, auth=auth, env=ENV))
    assert isinstance(found, MongoParameters)
    assert found.access() == expected


@pytest.mark.parametrize(
    ("metadata", "auth", "wrong"),
    [
        pytest.param({}, {}, "dbName", id="no metadata"),
        pytest.param({**FROM_STRING, "activationQueryValue": "aa"}, {}, "activationQueryValue", id="an activation"),
        pytest.param({**FROM_STRING, "queryValue": "0"}, {}, "queryValue", id="differs: a target of 0"),
        pytest.param(
            {**FROM_STRING, "connectionStringFromEnv": "WRONG_CONN_STR"}, {}, "connectionString", id="a string"
        ),
        pytest.param({**FROM_STRING, "query": '{"name": }'}, {}, "query", id="differs: a query that is no JSON"),
        pytest.param({**FROM_STRING, "query": "{}"}, {}, "query", id="an empty query"),
        pytest.param({**FROM_STRING, "query": "[1]"}, {}, "query", id="a list"),
        pytest.param({**FROM_STRING, "collection": ""}, {}, "collection", id="no collection"),
        *(pytest.param({**QUERY, **WHERE, name: ""}, {}, name, id=f"no {name}") for name in WHERE),
        pytest.param({**QUERY, **WHERE, "scheme": "http"}, {}, "scheme", id="a scheme that is none"),
        pytest.param(FROM_STRING, {"tls": "enable", "cert": "c"}, "key", id="a certificate without a key"),
        pytest.param(FROM_STRING, {"tls": "enable", "key": "k"}, "cert", id="a key without a certificate"),
        pytest.param(FROM_STRING, {"tls": "enable"}, "ca", id="TLS without any"),
        pytest.param(FROM_STRING, {"tls": "yes"}, "tls", id="a word for TLS that is none"),
    ],
)
def test_what_is_wrong_is_named(metadata: dict[str, str], auth: dict[str, str], wrong: str) -> None:
    with pytest.raises(PermanentError, match=rf"spec\.triggers\[0\]\.metadata\.{wrong}: ") as caught:
        parsed(make_trigger("mongodb", metadata, auth=auth, env=ENV))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "target"),
    [
        (FROM_STRING, Target("mongodb-demo", 12.0)),
        ({**FROM_STRING, "queryValue": "0.9", "activationQueryValue": "3"}, Target("mongodb-demo", 0.9, 3.0)),
    ],
)
def test_its_target(metadata: dict[str, str], target: Target) -> None:
    assert asyncio.run(target_of(make_scaler(make_trigger("mongodb", metadata, env=ENV)))) == target


@pytest.mark.parametrize(
    ("collection", "query", "reading"),
    [
        ("tasks", '{"region":"eu-1","state":"running"}', Reading(6.0)),
        ("tasks", '{"state": "failed"}', Reading(0.0)),
        ("empty", '{"state": "failed"}', Reading(0.0)),
        (
            "nowhere",
            '{"state": "failed"}',
            Reading(0.0, note="there is no collection 'nowhere' in 'test', so nothing is in it"),
        ),
        ("tasks", '{"n":{"$nosuch":1}}', None),
    ],
)
def test_what_counts_and_what_is_not_zero(collection: str, query: str, reading: Reading | None) -> None:
    async def story() -> None:
        async with replayed_mongodb() as server:
            there = {"connectionString": server.uri, "dbName": "test", "queryValue": "1"}
            scaler = make_scaler(make_trigger("mongodb", {**there, "collection": collection, "query": query}))
            if reading is None:
                with pytest.raises(TemporaryError):
                    await scaler.read()
            else:
                assert await reading_of(scaler) == reading
            await scaler.close()

    asyncio.run(story())


def test_triggers_of_a_server_and_credential_share_its_connections() -> None:
    async def story() -> None:
        async with replayed_mongodb() as server:
            world = make_world()
            metadata = {
                "connectionString": server.uri,
                "dbName": "test",
                "queryValue": "1",
                "collection": "tasks",
                "query": '{"region":"eu-1","state":"running"}',
            }
            scalers = [make_scaler(make_trigger("mongodb", metadata), world) for _ in range(20)]
            await asyncio.gather(*(scaler.read() for scaler in scalers))
            assert len(world.pools) == 1
            assert server.connections <= 4
            for scaler in scalers:
                await scaler.close()
            assert len(world.pools) == 0

    asyncio.run(story())
