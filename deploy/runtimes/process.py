"""Runtime `process`: a container is a command of this machine, a Pod a few of them and a loopback port.

What an instance sees: the environment of its Pod, and of the platform's own only what `INHERITED` names, so that no
secret of the platform leaks; `PORT`, `HOME` (of the user it runs as), `TMPDIR` (its own, removed with it), `HOSTNAME`;
the machine's files, with the Pod's volumes mounted where the user may mount. `image` is a label, or `dir:/path`, which
is then the working directory. Isolation is that of a user account: for foreign code there is `container`.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

from core.tasks import Started
from deploy.runtimes.base import (
    LAST_WORDS_PATH,
    NO_AUTH,
    TEMPORARY,
    Address,
    Container,
    ContainerPlan,
    Exit,
    Mount,
    PodPlan,
    RegistryAuth,
    Sandbox,
    StartError,
    Tell,
    Used,
    read_last_words,
    to_nobody,
)
from deploy.runtimes.consumption import used_by
from deploy.runtimes.ports import Ports, PortsExhausted
from deploy.runtimes.spawning import Command, Process, SpawnerLink, SpawnFailed

INHERITED = ("PATH", "LANG", "LC_ALL", "TZ")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FOLDER_IMAGE = "dir:"
LOOPBACK = "127.0.0.1"
HOSTS = "/etc/hosts"
NEXT_PORT_AFTER_S = 0.2  # when the start that took this one has had its time


class ProcessRuntime:
    """See `deploy.runtimes.base.Runtime`."""

    name = "process"

    def __init__(self, link: SpawnerLink, ports: Ports) -> None:
        self._link, self._ports = link, ports

    async def run(self, started: Started) -> None:
        """The spawner is the machine's part of it; leftovers of an earlier one died with it, or are killed by it."""
        await self._link.run(started)

    def available(self) -> str | None:
        if not sys.platform.startswith("linux"):
            return "runtime class process needs Linux; use runtimeClassName: container"
        return None if self._link.is_up else "the process that runs instances is being started; try again"

    async def prepare(self, plan: PodPlan, spares: int) -> None:
        """Nothing of one template is worth keeping ready: what all starts share, the spawner keeps."""

    async def resolve(self, container: ContainerPlan, registry_auth: RegistryAuth = NO_AUTH) -> str:
        return ""

    async def sandbox(self, plan: PodPlan) -> Sandbox:
        for container in plan.containers:
            if not container.command and not container.args:
                raise StartError(
                    "CreateContainerConfigError",
                    f'container "{container.name}" has no command: runtime class process runs a command of this '
                    "machine, it has no images; set command, or use runtimeClassName: container",
                )
        return ProcessSandbox(self._link, self._ports, plan, take_port(self._ports, plan))


def take_port(ports: Ports, plan: PodPlan) -> int | None:
    """The port of a new sandbox, whose folders are made on the way where they are not there. StartError."""
    try:
        port = None if plan.port is None else ports.take(plan.port if plan.port_is_fixed else None)
    except PortsExhausted as error:
        raise StartError("CreateContainerError", str(error)) from None
    asyncio.get_running_loop().call_later(NEXT_PORT_AFTER_S, ports.prepare)
    for folder in (plan.scratch_dir / TEMPORARY, plan.log_dir):
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
    return port


class ProcessSandbox:
    """The port and the folders of one Pod, and the processes in it."""

    def __init__(self, link: SpawnerLink, ports: Ports, plan: PodPlan, port: int | None) -> None:
        self._link, self._ports, self._plan, self._port = link, ports, plan, port
        self._processes: list[Process] = []
        self._made: list[Path] = []  # mount points

    @property
    def address(self) -> Address | None:
        return None if self._port is None else Address(LOOPBACK, self._port)

    @property
    def warnings(self) -> tuple[str, ...]:
        facts, containers = self._link.facts, self._plan.containers
        said = []
        if not facts.memory and any(container.limits.memory_bytes for container in containers):
            said.append("memory limits are not enforced: no writable memory cgroup")
        if not facts.cpu and any(container.limits.cpu_millis for container in containers):
            said.append("CPU limits are not enforced: no writable cpu cgroup")
        if facts.names:
            said.append(f"service names do not resolve inside the instance: {facts.names}")
        for container in containers:
            identity = container.identity
            if identity.user not in (None, os.geteuid()) and os.geteuid() != 0:
                said.append(f"container {container.name} runs as user {os.geteuid()}: only root may run it as another")
            if identity.read_only_root or identity.drop_capabilities or identity.add_capabilities:
                said.append(f"container {container.name}: root filesystem and capabilities are those of the machine")
        return tuple(said)

    async def start(self, container: ContainerPlan, tell: Tell = to_nobody) -> Container:
        command = self._command(container.on_port(self._port))
        try:
            process = await self._link.start(command)
        except SpawnFailed as error:
            raise StartError("RunContainerError", _why(command, error)) from None
        self._processes = [each for each in self._processes if not each.has_ended]
        self._processes.append(process)
        return ProcessContainer(process, container, self._last_words(container))

    async def pause(self) -> None:
        await self._freeze(True)

    async def resume(self) -> None:
        await self._freeze(False)

    async def _freeze(self, frozen: bool) -> None:
        try:
            for process in self._processes:
                await process.freeze(frozen)
        except SpawnFailed as error:
            raise StartError("RunContainerError", error.message) from None

    async def remove(self) -> None:
        await asyncio.gather(*(process.stop(0.0) for process in self._processes))
        if self._port is not None:
            self._ports.give_back(self._port)
            self._port = None
        await asyncio.to_thread(shutil.rmtree, self._plan.scratch_dir, ignore_errors=True)
        self._link.mount_points.give_back(self._made)
        self._made = []

    def _command(self, container: ContainerPlan) -> Command:
        identity = container.identity
        uid = identity.user if os.geteuid() == 0 else None
        if identity.non_root and (uid if uid is not None else os.geteuid()) == 0:
            raise StartError("CreateContainerConfigError", "container has runAsNonRoot and would run as root")
        if uid is not None:
            for folder in (self._plan.scratch_dir, self._plan.scratch_dir / TEMPORARY):
                os.chown(folder, uid, identity.group if identity.group is not None else -1)
        return Command(
            id=self._link.make_id(f"{self._plan.instance.uid}.{container.name}"),
            argv=container.command + container.args,
            env=self._environment(container, uid),
            cwd=container.working_dir or _folder(container.image) or str(self._plan.scratch_dir),
            log=str(self._plan.log_dir / f"{container.name}.log"),
            uid=uid,
            gid=identity.group if os.geteuid() == 0 else None,
            memory=container.limits.memory_bytes,
            cpu=container.limits.cpu_millis,
            mounts=self._mounts(container),
            no_new_privileges=identity.allow_privilege_escalation is False,
        )

    def _environment(self, container: ContainerPlan, uid: int | None) -> dict[str, str]:
        own = {name: os.environ[name] for name in INHERITED if name in os.environ}
        port = {"PORT": str(self._port)} if container.serving and self._port is not None else {}
        return {
            "PATH": DEFAULT_PATH,
            **own,
            "HOME": home_of(os.geteuid() if uid is None else uid),
            "TMPDIR": str(self._plan.scratch_dir / TEMPORARY),
            "HOSTNAME": self._plan.instance.name,
            **container.env,
            **port,
        }

    def _mounts(self, container: ContainerPlan) -> tuple[tuple[str, str, bool], ...]:
        """A mount needs something to cover: a path that is not there is made, and removed with its last user."""
        mounts = list(container.mounts)
        if (last_words := self._last_words(container)) is not None:
            last_words.write_bytes(b"")
            last_words.chmod(0o666)
            mounts.append(Mount(last_words, container.last_words_path, read_only=False))
        if self._plan.hosts:
            mounts.append(Mount(self._own_hosts(), HOSTS))
        for mount in mounts:
            try:
                self._made += self._link.mount_points.take(Path(mount.path), mount.source.is_dir())
            except OSError as error:
                raise StartError(
                    "CreateContainerConfigError",
                    f"mountPath {mount.path} cannot be made on this machine: {error.strerror}; choose a path that "
                    "exists, or use runtimeClassName: container",
                ) from None
        return tuple((str(mount.source), mount.path, mount.read_only) for mount in mounts)

    def _last_words(self, container: ContainerPlan) -> Path | None:
        """Not where nobody has chosen a place: a file in /dev is not ours to make, and a mount costs time."""
        if container.last_words_path == LAST_WORDS_PATH:
            return None
        return self._plan.scratch_dir / f"last-words.{container.name}"

    def _own_hosts(self) -> Path:
        """hostAliases: the names of the moment, and the Pod's own."""
        path = self._plan.scratch_dir / "hosts"
        lines = "".join(f"{ip} {name}\n" for name, ip in sorted(self._plan.hosts.items()))
        path.write_text(f"{self._link.hosts.read_text()}# hostAliases\n{lines}")
        return path


class ProcessContainer:
    """See `deploy.runtimes.base.Container`."""

    def __init__(self, process: Process, plan: ContainerPlan, last_words: Path | None) -> None:
        self._process, self._plan, self._last_words = process, plan, last_words

    @property
    def id(self) -> str:
        return f"process://{self._process.pid}"

    @property
    def image_id(self) -> str:
        return ""

    async def wait(self) -> Exit:
        return self._with_last_words(await self._process.wait())

    async def stop(self, grace_s: float) -> Exit:
        return self._with_last_words(await self._process.stop(grace_s, _signal_number(self._plan.stop_signal)))

    def _with_last_words(self, exit_: Exit) -> Exit:
        return exit_ if self._last_words is None else replace(exit_, last_words=read_last_words(self._last_words))

    async def execute(self, command: tuple[str, ...], timeout_s: float) -> tuple[int, str]:
        return await self._process.execute(command, timeout_s)

    async def used(self) -> Used | None:
        process = self._process
        return None if process.has_ended else await asyncio.to_thread(used_by, process.pid, process.command.id)


def _folder(image: str) -> str | None:
    return image.removeprefix(FOLDER_IMAGE) if image.startswith(FOLDER_IMAGE) else None


def home_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"


def _signal_number(name: str | None) -> int:
    if name is None:
        return signal.SIGTERM
    return int(name) if name.isdigit() else signal.Signals["SIG" + name.removeprefix("SIG")]


def _why(command: Command, error: SpawnFailed) -> str:
    if error.missing and error.at == command.cwd:
        return f'workingDir "{command.cwd}" does not exist on this machine'
    if error.missing and "/" not in command.argv[0]:
        return f'exec: "{command.argv[0]}": executable file not found in $PATH'
    return f'exec: "{command.argv[0]}": {error.message.lower()}'
