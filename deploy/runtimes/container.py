"""Runtime `container`: a container of Docker or Podman, made ahead of need and only started on demand.

A Pod's port is published on the host's loopback under a port that is chosen before it starts. The container's own
address would do on some engines, and is no faster (18 against 19 µs per request with Podman, starts alike); but once
its container is gone, a connection to it waits for seconds or leaves this machine by the default route, where one to
the loopback is refused at once. All that the platform makes carries its label; nothing without it is ever touched.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.clients.engine import Engine, ImageFacts
from core.clock import Clock
from core.tasks import Started
from deploy.runtimes.base import NO_AUTH, ContainerPlan, PodPlan, RegistryAuth, Sandbox, StartError
from deploy.runtimes.container_config import (
    as_start_error,
    check_identity,
    digest_of,
    make_config,
    parse_reference,
)
from deploy.runtimes.container_hosts import Hosts
from deploy.runtimes.container_images import Images
from deploy.runtimes.container_rooms import Made, OwnContainers, Room, Rooms
from deploy.runtimes.container_sandbox import ContainerSandbox, EngineContainer
from deploy.runtimes.container_watch import EngineWatch
from deploy.runtimes.ports import Ports

SPARES_MAX: Final = 32
"""Containers made ahead, over all templates: on Podman each is a process that waits at exec, of 13 MB."""


class ContainerRuntime:
    """See `deploy.runtimes.base.Runtime`."""

    name = "container"

    def __init__(self, platform: str, engine: Engine, folder: Path, ports: Ports, clock: Clock) -> None:
        """`platform` is unique per data folder; `folder` is where the hosts file of all containers is kept."""
        self.engine, self.clock = engine, clock
        self._hosts = Hosts(folder / "hosts")
        self._images = Images(engine)
        self._own = OwnContainers(platform, engine)
        self._rooms = Rooms(self._own, engine, self._hosts, ports)
        self._watch = EngineWatch(engine, self._own, self._rooms, clock, self._drop_spares)
        self._spares: OrderedDict[str, list[Room]] = OrderedDict()
        self._preparing = asyncio.Lock()
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
        return self._watch.why

    @property
    def gateway(self) -> str | None:
        """This machine's address as containers see it; None while there is no engine."""
        return self._rooms.gateway

    def set_names(self, names: Iterable[str]) -> None:
        """The host names that lead containers to the gateway, present ones included."""
        self._hosts.set_names(names)

    async def prepare(self, plan: PodPlan, spares: int) -> None:
        """No spares where a Pod of the template has something of its own in its containers."""
        self._watch.require()
        for container in plan.containers:
            await self._images.ensure(container, plan.registry_auth)
        wanted = 0 if _is_personal(plan) else spares
        async with self._preparing:
            kept = self._spares.setdefault(plan.template, [])
            self._spares.move_to_end(plan.template)
            while len(kept) < wanted:
                kept.append(await self._make_spare(plan))
            while len(kept) > wanted:
                await self.vacate(kept.pop(), [])
            await self._forget_oldest()

    async def _drop_spares(self) -> None:
        """Made with an engine that has gone since: what they would write could not be read."""
        spares, self._spares = self._spares, OrderedDict()
        await asyncio.gather(*(self.vacate(room, ()) for rooms in spares.values() for room in rooms))

    async def _forget_oldest(self) -> None:
        while sum(map(len, self._spares.values())) > SPARES_MAX:
            await self.vacate(next(each for each in self._spares.values() if each).pop(0), [])
        for template in [template for template, each in self._spares.items() if not each]:
            del self._spares[template]

    async def resolve(self, container: ContainerPlan, registry_auth: RegistryAuth = NO_AUTH) -> str:
        self._watch.require()
        image = await self._images.ensure(container, registry_auth)
        return digest_of(parse_reference(container.image), image.digests, image.id)

    async def sandbox(self, plan: PodPlan) -> Sandbox:
        self._watch.require()
        plan.scratch_dir.mkdir(parents=True, exist_ok=True)
        plan.log_dir.mkdir(parents=True, exist_ok=True)
        spares = self._spares.get(plan.template)
        room = spares.pop() if spares else await self._rooms.open(plan)
        self._hosts.add(plan.instance.name)
        return ContainerSandbox(self, plan, room, _warnings(plan, self._watch.limits))

    # What sandboxes ask for (container_sandbox.Maker).

    async def make(self, plan: PodPlan, container: ContainerPlan, room: Room) -> Made:
        self._watch.require()
        image = await self._images.ensure(container, plan.registry_auth)
        check_identity(container.identity, image.user)
        if not (image.has_command or container.command or container.args):
            raise StartError("CreateContainerConfigError", f'image "{container.image}" has no command, nor has the Pod')
        with as_start_error("CreateContainerError"):
            id = await self._create(plan, container, room, image)
        try:
            with as_start_error("RunContainerError"):
                return Made(id, await self.engine.attach(id), container, image)
        except StartError:
            await self.remove(id)
            raise

    async def discard(self, made: Made) -> None:
        await made.output.close()
        await self._own.discard(made.id)

    async def remove(self, id: str) -> None:
        await self._own.discard(id)

    async def vacate(self, room: Room, ids: Iterable[str]) -> None:
        await asyncio.gather(*map(self.discard, room.made.values()), *map(self.remove, ids))
        await self._rooms.close(room)

    def spawn(self, container: EngineContainer) -> None:
        if self._group is None:
            raise StartError("RunContainerError", "the platform is shutting down")
        self._group.create_task(container.follow(), name=f"container:{container.engine_id[:12]}")

    async def _create(self, plan: PodPlan, container: ContainerPlan, room: Room, image: ImageFacts) -> str:
        lacks_tmp = self._images.lacks_tmp(image)
        place = self._rooms.place(plan, room, make_tmp=bool(lacks_tmp))
        id = await self._own.create(make_config(plan, container, place))
        if lacks_tmp is not None:
            return id
        self._images.note_tmp(image, await self.engine.has_path(id, "/tmp"))
        if not self._images.lacks_tmp(image):
            return id
        await self.remove(id)
        return await self._create(plan, container, room, image)

    async def _make_spare(self, plan: PodPlan) -> Room:
        room = await self._rooms.open(plan)
        try:
            for container in plan.containers:
                room.made[container.name] = await self.make(plan, container, room)
        except StartError:
            await self.vacate(room, [])
            raise
        return room


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
