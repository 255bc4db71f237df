"""The container engine at hand: Docker or Podman, over the Docker Engine API on a local socket.

The only file that knows aiodocker. Constructed without effect; `connect` finds the socket. Two exceptions leave it:
`EngineDown` (nobody answers: try again) and `EngineRefused` (it answered no, with its own words).

aiodocker and aiohttp are a fifth of what a platform would import, and 10 MB of it: they are loaded by the first
`connect` that finds a socket, beside the event loop, so that nobody's start waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import io
import ipaddress
import json
import os
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.errors import TemporaryError

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.stream import Stream

SOCKETS: Final = ("/var/run/docker.sock", "/run/podman/podman.sock", "/run/user/{uid}/docker.sock",
                  "/run/user/{uid}/podman/podman.sock")  # fmt: skip
EXEC_OUTPUT_BYTES_MAX: Final = 10 << 10
_CONNECT_S: Final = 5.0
_REQUEST_S: Final = 120.0  # a create or a delete on a busy disk; streams have no limit of their own


class EngineDown(TemporaryError):
    """No engine answers."""


class EngineRefused(Exception):
    """The engine's own no: HTTP status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Which engine."""

    name: str  # docker | podman: the scheme of container ids
    version: str
    url: str
    architecture: str


@dataclass(frozen=True, slots=True)
class ContainerState:
    """As the engine sees a container."""

    running: bool
    exit_code: int
    oom: bool


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image says of itself."""

    id: str
    digests: tuple[str, ...]  # repository@sha256:…
    user: str
    stop_signal: str | None
    has_command: bool


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge that was made for the platform; `gateway` is this machine's address on it."""

    name: str
    gateway: str


class Output:
    """What a container writes, from before its start."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def read(self) -> tuple[bytes, bytes] | None:
        """(b"stdout" or b"stderr", data); None at the end, which also comes when the engine goes away."""
        try:
            with _translated():
                message = await self._stream.read_out()
        except (EngineDown, EngineRefused):
            return None
        if message is None:
            return None
        return (b"stderr" if message.stream == 2 else b"stdout"), message.data

    async def close(self) -> None:
        with contextlib.suppress(EngineDown, EngineRefused), _translated():
            await self._stream.close()


def candidate_urls(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Where an engine may answer: what the user named, or the usual sockets that exist."""
    if named := environment.get("DOCKER_HOST") or environment.get("CONTAINER_HOST"):
        return (named,)
    paths = (path.format(uid=os.getuid()) for path in SOCKETS)
    return tuple(f"unix://{path}" for path in paths if os.path.exists(path))


class Engine:
    """One connection pool to one engine."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._docker: Docker | None = None
        self.facts: EngineFacts | None = None

    async def connect(self) -> EngineFacts:
        """Finds an engine that answers. EngineDown says what was tried."""
        await self.close()
        tried = candidate_urls(self._environment)
        for url in tried:
            await asyncio.to_thread(importlib.import_module, "aiodocker")
            docker = _client(url)
            try:
                with _translated():
                    self.facts = _facts(url, await docker.version())
            except EngineDown:
                await docker.close()
                continue
            self._docker = docker
            return self.facts
        where = ", ".join(tried) or "DOCKER_HOST, /var/run/docker.sock and Podman's sockets"
        raise EngineDown(f"no container engine answers at {where}; start Docker or Podman, or set DOCKER_HOST")

    async def close(self) -> None:
        docker, self._docker = self._docker, None
        if docker is not None:
            await docker.close()

    async def limits(self) -> tuple[bool, bool]:
        """Whether it can limit (memory, CPU). Podman takes most of a second over the answer."""
        async with self._asking() as docker:
            info = await docker.system.info()
            return bool(info.get("MemoryLimit", True)), bool(info.get("CpuCfsQuota", True))

    # Containers.

    async def containers(self, label: str) -> list[str]:
        """Ids of all containers, running or not, with `name=value`."""
        async with self._asking() as docker:
            found = await docker.containers.list(all=True, filters={"label": [label]})
            return [container.id for container in found]

    async def create(self, config: Mapping[str, Any]) -> str:
        async with self._asking() as docker:
            return (await docker.containers.create(dict(config))).id

    async def attach(self, id: str) -> Output:
        """Its output from now on. Podman readies a created container for this (network, namespaces, its process
        waiting at exec), so that the start that follows takes a tenth of the time."""
        async with self._asking() as docker:
            stream = docker.containers.container(id).attach(stdout=True, stderr=True)
            await stream.__aenter__()
            return Output(stream)

    async def start(self, id: str) -> None:
        async with self._asking() as docker:
            await docker.containers.container(id).start()

    async def kill(self, id: str, signal: str) -> None:
        """Not running any more is as good."""
        async with self._asking() as docker:
            with _ignoring(404, 409, 500):
                await docker.containers.container(id).kill(signal=signal)

    async def freeze(self, id: str, frozen: bool) -> None:
        """Stops all its processes where they are, or lets them go on; also where that is so already."""
        async with self._asking() as docker:
            container = docker.containers.container(id)
            with _ignoring(404, 409, 500):
                await (container.pause() if frozen else container.unpause())

    async def remove(self, id: str) -> None:
        """Kills it where it runs, and leaves nothing of it."""
        async with self._asking() as docker:
            with _ignoring(404, 409):
                await docker.containers.container(id).delete(force=True, v=True)

    async def state(self, id: str) -> ContainerState | None:
        """None: there is no such container."""
        async with self._asking() as docker:
            with _ignoring(404):
                state = (await docker.containers.container(id).show())["State"]
                running = bool(state["Running"]) or state.get("Status") in ("paused", "stopping")
                return ContainerState(running, int(state["ExitCode"]), bool(state.get("OOMKilled")))
        return None

    async def has_path(self, id: str, path: str) -> bool:
        """Whether a container's files, started or not, have this path."""
        async with self._asking() as docker:
            # ValueError: the answer to a HEAD has no body, and aiodocker would read the error from it.
            with _ignoring(404, 500), contextlib.suppress(ValueError):
                async with docker._query(f"containers/{id}/archive", method="HEAD", params={"path": path}):
                    return True
        return False

    async def execute(self, id: str, command: Sequence[str]) -> tuple[int, str]:
        """Runs a command inside: exit code, and the first 10 KiB of its output."""
        async with self._asking() as docker:
            execution = await docker.containers.container(id).exec(list(command), stdout=True, stderr=True)
            output = b""
            async with execution.start(detach=False) as stream:
                while (message := await stream.read_out()) is not None:
                    output = (output + message.data)[:EXEC_OUTPUT_BYTES_MAX]
            code = (await execution.inspect())["ExitCode"]
            return (126 if code is None else int(code)), output.decode(errors="replace")

    # Images and networks.

    async def image(self, reference: str) -> ImageFacts | None:
        """What is in the local store; None: nothing by that name."""
        async with self._asking() as docker:
            with _ignoring(404):
                return _image(await docker.images.inspect(reference))
        return None

    async def pull(self, reference: str, auth: Mapping[str, str] | None) -> None:
        async with self._asking() as docker:
            async for line in docker.images.pull(reference, auth=dict(auth) if auth else None, stream=True):
                if "error" in line:
                    raise EngineRefused(500, str(line["error"]))

    async def build(self, tag: str, files: Mapping[str, tuple[bytes, int]]) -> AsyncIterator[str]:
        """Builds an image from files (path → content and mode) with a Dockerfile among them; yields what it says."""
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for path, (content, mode) in files.items():
                member = tarfile.TarInfo(path)
                member.size, member.mode = len(content), mode
                archive.addfile(member, io.BytesIO(content))
        context.seek(0)
        async with self._asking() as docker:
            async for line in docker.images.build(fileobj=context, encoding="identity", tag=tag, stream=True, rm=True):
                if "error" in line:
                    raise EngineRefused(500, str(line["error"]).strip())
                if text := str(line.get("stream", "")).rstrip():
                    yield text

    async def ensure_network(self, name: str, labels: Mapping[str, str]) -> Network:
        """The platform's bridge: the one of that name, or a new one where the engine finds room."""
        async with self._asking() as docker:
            with _ignoring(404):
                return _network(await (await docker.networks.get(name)).show())
            config = {"Name": name, "Driver": "bridge", "Labels": dict(labels)}
            return _network(await (await docker.networks.create(config)).show())

    async def remove_network(self, name: str) -> None:
        async with self._asking() as docker:
            with _ignoring(403, 404, 409, 500):
                await (await docker.networks.get(name)).delete()

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[Docker]:
        if self._docker is None:
            raise EngineDown("no container engine is connected")
        with _translated():
            yield self._docker


async def used_by(engine: Engine, id: str) -> tuple[float, int] | None:
    """Seconds of processors' time since its start, and bytes of memory; None: it does not run, or nobody knows."""
    async with engine._asking() as docker:
        with _ignoring(404, 409, 500):
            once = {"stream": "false", "one-shot": "true"}
            async with docker._query(f"containers/{id}/stats", params=once) as response:
                found = json.loads(await response.read() or b"null")  # Podman does not say that it is JSON
            if not found:
                return None
            cpu, memory = found["cpu_stats"]["cpu_usage"]["total_usage"], found["memory_stats"]
            if not memory.get("usage"):
                return None
            counts = memory.get("stats") or {}
            reclaimable = counts.get("total_inactive_file", counts.get("inactive_file", 0))
            return int(cpu) / 1e9, max(0, int(memory["usage"]) - int(reclaimable))
    return None


def _client(url: str) -> Docker:
    import aiohttp
    from aiodocker import Docker

    return Docker(url=url, timeout=aiohttp.ClientTimeout(total=_REQUEST_S, sock_connect=_CONNECT_S))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    import aiohttp
    from aiodocker.exceptions import DockerError

    try:
        yield
    except DockerError as error:
        if error.status == 900:  # aiodocker's own: it could not connect
            raise EngineDown(error.message) from error
        raise EngineRefused(error.status, error.message) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise EngineDown(f"the container engine does not answer: {error or type(error).__name__}") from error


@contextlib.contextmanager
def _ignoring(*statuses: int) -> Iterator[None]:
    from aiodocker.exceptions import DockerError

    try:
        yield
    except DockerError as error:
        if error.status not in statuses:
            raise


def _facts(url: str, version: Mapping[str, Any]) -> EngineFacts:
    components = [str(component.get("Name", "")) for component in version.get("Components") or ()]
    return EngineFacts(
        name="podman" if any("Podman" in component for component in components) else "docker",
        version=str(version.get("Version", "")),
        url=url,
        architecture=str(version.get("Arch", "")),
    )


def _image(found: Mapping[str, Any]) -> ImageFacts:
    config = found.get("Config") or {}
    return ImageFacts(
        id=str(found["Id"]),
        digests=tuple(found.get("RepoDigests") or ()),
        user=str(config.get("User") or ""),
        stop_signal=config.get("StopSignal") or None,
        has_command=bool(config.get("Cmd") or config.get("Entrypoint")),
    )


def _network(found: Mapping[str, Any]) -> Network:
    config = found["IPAM"]["Config"][0]
    gateway = config.get("Gateway") or ipaddress.IPv4Network(config["Subnet"])[1]
    return Network(str(found["Name"]), str(gateway).partition("/")[0])
