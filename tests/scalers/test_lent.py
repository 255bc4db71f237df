from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from core.clients.mongodb import MongoAccess
from core.clients.mysql_access import MysqlAccess
from core.clients.postgresql_access import PostgresAccess
from core.clients.redis import RedisAccess
from core.errors import TemporaryError
from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import ENDPOINT_SLICE, SERVICE_NAME_LABEL
from core.store.base import Store
from scalers.base import World
from scalers.lent import Access, Lent
from tests.support.postgres import Postgres
from tests.support.redis import RedisServer
from tests.support.scalers import make_scaler, make_trigger, make_world, reading_of


@dataclass(frozen=True)
class There:
    addresses: tuple[str, ...]

    def at(self, addresses: Sequence[str]) -> There:
        return replace(self, addresses=tuple(addresses))


class Client:
    def __init__(self, access: There) -> None:
        self.access = access
        self.closed = False

    async def close(self) -> None:
        self.closed = True


def lent(world: World, *addresses: str) -> Lent[There, Client]:
    return Lent(There(addresses), Client, make_trigger("redis", {}), world)


async def serve(store: Store, name: str, service_port: int, *ports: int) -> None:
    """A core Service whose ready Pods answer at these ports of this machine."""
    about = {"namespace": "default", "name": name}
    service = {"metadata": about, "spec": {"ports": [{"port": service_port}]}}
    piece = {
        "metadata": {**about, "labels": {SERVICE_NAME_LABEL: name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}] if ports else [],
        "ports": [{"port": port} for port in ports],
    }
    await store.create(CORE_SERVICE, service)
    await store.create(ENDPOINT_SLICE, piece)


async def move(store: Store, name: str, port: int) -> None:
    piece = await store.get(ENDPOINT_SLICE, name, "default")
    await store.update(ENDPOINT_SLICE, {**piece, "ports": [{"port": port}]})


def test_one_client_for_one_place() -> None:
    async def story() -> None:
        world = make_world()
        one, same, other = lent(world, "h:1"), lent(world, "h:1"), lent(world, "h:2")
        assert len(world.pools) == 0
        client = await one.client()
        assert await one.client() is client
        assert await same.client() is client
        assert await other.client() is not client
        await one.give_back()
        assert not client.closed
        await same.give_back()
        assert client.closed
        await same.give_back()  # once is enough
        await other.give_back()
        assert len(world.pools) == 0

    asyncio.run(story())


def test_names_of_services_lead_to_pods_that_come_and_go() -> None:
    async def story() -> None:
        world = make_world()
        await world.store.open()
        await serve(world.store, "redis", 6379, 41001)
        await serve(world.store, "asleep", 6379)
        mine = lent(world, "redis:6379", "redis.default.svc.cluster.local:6379", "elsewhere.example:6379")
        first = await mine.client()
        assert first.access.addresses == ("127.0.0.1:41001", "127.0.0.1:41001", "elsewhere.example:6379")
        await move(world.store, "redis", 41002)
        second = await mine.client()
        assert second.access.addresses[0] == "127.0.0.1:41002"
        assert first.closed
        with pytest.raises(TemporaryError, match="Service default/asleep has no ready Pods"):
            await lent(world, "asleep:6379").client()
        await mine.give_back()
        assert second.closed
        await world.store.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("access", "addresses", "moved"),
    [
        (RedisAccess(("redis:6379",)), ["redis:6379"], RedisAccess(("127.0.0.1:1",))),
        (MysqlAccess("db", 3306, "ann"), ["db:3306"], MysqlAccess("127.0.0.1", 1, "ann")),
        (MysqlAccess(socket="/s"), [], None),
        (PostgresAccess("host=db user=ann"), ["db:5432"], PostgresAccess("host=db user=ann", address="127.0.0.1:1")),
        (MongoAccess("mongodb://a:b@db/d?x=1"), ["db:27017"], MongoAccess("mongodb://a:b@127.0.0.1:1/d?x=1")),
        (MongoAccess("mongodb://db:27018"), ["db:27018"], MongoAccess("mongodb://127.0.0.1:1")),
        (
            MongoAccess("mongodb://a:1,b/?replicaSet=r"),
            ["a:1", "b:27017"],
            MongoAccess("mongodb://127.0.0.1:1/?replicaSet=r"),
        ),
        (MongoAccess("mongodb+srv://db.example/d"), [], None),
    ],
)
def test_what_is_reached_elsewhere(access: Access, addresses: list[str], moved: Access | None) -> None:
    assert list(access.addresses) == addresses
    if moved is not None:
        assert access.at(["127.0.0.1:1"]) == moved


def test_documents_that_name_services(redis_server: RedisServer, postgres: Postgres) -> None:
    async def story() -> None:
        world = make_world()
        await world.store.open()
        await serve(world.store, "redis-master", 6379, redis_server.port)
        await serve(world.store, "postgres-svc", 5432, postgres.port)
        redis_server.ask("RPUSH", "orders", "a", "b")
        redis = {"address": "redis-master.default.svc.cluster.local:6379", "listName": "orders"}
        sql = {"query": "SELECT 7", "targetQueryValue": "1"}
        known = postgres.pairs()
        of_string = {"connection": f"host=postgres-svc user={known['user']} dbname=postgres sslmode=disable"}
        of_pairs = {"host": "postgres-svc.default", "port": "5432", "userName": known["user"], "dbName": "postgres"}
        for type_, metadata, auth, value in [
            ("redis", redis, {}, 2.0),
            ("postgresql", {**sql, **of_pairs, "sslmode": "require"}, {"password": known["password"]}, 7.0),
            ("postgresql", sql, {"connection": of_string["connection"] + r" password='open sesame/%\''"}, 7.0),
        ]:
            scaler = make_scaler(make_trigger(type_, metadata, auth=auth), world)
            assert (await reading_of(scaler)).value == value
            await scaler.close()
        await world.store.close()

    asyncio.run(story())
