"""Servers that tests start: on free loopback ports, as another user where root is refused, ended with the tests."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

UP_S: Final = 60.0
_PR_SET_PDEATHSIG: Final = 1
# A child dies with the thread that started it, and this one lives as long as the process.
_starter = ThreadPoolExecutor(1)


class Child:
    """A server program: `start` again and again, `kill`, `freeze` and `thaw`."""

    def __init__(self, command: Sequence[str], folder: Path, *, user: str | None = None) -> None:
        self._command = command
        self._folder = folder
        self._user = user if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, answers: Callable[[], bool]) -> None:
        """Returns once `answers` says so."""
        with (self._folder / "console").open("ab") as output:
            self._process = _starter.submit(self._run, output).result()
        deadline = time.monotonic() + UP_S
        while not answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{self._command[0]} did not come up: {(self._folder / 'console').read_text()[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9, of all of its process group, which was made for it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and says nothing any more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _run(self, output: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            self._command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with_parent,
            **({"user": self._user, "group": self._user, "extra_groups": []} if self._user else {}),
        )


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def port_answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _die_with_parent() -> None:
    """A test process that is killed leaves no server behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
