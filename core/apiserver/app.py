"""The edge of the API server: bytes in, bytes out, and no error that is not a `Status`.

The roof runs what `make_app` returns on uvicorn, with TLS. For each request: who asks, what the path names, in which
form the answer is wanted, the body within its bound; then the verb; then the answer. Which objects exist and what a
verb means is not known here.
"""

from __future__ import annotations

import platform
import traceback
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
import structlog
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from core.apiserver.auth import authenticate
from core.apiserver.backend import Answer, Backend, Call, Stream, Write, write_json
from core.apiserver.discovery import Discovery
from core.apiserver.negotiation import DISCOVERY_VIEWS, PLAIN, View, choose
from core.apiserver.paths import parse_path
from core.apiserver.schemas import Schemas
from core.apiserver.status import failure
from core.apiserver.streaming import write_body
from core.apiserver.verbs import answer
from core.errors import ApiError, BadRequest, NotFound, TooLarge
from core.resources.meta import Json

BODY_BYTES_MAX = 3 * 1024 * 1024  # as kube-apiserver
KUBERNETES_VERSION = ("1", "32", "v1.32.0")  # the API that we speak; clients compare it with their own
HEALTH = frozenset({"/healthz", "/livez", "/readyz"})

log = structlog.get_logger()


def make_app(backend: Backend, token: str, version: str) -> Starlette:
    """The whole API as an ASGI application. `version`: the platform's own."""
    return Starlette(routes=[Mount("", app=Edge(backend, token, version))])


class Edge:
    """One request at a time, from its first byte to its last."""

    def __init__(self, backend: Backend, token: str, version: str) -> None:
        self._backend = backend
        self._token = token
        self._version = version
        self._discovery = Discovery(backend.kinds)
        self._schemas = Schemas(backend.kinds, version)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        try:
            outcome = await self._answer(scope, receive)
        except ApiError as error:
            outcome = _refusal(error)
        except Exception:
            outcome = _accident(scope)
        if isinstance(outcome, Stream):
            await self._stream(outcome, scope, receive, send)
        else:
            await _send(outcome, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | Stream:
        path, method = scope["path"], scope["method"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        user = authenticate(path, headers, self._token)
        target = parse_path(path)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        if target is None:
            return await self._document(path, method, headers, query)
        form = PLAIN if target.subresource == "log" else choose(headers.get("accept", ""))
        body = b"" if method == "GET" else await read_body(headers, receive)
        return await answer(self._backend, Call(method, target, query, headers, body, user, form))

    async def _document(
        self, path: str, method: str, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Answer:  # fmt: skip
        """Everything that is not an object: health, version, discovery, schemas."""
        path = path.rstrip("/")
        if method != "GET":
            raise NotFound("the server could not find the requested resource")
        if path in HEALTH or path.rpartition("/")[0] in HEALTH:
            return Answer(b"ok", content_type="text/plain; charset=utf-8")
        accept = headers.get("accept", "")
        if path == "/openapi/v3":
            return await self._schemas.index()
        if path == "/openapi/v2":
            return await self._schemas.version_2(accept)
        if path.startswith("/openapi/v3/"):
            return await self._schemas.document(path.removeprefix("/openapi/v3/"), query.get("hash", ""))
        form = choose(accept, DISCOVERY_VIEWS)
        if form.view is View.DISCOVERY and path in ("/api", "/apis"):
            return write_json(self._discovery.aggregated(core=path == "/api", version=form.version), form)
        document = self._plain(path, headers.get("host", ""))
        if document is None:
            raise NotFound("the server could not find the requested resource")
        return write_json(document)

    def _plain(self, path: str, host: str) -> Json | None:
        match path.split("/")[1:]:
            case ["version"]:
                return version_document(self._version)
            case [] | [""]:
                return {"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]}
            case ["api"]:
                return self._discovery.core_versions(host)
            case ["api", version]:
                return self._discovery.resources("", version)
            case ["apis"]:
                return self._discovery.groups()
            case ["apis", group]:
                return self._discovery.group(group)
            case ["apis", group, version]:
                return self._discovery.resources(group, version)
        return None

    async def _stream(self, stream: Stream, scope: Scope, receive: Receive, send: Send) -> None:
        """Until it has run out, the client has left, or the server closes."""
        await send({"type": "http.response.start", "status": 200, "headers": _headers(stream.content_type, {})})

        async def run(write: Write) -> None:
            try:
                await stream.run(write)
            except OSError:
                raise
            except Exception:
                _accident(scope)

        await write_body(run, self._backend.closing, receive, send)


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body. TooLarge as soon as that is known, BadRequest where the client left in the middle."""
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > BODY_BYTES_MAX:
        raise TooLarge(f"Request entity too large: limit is {BODY_BYTES_MAX}")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client left before its request was complete")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise TooLarge(f"Request entity too large: limit is {BODY_BYTES_MAX}")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def version_document(version: str) -> Json:
    """`/version`: the Kubernetes API that is spoken, with our own version as its build."""
    major, minor, git = KUBERNETES_VERSION
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{git}+pilotlight-{version}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": f"{platform.system().lower()}/{machine}",
    }


def _refusal(error: ApiError) -> Answer:
    headers = {"retry-after": str(error.retry_after_s)} if error.retry_after_s is not None else {}
    return Answer(orjson.dumps(failure(error)), error.code, headers=headers)


def _accident(scope: Scope) -> Answer:
    """Our own mistake: the client gets an id, the log the rest. Called while the exception is handled."""
    accident = uuid.uuid4().hex[:12]
    # The text alone: a rendered traceback with local variables would show the token.
    trace = traceback.format_exc()
    log.error("request failed", accident=accident, method=scope["method"], path=scope["path"], traceback=trace)
    return _refusal(ApiError(f"Internal error occurred: see the server's log, accident {accident}"))


async def _send(outcome: Answer, send: Send) -> None:
    headers = _headers(outcome.content_type, outcome.headers)
    headers.append((b"content-length", str(len(outcome.body)).encode()))
    for text in outcome.warnings:
        headers.append((b"warning", warning_header(text)))
    await send({"type": "http.response.start", "status": outcome.code, "headers": headers})
    await send({"type": "http.response.body", "body": outcome.body})


def _headers(content_type: str, more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    every: dict[str, Any] = {"cache-control": "no-cache, private", "content-type": content_type, **more}
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in every.items()]


def warning_header(text: str) -> bytes:
    """`299 - "…"` (RFC 7234, 5.5): one line of quoted ASCII."""
    line = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return b'299 - "' + line.encode("ascii", "replace") + b'"'
