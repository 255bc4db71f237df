"""Keeps the hosts files of instances up to date, as Routes, core Services and DomainMappings come and go.

One file per way of seeing the gateway: the process runtimes reach it on loopback, containers by another address. A file
is rewritten in place, because it is bind-mounted over /etc/hosts of processes that run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from core.clock import Clock
from core.errors import Expired
from core.resources.core_services import CORE_SERVICE
from core.resources.meta import Json, Kind
from core.resources.serving import DOMAIN_MAPPING, ROUTE
from core.store.base import EventType, Store
from core.tasks import Started
from deploy.hostsfile import host_of, hosts_text, local_names

MACHINE_HOSTS = Path("/etc/hosts")
GATHER_S = 0.02  # many Services that appear together are one rewrite

NamesOf: TypeAlias = Callable[[Json], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class HostsFile:
    """`address`: where the gateway answers, seen from whoever mounts `path`."""

    path: Path
    address: str


class Names:
    """`files` exist before `run` is called: a runtime may mount them from its first moment (`prepare`)."""

    def __init__(self, store: Store, clock: Clock, files: tuple[HostsFile, ...], machine: Path = MACHINE_HOSTS) -> None:
        self._store, self._clock, self._files, self._machine = store, clock, files, machine
        self._names: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._changed = asyncio.Event()

    def prepare(self) -> None:
        """Makes the files, with the machine's own names only."""
        for file in self._files:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.path.touch(mode=0o644)
        self._write()

    async def run(self, started: Started) -> None:
        self.prepare()
        async with asyncio.TaskGroup() as group:
            listed = []
            for kind, names_of in SOURCES.items():
                listed.append(done := asyncio.Event())
                group.create_task(self._follow(kind, names_of, done), name=f"names:{kind.plural}")
            for done in listed:
                await done.wait()
            self._write()
            started()
            while True:
                await self._changed.wait()
                await self._clock.sleep(GATHER_S)
                self._changed.clear()
                self._write()

    async def _follow(self, kind: Kind[Any], names_of: NamesOf, listed: asyncio.Event) -> None:
        while True:
            listing = await self._store.list(kind)
            self._names = {key: names for key, names in self._names.items() if key[0] != kind.resource}
            for obj in listing.items:
                self._note(kind, obj, names_of(obj))
            listed.set()
            try:
                async with self._store.watch(kind, since=listing.resource_version) as changes:
                    async for event in changes:
                        if event.type is not EventType.BOOKMARK:
                            gone = event.type is EventType.DELETED
                            self._note(kind, event.object, () if gone else names_of(event.object))
                return
            except Expired:
                continue

    def _note(self, kind: Kind[Any], obj: Json, names: tuple[str, ...]) -> None:
        key = (kind.resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if self._names.get(key, ()) == names:
            return
        self._names.pop(key, None)
        if names:
            self._names[key] = names
        self._changed.set()

    def _write(self) -> None:
        try:
            machine = self._machine.read_text(encoding="utf-8", errors="replace")
        except OSError:
            machine = "127.0.0.1 localhost\n"
        for file in self._files:
            _rewrite(file.path, hosts_text(machine, file.address, self._names.values()).encode())


def _rewrite(path: Path, content: bytes) -> None:
    """In place, and never shorter than it has to be in between: a reader sees old or new lines, not an empty file."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(fd, content, 0)
        os.ftruncate(fd, len(content))
    finally:
        os.close(fd)


def _route_names(route: Json) -> tuple[str, ...]:
    metadata, status = route["metadata"], route.get("status") or {}
    urls = [status.get("url", ""), *(target.get("url", "") for target in status.get("traffic") or ())]
    hosts = [host_of(url) for url in urls if url]
    tags = [target["tag"] for target in status.get("traffic") or () if target.get("tag")]
    tagged = [name for tag in tags for name in local_names(f"{tag}-{metadata['name']}", metadata["namespace"])]
    return (*local_names(metadata["name"], metadata["namespace"]), *tagged, *hosts)


def _service_names(service: Json) -> tuple[str, ...]:
    return local_names(service["metadata"]["name"], service["metadata"]["namespace"])


def _mapping_names(mapping: Json) -> tuple[str, ...]:
    return (mapping["metadata"]["name"],)


SOURCES: Mapping[Kind[Any], NamesOf] = {
    ROUTE: _route_names,
    CORE_SERVICE: _service_names,
    DOMAIN_MAPPING: _mapping_names,
}
