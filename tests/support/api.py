"""The API server in the test's own process: requests go straight into the ASGI application, no socket between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from core.apiserver.app import make_app
from core.apiserver.backend import Backend
from core.apiserver.logs import LogSource
from core.apiserver.namespaces import make_namespace
from core.clock import Clock
from core.resources.core_v1 import NAMESPACE
from core.resources.kinds import KINDS
from core.resources.meta import Json, Kind
from core.store.memory import MemoryStore
from tests.support.clock import FakeClock

TOKEN = "a-token-for-tests"
STANDING_NAMESPACES = ("default", "kube-system", "knative-serving")


@dataclass(slots=True)
class Response:
    code: int
    headers: dict[str, str]
    body: bytes
    warnings: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Api:
    """A client of one application. Every method returns when the whole answer is there."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.store = backend.store
        self.clock = backend.clock
        self._app = make_app(backend, TOKEN, "0.0")

    async def get(self, path: str, **headers: str) -> Response:
        return await self.request("GET", path, None, headers)

    async def post(self, path: str, body: Any, **headers: str) -> Response:
        return await self.request("POST", path, body, headers)

    async def put(self, path: str, body: Any, **headers: str) -> Response:
        return await self.request("PUT", path, body, headers)

    async def delete(self, path: str, body: Any = None, **headers: str) -> Response:
        return await self.request("DELETE", path, body, headers)

    async def patch(self, path: str, body: Any, form: str = "merge", **headers: str) -> Response:
        types = {"json": "json-patch+json", "merge": "merge-patch+json", "strategic": "strategic-merge-patch+json"}
        content_type = types.get(form, "apply-patch+yaml" if form == "apply" else form)
        return await self.request("PATCH", path, body, {"content_type": f"application/{content_type}", **headers})

    async def request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Response:
        async with self.open(method, path, body, headers) as stream:
            chunks = [chunk async for chunk in stream]
        return Response(stream.code, stream.headers, b"".join(chunks), stream.warnings)

    @asynccontextmanager
    async def open(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> AsyncIterator[OpenResponse]:
        """The answer while it still comes; the client leaves at the end of the block."""
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        path, _, query = path.partition("?")
        sent = {"authorization": f"Bearer {TOKEN}", "content-length": str(len(raw))}
        sent |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        }  # fmt: skip
        response = OpenResponse(raw)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._app(scope, response.receive, response.send))
            task.add_done_callback(lambda _: response.end())
            await response.begun.wait()
            try:
                yield response
            finally:
                response.left.set()


class OpenResponse:
    """The two ends of one ASGI call."""

    def __init__(self, body: bytes) -> None:
        self.code = 0
        self.headers: dict[str, str] = {}
        self.warnings: list[str] = []
        self.begun = asyncio.Event()
        self.left = asyncio.Event()
        self._body: bytes | None = body
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def receive(self) -> Any:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.code = message["status"]
            for name, value in message["headers"]:
                if name == b"warning":
                    self.warnings.append(value.decode())
                else:
                    self.headers[name.decode()] = value.decode()
            self.begun.set()
        elif message["body"]:
            self._chunks.put_nowait(message["body"])

    def end(self) -> None:
        self.begun.set()
        self._chunks.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk

    async def line(self, deadline_s: float = 5) -> Json:
        """The next event of a watch."""
        async with asyncio.timeout(deadline_s):
            chunk = await self._chunks.get()
        assert chunk is not None, "the stream has ended"
        document: Json = orjson.loads(chunk)
        return document


async def make_api(
    kinds: Sequence[Kind[Any]] = KINDS, clock: Clock | None = None, logs: LogSource | None = None
) -> Api:
    """An API over an empty store with the standing namespaces."""
    clock = clock or FakeClock()
    store = MemoryStore(kinds, clock)
    await store.open()
    for name in STANDING_NAMESPACES:
        await store.create(NAMESPACE, make_namespace(name))
    return Api(Backend(store, kinds, clock, logs=logs))


def pod(name: str, **labels: str) -> Json:
    container = {"name": "c", "image": "docker.io/library/nginx:1"}
    metadata: Json = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, replicas: int = 1) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "docker.io/library/nginx:1"}]},
            },
        },
    }
