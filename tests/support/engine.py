"""A real container engine for tests: the one that the user named, or a Podman service started here.

Podman needs two things on small virtual machines: `runc` where cgroups are hybrid, which Debian's `crun` refuses, and
resource limits below the caller's where those may not be raised. Both are written to a configuration of our own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from core.clients.engine import Engine, EngineDown
from deploy.runtimes.base import ContainerPlan, StartError
from deploy.runtimes.container import ContainerRuntime
from tests.support.servers import compiled_probe, compiled_server, sources_digest

IMAGE = f"localhost/pilotlight-test:{sources_digest()}"
_UP_S = 15.0
_CONF = """[engine]
{runtime}
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""


class PodmanService:
    """`podman system service` on a socket of its own; containers outlive it, as they do an upgrade of the engine."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder}/podman.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        configuration = self._folder / "containers.conf"
        configuration.write_text(_CONF.format(runtime='runtime = "runc"' if shutil.which("runc") else ""))
        socket = self._folder / "podman.sock"
        socket.unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                ["podman", "system", "service", "--time=0", self.url],
                cwd=self._folder,  # conmon leaves a file `oom` where it was started
                env={**os.environ, "CONTAINERS_CONF": str(configuration)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + _UP_S
        while not socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"podman did not come up: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


def podman_service() -> PodmanService:
    """Not started yet. Skips the test where Podman is not installed."""
    if shutil.which("podman") is None:
        pytest.skip("no container engine: apt-get install podman runc, or name one with DOCKER_HOST")
    if os.geteuid() != 0:
        pytest.skip("only root may start an engine for the tests; name one with DOCKER_HOST")
    return PodmanService(Path(tempfile.mkdtemp(prefix="pilotlight-podman-")))


async def build_test_image(engine: Engine) -> None:
    """`IMAGE`: FROM scratch, with /server (the command), /probe and an environment of its own."""
    if await engine.image(IMAGE) is None:
        await build_image(engine, IMAGE, "ENV COLOR=green")


async def build_image(engine: Engine, tag: str, *lines: str) -> None:
    dockerfile = "\n".join(("FROM scratch", "COPY server probe /", *lines, 'CMD ["/server"]', ""))
    files = {
        "Dockerfile": (dockerfile.encode(), 0o644),
        "server": (compiled_server().read_bytes(), 0o755),
        "probe": (compiled_probe().read_bytes(), 0o755),
    }
    async for _ in engine.build(tag, files):
        pass


async def looked(runtime: ContainerRuntime) -> str | None:
    """`available()`, once the runtime has looked for an engine."""
    with contextlib.suppress(StartError):
        await runtime.resolve(ContainerPlan("", "nothing", pull_policy="Never"))
    return runtime.available()


async def connected(url: str) -> Engine:
    engine = Engine({"DOCKER_HOST": url})
    deadline = time.monotonic() + _UP_S
    while True:
        try:
            await engine.connect()
            return engine
        except EngineDown:
            if time.monotonic() > deadline:
                raise
