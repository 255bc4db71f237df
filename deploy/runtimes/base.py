"""What a runtime is: something that can start a container of a Pod on this machine, watch it, and stop it.

The node (`deploy/node`) resolves a Pod into a `PodPlan` (Secrets read, mounts written to files, ports and identity
settled) and drives a `Runtime` with it; a runtime knows nothing of resources or the store. One file per runtime, an
entry in `registry.py`. A Pod's containers share one `Sandbox`: a network, a port, a lifetime.

Every runtime writes the output of a container with `logfile.LogFile` to `<log_dir>/<container>.log`, so that all logs
read alike; the node moves the file aside before it starts a container again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias, runtime_checkable

from core.stats import InstanceKey
from core.tasks import Started

PORT_PLACEHOLDER = "\ue000port\ue000"
"""Stands for the serving port in a plan (env, command, args), since the runtime is the one to choose it."""

TEMPORARY: Final = "tmp"
"""In a scratch folder: the TMPDIR of a Pod that has no machine of its own."""

LAST_WORDS_PATH: Final = "/dev/termination-log"
LAST_WORDS_BYTES_MAX: Final = 4096

RegistryAuth: TypeAlias = Mapping[str, Mapping[str, str]]
"""Registry host → credentials as in a Docker configuration: `auth`, or `username` and `password`."""
NO_AUTH: Final[RegistryAuth] = MappingProxyType({})

Tell: TypeAlias = Callable[[str, str], None]
"""Hears what a start waits for, as it goes on: a reason as events have it (Pulling, Installing), and a sentence."""


def to_nobody(reason: str, message: str) -> None:
    """The `Tell` of who does not care."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A host file or folder, already filled in, to be seen at `path` in the container."""

    source: Path
    path: str
    read_only: bool = True
    volume: Path | None = None  # of which the source is a part, where containers may write: it may be a link by now


@dataclass(frozen=True, slots=True)
class Limits:
    """None means unlimited; `cpu_request_millis` is a share of the machine where it is busy, as in Kubernetes."""

    memory_bytes: int | None = None
    cpu_millis: int | None = None
    cpu_request_millis: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the container runs as (securityContext, pod and container merged). None means the image's own."""

    user: int | None = None
    group: int | None = None
    non_root: bool = False
    read_only_root: bool = False
    drop_capabilities: tuple[str, ...] = ()
    add_capabilities: tuple[str, ...] = ()
    allow_privilege_escalation: bool | None = None
    seccomp_profile: str | None = None


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """One container, with nothing left to look up: `$(VAR)` is expanded, but for `PORT_PLACEHOLDER` (see `on_port`).

    Empty `command` and `args` mean the image's own.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str | None = None
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    identity: Identity = Identity()
    pull_policy: str = "IfNotPresent"  # Always | IfNotPresent | Never
    serving: bool = False  # the one that listens on the Pod's port
    init: bool = False
    stop_signal: str | None = None
    last_words_path: str = LAST_WORDS_PATH  # terminationMessagePath

    def on_port(self, port: int | None) -> ContainerPlan:
        """The same with the port filled in wherever the plan speaks of it; a runtime starts this one."""

        def fill(text: str) -> str:
            return text.replace(PORT_PLACEHOLDER, str(port or ""))

        return replace(
            self,
            command=tuple(map(fill, self.command)),
            args=tuple(map(fill, self.args)),
            env={name: fill(value) for name, value in self.env.items()},
        )


@dataclass(frozen=True, slots=True)
class PodPlan:
    """A Pod as a runtime sees it. `template` is equal for Pods that differ in name only: they share preparation."""

    instance: InstanceKey
    template: str  # digest of everything but the instance
    containers: tuple[ContainerPlan, ...]
    port: int | None  # what the serving container was asked to listen on; a runtime may choose another (see Sandbox)
    log_dir: Path
    scratch_dir: Path  # this Pod's own, removed with it
    hosts: Mapping[str, str] = field(default_factory=dict)
    registry_auth: RegistryAuth = field(default_factory=dict)
    grace_s: float = 30.0
    port_is_fixed: bool = (
        False  # a Pod that a user made by hand: its port is wanted as it was written, where it is free
    )
    other_ports: tuple[int, ...] = ()  # that its containers declare, or its probes ask, besides


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended. `signal` is 0 for an ordinary exit; `oom` where the kernel killed it for memory."""

    code: int
    signal: int = 0
    oom: bool = False
    message: str = ""  # the tail of its output, at most 2 KiB
    last_words: str = ""  # what it wrote to `last_words_path`, the last 4 KiB


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Pod's serving port answers from the gateway's side."""

    host: str
    port: int
    inside: int | None = None  # the port in a network of the Pod's own, whose loopback is not this machine's
    doors: Mapping[int, int] = field(default_factory=dict)  # where other ports of such a network are found

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Used:
    """What a container has used: processors' time since it began, and memory now that the kernel cannot take back."""

    cpu_s: float
    memory_bytes: int


class StartError(Exception):
    """It cannot run; `reason` as the kubelet names it: ErrImagePull, ImagePullBackOff, ErrImageNeverPull,
    InvalidImageName, CreateContainerError, CreateContainerConfigError, RunContainerError."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def read_last_words(path: Path) -> str:
    """Of a container that has ended; nothing where it left none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_WORDS_BYTES_MAX))
            return file.read(LAST_WORDS_BYTES_MAX).decode(errors="replace")
    except OSError:
        return ""


class Container(Protocol):
    """One started container."""

    @property
    def id(self) -> str:
        """As in `containerStatuses[].containerID`: `process://1234`, `podman://<hex>`."""

    @property
    def image_id(self) -> str:
        """The resolved image: `docker.io/library/x@sha256:…`, or the content digest of a folder."""

    async def wait(self) -> Exit:
        """Returns when it has ended; any number may wait, also after the end."""

    async def stop(self, grace_s: float) -> Exit:
        """SIGTERM (or the image's stop signal) to all of it, SIGKILL after the grace; returns when nothing is left."""

    async def execute(self, command: tuple[str, ...], timeout_s: float) -> tuple[int, str]:
        """Runs a command in its place, as an exec probe does: exit code and combined output (at most 10 KiB)."""

    async def used(self) -> Used | None:
        """None: that cannot be told."""


class Sandbox(Protocol):
    """What the containers of one Pod share."""

    @property
    def address(self) -> Address | None:
        """None where the Pod has no port. Known before the first container starts."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the machine could not honor (a memory limit without a cgroup, say): shown as a Pod event."""

    async def start(self, container: ContainerPlan, tell: Tell = to_nobody) -> Container:
        """StartError."""

    async def pause(self) -> None:
        """Freezes every process in it; memory stays, CPU is zero. StartError, with some of it frozen perhaps."""

    async def resume(self) -> None:
        """Undoes `pause`, of whatever is frozen. StartError."""

    async def remove(self) -> None:
        """Leaves nothing behind. Kills what still runs."""


class Runtime(Protocol):
    """Constructed without touching the machine; `run` does."""

    name: str

    async def run(self, started: Started) -> None:
        """Its own loop: finds what an earlier platform left (adopts or removes it), then watches. Ends when cancelled,
        and then leaves no process of its own behind."""

    def available(self) -> str | None:
        """None when it can start something now, else why not and what to do, in one sentence."""

    async def prepare(self, plan: PodPlan, spares: int) -> None:
        """Makes starts of this template fast: pulls, installs, warms a template, makes `spares` containers ahead.
        StartError. 0 spares lets go of what was made."""

    async def resolve(self, container: ContainerPlan, registry_auth: RegistryAuth = NO_AUTH) -> str:
        """The immutable name of its image (a digest), "" where the runtime has none. StartError."""

    async def sandbox(self, plan: PodPlan) -> Sandbox:
        """StartError."""


@runtime_checkable
class OwnNetwork(Protocol):
    """A runtime whose instances have a network of their own: they reach this machine, and names, differently."""

    @property
    def gateway(self) -> str | None:
        """This machine's address as instances see it; None while there is no such network."""

    def set_names(self, names: Iterable[str]) -> None:
        """The host names that lead instances to the gateway, present ones included."""
