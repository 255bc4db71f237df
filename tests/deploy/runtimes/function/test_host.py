"""deploy/runtimes/function: host.py, discovery.py, deploy/runtimes/function/knative_func.py and
deploy/runtimes/function/complaints.py, each in a process."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from deploy.runtimes.function.discovery import decorated_functions, parse
from tests.support.functions import EndedEarly, served, write

ASGI = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})
"""

# label, module, (method, path, body, headers), (status, body)
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t", "ce-source": "/s", "content-type": "application/json"}
SHAPES = [
    ("asgi", "main", ASGI, ("GET", "/a%20b"), (200, b"/a b")),
    ("asgi in app.py", "app", ASGI, ("GET", "/"), (200, b"/")),
    ("asgi in a file of any name", "whatever", ASGI, ("GET", "/"), (200, b"/")),
    (
        "wsgi",
        "main",
        "def app(environ, start_response):\n"
        "    start_response('201 Created', [('X-Path', environ['PATH_INFO'])])\n"
        "    return [environ['wsgi.input'].read(), b'!']",
        ("POST", "/", b"hi"),
        (201, b"hi!"),
    ),
    ("request, text", "main", "def handle(request):\n return f'{request.method} {request.path}'", (), (200, b"GET /")),
    ("request, async", "main", "async def handle(request):\n return 'x'", (), (200, b"x")),
    (
        "request, json",
        "main",
        "def handle(r):\n return {'n': r.json()['n'] + 1}",
        ("POST", "/", b'{"n": 1}'),
        (200, b'{"n":2}'),
    ),
    ("request, bytes", "main", "def handle(r):\n return r.body[::-1]", ("POST", "/", b"abc"), (200, b"cba")),
    ("request, query", "main", "def handle(r):\n return r.query['a']", ("GET", "/?a=1&a=2"), (200, b"2")),
    (
        "request, header",
        "main",
        "def handle(r):\n return r.headers['X-a']",
        ("GET", "/", None, {"x-A": "v"}),
        (200, b"v"),
    ),
    ("request, tuple", "main", "def handle(r):\n return 'no', 418, {'x-a': 'b'}", (), (418, b"no")),
    ("request, nothing", "main", "def handle(r):\n pass", (), (204, b"")),
    ("request, generator", "main", "def handle(r):\n yield 'a'\n yield b'b'", (), (200, b"ab")),
    (
        "request, async generator",
        "main",
        "async def handle(r):\n async def g():\n  yield 'a'\n return g()",
        (),
        (200, b"a"),
    ),
    ("no parameter", "main", "def handle():\n return 'x'", (), (200, b"x")),
    (
        "request of starlette's",
        "main",
        "from starlette.requests import Request\nfrom starlette.responses import PlainTextResponse\n"
        "async def handle(request: Request):\n return PlainTextResponse(await request.body(), 202)",
        ("POST", "/", b"hi"),
        (202, b"hi"),
    ),
    (
        "event by name",
        "main",
        "def handle(event):\n return event['id'] + event.data",
        ("POST", "/", b'"x"', EVENT),
        (200, b"1x"),
    ),
    (
        "event of the SDK, an event back",
        "main",
        "from cloudevents.core.v1.event import CloudEvent\n"
        "async def handle(e: CloudEvent):\n"
        " return CloudEvent({'type': e.get_type() + '.done', 'source': '/f', 'id': '2'}, {'was': e.get_data()})",
        ("POST", "/", b"[1]", EVENT),
        (200, b'{"was": [1]}'),
    ),
    ("event, nothing back", "main", "def handle(event):\n pass", ("POST", "/", b"", EVENT), (204, b"")),
    (
        "event refused",
        "main",
        "def handle(event):\n pass",
        ("POST", "/", b"{}", {"content-type": "application/json"}),
        (400, None),
    ),
    ("event by GET", "main", "def handle(event):\n pass", ("GET", "/"), (405, None)),
    ("func, handle", "func", ASGI.replace("app(", "handle("), ("GET", "/x"), (200, b"/x")),
    ("func, readiness", "func", ASGI.replace("app(", "handle("), ("GET", "/health/readiness"), (200, b"OK")),
    (
        "func, new with a request",
        "func",
        "def new():\n return F()\nclass F:\n def start(self, cfg): self.port = cfg['PORT']\n"
        " def handle(self, request): return {'started': self.port.isdigit()}\n"
        " def alive(self): return False, 'ill'",
        ("GET", "/"),
        (200, b'{"started":true}'),
    ),
    (
        "func, liveness",
        "func",
        "def new():\n return F()\nclass F:\n async def handle(self, scope, receive, send): pass\n"
        " def alive(self): return False, 'ill'",
        ("GET", "/health/liveness"),
        (500, b"ill"),
    ),
    ("an error", "main", "def handle(r):\n raise ValueError('secret')", (), (500, b"Internal Server Error")),
    ("no answer", "main", "async def app(scope, receive, send):\n pass", (), (500, b"Internal Server Error")),
]


@pytest.mark.parametrize(
    ("module", "text", "request_", "expected"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES]
)
def test_shapes(tmp_path: Path, module: str, text: str, request_: tuple, expected: tuple) -> None:  # type: ignore[type-arg]
    with served(write(tmp_path / "f", **{module: text})) as function:
        reply = function.request(*request_)
    assert reply.status == expected[0]
    if expected[1] is not None:
        assert reply.body == expected[1]


def test_an_event_back_is_in_binary_mode(tmp_path: Path) -> None:
    text = """
        def handle(event):
            return {"specversion": "1.0", "id": "ä 1", "type": "done", "source": "/f", "data": {"a": 1}}
    """
    with served(write(tmp_path / "f", main=text)) as function:
        reply = function.request("POST", "/", b"", EVENT)
    assert reply.headers["ce-id"] == "%C3%A4%201"
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.body) == {"a": 1}


def test_a_traceback_is_in_the_log_and_nowhere_else(tmp_path: Path) -> None:
    with served(write(tmp_path / "f", main="def handle(r):\n raise ValueError('secret')")) as function:
        reply = function.request()
        log = function.log.read_text()
    assert b"secret" not in reply.body
    assert first_file(log) == str(tmp_path / "f/main.py")
    assert log.endswith("ValueError: secret\n")


def first_file(log: str) -> str:
    """Of the first frame that a log shows."""
    lines = log.splitlines()
    return lines[lines.index("Traceback (most recent call last):") + 1].split('"')[1]


IMPORTS = {
    "raises": ({"main": "import lib", "lib": "def f():\n raise LookupError('gone')\nf()"},
               "main.py", "LookupError: gone"),
    "lacks a module": ({"main": "import nothing_of_that_name"}, "main.py", "No module named 'nothing_of_that_name'"),
    "raises from another": ({"main": "try:\n 1 / 0\nexcept Exception as e:\n raise OSError('why') from e"},
                            "main.py", "OSError: why"),
    "fails in new": ({"func": "def new():\n raise OSError('later')"}, "func.py", "OSError: later"),
}  # fmt: skip


@pytest.mark.parametrize(("modules", "first", "last"), IMPORTS.values(), ids=IMPORTS)
def test_what_an_author_is_shown_begins_in_their_own_code(
    tmp_path: Path, modules: dict[str, str], first: str, last: str
) -> None:
    with pytest.raises(EndedEarly) as ended, served(write(tmp_path / "f", **modules)):
        pass
    log = ended.value.said
    assert first_file(log) == str(tmp_path / "f" / first)
    assert last in log
    assert "frozen" not in log
    assert "deploy/runtimes" not in log


def test_a_folder_without_a_function_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EndedEarly) as ended, served(write(tmp_path / "f", main="x = 1")):
        pass
    assert "Traceback" not in str(ended.value)
    assert "define one, or name yours" in str(ended.value)


def test_start_comes_before_the_first_connection_and_stop_at_sigterm(tmp_path: Path) -> None:
    text = """
        import asyncio, os

        def new():
            return F()

        class F:
            async def start(self, cfg):
                await asyncio.sleep(0.2)
                print("started", flush=True)
            async def handle(self, scope, receive, send):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b""})
            def stop(self):
                print("stopped", flush=True)
    """
    with served(write(tmp_path / "f", func=text)) as function:
        assert "started" in function.log.read_text(), "it listened before start() had returned"
        assert function.stop() == 0
        assert "stopped" in function.log.read_text()


def test_a_start_that_fails_ends_the_process(tmp_path: Path) -> None:
    text = "def new():\n return F()\nclass F:\n handle = print\n def start(self, c): raise RuntimeError('no')"
    with pytest.raises(EndedEarly, match="it ended with 3"), served(write(tmp_path / "f", func=text)):
        pass


def test_a_request_in_flight_is_answered_before_the_process_ends(tmp_path: Path) -> None:
    text = """
        import asyncio, os, signal

        async def handle(request):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.2)
            return "done"
    """
    with served(write(tmp_path / "f", main=text)) as function:
        assert function.request().body == b"done"
        assert function.process.wait(5) == 0


def test_synchronous_handlers_run_side_by_side(tmp_path: Path) -> None:
    text = """
        import threading
        barrier = threading.Barrier(4, timeout=10)
        def handle(request):
            barrier.wait()
            return "met"
    """
    from concurrent.futures import ThreadPoolExecutor

    with served(write(tmp_path / "f", main=text)) as function, ThreadPoolExecutor(4) as pool:
        assert {reply.body for reply in pool.map(lambda _: function.request(), range(4))} == {b"met"}


@pytest.mark.parametrize("name", ["core", "deploy", "eventing", "activator", "pilotlight"])
@pytest.mark.parametrize("regular", [True, False], ids=["package", "namespace"])
def test_the_functions_own_modules_win(tmp_path: Path, name: str, regular: bool) -> None:
    folder = write(
        tmp_path / "f",
        **{f"{name}__mine": "WHO = 'mine'", "main": f"from {name}.mine import WHO\ndef handle(r):\n return WHO"},
    )
    if regular:
        (folder / name / "__init__.py").write_text("")
    root = Path(__file__).parents[4]
    hide = ("--hide", "core,deploy,eventing,activator,pilotlight", "--root", str(root))
    with served(folder, *hide, env={"PYTHONPATH": str(root)}) as function:
        assert function.request().body == b"mine"


def test_the_platforms_packages_are_invisible(tmp_path: Path) -> None:
    text = """
        def handle(request):
            try:
                import core
            except ModuleNotFoundError as error:
                return error.name
    """
    root = Path(__file__).parents[4]
    folder = write(tmp_path / "f", main=text)
    with served(folder, "--hide", "core", "--root", str(root), env={"PYTHONPATH": str(root)}) as function:
        assert function.request().body == b"core"


def test_an_entry_can_be_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", pkg__api="def nope(r): pass\nclass box:\n def deep(request):\n  return 'deep'")
    with served(folder, "--entry", "pkg.api:box.deep") as function:
        assert function.request().body == b"deep"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "looked for function/, func.py, main.py"),
        ({"main": "x = 1"}, "defines none of app, application, new, handle"),
        ({"main": "def handle(a, b): pass"}, "handle takes one parameter"),
        ({"main": "handle = 5"}, "handle is a int"),
        ({"main": "import nonexistent_thing"}, "No module named 'nonexistent_thing'"),
    ],
)
def test_a_folder_without_a_function_says_what_was_looked_for(tmp_path: Path, files: dict[str, str], said: str) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(EndedEarly) as failure, served(write(tmp_path / "f", **files)):
        pass
    assert failure.value.code == 1
    assert said in failure.value.said


def test_decorated_functions_are_found_without_an_import(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text(
        "import functions_framework as ff\nfrom functions_framework import typed, aio as a\n"
        "@ff.http\ndef one(r): pass\n@typed(int)\ndef two(x): pass\n@a.cloud_event\nasync def three(e): pass\n"
        "@other\ndef four(r): pass\n"
    )
    assert decorated_functions(parse(path)) == ["one", "two", "three"]


def test_signals_do_not_leave_a_half_answer(tmp_path: Path) -> None:
    with served(write(tmp_path / "f", main=ASGI)) as function:
        assert function.request().status == 200
        function.process.send_signal(signal.SIGINT)
        assert function.process.wait(5) == 0
