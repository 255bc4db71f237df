"""The management API: paths, pages, tokens and refusals, with one that is played; `tests/scalers` has a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from core.clients.rabbitmq_management import (
    Management,
    ManagementAccess,
    counts_of,
    queues_path,
)
from core.clients.rabbitmq_terms import NOT_FOUND, QueueCounts, RabbitmqDown, RabbitmqRefused
from core.errors import TemporaryError
from tests.support.rabbitmq import Rabbitmq, free_ports

Answer = Callable[[web.Request], Any]


@asynccontextmanager
async def played(answer: Answer) -> AsyncIterator[str]:
    """A server that answers so, and its URL."""

    async def handle(request: web.Request) -> web.StreamResponse:
        made = answer(request)
        made = await made if asyncio.iscoroutine(made) else made
        return made if isinstance(made, web.StreamResponse) else web.json_response(made)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    (port,) = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def asked(answer: Answer, ask: Callable[[Management], Any], **access: Any) -> Any:
    async def run() -> Any:
        async with played(answer) as url:
            tokens = access.pop("tokens", None)
            management = Management(ManagementAccess(url + access.pop("before", ""), **access), tokens)
            try:
                return await ask(management)
            finally:
                await management.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("vhost", "queue", "path"),
    [
        ("/", "q", "/api/queues/%2F/q"),
        ("my host", "a/b", "/api/queues/my%20host/a%2Fb"),
        ("+", "50%", "/api/queues/%2B/50%25"),
        ("ä", "ü?#", "/api/queues/%C3%A4/%C3%BC%3F%23"),
        ("v", None, "/api/queues/v"),
    ],
)
def test_names_are_segments_of_a_path(vhost: str, queue: str | None, path: str) -> None:
    assert queues_path(vhost, queue) == path


def test_the_path_is_sent_as_it_is_behind_what_stands_before_it() -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> Any:
        seen.append(request.raw_path.partition("?")[0])
        return {"messages": 3}

    found = asked(answer, lambda management: management.queue("a b", "c/d", 5), before="/proxy")
    assert seen == ["/proxy/api/queues/a%20b/c%2Fd"]
    assert found == QueueCounts("c/d", 3, 3)


def test_all_pages_are_read() -> None:
    def answer(request: web.Request) -> Any:
        page = int(request.query["page"])
        items = [{"name": f"q{page}{n}", "messages": n} for n in range(2)]
        return {"items": items, "page_count": 3, "page": page}

    found = asked(answer, lambda management: management.queues("v", 5))
    assert [each.name for each in found] == ["q10", "q11", "q20", "q21", "q30", "q31"]


def test_pages_that_end_while_they_are_turned() -> None:
    def answer(request: web.Request) -> Any:
        if request.query["page"] == "2":
            return web.json_response({"error": "page_out_of_range", "reason": "page_out_of_range"}, status=400)
        return {"items": [{"name": "q", "messages": 1}], "page_count": 2}

    assert len(asked(answer, lambda management: management.matching("v", "q", 1, 5))) == 1


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        pytest.param(
            {
                "messages": 9,
                "messages_ready": 5,
                "messages_unacknowledged": 4,
                "message_stats": {
                    "publish": 20,
                    "publish_details": {"rate": 1.5},
                    "deliver_get_details": {"rate": 2.5},
                    "ack": 7,
                    "deliver_no_ack": 3,
                    "get_no_ack": 1,
                },
            },
            QueueCounts("q", 9, 5, 4, 1.5, 2.5, 20, 11),
            id="all of it",
        ),
        pytest.param({"messages": 0}, QueueCounts("q"), id="nothing has ever happened"),
        pytest.param({"messages": 2, "messages_unacknowledged": 1}, QueueCounts("q", 2, 1, 1), id="ready is the rest"),
        pytest.param(
            {"messages": 0, "message_stats": {"publish_details": {"rate": -3.0}}}, QueueCounts("q"), id="a rate below 0"
        ),
    ],
)
def test_counts(answer: dict[str, Any], counts: QueueCounts) -> None:
    assert counts_of({"name": "q", **answer}) == counts


@pytest.mark.parametrize(
    ("answer", "why"),
    [({}, "RabbitMQ has not counted it yet"), ({"state": "running"}, "not counted"), ({"state": "down"}, "it is down")],
)
def test_no_number_is_no_zero(answer: dict[str, Any], why: str) -> None:
    assert why in counts_of({"name": "q", **answer}).trouble


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, {"error": "not_authorised", "reason": "Login failed"}, RabbitmqRefused, "let user me in (Login failed)"),
        (403, "", RabbitmqRefused, "does not let user me in"),
        (404, {"error": "Object Not Found"}, RabbitmqRefused, "queue q does not exist in virtual host v of RabbitMQ"),
        (500, "oh", RabbitmqDown, "answers 500"),
        (301, "", TemporaryError, "another host"),
        (200, "<html>", RabbitmqRefused, "is not RabbitMQ's management API"),
        (200, "[]", RabbitmqRefused, "is not RabbitMQ's management API"),
        (418, {"reason": "the password is hunter2, really"}, RabbitmqRefused, "the password is ***, really"),
    ],
)
def test_refusals(status: int, body: Any, error: type[Exception], words: str) -> None:
    def answer(_: web.Request) -> Any:
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers={"Location": "http://elsewhere"})
        return web.json_response(body, status=status)

    with pytest.raises(error) as failed:
        asked(answer, lambda management: management.queue("v", "q", 5), user="me", password="hunter2")
    assert words in str(failed.value)
    assert "hunter2" not in str(failed.value)
    assert status != 404 or failed.value.code == NOT_FOUND  # type: ignore[attr-defined]


def test_who_does_not_answer() -> None:
    async def slow(_: web.Request) -> Any:
        await asyncio.sleep(1)

    with pytest.raises(TemporaryError, match=r"did not answer within 0.1 s"):
        asked(slow, lambda management: management.queue("v", "q", 0.1))


def test_who_does_not_speak_http(rabbitmq: Rabbitmq) -> None:
    async def run() -> None:
        management = Management(ManagementAccess(f"http://127.0.0.1:{rabbitmq.port}", "guest", "guest"))
        with pytest.raises(TemporaryError, match=r"answered with what is no HTTP$"):
            await management.queue("/", "q", 5)
        await management.close()

    asyncio.run(run())


class Ticket:
    """A token each time that one is asked for after one was refused."""

    def __init__(self) -> None:
        self.given, self.refused = 1, 0

    async def token(self) -> str:
        return f"token{self.given}"

    def forget(self, token: str) -> None:
        assert token == f"token{self.given}"
        self.given += 1
        self.refused += 1


@pytest.mark.parametrize(("good", "refused"), [("token1", 0), ("token2", 1)])
def test_a_token_that_is_refused_is_replaced(good: str, refused: int) -> None:
    def answer(request: web.Request) -> Any:
        if request.headers["Authorization"] != f"Bearer {good}":
            return web.json_response({"error": "not_authorised"}, status=401)
        return {"messages": 1}

    ticket = Ticket()
    assert asked(answer, lambda management: management.queue("v", "q", 5), tokens=ticket).messages == 1
    assert ticket.refused == refused


def test_it_is_refused_for_good() -> None:
    def answer(_: web.Request) -> Any:
        return web.json_response({"error": "not_authorised"}, status=401)

    with pytest.raises(RabbitmqRefused, match="does not let the client of its token in"):
        asked(answer, lambda management: management.queue("v", "q", 5), tokens=Ticket())


def test_its_host_may_be_elsewhere() -> None:
    """As Services of the platform are."""
    seen: list[str] = []

    def answer(request: web.Request) -> Any:
        seen.append(request.headers["Host"])
        return {"messages": 1}

    async def run() -> None:
        async with played(answer) as url:

            async def find(asked: str) -> tuple[str, str]:
                return asked.replace("http://rabbit:15672", url), "rabbit:15672"

            management = Management(ManagementAccess("http://rabbit:15672"), find=find)
            assert (await management.queue("v", "q", 5)).messages == 1
            await management.close()

    asyncio.run(run())
    assert seen == ["rabbit:15672"]
