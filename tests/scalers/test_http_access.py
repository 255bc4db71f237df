from __future__ import annotations

import asyncio

import pytest

from core.errors import TemporaryError
from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import ENDPOINT_SLICE
from scalers.http_access import HttpAccess, HttpParameters, Wait
from scalers.params import parse
from tests.support.answering import Answering, ok
from tests.support.scaling import make_trigger, make_world


def parameters(metadata: dict[str, str] | None = None, **auth: str) -> HttpParameters:
    found = parse(HttpParameters, make_trigger(metadata or {}, auth))
    assert isinstance(found, HttpParameters), found
    return found


def test_a_service_of_the_platform_is_asked_at_one_of_its_pods() -> None:
    async def run() -> None:
        async with Answering(lambda _: ok("42")) as server:
            port = int(server.url.rpartition(":")[2])
            service = {"ports": [{"name": "web", "port": 8080, "targetPort": 9090}]}
            piece = {
                "metadata": {"name": "s-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "stats"}},
                "addressType": "IPv4",
                "ports": [{"name": "web", "port": port}],
                "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
            }
            world = await make_world(
                [
                    (CORE_SERVICE, {"metadata": {"name": "stats", "namespace": "shop"}, "spec": service}),
                    (ENDPOINT_SLICE, piece),
                ]
            )
            access = HttpAccess(parameters(), world, "default")
            for where in ("stats.shop.svc:8080", "stats.shop:9090", "stats.shop.svc.cluster.local:8080"):
                found = await access.ask(f"http://{where}/a?b=c")
                assert found.body == b"42"
                assert server.asked[-1].target == "/a?b=c"
                assert server.asked[-1].headers["host"] == where
            with pytest.raises(TemporaryError, match="Service shop/stats has no port 80"):
                await access.ask("http://stats.shop.svc/a")
            await access.close()
            assert server.connections == 1

    asyncio.run(run())


def test_connections_and_tokens_are_shared_by_what_wants_the_same() -> None:
    async def run() -> None:
        async with Answering(lambda _: ok('{"access_token": "t"}')) as server:
            world = await make_world()
            told = {"oauthTokenURI": f"{server.url}/token", "clientID": "me"}
            ways = [
                HttpAccess(parameters({"authModes": "oauth"}, **told), world, "default"),
                HttpAccess(parameters({"authModes": "oauth"}, **told), world, "other"),
                HttpAccess(parameters({"authModes": "bearer"}, token="x"), world, "default"),
                HttpAccess(parameters({"unsafeSsl": "true"}), world, "default"),
            ]
            assert len(world.pools) == 0
            for way in ways:
                await way.ask(server.url)
            assert len(world.pools) == 3  # two sorts of TLS, one token
            assert [each.target for each in server.asked].count("/token") == 1
            for way in ways:
                await way.close()
            assert len(world.pools) == 0

    asyncio.run(run())


def test_a_key_in_the_query_is_added_to_what_is_there() -> None:
    async def run() -> str:
        async with Answering(lambda _: ok()) as server:
            told = parameters({"authMode": "apiKey", "method": "query", "keyParamName": "k"}, apiKey="a&b")
            access = HttpAccess(told, await make_world(), "default")
            await access.ask(f"{server.url}/x?q=1%2B1")
            await access.close()
            return server.asked[0].target

    assert asyncio.run(run()) == "/x?q=1%2B1&k=a%26b"


@pytest.mark.parametrize(("text", "seconds"), [("1000", 1.0), ("5s", 5.0), ("250ms", 0.25), ("1m30s", 90.0)])
def test_waits(text: str, seconds: float) -> None:
    assert Wait().read(text) == seconds


@pytest.mark.parametrize("text", ["0", "-1", "-1s", "a", "1.5", "0s"])
def test_waits_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        Wait().read(text)
