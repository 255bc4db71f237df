"""Runtime `container`: a container of Docker or Podman, made ahead of need and only started on demand.

A Pod's port is published on the host's loopback under a port that is chosen before it starts. The container's own
address would do on some engines, and is no faster (18 against 19 µs per request with Podman, starts alike); but once
its container is gone, a connection to it waits for seconds or leaves this machine by the default route, where one to
the loopback is refused at once. All that the platform makes carries its label; nothing without it is ever touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import structlog

from core.clients.engine import Engine, ImageFacts
from core.clock import Clock
from core.tasks import Started
from deploy.runtimes.base import NO_AUTH, ContainerPlan, PodPlan, RegistryAuth, Sandbox, StartError, Tell, to_nobody
from deploy.runtimes.container_config import (
    as_start_error,
    check_identity,
    digest_of,
    make_config,
    make_hostname,
    parse_reference,
)
from deploy.runtimes.container_images import Images
from deploy.runtimes.container_rooms import Made, OwnContainers, Room, Rooms
from deploy.runtimes.container_sandbox import ContainerSandbox, EngineContainer
from deploy.runtimes.container_spares import Spares
from deploy.runtimes.container_watch import EngineWatch
from deploy.runtimes.hosts import HostsFile, loopback_lines
from deploy.runtimes.ports import Ports

log = structlog.get_logger()


class ContainerRuntime:
    """See `deploy.runtimes.base.Runtime`."""

    name = "container"

    def __init__(self, platform: str, engine: Engine, folder: Path, ports: Ports, clock: Clock) -> None:
        """`platform` is unique per data folder; `folder` is where the hosts file of all containers is kept."""
        self.engine, self.clock = engine, clock
        self._hosts = HostsFile(folder / "hosts", loopback_lines)
        self._images = Images(engine)
        self._own = OwnContainers(platform, engine, folder / "last-words")
        self._rooms = Rooms(self._own, engine, self._hosts, ports)
        self._watch = EngineWatch(engine, self._own, self._rooms, clock, self._renew_spares)
        self._spares = Spares(self._make_spare, self._unmake_spare)
        self._group: asyncio.TaskGroup | None = None

    async def run(self, started: Started) -> None:
        """Looks for an engine until there is one, watches it, and looks again when it goes away."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await self._watch.run(started)
            finally:
                self._group = None
                await self._watch.clean_up()

    def available(self) -> str | None:
        """A start asked for during the first look for an engine waits for its end."""
        return self._watch.why if self._watch.looked.is_set() else None

    @property
    def gateway(self) -> str | None:
        """This machine's address as containers see it; None while there is no engine."""
        return self._rooms.gateway

    def set_names(self, names: Iterable[str]) -> None:
        """The host names that lead containers to the gateway, present ones included."""
        self._hosts.set_names(names)

    async def prepare(self, plan: PodPlan, spares: int) -> None:
        """Called once per template. Its spares are kept up from then on: a new one is made when a Pod that took one is
        gone. None where a Pod of the template has something of its own in its containers."""
        if not spares or _is_personal(plan):
            await self._spares.let_go(plan.template)
        if spares:
            await self._watch.require()
            for container in plan.containers:
                await self._images.ensure(container, plan.registry_auth)
            if not _is_personal(plan):
                await self._spares.want(plan, spares)

    async def resolve(self, container: ContainerPlan, registry_auth: RegistryAuth = NO_AUTH) -> str:
        await self._watch.require()
        image = await self._images.ensure(container, registry_auth)
        return digest_of(parse_reference(container.image), image.digests, image.id)

    async def sandbox(self, plan: PodPlan) -> Sandbox:
        await self._watch.require()
        plan.scratch_dir.mkdir(parents=True, exist_ok=True)
        plan.log_dir.mkdir(parents=True, exist_ok=True)
        room = self._spares.take(plan.template) or await self._rooms.open(plan)
        self._hosts.add(make_hostname(plan.instance.name))
        return ContainerSandbox(self, plan, room, _warnings(plan, self._watch.limits))

    # What sandboxes ask for (container_sandbox.Maker).

    async def make(self, plan: PodPlan, container: ContainerPlan, room: Room, tell: Tell = to_nobody) -> Made:
        await self._watch.require()
        image = await self._images.ensure(container, plan.registry_auth, tell)
        check_identity(container.identity, image.user)
        if not (image.has_command or container.command or container.args):
            raise StartError("CreateContainerConfigError", f'image "{container.image}" has no command, nor has the Pod')
        with as_start_error("CreateContainerError"):
            id = await self._create(plan, container, room, image)
        try:
            with as_start_error("RunContainerError"):
                return Made(id, await self.engine.attach(id), container, image)
        except BaseException:  # also where the Pod is deleted meanwhile
            await self.remove(id)
            raise

    async def discard(self, made: Made) -> None:
        await made.output.close()
        await self._own.discard(made.id)

    async def remove(self, id: str) -> None:
        await self._own.discard(id)

    def last_words(self, id: str) -> str:
        return self._own.last_words(id)

    async def vacate(self, room: Room, ids: Iterable[str]) -> None:
        await asyncio.gather(*map(self.discard, room.made.values()), *map(self.remove, ids))
        await self._rooms.close(room)

    def gone(self, template: str) -> None:
        if self._group is not None and self._spares.is_wanted(template):
            self._group.create_task(self._try_refill(template), name="container:spares")

    async def _try_refill(self, template: str) -> None:
        try:
            await self._spares.fill(template)
        except StartError as error:
            log.info("no container made ahead", reason=error.reason, error=error.message)

    def spawn(self, container: EngineContainer) -> None:
        if self._group is None:
            raise StartError("RunContainerError", "the platform is shutting down")
        self._group.create_task(container.follow(), name=f"container:{container.engine_id[:12]}")

    async def _create(self, plan: PodPlan, container: ContainerPlan, room: Room, image: ImageFacts) -> str:
        lacks_tmp = self._images.lacks_tmp(image)
        last_words = self._own.make_last_words()
        place = self._rooms.place(plan, room, make_tmp=bool(lacks_tmp), last_words=last_words)
        id = await self._own.create(make_config(plan, container, place), last_words)
        if lacks_tmp is not None or _brings_tmp(container):
            return id
        try:
            self._images.note_tmp(image, await self.engine.has_path(id, "/tmp"))
        except BaseException:
            await self.remove(id)
            raise
        if not self._images.lacks_tmp(image):
            return id
        await self.remove(id)
        return await self._create(plan, container, room, image)

    async def _renew_spares(self) -> None:
        """Made with an engine that has gone since: what they would write could not be read."""
        for template in await self._spares.empty():
            self.gone(template)

    async def _unmake_spare(self, room: Room) -> None:
        await self.vacate(room, ())

    async def _make_spare(self, plan: PodPlan) -> Room:
        room = await self._rooms.open(plan)
        try:
            for container in plan.containers:
                room.made[container.name] = await self.make(plan, container, room)
        except BaseException:
            await self.vacate(room, [])
            raise
        return room


def _brings_tmp(container: ContainerPlan) -> bool:
    """Whether a /tmp in this container says nothing of its image."""
    paths = (Path(mount.path) for mount in container.mounts)
    return container.identity.read_only_root or any(Path("/tmp") in (path, *path.parents) for path in paths)


def _is_personal(plan: PodPlan) -> bool:
    """Whether a container made for this Pod would show another Pod's things."""
    sources = (mount.source for container in plan.containers for mount in container.mounts)
    return bool(plan.hosts) or any(source.is_relative_to(plan.scratch_dir) for source in sources)


def _warnings(plan: PodPlan, limits: tuple[bool, bool]) -> tuple[str, ...]:
    memory, cpu = limits
    said = []
    if not memory and any(container.limits.memory_bytes for container in plan.containers):
        said.append("memory limits are not enforced: the container engine has no memory cgroup")
    if not cpu and any(container.limits.cpu_millis for container in plan.containers):
        said.append("CPU limits are not enforced: the container engine has no cpu cgroup")
    return tuple(said)
