"""A real RabbitMQ for tests: Debian's package as a node of its own on free loopback ports, small, gone afterwards.

One for each test session (`running_rabbitmq`); a virtual host for each test keeps them apart. `kill` and `start` are
for what a client does when its broker dies. Every process is started here and ended by its id.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

BIN: Final = Path("/usr/lib/rabbitmq/bin")
MISSING: Final = "no RabbitMQ: apt-get install rabbitmq-server (tests/support/need.sh does)"
_UP_S: Final = 60.0
_NOTED_S: Final = 2.5
_numbers = itertools.count(1)
_CONF: Final = """loopback_users.guest = true
listeners.tcp.1 = 127.0.0.1:{port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {http_port}
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 8000000
collect_statistics_interval = {statistics_s}000
management.sample_retention_policies.global.minute = {statistics_s}
management.sample_retention_policies.basic.minute = {statistics_s}
management.sample_retention_policies.detailed.10 = {statistics_s}
"""
_STATISTICS_S: Final = 1
"""RabbitMQ's own is 5: so long, and twice at worst, whoever reads statistics would wait for them."""


class Rabbitmq:
    """`port` speaks AMQP, `http_port` is the management plugin's; the user is guest with password guest."""

    def __init__(self, folder: Path, more: str = "", plugins: str = "") -> None:
        """`more` is appended to its configuration, `plugins` to `rabbitmq_management`."""
        self.port, self.http_port, self._dist_port, self._epmd_port = free_ports(4)
        self._folder = folder
        self._more = more
        self._plugins = plugins
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def uri(self, vhost: str = "/") -> str:
        name = "%2f" if vhost == "/" else vhost
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """With the data of the node's earlier life, if it had one."""
        for name in ("data", "log"):
            (self._folder / name).mkdir(exist_ok=True)
        (self._folder / "enabled_plugins").write_text(f"[rabbitmq_management{self._plugins}].")
        (self._folder / "rabbitmq.conf").write_text(
            _CONF.format(port=self.port, http_port=self.http_port, statistics_s=_STATISTICS_S) + self._more
        )
        if self._epmd is None:
            self._epmd = self._run("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")
            _await_port(self._epmd_port, self._epmd, self._log)
        self._server = self._run(str(BIN / "rabbitmq-server"))
        for port in (self.port, self.http_port):
            _await_port(port, self._server, self._log)

    def kill(self) -> None:
        """kill -9: it writes nothing more, and closes nothing.

        RabbitMQ notes a new quorum queue in a file that is written twice a second; one that it has not noted comes
        back without a leader, for ever. Queues and bindings are in Mnesia's log, which Erlang writes within two
        seconds; one that it has not written is gone. That is not what tests are about.
        """
        time.sleep(_NOTED_S)
        _end(self._server)
        self._server = None
        for port in (self.port, self.http_port):
            _await_silence(port)

    def stop(self) -> None:
        for process in (self._server, self._epmd):
            _end(process)
        self._server = self._epmd = None

    @property
    def http_url(self) -> str:
        return f"http://guest:guest@127.0.0.1:{self.http_port}"

    def add_vhost(self, name: str) -> None:
        self.ask("PUT", f"vhosts/{quote(name, safe='')}")
        self.allow("guest", name)

    def add_user(self, name: str, password: str, tags: str = "") -> None:
        """Or gives it another password."""
        self.ask("PUT", f"users/{quote(name, safe='')}", {"password": password, "tags": tags})

    def allow(self, user: str, vhost: str) -> None:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.ask("PUT", f"permissions/{quote(vhost, safe='')}/{quote(user, safe='')}", everything)

    def queues(self, vhost: str) -> list[str]:
        return sorted(each["name"] for each in self.ask("GET", f"queues/{vhost}?columns=name"))

    def exchanges(self, vhost: str) -> list[str]:
        """Those that somebody has made."""
        names = (each["name"] for each in self.ask("GET", f"exchanges/{vhost}?columns=name"))
        return sorted(name for name in names if name and not name.startswith("amq."))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The management API's answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": "Basic " + base64.b64encode(b"guest:guest").decode(),
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    @property
    def _log(self) -> Path:
        return self._folder / "console"

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, **self._environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        return {
            "HOME": str(folder),  # where Erlang keeps its cookie
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +A 4 +sbwt none +sbwtdcpu none +sbwtdio none",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
        }


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Rabbitmq]:
    """One node for all tests of a session."""
    with running_rabbitmq() as server:
        yield server


@pytest.fixture
def vhost(rabbitmq: Rabbitmq) -> Iterator[str]:
    """A virtual host of the test's own, gone after it."""
    name = f"t{next(_numbers)}"
    rabbitmq.add_vhost(name)
    yield name
    rabbitmq.ask("DELETE", f"vhosts/{name}")


def available() -> bool:
    return (BIN / "rabbitmq-server").exists() and shutil.which("epmd") is not None


@contextlib.contextmanager
def running_rabbitmq(more: str = "", plugins: str = "") -> Iterator[Rabbitmq]:
    """Skips the test where RabbitMQ is not installed."""
    if not available():
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="pilotlight-rabbitmq-"))
    server = Rabbitmq(folder, more, plugins)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Of loopback, that nobody listened on a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _end(process: subprocess.Popen[bytes] | None) -> None:
    """All of its process group, which was made for it: a script, Erlang, and what Erlang forks."""
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _UP_S
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"RabbitMQ did not come up: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def _await_silence(port: int) -> None:
    deadline = time.monotonic() + _UP_S
    while _answers(port):
        assert time.monotonic() < deadline, f"port {port} is still open"
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
