"""The platform's own things on the engine: its containers, known by their label, and a network place for each Pod.

`OwnContainers` is the only one that creates and removes containers, so that what is in use and what was left behind can
always be told apart. `Rooms` hands out ports, and holders of the network for Pods of several containers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog

from core.clients.engine import Engine, EngineDown, EngineFacts, EngineRefused, ImageFacts, Network, Output
from core.tasks import hear_out
from deploy.runtimes.base import ContainerPlan, PodPlan, StartError, read_last_words
from deploy.runtimes.container_config import (
    PLATFORM_LABEL,
    Place,
    as_start_error,
    make_labels,
    network_config,
    port_bindings,
)
from deploy.runtimes.holder import HOLDER_IMAGE, holder_files
from deploy.runtimes.hosts import HostsFile
from deploy.runtimes.ports import Ports, PortsExhausted

log = structlog.get_logger()

_PATIENCE_S = 10.0  # with an engine that makes a container which nobody wants any more


@dataclass(slots=True)
class Made:
    """A container that waits to be started."""

    id: str
    output: Output
    plan: ContainerPlan
    image: ImageFacts


@dataclass(slots=True)
class Room:
    """The network of one Pod, and what was made in it ahead of need."""

    port: int | None = None  # of the host's loopback, where the Pod's port is published
    doors: dict[int, int] = field(default_factory=dict)  # the same of each of its other ports
    holder: str | None = None
    made: dict[str, Made] = field(default_factory=dict)


class OwnContainers:
    """Every container with the platform's label: those in use, and leftovers. In `folder` each has a file for its last
    words."""

    def __init__(self, platform: str, engine: Engine, folder: Path) -> None:
        self.platform, self._engine, self._folder = platform, engine, folder
        self._live: dict[str, Path | None] = {}

    async def create(self, config: Mapping[str, Any], last_words: Path | None = None) -> str:
        """Where this fails the file is gone, too. Not before the engine has answered: Podman makes a folder of one that
        it is to mount and does not find."""

        async def discard(id: str) -> None:
            self._live[id] = last_words
            await self.discard(id)

        try:
            id = await hear_out(self._engine.create(config), discard, _PATIENCE_S)
        except BaseException:
            _drop(last_words)
            raise
        self._live[id] = last_words
        return id

    def make_last_words(self) -> Path:
        """An empty file that any user may write; it goes with the container that it is given to."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        path = self._folder / uuid4().hex
        path.touch()
        path.chmod(0o666)
        return path

    def last_words(self, id: str) -> str:
        path = self._live.get(id)
        return "" if path is None else read_last_words(path)

    async def discard(self, id: str) -> None:
        """Removes it now, or when the engine is back."""
        _drop(self._live.pop(id, None))
        try:
            await self._engine.remove(id)
        except (EngineDown, EngineRefused) as error:
            log.warning("container not removed, the next look at the engine will", id=id, error=str(error))

    async def remove_leftovers(self) -> None:
        """What an earlier platform left, and what could not be removed before."""
        try:
            ids = await self._engine.containers(f"{PLATFORM_LABEL}={self.platform}")
        except EngineRefused as error:  # Podman lists none where one, anybody's, is broken: the others must not suffer
            log.warning("containers left over cannot be found", error=str(error))
            return
        await asyncio.gather(*(self._engine.remove(id) for id in ids if id not in self._live))
        kept = set(self._live.values())
        for path in self._folder.glob("*"):
            if path not in kept:
                _drop(path)

    async def remove_all(self) -> None:
        await asyncio.gather(*map(self.discard, list(self._live)))
        await self.remove_leftovers()


def _drop(last_words: Path | None) -> None:
    """The file, or the folder that an engine made in its place."""
    if last_words is None:
        return
    try:
        if last_words.is_dir():
            last_words.rmdir()
        else:
            last_words.unlink(missing_ok=True)
    except OSError as error:
        log.warning("last words not removed", path=str(last_words), error=str(error))


class Rooms:
    """Network places. `use` says on which bridge, each time an engine was found."""

    def __init__(self, own: OwnContainers, engine: Engine, hosts: HostsFile, ports: Ports) -> None:
        self._own, self._engine, self._hosts, self._ports = own, engine, hosts, ports
        self._facts: EngineFacts | None = None
        self._network: Network | None = None
        self._anchor: str | None = None

    @property
    def gateway(self) -> str | None:
        return self._network.gateway if self._network is not None else None

    def use(self, facts: EngineFacts, network: Network) -> None:
        self._facts, self._network = facts, network
        self._hosts.set_gateway(network.gateway)

    async def open(self, plan: PodPlan) -> Room:
        """StartError."""
        assert self._facts is not None
        room = Room()
        try:
            if plan.port is not None:
                room.port = self._ports.take(plan.port if plan.port_is_fixed else None)
            for port in plan.other_ports:
                room.doors[port] = self._ports.take()
            if len(plan.containers) > 1:
                with as_start_error("CreateContainerError"):
                    await self._hold(plan, room, self._facts.architecture)
        except PortsExhausted as error:
            raise StartError("CreateContainerError", str(error)) from error
        except BaseException:  # also where the Pod is deleted meanwhile
            await self.close(room)
            raise
        return room

    async def close(self, room: Room) -> None:
        """After its containers are gone. Any number of times."""
        (holder, room.holder), ports = (room.holder, None), [*room.doors.values()]
        if room.port is not None:
            ports.append(room.port)
        room.port, room.doors = None, {}
        if holder is not None:
            await self._own.discard(holder)
        for port in ports:
            self._ports.give_back(port)

    def place(self, plan: PodPlan, room: Room, *, make_tmp: bool = False, last_words: Path | None = None) -> Place:
        """Where the next container of the Pod is made."""
        assert self._network is not None
        hosts = self._hosts.path
        if plan.hosts:
            hosts = plan.scratch_dir / "hosts"
            hosts.parent.mkdir(parents=True, exist_ok=True)
            hosts.write_text(self._hosts.text(plan.hosts))
        if room.holder is not None:
            return Place(self._own.platform, f"container:{room.holder}", {}, hosts, make_tmp, last_words)
        published = dict(room.doors)
        if plan.port is not None and room.port is not None:
            published[plan.port] = room.port
        return Place(self._own.platform, self._network.name, published, hosts, make_tmp, last_words)

    async def anchor(self) -> None:
        """A container that is always there: Podman takes a bridge down with the last of its containers, and with it
        the address where all the others reach this machine."""
        assert self._facts is not None
        assert self._network is not None
        if self._anchor is not None:
            state = await self._engine.state(self._anchor)
            if state is not None and state.running:
                return
            await self._own.discard(self._anchor)
        await self._build_holder(self._facts.architecture)
        labels = {PLATFORM_LABEL: self._own.platform}
        config = {"Image": HOLDER_IMAGE, "Labels": labels, "HostConfig": {"NetworkMode": self._network.name}}
        self._anchor = await self._own.create(config)
        await self._engine.start(self._anchor)

    async def _build_holder(self, architecture: str) -> None:
        if await self._engine.image(HOLDER_IMAGE) is None:
            async for _ in self._engine.build(HOLDER_IMAGE, holder_files(architecture)):
                pass

    async def _hold(self, plan: PodPlan, room: Room, architecture: str) -> None:
        """A running container that owns the Pod's network."""
        await self._build_holder(architecture)
        place = self.place(plan, room)
        host = {"NetworkMode": place.network, "LogConfig": {"Type": "none", "Config": {}}, **port_bindings(place)}
        config = {
            "Image": HOLDER_IMAGE,
            "Labels": make_labels(self._own.platform, plan, ""),
            "HostConfig": host,
            **network_config(plan, place),
        }
        room.holder = await self._own.create(config)
        await self._engine.start(room.holder)
