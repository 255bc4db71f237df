"""Runs function folders as the python runtime does, without a platform: a host process, a fork server, raw requests."""

from __future__ import annotations

import array
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = Path(__file__).parents[2] / "deploy/runtimes/function"
DEADLINE_S = 20.0


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Served:
    """A function that answers on a port of this machine."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def request(
        self, method: str = "GET", path: str = "/", body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            try:
                body = response.read()
            except http.client.IncompleteRead as broken:
                body = broken.partial
            return Reply(response.status, fields, body)
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Sends bytes, reads until the server hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE_S) as client:
            client.sendall(data)
            received = b""
            while chunk := client.recv(65536):
                received += chunk
            return received

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


def write(folder: Path, **files: str) -> Path:
    """`write(tmp, main="…", function__func="…")`: modules from dedented text; `__` is a folder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EndedEarly(Exception):
    """It ended before it listened; `said` is its output."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"it ended with {code}: {said}")
        self.code, self.said = code, said


def wait_listening(port: int, process: subprocess.Popen[bytes] | None = None, log: Path | None = None) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process is not None and process.poll() is not None:
            raise EndedEarly(process.returncode, log.read_text() if log is not None else "")
        assert time.monotonic() < deadline, f"nothing listens on {port}"
        time.sleep(0.005)


@contextlib.contextmanager
def command(argv: list[str], port: int, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Any server of one function, ours or an oracle. EndedEarly with what it said."""
    log = Path(tempfile.gettempdir()) / f"function-{os.getpid()}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            stdout=output,
            stderr=output,
            env={**os.environ, "PORT": str(port), **(env or {})},
            start_new_session=True,  # gunicorn's workers outlive a master that was killed
        )
    try:
        wait_listening(port, process, log)
        yield Served(port, process, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.unlink()


@contextlib.contextmanager
def served(
    folder: Path, *options: str, env: Mapping[str, str] | None = None, python: str = sys.executable
) -> Iterator[Served]:
    """The function in `folder`, in a fresh host process."""
    argv = [python, "-P", str(HOST / "host.py"), str(folder), "--bind", "127.0.0.1", *options]
    with command(argv, free_port(), folder, env) as function:
        yield function


@dataclass
class ForkServer:
    """The test's end of a fork server's control socket."""

    control: socket.socket
    process: subprocess.Popen[bytes]
    first: dict[str, Any]
    pids: list[int] = field(default_factory=list)

    def fork(self, env: Mapping[str, str] | None = None) -> tuple[int, int, int]:
        """(pid, port, descriptor that yields its output)."""
        port = free_port()
        read, written = os.pipe()
        request = {"id": "i", "env": {**os.environ, "PORT": str(port), **(env or {})}, "groups": []}
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [written, written]))]
        self.control.sendmsg([json.dumps(request).encode()], rights)
        os.close(written)
        pid = self.hear()["pid"]
        self.pids.append(pid)
        return pid, port, read

    def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.control.recv(1 << 20))
        return message


@contextlib.contextmanager
def fork_server(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[ForkServer]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(DEADLINE_S)
    argv = [sys.executable, "-P", str(HOST / "zygote.py"), str(theirs.fileno()), str(folder)]
    process = subprocess.Popen(
        [*argv, "--bind", "127.0.0.1", *options],
        pass_fds=[theirs.fileno()],
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    theirs.close()
    server = ForkServer(ours, process, {})
    try:
        server.first = server.hear()
        yield server
    finally:
        process.kill()
        process.wait()
        ours.close()


def make_wheel(folder: Path, name: str = "tinything", version: str = "1.0") -> Path:
    """A package that exists nowhere else: `import tinything; tinything.WORD`."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"WORD = 'tiny'\nVERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name} = {name}:print\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path
