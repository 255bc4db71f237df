"""deploy/runtimes/function/zygote.py and deploy/runtimes/function/obstacles.py: real forks."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.functions import fork_server, wait_listening, write

HELLO = "def handle(request):\n    return 'hello'\n"


def get(port: int, path: str = "/") -> bytes:
    wait_listening(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_instances_answer_and_their_ends_are_told(tmp_path: Path) -> None:
    with fork_server(write(tmp_path, main=HELLO)) as server:
        assert server.first == {"ready": True}
        pids = []
        for _ in range(3):
            pid, port, _ = server.fork()
            assert get(port) == b"hello"
            pids.append(pid)
        assert len(set(pids)) == 3
        os.kill(pids[0], signal.SIGTERM)
        assert server.hear() == {"pid": pids[0], "status": 0}
        os.kill(pids[1], signal.SIGKILL)
        assert server.hear() == {"pid": pids[1], "status": signal.SIGKILL}


def test_randomness_differs_between_instances(tmp_path: Path) -> None:
    text = """
        import random, secrets, ssl, uuid
        random.random()

        def handle(request):
            bits = [random.random(), secrets.token_hex(8), ssl.RAND_bytes(8).hex()]
            return [*bits, str(uuid.uuid4()), str(uuid.uuid1())]
    """
    with fork_server(write(tmp_path, main=text)) as server:
        answers = [json.loads(get(server.fork()[1])) for _ in range(3)]
    for values in zip(*answers, strict=True):
        assert len(set(values)) == 3


def test_new_is_called_in_the_instance_and_not_in_the_template(tmp_path: Path) -> None:
    text = """
        import os
        imported_in = os.getpid()

        def new():
            return F()

        class F:
            def __init__(self):
                self.made_in = os.getpid()
            def handle(self, request):
                return [imported_in, self.made_in, os.getpid(), os.getsid(0)]
    """
    with fork_server(write(tmp_path, func=text)) as server:
        pid, port, _ = server.fork()
        assert json.loads(get(port)) == [server.process.pid, pid, pid, pid]


def test_the_environment_is_the_instances(tmp_path: Path) -> None:
    text = """
        import os
        at_import = os.environ["WHO"]

        def handle(request):
            return [at_import, os.environ["WHO"], os.environ["GONE"]]
    """
    with fork_server(write(tmp_path, main=text), env={"WHO": "template", "GONE": "yes"}) as server:
        assert json.loads(get(server.fork({"WHO": "instance", "GONE": ""})[1])) == ["template", "instance", ""]


def test_output_of_the_import_and_of_the_instance_reach_the_instances_log(tmp_path: Path) -> None:
    text = "import os\nprint('importing')\nos.write(2, b'from C\\n')\ndef handle(r):\n print('handling')\n return ''"
    with fork_server(write(tmp_path, main=text)) as server:
        _, port, output = server.fork()
        get(port)
        received = b""
        while b"handling" not in received:
            received += os.read(output, 1000)
        os.close(output)
    assert received == b"importing\nfrom C\nhandling\n"


def test_an_instance_ends_as_an_interpreter_does(tmp_path: Path) -> None:
    text = "import atexit, sys\ndef handle(r): pass\natexit.register(lambda: sys.stdout.write('at exit'))"
    with fork_server(write(tmp_path, main=text)) as server:
        pid, port, output = server.fork()
        wait_listening(port)
        os.kill(pid, signal.SIGTERM)
        assert server.hear() == {"pid": pid, "status": 0}
        assert os.read(output, 100) == b"at exit"
        os.close(output)


UNSAFE = [
    (
        "thread",
        "import threading as t\nt.Thread(target=t.Event().wait, daemon=True, name='ticker').start()",
        "a thread (ticker)",
    ),
    ("event loop", "import asyncio\nloop = asyncio.new_event_loop()", "an event loop"),
    ("socket", "import socket\ns = socket.socket()", "a socket"),
    ("process", "import subprocess\np = subprocess.Popen(['sleep', '5'])", "a process"),
    ("database", "import sqlite3\ndb = sqlite3.connect(':memory:')", "a SQLite database"),
]


@pytest.mark.parametrize(("text", "said"), [u[1:] for u in UNSAFE], ids=[u[0] for u in UNSAFE])
def test_what_must_not_be_copied_is_not_forked(tmp_path: Path, text: str, said: str) -> None:
    with fork_server(write(tmp_path, main=HELLO + text)) as server:
        assert any(said in why for why in server.first["unsafe"]), server.first


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasyncio.run(asyncio.sleep(0))",
        "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()",
        "import subprocess\nsubprocess.run(['true'])",
        "import socket\nsocket.socket().close()",
        "f = open(__file__)",
    ],
)
def test_what_has_ended_by_the_end_of_the_import_does_no_harm(tmp_path: Path, text: str) -> None:
    with fork_server(write(tmp_path, main=HELLO + text)) as server:
        assert server.first == {"ready": True}


def test_an_import_that_fails_is_told(tmp_path: Path) -> None:
    with fork_server(write(tmp_path, main="raise LookupError('nothing here')")) as server:
        assert server.first == {"failed": "LookupError: nothing here"}


def test_a_retired_fork_server_stays_until_its_last_instance_has_ended(tmp_path: Path) -> None:
    with fork_server(write(tmp_path, main=HELLO)) as server:
        pid, port, _ = server.fork()
        wait_listening(port)
        server.control.shutdown(2)
        assert get(port) == b"hello"
        assert server.process.poll() is None
        os.kill(pid, signal.SIGTERM)
        assert server.process.wait(10) == 0


def test_no_instance_outlives_its_fork_server(tmp_path: Path) -> None:
    with fork_server(write(tmp_path, main=HELLO)) as server:
        pid, port, _ = server.fork()
        wait_listening(port)
        server.process.kill()
        server.process.wait()
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
