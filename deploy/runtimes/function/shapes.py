"""Shapes of a function as one ASGI application: `handle(request)`, `handle(event)`, WSGI; Knative func's are beside.

`host.py` finds the function and asks here for its application. What a function raises is written to its log by the
server and answered with a plain 500.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import io
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, unquote

App = Callable[[Any, Any, Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

BODY_BYTES_MAX = 128 * 1024 * 1024  # of a request that is handed over whole; larger ones are for ASGI functions
THREADS_MAX = 64  # synchronous calls at once in one instance; threads are made as they are needed
EVENT_NAMES = ("event", "cloudevent", "cloud_event", "ce")

_threads: ThreadPoolExecutor | None = None


class TooLarge(Exception):
    """The body is larger than what is held in memory."""


class Request:
    """What `handle(request)` gets. The body is complete."""

    def __init__(self, scope: Any, body: bytes) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = RequestHeaders(scope["headers"])
        self.body = body

    @property
    def query_string(self) -> str:
        return str(self.scope["query_string"].decode("latin-1"))

    @property
    def query_lists(self) -> dict[str, list[str]]:
        return parse_qs(self.query_string, keep_blank_values=True)

    @property
    def query(self) -> dict[str, str]:
        """The last value of each parameter."""
        return {name: values[-1] for name, values in self.query_lists.items()}

    @property
    def url(self) -> str:
        query = self.query_string
        host = self.headers.get("host", "localhost")
        return f"{self.scope['scheme']}://{host}{self.scope['raw_path'].decode('latin-1')}" + (query and f"?{query}")

    @property
    def client(self) -> str | None:
        return self.scope["client"][0] if self.scope["client"] else None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; None where there is no body. ValueError."""
        return json.loads(self.body) if self.body else None


class RequestHeaders(Mapping[str, str]):
    """Headers by name in any case; several of one name are joined with a comma."""

    def __init__(self, pairs: Headers) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            self._values[key] = f"{self._values[key]}, {text}" if key in self._values else text

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


# --- handle(request), handle(event)


def request_app(function: Callable[..., Any], parameter: inspect.Parameter | None) -> App:
    annotation = parameter.annotation if parameter is not None else None
    module = getattr(annotation, "__module__", "") or ""
    wants_starlette = isinstance(annotation, type) and module.split(".")[0] in ("starlette", "fastapi")
    framework_request: Any = annotation

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if wants_starlette:
            result = await call(function, framework_request(scope, receive))
        else:
            try:
                body = await read_body(receive)
            except TooLarge:
                await respond(send, 413, [TEXT], b"the body is too large")
                return
            result = await call(function, *([Request(scope, body)] if parameter is not None else []))
        await answer(result, scope, receive, send)

    return app


def event_app(function: Callable[..., Any], make: Callable[..., Any], events: Any) -> App:
    """`events` is the module beside this one."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "POST":
            allow = [TEXT, (b"allow", b"POST")]
            await respond(send, 405, allow, b"this function takes CloudEvents: POST one")
            return
        try:
            body = await read_body(receive)
            event = make(*events.decode(RequestHeaders(scope["headers"]), body))
        except TooLarge:
            await respond(send, 413, [TEXT], b"the event is too large")
            return
        except ValueError as error:
            await respond(send, getattr(error, "status", 400), [TEXT], str(error).encode())
            return
        result = await call(function, event)
        parts = events.parts(result)
        if parts is None:
            await answer(result, scope, receive, send)
        else:
            headers, body = events.encode(*parts)
            await respond(send, 200, headers, body)

    return app


async def read_body(receive: Any) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > BODY_BYTES_MAX:
            raise TooLarge
        if not message.get("more_body"):
            return b"".join(chunks)


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """A coroutine function on the loop, anything else on a thread of its own, with the caller's context."""
    if is_async(function):
        return await function(*arguments)
    result = await in_thread(function, *arguments)
    return await result if inspect.isawaitable(result) else result


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(threads(), context.run, function, *arguments)


def threads() -> ThreadPoolExecutor:
    """Where synchronous functions run; made when the first does."""
    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(THREADS_MAX, "handler")
    return _threads


def is_async(function: Callable[..., Any]) -> bool:
    # Not whether it can be called (B004): whether what is called is a coroutine function.
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


TEXT = (b"content-type", b"text/plain; charset=utf-8")
JSON = (b"content-type", b"application/json")


async def answer(result: Any, scope: Any, receive: Any, send: Any) -> None:
    """What a function returned, as a response: text, bytes, JSON, (body, status[, headers]), None, a stream, or the
    response object of a framework."""
    status, headers = 200, {}
    if isinstance(result, tuple) and 2 <= len(result) <= 3:
        body, *rest = result
        for item in rest:
            if isinstance(item, int):
                status = int(item)
            else:
                headers = dict(item)
        result = body
    elif inspect.iscoroutinefunction(getattr(result, "__call__", None)):  # noqa: B004  (a Starlette response)
        await result(scope, receive, send)
        return
    elif hasattr(result, "get_wsgi_response"):  # Flask's and werkzeug's
        await wsgi_app(result)(scope, receive, send)
        return
    pairs = [(str(name).encode("latin-1"), str(value).encode("latin-1")) for name, value in headers.items()]
    typed = any(name.lower() == b"content-type" for name, _ in pairs)
    if hasattr(result, "__aiter__") or inspect.isgenerator(result):
        await stream(result, send, status, pairs if typed else [TEXT, *pairs])
        return
    body, kind = encode(result)
    if result is None and status == 200:
        status = 204
    await respond(send, status, pairs if typed or kind is None else [kind, *pairs], body)


def encode(value: Any) -> tuple[bytes, tuple[bytes, bytes] | None]:
    if value is None:
        return b"", None
    if isinstance(value, str):
        return value.encode(), TEXT
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), (b"content-type", b"application/octet-stream")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), JSON


async def respond(send: Any, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def stream(chunks: Any, send: Any, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if hasattr(chunks, "__aiter__"):
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": encode(chunk)[0], "more_body": True})
    else:
        end = object()
        while (chunk := await in_thread(next, chunks, end)) is not end:
            await send({"type": "http.response.body", "body": encode(chunk)[0], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


# --- WSGI (Flask, Django, Functions Framework)


def wsgi_app(application: Callable[..., Any]) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await read_body(receive)
        except TooLarge:
            await respond(send, 413, [TEXT], b"the body is too large")
            return
        loop = asyncio.get_running_loop()

        def emit(message: dict[str, Any]) -> None:
            asyncio.run_coroutine_threadsafe(send(message), loop).result()

        await in_thread(run_wsgi, application, make_environ(scope, body), emit)

    return app


def run_wsgi(application: Callable[..., Any], environ: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> None:
    """Runs on a thread; `emit` sends one ASGI message and waits until it is gone."""
    head: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        head[:] = [{"type": "http.response.start", "status": int(status[:3]), "headers": pairs}]
        return lambda data: flush(data, True)

    def flush(data: bytes, more: bool) -> None:
        if head and head[0] is not None:
            message, head[0] = head[0], None
            emit(message)
        emit({"type": "http.response.body", "body": data, "more_body": more})

    result = application(environ, start_response)
    try:
        last: bytes | None = None  # one behind, so that a response of one piece leaves with its length
        for data in result:
            if last:
                flush(last, True)
            last = data or last
        flush(last or b"", False)
    finally:
        if hasattr(result, "close"):
            result.close()


def make_environ(scope: Any, body: bytes) -> dict[str, Any]:
    """PEP 3333."""
    host, port = scope["server"] or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(scope["raw_path"].decode("latin-1"), "latin-1"),
        "RAW_URI": scope["raw_path"].decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in RequestHeaders(scope["headers"]).items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ
