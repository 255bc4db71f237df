"""The console's pages: behind the token, in the forms that their readers take."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.resources.meta import Json
from pilotlight.console import Console, exposition

TOKEN = "t0ken"


async def loads() -> list[Json]:
    return [{"namespace": "default", "revision": "hello-00001"}]


async def api(request: object) -> PlainTextResponse:
    return PlainTextResponse("the API")


def get(path: str, token: str = TOKEN) -> tuple[int, str]:
    """Status and body of a GET, straight through ASGI."""
    console = Console(TOKEN, lambda namespace, name: [{"words": f"{namespace}/{name}"}], loads, lambda: {"x_total": 2})
    app = console.above(Starlette(routes=[Route("/apis", api)]))
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()


@pytest.mark.parametrize("path", ["/metrics", "/pilotlight/v1/top", "/pilotlight/v1/namespaces/a/decisions/b"])
@pytest.mark.parametrize("token", ["", "wrong"])
def test_nothing_is_told_without_the_token(path: str, token: str) -> None:
    status, body = get(path, token)
    assert status == 401
    assert json.loads(body)["reason"] == "Unauthorized"


def test_pages() -> None:
    status, body = get("/pilotlight/v1/namespaces/a/decisions/b")
    assert (status, json.loads(body)) == (200, {"items": [{"words": "a/b"}]})
    assert json.loads(get("/pilotlight/v1/top")[1])["items"][0]["revision"] == "hello-00001"
    assert get("/metrics")[1] == "# TYPE pilotlight_x_total counter\npilotlight_x_total 2\n"


def test_everything_else_is_the_api() -> None:
    assert get("/apis") == (200, "the API")


def test_gauges_and_counters() -> None:
    text = exposition({"b": 0.5, "a_total": 3})
    assert text.splitlines() == [
        "# TYPE pilotlight_a_total counter",
        "pilotlight_a_total 3",
        "# TYPE pilotlight_b gauge",
        "pilotlight_b 0.5",
    ]
