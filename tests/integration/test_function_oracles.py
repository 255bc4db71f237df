"""Functions written for Knative func and Functions Framework answer here as under func-python 0.8 and
functions-framework 3 themselves: the same folder, the same requests, both servers, one comparison.

Each package is installed from the index into an environment of its own, once per session (they exclude each other).
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.functions import Reply, Served, command, free_port, served, write

PACKAGES = {"func": "func-python==0.8.*", "framework": "functions-framework==3.*"}
# Ports, made-up ids and times; and the message of a ValueError, which func-python loses in a second exception.
CHANGING = re.compile(
    rb"127\.0\.0\.1:\d+|Function-Execution-Id: \w+|\"id\": \"[0-9a-f-]{36}\"|\"time\": \"[^\"]+\""
    rb"|Error: a ValueError|Error: 'dict' object has no attribute 'get_data'"
)
HEADERS = ("content-type", "allow", "location", "set-cookie", "x-kept", "x-google-status")
FUNC_MAIN = """
import logging, sys
sys.path.insert(0, sys.argv[1])
from func_python.{kind} import serve
logging.basicConfig(level=logging.INFO)
try:
    from function import new as handler
except ImportError:
    from function import handle as handler
serve(handler)
"""


def environment(name: str, factory: pytest.TempPathFactory) -> str:
    """Its interpreter. Shared by all workers of a session."""
    base = factory.getbasetemp()
    root = base.parent if base.name.startswith("popen-") else base
    with (root / f"oracle-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = root / f"oracle-{name}"
        python = folder / "bin/python"
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
            pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", PACKAGES[name]]
            done = subprocess.run(pip, capture_output=True, text=True)
            assert done.returncode == 0, f"the oracle {PACKAGES[name]} cannot be installed:\n{done.stderr}"
            (folder / "complete").touch()
    return str(python)


@dataclass(frozen=True)
class Ask:
    method: str = "GET"
    path: str = "/"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        kind = "event " if any(name.startswith("ce-") for name in self.headers) else ""
        return f"{self.method} {self.path} {kind}{(self.body or b'')[:12].decode()}".strip()


JSON = {"content-type": "application/json"}
CE = {"ce-specversion": "1.0", "ce-id": "a-1", "ce-type": "test.type", "ce-source": "/test"}
EVENT = {"specversion": "1.0", "id": "a-1", "type": "test.type", "source": "/test"}
BINARY = Ask("POST", "/", b'{"n": 1}', {**CE, **JSON})
STRUCTURED = Ask(
    "POST",
    "/some/path",
    json.dumps({**EVENT, "data": {"n": 1}, "subject": "s", "time": "2026-01-02T03:04:05Z"}).encode(),
    {"content-type": "application/cloudevents+json"},
)
WEB = (
    Ask(),
    Ask("POST", "/a%20b/c?x=1&y=%20", b"body", {"content-type": "text/plain", "x-given": "v"}),
    Ask("PUT", "/", b'{"a": [1]}', JSON),
    Ask("DELETE", "/gone"),
    Ask("HEAD"),
    Ask("OPTIONS"),
    Ask("GET", "/favicon.ico"),
    Ask("GET", "/robots.txt"),
)
EVENTS = (
    BINARY,
    STRUCTURED,
    Ask("POST", "/", b"text", {**CE, "content-type": "text/plain"}),
    Ask("POST", "/", b"", CE),
    Ask("POST", "/", b"{", {**CE, **JSON}),
    Ask("POST", "/", b"{}", JSON),
    Ask("POST", "/", b"not json", {"content-type": "application/cloudevents+json"}),
    Ask("POST", "/", json.dumps({**EVENT, "type": None}).encode(), {"content-type": "application/cloudevents+json"}),
    Ask("POST", "/", b"{}", {name: value for name, value in CE.items() if name != "ce-type"}),
    Ask("GET"),
    Ask("PUT", "/", b"x", CE),
)

ECHO = """
async def handle(self, scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    said = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} ".encode() + body
    headers = [[b"content-type", b"text/x-echo"], [b"x-kept", b"yes"]]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": said, "more_body": True})
    await send({"type": "http.response.body", "body": b"."})
"""
HEALTH = (Ask("GET", "/health/liveness"), Ask("GET", "/health/readiness"), Ask("POST", "/health/readiness"))


def instance(*methods: str) -> str:
    body = "\n".join(textwrap.dedent(method) for method in methods)
    return "def new():\n    return Function()\n\nclass Function:\n" + textwrap.indent(body, "    ")


FUNC_HTTP = [
    ("an instance that echoes", instance(ECHO), (*WEB[:5], *HEALTH)),
    ("a bare handle", textwrap.dedent(ECHO).replace("self, ", ""), (*WEB[:4], *HEALTH)),
    (
        "alive and ready say so",
        instance(ECHO, "def alive(self): return True, 'Alive'", "def ready(self): return False, 'not yet'"),
        HEALTH,
    ),
    ("plain values", instance(ECHO, "def alive(self): return False", "def ready(self): return 1"), HEALTH),
    (
        "start sees the environment before the first request",
        instance(
            "def start(self, cfg): self.word = cfg['WORD']",
            ECHO.replace("{scope['method']}", "{self.word}"),
        ),
        WEB[:2],
    ),
    ("an exception", instance("async def handle(self, scope, receive, send):\n    raise RuntimeError('oh')"), WEB[:2]),
    ("no answer", instance("async def handle(self, scope, receive, send):\n    pass"), WEB[:1]),
    (
        "204",
        instance("""
            async def handle(self, scope, receive, send):
                await send({'type': 'http.response.start', 'status': 204, 'headers': []})
                await send({'type': 'http.response.body'})
        """),
        WEB[:1],
    ),
]

REPLY = """
async def handle(self, scope, receive, send):
    from cloudevents.core.v1.event import CloudEvent
    event = scope["event"]
    attributes = dict(type="reply", source="/f", id="r-" + event.get_id(), time=event.get_time())
    if not attributes["time"] or event.get_id() == "a-1":
        from datetime import datetime, timezone
        attributes["time"] = datetime(2026, 1, 1, tzinfo=timezone.utc)
    await send{how}(CloudEvent(attributes, {{"was": str(event.get_data()), "subject": event.get_subject()}}){status})
"""
RAISE = """
async def handle(self, scope, receive, send):
    raise {error}
"""
FUNC_EVENT = [
    ("structured replies", instance(REPLY.format(how="", status="")), (*EVENTS, *HEALTH)),
    ("binary replies", instance(REPLY.format(how=".binary", status=", 201")), (BINARY, STRUCTURED)),
    ("a bare handle", textwrap.dedent(REPLY.format(how=".structured", status="")).replace("self, ", ""), (BINARY,)),
    (
        "a plain answer",
        instance(
            "async def handle(self, scope, receive, send):\n"
            "    await send.http({'type': 'http.response.start', 'status': 204, 'headers': []})\n"
            "    await send.http({'type': 'http.response.body', 'body': b''})\n"
            "    scope['event']"
        ),
        (BINARY,),
    ),
    ("an exception", instance(RAISE.format(error="RuntimeError(scope['event'].get_type())")), (BINARY,)),
    ("a ValueError", instance(RAISE.format(error="ValueError('a ValueError' if scope['event'] else '')")), (BINARY,)),
]

FRAMEWORK = [
    (
        "http",
        """
        import functions_framework
        @functions_framework.http
        def hello(request):
            return f'{request.method} {request.path} {request.args.get("x")} {request.get_data(as_text=True)}'
        """,
        WEB,
    ),
    (
        "undecorated",
        """
        def hello(request):
            return 'plain'
        """,
        WEB[:2],
    ),
    (
        "json",
        """
        import functions_framework
        @functions_framework.http
        def hello(request):
            return {'got': request.get_json(silent=True)}
        """,
        WEB[:3],
    ),
    (
        "tuple",
        """
        import functions_framework
        @functions_framework.http
        def hello(request):
            return 'made', 201, {'X-Kept': 'yes', 'Set-Cookie': 'a=b'}
        """,
        WEB[:2],
    ),
    (
        "flask response",
        """
        import flask, functions_framework
        @functions_framework.http
        def hello(request):
            return flask.redirect('/elsewhere')
        """,
        WEB[:2],
    ),
    (
        "streaming",
        """
        import functions_framework
        @functions_framework.http
        def hello(request):
            return (piece for piece in ('a', 'b', 'c'))
        """,
        WEB[:2],
    ),
    (
        "an exception",
        """
        import functions_framework
        @functions_framework.http
        def hello(request):
            raise RuntimeError('oh')
        """,
        WEB[:2],
    ),
    (
        "abort",
        """
        import flask, functions_framework
        @functions_framework.http
        def hello(request):
            flask.abort(418)
        """,
        WEB[:1],
    ),
    (
        "nothing",
        """
        import functions_framework
        @functions_framework.http
        def hello(request):
            pass
        """,
        WEB[:1],
    ),
    (
        "errorhandler",
        """
        import functions_framework
        @functions_framework.errorhandler(ZeroDivisionError)
        def zero(e):
            return 'handled', 400
        @functions_framework.http
        def hello(request):
            return str(1 / 0)
        """,
        WEB[:1],
    ),
    (
        "cloud event",
        """
        import functions_framework
        @functions_framework.cloud_event
        def hello(event):
            assert event['type'] == 'test.type', event
        """,
        EVENTS,
    ),
    (
        "cloud event, an exception",
        """
        import functions_framework
        @functions_framework.cloud_event
        def hello(event):
            raise RuntimeError('oh')
        """,
        (BINARY,),
    ),
    (
        "typed",
        """
        import functions_framework
        class Thing:
            def __init__(self, n): self.n = n
            @staticmethod
            def from_dict(d): return Thing(d['n'])
            def to_dict(self): return {'n': self.n + 1}
        @functions_framework.typed(Thing)
        def hello(thing):
            return thing
        """,
        (Ask("POST", "/", b'{"n": 1}', JSON), Ask("POST", "/", b"{}", JSON), Ask()),
    ),
    (
        "typed by annotation",
        """
        import functions_framework
        class Thing:
            @classmethod
            def from_dict(cls, d): return cls()
        @functions_framework.typed
        def hello(thing: Thing):
            return 'ok'
        """,
        (Ask("POST", "/", b"{}", JSON),),
    ),
    (
        "asyncio",
        """
        import functions_framework.aio
        @functions_framework.aio.http
        async def hello(request):
            return {'path': request.url.path, 'body': (await request.body()).decode()}
        """,
        WEB,
    ),
    (
        "asyncio event",
        """
        import functions_framework.aio
        @functions_framework.aio.cloud_event
        async def hello(event):
            assert event['type']
        """,
        (BINARY, STRUCTURED, EVENTS[5]),
    ),
    (
        "asyncio, an exception",
        """
        import functions_framework.aio
        @functions_framework.aio.http
        async def hello(request):
            raise RuntimeError('oh')
        """,
        WEB[:1],
    ),
]


@pytest.fixture(scope="session")
def func_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return environment("func", tmp_path_factory)


@pytest.fixture(scope="session")
def framework_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return environment("framework", tmp_path_factory)


def same(ours: Reply, theirs: Reply, about: object) -> None:
    assert ours.status == theirs.status, (about, ours, theirs)
    if theirs.status == 500 and not theirs.body:
        return  # func-python breaks off after an exception's head, or sends nothing: ours is a whole answer
    for name in HEADERS:
        assert ours.headers.get(name) == theirs.headers.get(name), (about, name, ours, theirs)
    assert {k: v for k, v in ours.headers.items() if k.startswith("ce-")} == {
        k: v for k, v in theirs.headers.items() if k.startswith("ce-")
    }, about
    assert CHANGING.sub(b"", ours.body) == CHANGING.sub(b"", theirs.body), (about, ours, theirs)


def packages() -> str:
    spec = importlib.util.find_spec("httptools")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parents[1])


def func_servers(stack: ExitStack, folder: Path, python: str, kind: str) -> tuple[Served, Served]:
    env = {"WORD": "w0rd"}
    ours = stack.enter_context(served(folder, "--packages", packages(), env=env, python=python))
    port = free_port()
    main = folder.parent / "oracle.py"
    main.write_text(FUNC_MAIN.format(kind=kind))
    listen = {**env, "LISTEN_ADDRESS": f"127.0.0.1:{port}"}
    return ours, stack.enter_context(command([python, str(main), str(folder)], port, folder, listen))


@pytest.mark.parametrize(("text", "asks"), [f[1:] for f in FUNC_HTTP], ids=[f[0] for f in FUNC_HTTP])
def test_func_http(tmp_path: Path, func_python: str, text: str, asks: tuple[Ask, ...]) -> None:
    name = "new" if "def new" in text else "handle"
    folder = write(tmp_path / "f", function__func=text)
    (folder / "function/__init__.py").write_text(f"from .func import {name}\n")
    with ExitStack() as stack:
        ours, theirs = func_servers(stack, folder, func_python, "http")
        for ask in asks:
            same(*(server.request(ask.method, ask.path, ask.body, ask.headers) for server in (ours, theirs)), ask)


@pytest.mark.parametrize("told", [True, False], ids=["func.yaml", "by its code"])
@pytest.mark.parametrize(("text", "asks"), [f[1:] for f in FUNC_EVENT], ids=[f[0] for f in FUNC_EVENT])
def test_func_event(tmp_path: Path, func_python: str, text: str, asks: tuple[Ask, ...], told: bool) -> None:
    name = "new" if "def new" in text else "handle"
    folder = write(tmp_path / "f", function__func=text)
    (folder / "function/__init__.py").write_text(f"from .func import {name}\n")
    if told:
        (folder / "func.yaml").write_text("specVersion: 0.36.0\nruntime: python\ninvoke: cloudevent\n")
    with ExitStack() as stack:
        ours, theirs = func_servers(stack, folder, func_python, "cloudevent")
        for ask in asks:
            same(*(server.request(ask.method, ask.path, ask.body, ask.headers) for server in (ours, theirs)), ask)


@pytest.mark.parametrize(("text", "asks"), [f[1:] for f in FRAMEWORK], ids=[f[0] for f in FRAMEWORK])
def test_functions_framework(tmp_path: Path, framework_python: str, text: str, asks: tuple[Ask, ...]) -> None:
    folder = write(tmp_path / "f", main=text)
    env = {} if "functions_framework" in text else {"FUNCTION_TARGET": "hello"}
    port = free_port()
    cli = str(Path(framework_python).with_name("functions-framework"))
    argv = [framework_python, cli, "--target", "hello", "--host", "127.0.0.1", "--port", str(port)]
    with ExitStack() as stack:
        ours = stack.enter_context(served(folder, "--packages", packages(), env=env, python=framework_python))
        theirs = stack.enter_context(command(argv, port, folder))
        for ask in asks:
            same(*(server.request(ask.method, ask.path, ask.body, ask.headers) for server in (ours, theirs)), ask)


def test_requests_do_not_wait_for_each_other(tmp_path: Path, framework_python: str) -> None:
    text = "import functions_framework, threading\nboth = threading.Barrier(2, timeout=10)\n@functions_framework.http\ndef hello(r):\n    both.wait()\n    return 'x'"  # noqa: E501
    from concurrent.futures import ThreadPoolExecutor

    folder = write(tmp_path / "f", main=text)
    with (
        served(folder, "--packages", packages(), python=framework_python) as ours,
        ThreadPoolExecutor(2) as pool,
    ):
        assert [reply.status for reply in pool.map(lambda _: ours.request(), range(2))] == [200, 200]
