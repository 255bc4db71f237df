"""A real PostgreSQL for tests: Debian's package as a cluster of its own on a free loopback port, gone afterwards.

`postgres` is the one of a test session; each test makes tables of its own. The superuser is postgres, with PASSWORD.
PostgreSQL refuses root, so it runs as the user that its package made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.support.certificates import self_signed
from tests.support.children import Child, free_ports, port_answers

PASSWORD: Final = "open sesame/%'"
USER: Final = "postgres"
MISSING: Final = "no PostgreSQL: apt-get install postgresql (tests/support/need.sh does)"
_SETTINGS: Final = """listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 20
shared_buffers = 8MB
fsync = off
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
"""


class Postgres:
    """One cluster. `start` after `kill` recovers what it had; `certificate` is its own authority."""

    def __init__(self, folder: Path, bin_: Path) -> None:
        (self.port,) = free_ports(1)
        self._data = folder / "data"
        word = folder / "word"
        word.write_text(PASSWORD)
        folder.chmod(0o755)
        self._own(word)
        self._data.mkdir(mode=0o700)
        self._own(self._data)
        options = ("--no-sync", "-U", USER, "-A", "scram-sha-256", f"--pwfile={word}", "-E", "UTF8", "--locale=C")
        subprocess.run(
            [bin_ / "initdb", "-D", self._data, *options],
            check=True,
            capture_output=True,
            cwd=folder,
            **_as_user(),
        )
        self.certificate, key = self_signed("postgres")
        (self._data / "server.pem").write_text(self.certificate)
        (self._data / "server.key").write_text(key)
        (self._data / "server.key").chmod(0o600)
        self._own(self._data / "server.key")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS + f"port = {self.port}\n")
        self._child = Child([str(bin_ / "postgres"), "-D", str(self._data)], self._data, user=USER)
        self.freeze, self.thaw = self._child.freeze, self._child.thaw

    def start(self) -> None:
        self._child.start(self._answers)

    def kill(self) -> None:
        self._child.kill()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """All rows, as the superuser, over a connection of its own."""
        with psycopg.connect(**self.pairs(), autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def pairs(self) -> dict[str, str]:
        return {
            "host": "127.0.0.1",
            "port": str(self.port),
            "user": USER,
            "password": PASSWORD,
            "dbname": "postgres",
        }

    def _answers(self) -> bool:
        if not port_answers(self.port):
            return False
        try:
            self.ask("SELECT 1")
        except psycopg.OperationalError:  # it is starting up
            return False
        return True

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, USER, USER)


def _as_user() -> dict[str, Any]:
    return {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Skips the test where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="pilotlight-postgres-"))
    try:
        server = Postgres(folder, found[-1].parent)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One cluster for all tests of a session."""
    with running_postgres() as server:
        yield server
