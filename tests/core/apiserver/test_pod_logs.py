"""core.apiserver.pod_logs over a log source that the test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.apiserver.logs import LogLine, LogQuery
from core.apiserver.pod_logs import write_line
from core.errors import BadRequest
from core.resources.meta import Json
from tests.support.api import Api, make_api, pod
from tests.support.clock import FakeClock

PODS = "/api/v1/namespaces/default/pods"


class Source:
    """Remembers what it was asked; says `lines`, then waits for ever if it is followed."""

    def __init__(self) -> None:
        self.asked: LogQuery | None = None
        self.lines = [LogLine(1_700_000_000.25, b"one"), LogLine(1_700_000_001.0, b"two")]

    async def open(self, pod: Json, query: LogQuery) -> AsyncIterator[LogLine]:
        self.asked = query
        if query.previous:
            raise BadRequest('previous terminated container "c" in pod "p" not found')
        return self._read(query.follow)

    async def _read(self, follow: bool) -> AsyncIterator[LogLine]:
        for line in self.lines:
            yield line
        if follow:
            await asyncio.Event().wait()


async def api_with(source: Source) -> Api:
    api = await make_api(logs=source, clock=FakeClock(wall=1_700_000_100.0))
    await api.post(PODS, pod("p"))
    two = pod("two")
    two["spec"]["containers"].append({"name": "d", "image": "docker.io/library/nginx:1"})
    await api.post(PODS, two)
    return api


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b"one\ntwo\n"),
        ("?timestamps=true", b"2023-11-14T22:13:20.250000000Z one\n2023-11-14T22:13:21.000000000Z two\n"),
        ("?limitBytes=6", b"one\ntw"),
        ("?limitBytes=4", b"one\n"),
        ("?container=c", b"one\ntwo\n"),
    ],
)
async def test_what_is_shown(query: str, body: bytes) -> None:
    api = await api_with(Source())
    answer = await api.get(f"{PODS}/p/log{query}", accept="text/html")
    assert (answer.code, answer.body) == (200, body)
    assert answer.headers["content-type"] == "text/plain"


@pytest.mark.anyio
async def test_what_the_source_is_asked() -> None:
    source = Source()
    api = await api_with(source)
    await api.get(f"{PODS}/p/log?tailLines=3&sinceSeconds=60")
    assert source.asked == LogQuery("c", since=1_700_000_040.0, tail_lines=3)
    await api.get(f"{PODS}/p/log?sinceTime=2023-11-14T22:13:20Z")
    assert source.asked == LogQuery("c", since=1_700_000_000.0)


@pytest.mark.anyio
async def test_a_followed_log_goes_on_until_the_client_leaves() -> None:
    api = await api_with(Source())
    async with api.open("GET", f"{PODS}/p/log?follow=true") as stream:
        chunks = aiter(stream)
        assert [await anext(chunks), await anext(chunks)] == [b"one\n", b"two\n"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("none/log", 404, "not found"),
        ("p/log?container=x", 400, "container x is not valid for pod p"),
        ("two/log", 400, "a container name must be specified for pod two, choose one of: [c d]"),
        ("p/log?previous=true", 400, "previous terminated container"),
        ("p/log?sinceSeconds=1&sinceTime=2023-11-14T22:13:20Z", 422, "at most one of"),
        ("p/log?sinceTime=yesterday", 400, "RFC 3339"),
        ("p/log?tailLines=-1", 400, "tailLines"),
        ("p/log?limitBytes=0", 422, "limitBytes"),
    ],
)
async def test_what_is_refused(path: str, code: int, message: str) -> None:
    answer = await (await api_with(Source())).get(f"{PODS}/{path}")
    assert answer.code == code, answer.body
    assert message in answer.json["message"]


@pytest.mark.anyio
async def test_a_server_without_logs_says_so() -> None:
    api = await make_api()
    await api.post(PODS, pod("p"))
    assert (await api.get(f"{PODS}/p/log")).code == 400


def test_a_line_keeps_its_bytes() -> None:
    assert write_line(LogLine(0, b"\xff\r"), False) == b"\xff\r\n"
