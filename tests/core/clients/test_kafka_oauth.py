"""Tokens for SASL/OAUTHBEARER: asked of a server of this test, and shown to a real Kafka."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from kafka import errors as kafka_errors

from core.clients.kafka_access import Access
from core.clients.kafka_oauth import OAuth, Tokens
from core.clients.kafka_offsets import Offsets
from core.clients.kafka_positions import GroupQuestion
from core.errors import TemporaryError
from tests.support.kafka import kafka_server


class Server:
    """Gives tokens to client `alice` with the secret `open/sesame`, in the header or in the form."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.in_form = False
        self.lifetime_s: int | None = 3600
        self.answer: bytes | None = None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                owner.asked.append((self.headers.get("Authorization", ""), form))
                body, code = owner.respond(self.headers.get("Authorization", ""), form)
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"

    def respond(self, header: str, form: dict[str, list[str]]) -> tuple[bytes, int]:
        named = header == "Basic " + base64.b64encode(b"alice:open%2Fsesame").decode()
        if self.in_form:
            named = (form.get("client_id"), form.get("client_secret")) == (["alice"], ["open/sesame"])
        if not named:
            return b'{"error": "invalid_client"}', 401
        if self.answer is not None:
            return self.answer, 200
        life = {} if self.lifetime_s is None else {"expires_in": self.lifetime_s}
        return json.dumps({"access_token": unsigned("alice"), "token_type": "bearer", **life}).encode(), 200

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def unsigned(subject: str) -> str:
    """A JSON Web Token that says who it is of, and has no signature: the tests' Kafka takes it."""
    claims = {"sub": subject, "iat": int(time.time()), "exp": int(time.time()) + 3600}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def of(server: Server, secret: str = "open/sesame", **more: Any) -> OAuth:
    return OAuth(server.url, "alice", secret, **more)


@pytest.mark.parametrize("in_form", [False, True], ids=["name in the header", "name in the form"])
def test_a_token_is_asked_for_once(server: Server, in_form: bool) -> None:
    server.in_form = in_form
    tokens = Tokens(of(server, scopes=("one", "two"), extensions=(("a", "1"),)))
    assert tokens.token() == tokens.token()
    assert len(server.asked) == 1 + in_form
    assert server.asked[-1][1]["scope"] == ["one two"]
    assert server.asked[-1][1]["grant_type"] == ["client_credentials"]
    assert tokens.extensions() == {"a": "1"}


def test_a_token_that_ends_soon_is_asked_for_anew(server: Server) -> None:
    server.lifetime_s = 20
    tokens = Tokens(of(server))
    tokens.token()
    tokens.token()
    assert len(server.asked) == 2
    assert "scope" not in server.asked[0][1]


@pytest.mark.parametrize(
    ("secret", "answer", "said"),
    [
        pytest.param("guess", None, "answers 401 to client alice", id="wrong secret"),
        pytest.param("open/sesame", b"<html>", "no token from", id="no JSON"),
        pytest.param("open/sesame", b"{}", "no token from", id="no token"),
    ],
)
def test_what_goes_wrong_is_said_without_the_secret(
    server: Server, secret: str, answer: bytes | None, said: str
) -> None:
    server.answer = answer
    with pytest.raises(kafka_errors.SaslAuthenticationFailedError, match=said) as error:
        Tokens(of(server, secret)).token()
    assert secret not in str(error.value)
    assert secret not in repr(of(server, secret))


def test_nobody_gives_tokens() -> None:
    with pytest.raises(kafka_errors.SaslAuthenticationFailedError, match=r"no token from http://127\.0\.0\.1:1/"):
        Tokens(OAuth("http://127.0.0.1:1/", "alice", "x")).token()


def test_kafka_takes_it(server: Server) -> None:
    async def main() -> None:
        where = (kafka_server().sasl_bootstrap,)
        offsets = Offsets(Access(where, "OAUTHBEARER", oauth=of(server)), "test")
        assert not (await offsets.ask(GroupQuestion("oauth"))).begun
        assert len(server.asked) == 1  # for the connection that finds the brokers, and the one that asks
        await offsets.close()
        offsets = Offsets(Access(where, "OAUTHBEARER", oauth=of(server, "guess")), "test")
        with pytest.raises(TemporaryError, match=r"the token server .* answers 401 to client alice"):
            await offsets.ask(GroupQuestion("oauth"))
        await offsets.close()

    asyncio.run(main())
