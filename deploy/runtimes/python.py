"""Runtime `python`: a container is a Python function in a folder (`image: dir:/path`), forked from a template of it.

In all that does not concern Python (port, log, limits, mounts, pausing, the end) an instance is one of runtime
`process`. What is added: the folder is copied under its hash (`folders`), its requirements are installed once
(`environments`), a fork server imports it once (`templates`), and `function/host.py` serves it.

A function that cannot be forked (threads or sockets made at import, writable volumes) or whose import fails is started
as a process of its own: slower, and with its traceback in its own log. A container with a command runs that command in
the function's folder and environment.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from core.clock import Clock
from core.tasks import Started
from deploy.runtimes.base import (
    LAST_WORDS_PATH,
    NO_AUTH,
    Container,
    ContainerPlan,
    PodPlan,
    RegistryAuth,
    Sandbox,
    StartError,
    Tell,
    to_nobody,
)
from deploy.runtimes.environments import Environment, Environments
from deploy.runtimes.folders import SCHEME, Folders, Snapshot
from deploy.runtimes.installing import Steps
from deploy.runtimes.instance import CONTROL
from deploy.runtimes.ports import Ports
from deploy.runtimes.process import INHERITED, LOOPBACK, ProcessContainer, ProcessSandbox, home_of, take_port
from deploy.runtimes.spawning import Command, Process, SpawnerLink, SpawnFailed
from deploy.runtimes.templates import TEMPLATES_MAX, Templates

_log = structlog.get_logger()

HERE = Path(__file__).parent
PLATFORM_ROOT = HERE.parents[1]
PLATFORM_PACKAGES = ("core", "activator", "autoscaler", "eventing", "scalers", "deploy", "pilotlight")
COLLECT_EVERY_S = 6 * 3600.0
KEPT_UNUSED_S = 14 * 86400.0  # snapshots and environments that nothing has asked for since

PREPARED_MAX = 4096  # remembered; then it begins anew


@dataclass(frozen=True, slots=True)
class PythonSettings:
    """Where the runtime keeps its folders, and how many templates it holds."""

    data: Path
    templates_max: int = TEMPLATES_MAX


@dataclass(frozen=True, slots=True)
class Prepared:
    """A container's folder and environment, ready on disk."""

    snapshot: Snapshot
    environment: Environment

    @property
    def is_there(self) -> bool:
        return self.snapshot.folder.is_dir() and os.path.exists(self.environment.python)


class PythonRuntime:
    """See `deploy.runtimes.base.Runtime`. `link` is run by runtime `process`, whose neighbor this is."""

    name = "python"

    def __init__(self, link: SpawnerLink, ports: Ports, settings: PythonSettings, clock: Clock) -> None:
        self._link, self._ports, self._clock = link, ports, clock
        self._folders = Folders(settings.data / "functions")
        self._environments = Environments(settings.data / "environments")
        self._logs = settings.data / "templates"
        self.templates = Templates(link, settings.templates_max)
        self._running: set[PythonSandbox] = set()
        self._prepared: dict[tuple[str, bool], Prepared] = {}

    async def run(self, started: Started) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._environments.clear_unfinished)
        started()
        while True:
            await asyncio.to_thread(self._collect, self._clock.wall() - KEPT_UNUSED_S)
            await self._clock.sleep(COLLECT_EVERY_S)

    def available(self) -> str | None:
        if not sys.platform.startswith("linux"):
            return "runtime class python needs Linux; build an image with `pilotlight build` and use container"
        return None if self._link.is_up else "the process that runs instances is being started; try again"

    async def prepare(self, plan: PodPlan, spares: int) -> None:
        """Installs the requirements and, with `spares`, has a template import the function."""
        for container in plan.containers:
            prepared = await self.prepared(container)
            if container.command:
                continue
            start = FunctionStart(plan, container.on_port(plan.port), prepared)
            if spares > 0 and start.forkable:
                await self.templates.ensure(start.key, partial(self.template_command, start))
            elif spares <= 0:
                await self.templates.retire(start.key)

    async def resolve(self, container: ContainerPlan, registry_auth: RegistryAuth = NO_AUTH) -> str:
        return (await asyncio.to_thread(self._folders.snapshot, container.image)).image

    async def sandbox(self, plan: PodPlan) -> Sandbox:
        for container in plan.containers:
            if not container.image.startswith(SCHEME):
                raise StartError(
                    "InvalidImageName",
                    f'container "{container.name}" has image "{container.image}": runtime class python runs a folder, '
                    "write dir:/absolute/path; for an image from a registry use runtimeClassName: container",
                )
        sandbox = PythonSandbox(self._link, self._ports, plan, take_port(self._ports, plan))
        sandbox.attach(self)
        self._running.add(sandbox)
        return sandbox

    async def prepared(self, container: ContainerPlan, tell: Tell = to_nobody) -> Prepared:
        """StartError. Costs nothing when an immutable image (`…@sha256:…`) has been prepared before."""
        asked = (container.image, "FUNCTION_TARGET" in container.env)
        known = self._prepared.get(asked)
        if known is not None and known.snapshot.image == container.image and known.is_there:
            return known
        snapshot = await asyncio.to_thread(self._folders.snapshot, container.image)
        if known is not None and known.snapshot == snapshot and known.is_there:
            return known
        steps = Steps()

        def progress(line: str) -> None:
            if step := steps.take(line, self._clock.monotonic()):
                tell("Installing", step)

        environment = await self._environments.ensure(snapshot.folder, tuple(container.env), progress)
        if len(self._prepared) >= PREPARED_MAX:
            self._prepared.clear()
        self._prepared[asked] = Prepared(snapshot, environment)
        return self._prepared[asked]

    async def launch(self, start: FunctionStart, command: Command) -> Process:
        """Forks it if that can be, else runs the host afresh. SpawnFailed."""
        if start.forkable:
            template = await self.templates.ensure(start.key, partial(self.template_command, start))
            if template is not None:
                try:
                    return await self._link.start(replace(command, template=template.command.id))
                except SpawnFailed as error:
                    _log.warning("a template did not fork", image=start.prepared.snapshot.image, error=error.message)
        return await self._link.start(replace(command, id=self._link.make_id(command.id)))

    def template_command(self, start: FunctionStart) -> Command:
        uid, gid = start.user
        return Command(
            id=self._link.make_id(f"template.{start.key[:12]}"),
            argv=start.argv("zygote.py", CONTROL),
            env=start.environment_of_template(),
            cwd=start.cwd,
            log=str(self._logs / f"{start.key[:12]}.log"),
            uid=uid,
            gid=gid,
            memory=start.container.limits.memory_bytes,
            cpu=start.container.limits.cpu_millis,
            no_new_privileges=start.container.identity.allow_privilege_escalation is False,
        )

    def forget(self, sandbox: PythonSandbox) -> None:
        self._running.discard(sandbox)

    def _collect(self, before: float) -> None:
        used = [prepared for sandbox in self._running for prepared in sandbox.used]
        self._folders.collect(frozenset(prepared.snapshot.digest for prepared in used), before)
        self._environments.collect(frozenset(prepared.environment.digest for prepared in used), before)


@dataclass(frozen=True, slots=True)
class FunctionStart:
    """One function container about to start. `key` is the same for all that one template can be forked into."""

    plan: PodPlan
    container: ContainerPlan
    prepared: Prepared

    @property
    def forkable(self) -> bool:
        """A template is imported before there is a Pod: it cannot see a Pod's volumes."""
        return not self.container.mounts and self.container.last_words_path == LAST_WORDS_PATH

    @property
    def user(self) -> tuple[int | None, int | None]:
        identity = self.container.identity
        return (identity.user, identity.group) if os.geteuid() == 0 else (None, None)

    @property
    def cwd(self) -> str:
        return self.container.working_dir or str(self.prepared.snapshot.folder)

    @property
    def key(self) -> str:
        parts = (
            self.argv("", ""),
            self.environment_of_template(),
            self.cwd,
            self.user,
            (self.container.limits.memory_bytes, self.container.limits.cpu_millis),
            self.container.identity.allow_privilege_escalation,
        )
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def argv(self, program: str, *first: str) -> tuple[str, ...]:
        environment, folder = self.prepared.environment, str(self.prepared.snapshot.folder)
        entry = ("--entry", self.container.args[0]) if self.container.args else ()
        if environment.is_base:
            foreign: tuple[str, ...] = ("--hide", ",".join(PLATFORM_PACKAGES), "--root", str(PLATFORM_ROOT))
        else:
            foreign = ("--packages", _packages())
        host = str(HERE / "function" / program)
        return (environment.python, "-P", host, *first, folder, "--bind", LOOPBACK, *entry, *foreign)

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """The container's own, with the environment's programs first in PATH."""
        path = own.get("PATH") or os.environ.get("PATH", os.defpath)
        bin_ = self.prepared.environment.bin
        virtual = {} if self.prepared.environment.is_base else {"VIRTUAL_ENV": os.path.dirname(bin_)}
        return {**virtual, **own, "PATH": f"{bin_}:{path}"}

    def environment_of_template(self) -> dict[str, str]:
        """Without what is one instance's alone: a template that has it would hand it to the others."""
        instance = self.plan.instance
        own = {name: os.environ[name] for name in INHERITED if name in os.environ}
        uid, _ = self.user
        own["HOME"] = home_of(os.geteuid() if uid is None else uid)
        shared: Mapping[str, str] = {
            name: value
            for name, value in self.environment(self.container.env).items()
            if instance.name not in value and (not instance.uid or instance.uid not in value)
        }
        return {
            **own,
            "HOME": home_of(os.geteuid() if uid is None else uid),
            **shared,
            "PORT": str(self.plan.port or 8080),
        }


class PythonSandbox(ProcessSandbox):
    """A Pod of functions."""

    used: list[Prepared]

    def attach(self, runtime: PythonRuntime) -> None:
        self._runtime = runtime
        self.used = []
        self._keys: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        reasons = {why for key in self._keys if (why := self._runtime.templates.why_not(key))}
        return (*super().warnings, *(f"started as a fresh process, not forked: {why}" for why in sorted(reasons)))

    async def start(self, container: ContainerPlan, tell: Tell = to_nobody) -> Container:
        prepared = await self._runtime.prepared(container, tell)
        self.used.append(prepared)
        start = FunctionStart(self._plan, container.on_port(self._plan.port), prepared)
        _check_access(start)
        # Everything but the port is the same for all that share the template.
        runnable = replace(container, env=start.environment(container.env), working_dir=start.cwd)
        if not container.command:
            runnable = replace(runnable, command=start.argv("host.py"), args=())
        command = self._command(runnable.on_port(self._port))
        try:
            if container.command:
                process = await self._link.start(command)
            else:
                self._keys.append(start.key)
                process = await self._runtime.launch(start, command)
        except SpawnFailed as error:
            raise StartError("RunContainerError", f"{command.argv[0]}: {error.message}") from None
        self._processes.append(process)
        return PythonContainer(process, container, self._last_words(container), prepared.snapshot.image)

    async def remove(self) -> None:
        await super().remove()
        self._runtime.forget(self)


class PythonContainer(ProcessContainer):
    """See `deploy.runtimes.base.Container`."""

    def __init__(self, process: Process, plan: ContainerPlan, last_words: Path | None, image_id: str) -> None:
        super().__init__(process, plan, last_words)
        self._image_id = image_id

    @property
    def image_id(self) -> str:
        return self._image_id


def _check_access(start: FunctionStart) -> None:
    """A folder above that is closed to others shows itself only as a failed exec or import. StartError."""
    uid, _ = start.user
    for path in (
        (Path(start.prepared.environment.python), start.prepared.snapshot.folder, HERE / "function") if uid else ()
    ):
        real = path.resolve()
        for entered in (real, *real.parents, *path.parents):  # of an interpreter that is a link: the way to both
            status = entered.stat()
            if not status.st_mode & 0o001 and status.st_uid != uid:
                raise StartError(
                    "CreateContainerConfigError",
                    f"user {uid} may not enter {entered}, and so not use {path}; open it to others, or drop runAsUser",
                )


def _packages() -> str:
    """Where the platform's own `httptools` is, for environments that lack it."""
    spec = importlib.util.find_spec("httptools")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parents[1])
