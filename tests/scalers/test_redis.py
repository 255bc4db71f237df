"""Rows of metadata are those of upstream's tests (pkg/scalers/redis_scaler_test.go, redis_streams_scaler_test.go)."""

from __future__ import annotations

import asyncio

import pytest

from core.clients.redis import COUNTED_MAX, Group, RedisLayout
from core.errors import PermanentError, TemporaryError
from scalers.readings import Quality, Reading, Target
from scalers.redis import ListParameters, StreamParameters
from tests.support.redis import RedisServer, running_redis, running_redis_cluster
from tests.support.scalers import make_scaler, make_trigger, make_world, parsed, reading_of, target_of

ENV = {
    "REDIS_HOST": "none",
    "REDIS_PORT": "6379",
    "REDIS_USERNAME": "none",
    "REDIS_PASSWORD": "none",
    "REDIS_SENTINEL_MASTER": "none",
    "REDIS_SENTINEL_USERNAME": "none",
    "REDIS_SENTINEL_PASSWORD": "none",
}
LIST = {"listName": "mylist", "listLength": "10"}
NODES = {"hosts": "a, b, c", "ports": "1, 2, 3"}
STREAM = {"stream": "my-stream", "consumerGroup": "consumer1", "pendingEntriesCount": "5"}
HERE = {"address": "localhost:6379"}
PASSWORD_ENV = {"passwordFromEnv": "REDIS_PASSWORD"}
TLS = {**HERE, "tls": "enable"}


@pytest.mark.parametrize(
    ("metadata", "auth", "wrong"),
    [
        pytest.param({}, {}, "listName", id="nothing passed"),
        pytest.param(
            {**LIST, "addressFromEnv": "REDIS_HOST", **PASSWORD_ENV}, {}, "", id="an address of the environment"
        ),
        pytest.param({**LIST, "hostFromEnv": "REDIS_HOST", "portFromEnv": "REDIS_PORT"}, {}, "", id="host and port"),
        pytest.param({**LIST, "addressFromEnv": "REDIS_HOST", "host": "H", "port": "P"}, {}, "", id="both"),
        pytest.param({**LIST, "hostFromEnv": "REDIS_HOST"}, {}, "address", id="a host without a port"),
        pytest.param({**LIST, "address": "", "password": ""}, {}, "address", id="an empty address"),
        pytest.param({"listName": "l", "listLength": "AA", **HERE}, {}, "listLength", id="a length that is none"),
        pytest.param({**LIST, **HERE, "activationListLength": "AA"}, {}, "activationListLength", id="an activation"),
        pytest.param({**LIST, "addressFromEnv": "REDIS_WRONG"}, {}, "address", id="no such variable"),
        pytest.param({**LIST, "addressFromEnv": "REDIS_WRONG"}, {"password": ""}, "address", id="nor with a password"),
        pytest.param(LIST, HERE, "", id="an address of the credential"),
        pytest.param(LIST, {"host": "localhost", "port": "6379"}, "", id="host and port of the credential"),
        pytest.param(LIST, {"host": "localhost"}, "address", id="only a host of the credential"),
        pytest.param({**LIST, "enableTLS": "true"}, {**HERE, "tls": "disable"}, "enableTLS", id="TLS said twice"),
        pytest.param({**LIST, "enableTLS": "no"}, HERE, "enableTLS", id="TLS that is no truth"),
        pytest.param({**LIST}, {**HERE, "tls": "yes"}, "tls", id="a word for TLS that is none"),
        pytest.param({**LIST, "hosts": "a, b, c", "ports": "1, 2"}, {}, "host", id="fewer ports than hosts"),
        pytest.param({**NODES, "listLength": "5"}, {}, "listName", id="no list name"),
        pytest.param({**NODES, "listName": "l", "listLength": "invalid"}, {}, "listLength", id="an invalid length"),
        pytest.param({**NODES, "listName": "l", "listLength": "0"}, {}, "listLength", id="differs: 0 per replica"),
    ],
)
def test_metadata_of_lists(metadata: dict[str, str], auth: dict[str, str], wrong: str) -> None:
    trigger = make_trigger("redis", metadata, auth=auth, env=ENV)
    if not wrong:
        assert isinstance(parsed(trigger), ListParameters)
        return
    with pytest.raises(PermanentError, match=rf"spec\.triggers\[0\]\.metadata\.{wrong}: "):
        parsed(trigger)


@pytest.mark.parametrize(
    ("metadata", "auth", "expected"),
    [
        pytest.param({}, {"addresses": ":7001, :7002"}, {"addresses": (":7001", ":7002")}, id="addresses"),
        pytest.param({}, {"hosts": "   a, b,    c ", "ports": "1, 2, 3"}, {}, id="hosts and ports of the credential"),
        pytest.param(NODES, {"username": "ann"}, {"username": "ann"}, id="a user of the credential"),
        pytest.param({**NODES, "username": "ann"}, {}, {"username": "ann"}, id="a user of the metadata"),
        pytest.param({**NODES, "usernameFromEnv": "REDIS_USERNAME"}, {}, {"username": "none"}, id="of the environment"),
        pytest.param(NODES, {"password": "word"}, {"password": "word"}, id="a password of the credential"),
        pytest.param({**NODES, **PASSWORD_ENV}, {"password": "word"}, {"password": "none"}, id="env comes before it"),
        pytest.param(NODES, {"sentinelUsername": "su"}, {"sentinel_username": "su"}, id="a sentinel's user"),
        pytest.param(
            {**NODES, "sentinelPasswordFromEnv": "REDIS_SENTINEL_PASSWORD"},
            {},
            {"sentinel_password": "none"},
            id="a sentinel's password of the environment",
        ),
        pytest.param(
            {**NODES, "sentinelMasterFromEnv": "REDIS_SENTINEL_MASTER"}, {}, {"sentinel_master": "none"}, id="a master"
        ),
    ],
)
def test_where_it_is(metadata: dict[str, str], auth: dict[str, str], expected: dict[str, object]) -> None:
    for type_, own in [("redis-cluster", {"listName": "l"}), ("redis-cluster-streams", {"stream": "s"})]:
        found = parsed(make_trigger(type_, {**own, **metadata}, auth=auth, env=ENV))
        assert isinstance(found, ListParameters | StreamParameters)
        access = found.access(RedisLayout.CLUSTER)
        for name, value in ({"addresses": ("a:1", "b:2", "c:3")} | expected).items():
            assert getattr(access, name) == value, name


@pytest.mark.parametrize(
    ("metadata", "auth", "tls"),
    [
        pytest.param({}, HERE, None, id="none"),
        pytest.param(
            {}, {**TLS, "ca": "caaa", "cert": "ceert", "key": "keey"}, ("caaa", "ceert", "keey", ""), id="all"
        ),
        pytest.param({}, {**TLS, "Cert": "ceert", "key": "keey"}, ("", "ceert", "keey", ""), id="the public's CA"),
        pytest.param(
            {},
            {**TLS, "cert": "ceert", "key": "keey", "keyPassword": "keeyPassword"},
            ("", "ceert", "keey", "keeyPassword"),
            id="a key with a password",
        ),
        pytest.param({}, {**TLS, "ca": "caaa"}, ("caaa", "", "", ""), id="a CA only"),
        pytest.param({"enableTLS": "true"}, HERE, ("", "", "", ""), id="of the metadata"),
        pytest.param({}, {**HERE, "tls": "disable"}, None, id="disabled"),
    ],
)
def test_tls(metadata: dict[str, str], auth: dict[str, str], tls: tuple[str, ...] | None) -> None:
    for unsafe in (False, True):
        found = parsed(make_trigger("redis", {**LIST, **metadata, "unsafeSsl": str(unsafe)}, auth=auth))
        assert isinstance(found, ListParameters)
        made = found.access(RedisLayout.SINGLE).tls
        assert (made and (made.ca, made.certificate, made.key, made.key_password)) == tls
        assert made is None or made.check is not unsafe


@pytest.mark.parametrize(
    ("metadata", "wrong"),
    [
        pytest.param(STREAM, "address", id="no address"),
        pytest.param({**STREAM, "host": "h"}, "address", id="a host without a port"),
        pytest.param({**STREAM, "port": "1"}, "address", id="a port without a host"),
        pytest.param({"consumerGroup": "g", **HERE}, "stream", id="no stream"),
        pytest.param({**STREAM, **HERE, "lagCount": "junk"}, "lagCount", id="a lag that is none"),
        pytest.param({**STREAM, **HERE, "streamLength": "junk"}, "streamLength", id="a length that is none"),
        pytest.param({**STREAM, **HERE, "pendingEntriesCount": "j"}, "pendingEntriesCount", id="a count that is none"),
        pytest.param({**STREAM, **HERE, "databaseIndex": "junk"}, "databaseIndex", id="a database that is none"),
        pytest.param({**STREAM, **HERE, "enableTLS": "no"}, "enableTLS", id="TLS that is no truth"),
        pytest.param({**STREAM, **HERE, "activationLagCount": "x"}, "activationLagCount", id="an activation"),
    ],
)
def test_metadata_of_streams(metadata: dict[str, str], wrong: str) -> None:
    with pytest.raises(PermanentError, match=rf"spec\.triggers\[0\]\.metadata\.{wrong}: "):
        parsed(make_trigger("redis-streams", metadata, env=ENV))


@pytest.mark.parametrize(
    ("type_", "metadata", "target"),
    [
        ("redis", {**LIST, **HERE}, Target("redis-mylist", 10.0)),
        ("redis", {"listName": "a/b.c:d", **HERE, "activationListLength": "7"}, Target("redis-a-b-c-d", 5.0, 7.0)),
        ("redis-streams", {"stream": "s", **HERE}, Target("redis-streams-s", 5.0)),
        ("redis-streams", {"stream": "s", **HERE, "streamLength": "50"}, Target("redis-streams-s", 50.0)),
        ("redis-streams", {**STREAM, **HERE}, Target("redis-streams-my-stream", 5.0)),
        ("redis-streams", {"stream": "s", "consumerGroup": "g", **HERE}, Target("redis-streams-s", 5.0)),
        ("redis-streams", {**STREAM, **HERE, "lagCount": "0"}, Target("redis-streams-my-stream", 5.0)),
        (
            "redis-streams",
            {**STREAM, **HERE, "lagCount": "7", "activationLagCount": "3"},
            Target("redis-streams-my-stream", 7.0, 3.0),
        ),
    ],
)
def test_targets(type_: str, metadata: dict[str, str], target: Target) -> None:
    assert asyncio.run(target_of(make_scaler(make_trigger(type_, metadata)))) == target


@pytest.mark.parametrize("type_", ["redis-sentinel", "redis-sentinel-streams"])
def test_sentinels_must_be_told_of_whom(type_: str) -> None:
    with pytest.raises(PermanentError, match=r"metadata\.sentinelMaster: is required"):
        parsed(make_trigger(type_, {"listName": "l", "stream": "s", **NODES}))


def test_a_list_to_zero_and_back(redis_server: RedisServer) -> None:
    async def story() -> None:
        scaler = make_scaler(make_trigger("redis", {"listName": "orders", "address": redis_server.address}))
        assert (await reading_of(scaler)) == Reading(0.0, note="there is no key 'orders', as when nothing is in it")
        redis_server.ask("RPUSH", "orders", *range(12))
        assert (await reading_of(scaler)) == Reading(12.0, note="a list")
        redis_server.ask("DEL", "orders")
        assert (await reading_of(scaler)).value == 0
        redis_server.ask("SET", "orders", "twelve")
        with pytest.raises(TemporaryError, match="is a string, which is not counted"):
            await scaler.read()
        await scaler.close()

    asyncio.run(story())


def test_a_stream_by_the_lag_of_a_group_to_zero_and_back(redis_server: RedisServer) -> None:
    metadata = {"stream": "s", "consumerGroup": "g", "lagCount": "5", "address": redis_server.address}

    async def story() -> None:
        scaler = make_scaler(make_trigger("redis-streams", metadata))
        assert await reading_of(scaler) == Reading(0.0, note="there is no stream 's' yet")
        entries = [redis_server.ask("XADD", "s", "*", "n", n).decode() for n in range(3)]
        found = await reading_of(scaler)
        assert (found.value, found.note) == (3.0, "there is no group 'g' yet: all entries of the stream")
        redis_server.ask("XGROUP", "CREATE", "s", "g", "0")
        redis_server.ask("XREADGROUP", "GROUP", "g", "c", "COUNT", 2, "STREAMS", "s", ">")
        found = await reading_of(scaler)
        assert (found.value, found.in_flight) == (1.0, 2.0)
        redis_server.ask("XREADGROUP", "GROUP", "g", "c", "COUNT", 2, "STREAMS", "s", ">")
        found = await reading_of(scaler)
        assert (found.value, found.in_flight) == (0.0, 3.0)
        redis_server.ask("XACK", "s", "g", *entries)
        found = await reading_of(scaler)
        assert (found.value, found.in_flight) == (0.0, 0.0)
        await scaler.close()

    asyncio.run(story())


@pytest.mark.parametrize("length", [3, COUNTED_MAX + 5])
def test_a_lag_that_redis_does_not_know_is_counted_up_to_a_bound(redis_server: RedisServer, length: int) -> None:
    metadata = {"stream": "s", "consumerGroup": "g", "lagCount": "5", "address": redis_server.address}
    redis_server.ask("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    redis_server.ask("EVAL", "for n = 1, ARGV[1] do redis.call('xadd', 's', n .. '-0', 'n', n) end", 0, length)
    redis_server.ask("XDEL", "s", "2-0")

    async def story() -> None:
        scaler = make_scaler(make_trigger("redis-streams", metadata))
        found = await reading_of(scaler)
        bounded = length > COUNTED_MAX
        assert found.value == (COUNTED_MAX if bounded else length - 1)
        assert found.quality is (Quality.PARTIAL if bounded else Quality.WHOLE)
        assert "Redis does not know the lag" in found.note
        await scaler.close()

    asyncio.run(story())


def test_entries_that_consumers_have_and_those_that_wake_the_first_one(redis_server: RedisServer) -> None:
    metadata = {"stream": "s", "consumerGroup": "g", "address": redis_server.address}

    async def story() -> None:
        scaler = make_scaler(make_trigger("redis-streams", metadata))
        for command in (["XADD", "other", "*", "a", 1], ["XADD", "s", "*", "a", 1]):
            with pytest.raises(TemporaryError, match="there is no group 'g' of a stream 's'"):
                await scaler.read()
            redis_server.ask(*command)
        redis_server.ask("XGROUP", "CREATE", "s", "g", "0")
        found = await reading_of(scaler)
        assert (found.value, found.activity, found.in_flight) == (0.0, 1.0, 0.0)
        entry = redis_server.ask("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")[0][1][0][0]
        found = await reading_of(scaler)
        assert (found.value, found.activity, found.in_flight) == (1.0, 1.0, 1.0)
        redis_server.ask("XACK", "s", "g", entry)
        found = await reading_of(scaler)
        assert (found.value, found.activity, found.in_flight) == (0.0, 0.0, 0.0)
        await scaler.close()

    asyncio.run(story())


def test_a_redis_that_does_not_count_lags(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 7 the groups are told without it."""
    redis_server.ask("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")

    async def groups(*_: object) -> list[Group]:
        return [Group("g", 3, None, "0-0", counts_lag=False)]

    monkeypatch.setattr("core.clients.redis.RedisClient.stream_groups", groups)

    async def story() -> None:
        metadata = {"stream": "s", "consumerGroup": "g", "address": redis_server.address}
        by_pending = make_scaler(make_trigger("redis-streams", metadata))
        assert (await reading_of(by_pending)).activity == 3
        by_lag = make_scaler(make_trigger("redis-streams", {**metadata, "lagCount": "5"}))
        with pytest.raises(TemporaryError, match="lagCount needs Redis 7"):
            await by_lag.read()
        await by_pending.close()
        await by_lag.close()

    asyncio.run(story())


def test_a_stream_by_its_length(redis_server: RedisServer) -> None:
    async def story() -> None:
        scaler = make_scaler(make_trigger("redis-streams", {"stream": "s", "address": redis_server.address}))
        assert (await reading_of(scaler)).value == 0
        redis_server.ask("XADD", "s", "*", "a", 1)
        assert (await reading_of(scaler)).value == 1
        await scaler.close()

    asyncio.run(story())


def test_a_cluster_and_a_master_behind_sentinels() -> None:
    with running_redis_cluster() as node, running_redis() as master:
        monitor = [f"sentinel monitor orders 127.0.0.1 {master.port} 1"]
        with running_redis(monitor, sentinel=True) as sentinel:
            behind = {"address": sentinel.address, "sentinelMaster": "orders"}
            for server, type_, where in [(node, "cluster", {"address": node.address}), (master, "sentinel", behind)]:
                server.ask("RPUSH", "l", "a", "b")
                server.ask("XADD", "s", "*", "a", 1)
                assert asyncio.run(value(f"redis-{type_}", {"listName": "l", **where})) == 2
                assert asyncio.run(value(f"redis-{type_}-streams", {"stream": "s", **where})) == 1


async def value(type_: str, metadata: dict[str, str]) -> float:
    scaler = make_scaler(make_trigger(type_, metadata))
    try:
        return (await reading_of(scaler)).value
    finally:
        await scaler.close()


def test_triggers_of_a_server_share_its_connection(redis_server: RedisServer) -> None:
    async def story() -> None:
        world = make_world()
        where = {"address": redis_server.address}
        scalers = [make_scaler(make_trigger("redis", {**where, "listName": f"l{n}"}), world) for n in range(50)]
        scalers += [make_scaler(make_trigger("redis-streams", {**where, "stream": f"s{n}"}), world) for n in range(50)]
        other = make_scaler(make_trigger("redis", {**where, "listName": "l", "databaseIndex": "1"}), world)
        assert len(world.pools) == 0  # made without effect
        await asyncio.gather(*(scaler.read() for scaler in (*scalers, other)))
        assert len(world.pools) == 2
        await other.close()
        assert redis_server.connections(2) <= 2
        for scaler in scalers:
            await scaler.close()
        assert len(world.pools) == 0

    asyncio.run(story())
