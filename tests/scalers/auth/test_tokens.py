from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from urllib.parse import parse_qsl

import pytest

from core.errors import PermanentError, TemporaryError
from scalers.auth.tokens import TokenSource, TokenWay
from tests.support.answering import Answering, Asked, ok
from tests.support.clock import FakeClock

PLANTED = "s3cr3t-7Hq"


async def ask_for(source: TokenSource, clock: FakeClock, after_s: float = 0.0) -> str:
    await clock.advance(after_s)
    return await source.token()


def run(
    story: Callable[[TokenSource, FakeClock, Answering], object], reply: Callable[[Asked], bytes], url: str = ""
) -> None:
    async def tell() -> None:
        clock = FakeClock()
        async with Answering(reply) as server:
            way = TokenWay(
                url or f"{server.url}/token?x={PLANTED}",
                "me",
                PLANTED,
                ("a", "b"),
                (("audience", "x y"), ("grant_type", "z")),
            )
            assert PLANTED not in repr(way)
            source = TokenSource(way, clock)
            try:
                await story(source, clock, server)
            finally:
                await source.close()

    asyncio.run(tell())


def numbered() -> Callable[[Asked], bytes]:
    count = iter(range(1, 100))
    return lambda _: ok(f'{{"access_token": "t{next(count)}", "expires_in": 60, "token_type": "Bearer"}}')


def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    async def story(source: TokenSource, clock: FakeClock, server: Answering) -> None:
        assert await asyncio.gather(source.token(), source.token()) == ["t1", "t1"]
        assert await ask_for(source, clock, 49.9) == "t1"
        assert await ask_for(source, clock, 0.2) == "t2"
        source.forget("t1")
        assert await source.token() == "t2"
        source.forget("t2")
        assert await source.token() == "t3"
        assert len(server.asked) == 3

    run(story, numbered())


def test_what_is_asked() -> None:
    async def story(source: TokenSource, clock: FakeClock, server: Answering) -> None:
        await source.token()
        (asked,) = server.asked
        assert (asked.method, asked.headers["content-type"]) == ("POST", "application/x-www-form-urlencoded")
        assert asked.headers["authorization"] == f"Basic {base64.b64encode(f'me:{PLANTED}'.encode()).decode()}"
        assert sorted(parse_qsl(asked.body.decode())) == [
            ("audience", "x y"),
            ("grant_type", "z"),
            ("scope", "a b"),
        ]

    run(story, numbered())


def test_servers_that_want_the_secret_in_the_form() -> None:
    def reply(asked: Asked) -> bytes:
        if "authorization" in asked.headers:
            return ok('{"error": "invalid_client"}', "401 Unauthorized")
        return ok('{"access_token": "t", "expires_in": 11}')

    async def story(source: TokenSource, clock: FakeClock, server: Answering) -> None:
        assert await source.token() == "t"
        assert await ask_for(source, clock, 5.0) == "t"
        assert ["authorization" in each.headers for each in server.asked] == [True, False, False]
        assert dict(parse_qsl(server.asked[1].body.decode()))["client_secret"] == PLANTED

    run(story, reply)


def test_a_token_without_an_end_lasts_until_it_is_refused() -> None:
    async def story(source: TokenSource, clock: FakeClock, server: Answering) -> None:
        await source.token()
        await ask_for(source, clock, 1e6)
        assert len(server.asked) == 1

    run(story, lambda _: ok('{"access_token": "t"}'))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        pytest.param(ok('{"error": "invalid_scope"}', "400 Bad Request"), "with invalid_scope: check", id="scope"),
        pytest.param(ok(f'{{"error": "{PLANTED}"}}', "403 No"), "a token (403): check clientId", id="its words"),
        pytest.param(ok(f"<{PLANTED}>", "500 Oh"), "/token answered 500, without a token", id="ill"),
        pytest.param(ok("{}"), "answered 200, without a token", id="no token"),
        pytest.param(ok('{"access_token": 1}'), "answered 200, without a token", id="no text"),
    ],
)
def test_what_goes_wrong(reply: bytes, words: str) -> None:
    async def story(source: TokenSource, clock: FakeClock, server: Answering) -> None:
        with pytest.raises(TemporaryError) as caught:
            await source.token()
        assert words in str(caught.value)
        assert PLANTED not in str(caught.value)

    run(story, lambda _: reply)


def test_an_address_that_is_none() -> None:
    async def story(source: TokenSource, clock: FakeClock, server: Answering) -> None:
        with pytest.raises(PermanentError, match=r"^tokenUrl of oauth2 is no URL"):
            await source.token()

    run(story, lambda _: ok(), f"id:{PLANTED}")
