"""A real Redis for tests: Debian's redis-server on free loopback ports; alone, with TLS, as a cluster, as a sentinel.

`redis_server` is the one of a test session, emptied before each test; the others are started where they are needed.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.certificates import self_signed
from tests.support.children import Child, free_ports

PASSWORD: Final = "open sesame/%"
MISSING: Final = "no Redis: apt-get install redis-server (tests/support/need.sh does)"


class RedisServer:
    """One process. `settings` are lines of redis.conf; `certificate` is that of the TLS port, if it has one, and what
    it wants of clients that show one."""

    def __init__(
        self, folder: Path, settings: Sequence[str] = (), *, sentinel: bool = False, tls: bool = False
    ) -> None:
        self.port, self.bus_port, self.tls_port = free_ports(3)
        self.folder = folder
        self.certificate = ""
        self._sentinel = sentinel
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", "protected-mode no"]
        if not sentinel:
            lines += ['save ""', "appendonly no"]
        if tls:
            lines += self._tls_settings()
        (folder / "redis.conf").write_text("\n".join([*lines, *settings]) + "\n")
        command = ["redis-server", str(folder / "redis.conf"), *(["--sentinel"] if sentinel else [])]
        self._child = Child(command, folder)
        self.freeze, self.thaw = self._child.freeze, self._child.thaw

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._child.start(self._answers)

    def kill(self) -> None:
        self._child.kill()

    def ask(self, *command: str | int, password: str | None = None) -> Any:
        """The answer of a command, over a connection of its own."""
        with contextlib.closing(_connect(self.port, password)) as client:
            return client.execute_command(*command)

    def connections(self, most: int) -> int:
        """How many there are besides this question's; asked again for a moment while there are more than `most`, since
        those of before may not be gone yet."""
        deadline = time.monotonic() + 5
        while True:
            found = len(self.ask("CLIENT", "LIST").decode().splitlines()) - 1
            if found <= most or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.ask("PING")
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False
        return True

    def _tls_settings(self) -> list[str]:
        self.certificate, key = self_signed("redis")
        (self.folder / "server.pem").write_text(self.certificate)
        (self.folder / "server.key").write_text(key)
        files = {"tls-cert-file": "server.pem", "tls-key-file": "server.key", "tls-ca-cert-file": "server.pem"}
        return [
            f"tls-port {self.tls_port}",
            "tls-auth-clients optional",
            *(f"{name} {self.folder / file}" for name, file in files.items()),
        ]


@contextlib.contextmanager
def running_redis(settings: Sequence[str] = (), *, sentinel: bool = False, tls: bool = False) -> Iterator[RedisServer]:
    """Skips the test where Redis is not installed."""
    if shutil.which("redis-server") is None:
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="pilotlight-redis-"))
    server = RedisServer(folder, settings, sentinel=sentinel, tls=tls)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_redis_cluster() -> Iterator[RedisServer]:
    """One node that has all slots: enough for a client to find its way."""
    with running_redis(["cluster-enabled yes", "cluster-config-file nodes.conf"]) as server:
        server.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        deadline = time.monotonic() + 30
        while b"cluster_state:ok" not in _bytes(server.ask("CLUSTER", "INFO")):
            assert time.monotonic() < deadline, server.ask("CLUSTER", "INFO")
            time.sleep(0.05)
        yield server


def _bytes(answer: Any) -> bytes:
    """The library makes a table of an answer that it knows."""
    if isinstance(answer, dict):
        return "\n".join(f"{key}:{value}" for key, value in answer.items()).encode()
    return answer if isinstance(answer, bytes) else str(answer).encode()


def _connect(port: int, password: str | None) -> redis.Redis:
    return redis.Redis(port=port, password=password, socket_timeout=10, retry=Retry(NoBackoff(), 0))


@pytest.fixture(scope="session")
def redis_session() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_server(redis_session: RedisServer) -> RedisServer:
    """The session's, empty."""
    redis_session.ask("FLUSHALL")
    return redis_session
