from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from core.clients.redis import RedisAccess, RedisClient, RedisLayout
from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError
from tests.support.certificates import self_signed
from tests.support.redis import PASSWORD, RedisServer, running_redis, running_redis_cluster

Story = Callable[[RedisClient], Awaitable[None]]


def play(access: RedisAccess, story: Story) -> None:
    async def played() -> None:
        client = RedisClient(access)
        try:
            await story(client)
        finally:
            await client.close()

    asyncio.run(played())


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisServer]:
    """With a password, and a port for TLS."""
    with running_redis([f'requirepass "{PASSWORD}"'], tls=True) as server:
        yield server


def test_what_is_counted(redis_server: RedisServer) -> None:
    async def story(client: RedisClient) -> None:
        assert await client.count("orders") == ("none", 0)
        for command, kind, elements in [
            (("RPUSH", "list", "a", "b", "b"), "list", 3),
            (("SADD", "set", "a", "b", "b"), "set", 2),
            (("ZADD", "zset", 1, "a"), "zset", 1),
            (("HSET", "hash", "a", 1, "b", 2), "hash", 2),
        ]:
            redis_server.ask(*command)
            assert await client.count(kind) == (kind, elements)
        redis_server.ask("LTRIM", "list", 1, 0)
        assert await client.count("list") == ("none", 0)

    play(RedisAccess((redis_server.address,)), story)


@pytest.mark.parametrize("command", [("SET", "key", "text"), ("XADD", "key", "*", "a", 1)])
def test_what_cannot_be_counted_is_not_zero(redis_server: RedisServer, command: tuple[str | int, ...]) -> None:
    redis_server.ask(*command)

    async def story(client: RedisClient) -> None:
        with pytest.raises(TemporaryError, match=r"key 'key' is a (string|stream), which is not counted"):
            await client.count("key")

    play(RedisAccess((redis_server.address,)), story)


def test_streams(redis_server: RedisServer) -> None:
    async def story(client: RedisClient) -> None:
        assert await client.stream_length("s") == 0
        assert await client.stream_groups("s") is None
        redis_server.ask("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
        entries = [redis_server.ask("XADD", "s", "*", "n", n).decode() for n in range(5)]
        redis_server.ask("XREADGROUP", "GROUP", "g", "c", "COUNT", 2, "STREAMS", "s", ">")
        assert await client.stream_length("s") == 5
        groups = await client.stream_groups("s")
        assert groups is not None
        assert [(each.name, each.pending, each.lag) for each in groups] == [("g", 2, 3)]
        redis_server.ask("XDEL", "s", entries[3])  # which was not given to anybody: the lag is not known any more
        groups = await client.stream_groups("s")
        assert groups is not None
        assert groups[0].lag is None
        assert await client.stream_behind("s", groups[0].last_delivered) == 2

    play(RedisAccess((redis_server.address,)), story)


def test_a_key_that_is_no_stream_is_not_zero(redis_server: RedisServer) -> None:
    redis_server.ask("RPUSH", "s", "a")

    async def story(client: RedisClient) -> None:
        for question in (client.stream_length("s"), client.stream_groups("s")):
            with pytest.raises(TemporaryError, match="WRONGTYPE"):
                await question

    play(RedisAccess((redis_server.address,)), story)


def test_it_comes_back_after_the_server_was_killed() -> None:
    with running_redis() as server:

        async def story(client: RedisClient) -> None:
            assert await client.count("k") == ("none", 0)
            server.kill()
            with pytest.raises(TemporaryError, match=f"Redis at {server.address} cannot be reached"):
                await client.count("k")
            server.start()
            server.ask("RPUSH", "k", "a")
            assert await client.count("k") == ("list", 1)
            server.kill()
            server.start()
            assert await client.count("k") == ("none", 0)  # a connection that broke unseen is made anew at once

        play(RedisAccess((server.address,)), story)


def test_a_server_that_hangs_is_waited_for_no_longer_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.redis.ANSWER_S", 0.5)
    monkeypatch.setattr("core.clients.redis.CONNECT_S", 0.5)
    with running_redis() as server:

        async def story(client: RedisClient) -> None:
            assert await client.count("k") == ("none", 0)
            server.freeze()
            began = time.monotonic()
            asked = [client.count("k") for _ in range(5)]
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(each) for each in found} == {TemporaryError}
            assert "does not answer within" in str(found[0])
            assert time.monotonic() - began < 4
            server.thaw()
            assert await client.count("k") == ("none", 0)

        play(RedisAccess((server.address,)), story)


def test_many_questions_share_two_connections(redis_server: RedisServer) -> None:
    async def story(client: RedisClient) -> None:
        await asyncio.gather(*(client.count(f"k{n}") for n in range(200)))
        assert redis_server.connections(2) <= 2

    play(RedisAccess((redis_server.address,)), story)


@pytest.mark.parametrize(
    ("username", "password", "words"),
    [
        ("", PASSWORD, ""),
        ("default", PASSWORD, ""),
        ("", "", "refuses the credentials: Authentication required"),
        ("", "sw0rdfish/%", "refuses the credentials"),
        ("nobody", "sw0rdfish/%", "refuses the credentials"),
    ],
)
def test_credentials(guarded: RedisServer, username: str, password: str, words: str) -> None:
    async def story(client: RedisClient) -> None:
        if not words:
            assert await client.count("k") == ("none", 0)
            return
        with pytest.raises(TemporaryError, match=words) as caught:
            await client.count("k")
        assert "sw0rdfish" not in str(caught.value)

    play(RedisAccess((guarded.address,), username=username, password=password), story)


def test_rotated_credentials() -> None:
    """The new ones make a new client; the old connection goes on until it breaks."""
    with running_redis(["user ann on >first ~* +@all"]) as server:

        async def story(client: RedisClient) -> None:
            assert await client.count("k") == ("none", 0)
            server.ask("ACL", "SETUSER", "ann", "resetpass", ">second")
            server.ask("CLIENT", "KILL", "USER", "ann")
            with pytest.raises(TemporaryError, match="refuses the credentials") as caught:
                await client.count("k")
            assert "first" not in str(caught.value)
            fresh = RedisClient(RedisAccess((server.address,), username="ann", password="second"))
            assert await fresh.count("k") == ("none", 0)
            await fresh.close()

        play(RedisAccess((server.address,), username="ann", password="first"), story)


def test_what_a_user_may_not_do_is_said() -> None:
    with running_redis(["user ann on >pass ~* +ping +client"]) as server:

        async def story(client: RedisClient) -> None:
            with pytest.raises(TemporaryError, match=r"(?i)no permissions"):
                await client.count("k")

        play(RedisAccess((server.address,), username="ann", password="pass"), story)


def test_tls(guarded: RedisServer) -> None:
    certificate, key = self_signed("client", key_password="hunter2")
    address = f"127.0.0.1:{guarded.tls_port}"
    own, own_key = guarded.certificate, (guarded.folder / "server.key").read_text()
    for tls, words in [
        (ClientTls(guarded.certificate), ""),
        (ClientTls(check=False), ""),
        (ClientTls(guarded.certificate, own, own_key), ""),
        (ClientTls(), "CERTIFICATE_VERIFY_FAILED"),
        (ClientTls(certificate), "CERTIFICATE_VERIFY_FAILED"),
        (ClientTls(guarded.certificate, certificate, key, "hunter2"), "cannot be reached"),  # whom the server knows not
    ]:

        async def story(client: RedisClient, words: str = words) -> None:
            if not words:
                assert await client.count("k") == ("none", 0)
                return
            with pytest.raises(TemporaryError, match=words) as caught:
                await client.count("k")
            assert "hunter2" not in str(caught.value)

        play(RedisAccess((address,), password=PASSWORD, tls=tls), story)


def test_certificates_that_are_none() -> None:
    async def story(client: RedisClient) -> None:
        with pytest.raises(PermanentError, match="the certificates cannot be used"):
            await client.count("k")

    play(RedisAccess(("127.0.0.1:1",), tls=ClientTls("a ca")), story)


@pytest.mark.parametrize("address", ["redis", "redis:", ":x", "http://redis"])
def test_an_address_that_is_none(address: str) -> None:
    async def story(client: RedisClient) -> None:
        with pytest.raises(PermanentError, match="must be host:port"):
            await client.count("k")

    play(RedisAccess((address,)), story)


def test_a_database_of_its_own(redis_server: RedisServer) -> None:
    redis_server.ask("RPUSH", "k", "a")

    async def story(client: RedisClient) -> None:
        assert await client.count("k") == ("none", 0)

    play(RedisAccess((redis_server.address,), database=3), story)


def test_a_cluster() -> None:
    with running_redis_cluster() as server:

        async def story(client: RedisClient) -> None:
            server.ask("RPUSH", "k", "a")
            server.ask("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
            server.ask("XADD", "s", "*", "a", 1)
            assert await client.count("k") == ("list", 1)
            groups = await client.stream_groups("s")
            assert groups is not None
            assert (groups[0].lag, groups[0].pending) == (1, 0)
            assert await client.stream_behind("s", groups[0].last_delivered) == 1
            server.kill()
            with pytest.raises(TemporaryError, match="cannot be reached"):
                await client.count("k")
            server.start()
            await until(client, "none")

        play(RedisAccess(("127.0.0.1:1", server.address), RedisLayout.CLUSTER), story)


def test_a_master_behind_sentinels() -> None:
    with running_redis([f'requirepass "{PASSWORD}"']) as master:
        monitor = [
            f"sentinel monitor orders 127.0.0.1 {master.port} 1",
            f'sentinel auth-pass orders "{PASSWORD}"',
            'requirepass "guard"',
        ]
        with running_redis(monitor, sentinel=True) as sentinel:
            known = RedisAccess(
                (sentinel.address,),
                RedisLayout.SENTINEL,
                password=PASSWORD,
                sentinel_master="orders",
                sentinel_password="guard",
            )

            async def story(client: RedisClient) -> None:
                await until(client, "none")
                master.kill()
                with pytest.raises(TemporaryError, match="Redis orders behind the sentinels"):
                    await client.count("k")
                master.start()
                await until(client, "none")

            play(known, story)

            async def unknown(client: RedisClient) -> None:
                with pytest.raises(TemporaryError, match="cannot be reached: No master found for 'other'"):
                    await client.count("k")

            other = RedisAccess(
                (sentinel.address,), RedisLayout.SENTINEL, sentinel_master="other", sentinel_password="guard"
            )
            play(other, unknown)


async def until(client: RedisClient, kind: str) -> None:
    """A cluster or a sentinel takes a moment to see that a server is back."""
    deadline = time.monotonic() + 30
    while True:
        try:
            assert (await client.count("k"))[0] == kind
        except TemporaryError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        else:
            return


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)

    async def story(client: RedisClient) -> None:
        with pytest.raises(PermanentError, match=r"pip install 'pilotlight\[redis\]'"):
            await client.count("k")

    play(RedisAccess(("127.0.0.1:1",)), story)


def test_no_password_is_shown() -> None:
    access = RedisAccess(("h:1",), password="hunter2", sentinel_password="hunter2", tls=ClientTls(key="hunter2"))
    assert "hunter2" not in repr(access) + str(access)
